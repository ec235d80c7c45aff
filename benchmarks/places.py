"""Where a benchmark of calls runs: the CPU device with NumPy or the first GPU with CuPy; and its table's heading.

Without a GPU, the stand-in for the driver that the tests compile shows what launches cost without one, and whether they
leave anything behind: it computes nothing. `launch.py` says how.
"""

from __future__ import annotations

import ctypes
import datetime
import importlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import warpbridge as wb


class Cpu:
    """The CPU device with NumPy arrays."""

    name = "cpu"
    library: Any = np
    makes_arrays = True

    def __init__(self) -> None:
        self.stream: Any = wb.device("cpu").stream()
        self.handle = 0

    def empty(self, size: int) -> Any:
        """Return a new array."""
        return np.empty(size, np.float32)

    def books(self) -> dict[str, int]:
        """Return what the device has on its books: nothing that could be asked for."""
        return {}

    def words(self, count: int) -> tuple[np.ndarray, int, Any]:
        """Return 64-bit words that host and device both see, their address, and an array that says where to launch."""
        array = np.zeros(count, np.uint64)
        return array, array.ctypes.data, array

    def seconds(self, work: Callable[[], Any], _in_front: Callable[[], Any] | None = None) -> float:
        """Return the time of what is queued."""
        start = time.perf_counter()
        work()
        self.synchronize()
        return time.perf_counter() - start

    def arrays(self, count: int, size: int) -> dict[str, list[Any]]:
        """Return arrays of so many elements by library."""
        rng = np.random.default_rng(1)
        return {"NumPy": [rng.standard_normal(size, dtype=np.float32) for _ in range(count)]}

    def host(self, array: Any) -> np.ndarray:
        """Return an array's values."""
        return np.asarray(array)

    def synchronize(self) -> None:
        """Wait for the stream."""
        self.stream.synchronize()

    def is_idle(self) -> bool:
        """Wait: there is nothing to ask without waiting."""
        self.stream.synchronize()
        return True

    def free(self) -> None:
        """Nothing is cached."""


class Gpu:
    """The first GPU, with the arrays of each library that is there."""

    name = "cuda:0"
    makes_arrays = True

    def __init__(self) -> None:
        self.library: Any = importlib.import_module("cupy")
        self.stream: Any = self.library.cuda.Stream(non_blocking=True)
        self.stream.use()
        self.handle = int(self.stream.ptr)

    def empty(self, size: int) -> Any:
        """Return a new array."""
        return self.library.empty(size, "f4")

    def books(self) -> dict[str, int]:
        """Return the memory in use, in bytes: CUDA says it of a GPU, not of a process."""
        free, total = self.library.cuda.runtime.memGetInfo()
        pool = self.library.get_default_memory_pool().used_bytes()
        return {"GPU memory in use, by every process": total - free, "of that in CuPy's pool": pool}

    def words(self, count: int) -> tuple[np.ndarray, int, Any]:
        """Return 64-bit words that host and device both see, their address, and an array that says where to launch."""
        memory = self.library.cuda.alloc_pinned_memory(8 * count)
        array = np.frombuffer(memory, np.uint64, count)
        array[:] = 0
        return array, array.ctypes.data, self.library.zeros(1, "u8")

    def seconds(self, work: Callable[[], Any], in_front: Callable[[], Any] | None = None) -> float:
        """Return the device's time for what is queued; `in_front` queues what keeps it busy until all is queued."""
        if in_front:
            in_front()
        start, end = (self.library.cuda.Event() for _ in range(2))
        start.record(self.stream)
        work()
        end.record(self.stream)
        end.synchronize()
        return float(self.library.cuda.get_elapsed_time(start, end)) / 1000

    def arrays(self, count: int, size: int) -> dict[str, list[Any]]:
        """Return arrays of so many elements by library; PyTorch's only where it is installed."""
        found = {"CuPy": [self.library.random.standard_normal(size, dtype="f4") for _ in range(count)]}
        try:
            torch = importlib.import_module("torch")
        except ImportError:
            return found
        return {**found, "torch": [torch.randn(size, device="cuda:0") for _ in range(count)]}

    def host(self, array: Any) -> np.ndarray:
        """Return an array's values."""
        return array.get() if hasattr(array, "get") else array.cpu().numpy()

    def synchronize(self) -> None:
        """Wait for the stream."""
        self.stream.synchronize()

    def is_idle(self) -> bool:
        """Whether all that was queued on the stream is done."""
        return bool(self.stream.done)

    def free(self) -> None:
        """Give cached memory back."""
        self.library.get_default_memory_pool().free_all_blocks()


class StandIn:
    """The tests' stand-in for the driver, with CuPy arrays over host memory: CuPy itself has no GPU here."""

    name = "cuda:0"
    makes_arrays = False

    def __init__(self) -> None:
        self.library: Any = importlib.import_module("cupy")
        self.stream: Any = wb.device(self.name).stream()
        self.handle = int(self.stream.handle)
        self._driver = ctypes.CDLL(os.environ["WARPBRIDGE_LIBCUDA"])
        self._driver.driver_count.argtypes = [ctypes.c_char_p]

    def arrays(self, count: int, size: int) -> dict[str, list[Any]]:
        """Return arrays of so many float32, by library."""
        return {"CuPy": [self._array(np.ones(size, np.float32)) for _ in range(count)]}

    def _array(self, host: np.ndarray) -> Any:
        memory = self.library.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
        return self.library.ndarray(host.shape, host.dtype, self.library.cuda.MemoryPointer(memory, 0))

    def synchronize(self) -> None:
        """Wait for the stream."""
        self.stream.synchronize()

    def books(self) -> dict[str, int]:
        """Return what the driver has on its books."""
        return {f"driver's {what}": self._driver.driver_count(what.encode()) for what in BOOKS}


BOOKS = ("modules", "streams", "events", "host blocks", "depth")


def gpu() -> Gpu | StandIn:
    """Return the first GPU, or what stands in for one."""
    name = wb.device("cuda:0").name
    return StandIn() if name.startswith("stand-in") else Gpu()


def title(what: str, place: Any, libraries: Sequence[str], text: str) -> str:
    """Return a table's heading: what was measured where, with which versions, and how."""
    device = wb.device(place.name)
    driver = f", driver {device.driver}" if device.driver else ""
    versions = [f"{name} {version(name)}" for name in ("warpbridge", "numpy", *libraries) if version(name)]
    return (
        f"# {what} on {device.name}{driver}\n\n{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}, {', '.join(versions)}. {text}\n\n"
    )


def version(name: str) -> str:
    """Return a distribution's version, empty where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
