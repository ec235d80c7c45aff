"""``warpbridge bench``: what a launch costs on this machine, and how long the bundled kernels take, on made-up arrays.

A look at one machine in a minute, with the installed package alone. Comparisons with other libraries, and the tables of
the documentation, come from the repository's `benchmarks/`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from warpbridge import kernels
from warpbridge.array import Array
from warpbridge.demo.place import Place
from warpbridge.kernel import Kernel

from . import inputs

_LAUNCHED = 1024
_ROUNDS = 9
_BURST_S = 0.02
_KERNEL_S = 0.2
_ELEMENTS = {"cpu": 100_000, "cuda": 1 << 25}


@dataclass(frozen=True)
class Row:
    """One way to launch.

    Attributes
    ----------
    name : str
        As a user writes it.
    blocking : bool
        Whether it waits for the kernel; what it is compared with does the same.
    burst : callable
        Makes so many launches and returns seconds per launch.
    """

    name: str
    blocking: bool
    burst: Callable[[int], float]


def bench(place: Place, wanted: Sequence[Kernel], write: Callable[[str], object] = print) -> None:
    """Measure and write what was found.

    Parameters
    ----------
    place
        The device, and the library whose arrays are used.
    wanted
        Kernels to time.
    write
        Gets one line at a time.
    """
    write(f"cost of a launch, scale of {_LAUNCHED} float32: median of {_ROUNDS} rounds, ratio to the first of its kind")
    for line in _launches(place, kernels.scale):
        write(line)
    write("")
    write("kernels on made-up arrays: a bound call, waited for, median; bytes are those of arguments and results")
    for kernel in wanted:
        write(_kernel(place, kernel))


def _launches(place: Place, kernel: Kernel) -> Iterator[str]:
    rows = list(_rows(place, kernel))
    samples: list[list[float]] = [[] for _ in rows]
    counts = [max(1, int(_BURST_S / row.burst(3))) for row in rows]
    for _ in range(_ROUNDS):  # every row in turn, so that drift hits all
        for row, count, found in zip(rows, counts, samples, strict=True):
            found.append(row.burst(count))
    floors: dict[bool, float] = {}
    for row, found in zip(rows, samples, strict=True):
        seconds = statistics.median(found)
        floor = floors.setdefault(row.blocking, seconds)
        yield f"  {row.name:<36} {seconds * 1e6:10.2f} us   {seconds / floor:5.2f}"


def _rows(place: Place, kernel: Kernel) -> Iterator[Row]:
    """Yield the ways to launch, the device's own first among those that wait and among those that do not."""
    stream = place.device.stream()
    x, y = (place.to_device(np.zeros(_LAUNCHED, np.float32)) for _ in range(2))
    bound = kernel.bind(x, 2.0, out=y)

    def queued(call: Callable[[], object]) -> Callable[[int], float]:
        def burst(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                call()
            spent = time.perf_counter() - start
            stream.synchronize()
            return spent / count

        return burst

    def floor(count: int) -> float:
        seconds = bound.floor_s(count, stream=stream)
        stream.synchronize()
        return seconds

    def way(name: str, blocking: bool, call: Callable[[], object]) -> Row:
        return Row(name, blocking, queued(call))

    yield Row("native code, queued", False, floor)
    yield way("bound.launch(stream)", False, lambda: bound.launch(stream))
    yield way("kernel.launch(x, 2, out=y)", False, lambda: kernel.launch(x, 2.0, out=y, stream=stream))
    yield Row("native code, waited for", True, lambda count: bound.floor_s(count, blocking=True, stream=stream))
    yield way("bound()", True, lambda: bound(stream=stream))
    yield way("kernel(x, 2, out=y)", True, lambda: kernel(x, 2.0, out=y, stream=stream))
    yield way("kernel.submit(x, 2, out=y).result()", True, lambda: kernel.submit(x, 2.0, out=y, stream=stream).result())


def _kernel(place: Place, kernel: Kernel) -> str:
    made = inputs.make(kernel, elements=_ELEMENTS[place.device.kind])
    bound = kernel.bind(**{name: _moved(place, value) for name, value in made.items()})
    results = bound.result if isinstance(bound.result, tuple) else (bound.result,)
    moved_bytes = sum(_nbytes(array) for array in (*made.values(), *results))
    bound()
    samples: list[float] = []
    deadline = time.perf_counter() + _KERNEL_S
    while len(samples) < 3 or time.perf_counter() < deadline:
        start = time.perf_counter()
        bound()
        samples.append(time.perf_counter() - start)
    seconds = statistics.median(samples)
    rate = f"{moved_bytes / seconds / 1e9:9.3f} GB/s"
    return f"  {kernel.__name__:<30} {moved_bytes / 1e6:9.2f} MB {seconds * 1e3:10.3f} ms {rate}"


def _moved(place: Place, value: Any) -> Any:
    """Bring an argument to the device: arrays move, numbers and short lists stay."""
    if isinstance(value, np.ndarray):
        return place.to_device(value)
    return value.copy(str(place.device)) if isinstance(value, Array) else value


def _nbytes(value: Any) -> int:
    return int(getattr(value, "nbytes", 0))
