"""Where a benchmark of calls runs: the CPU device with NumPy or the first GPU with CuPy; and its table's heading."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
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

    def __init__(self) -> None:
        self.stream: Any = wb.device("cpu").stream()

    def words(self, count: int) -> tuple[np.ndarray, int, Any]:
        """Return 64-bit words that host and device both see, their address, and an array that says where to launch."""
        array = np.zeros(count, np.uint64)
        return array, array.ctypes.data, array

    def seconds(self, work: Callable[[], Any]) -> float:
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

    def __init__(self) -> None:
        self.library: Any = importlib.import_module("cupy")
        self.stream: Any = self.library.cuda.Stream(non_blocking=True)
        self.stream.use()

    def words(self, count: int) -> tuple[np.ndarray, int, Any]:
        """Return 64-bit words that host and device both see, their address, and an array that says where to launch."""
        memory = self.library.cuda.alloc_pinned_memory(8 * count)
        array = np.frombuffer(memory, np.uint64, count)
        array[:] = 0
        return array, array.ctypes.data, self.library.zeros(1, "u8")

    def seconds(self, work: Callable[[], Any]) -> float:
        """Return the device's time for what is queued."""
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
