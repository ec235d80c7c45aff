"""What a launch costs on the host: the driver alone from C, its peers from Python, and warpbridge, in one process.

    python benchmarks/launch.py [--markdown FILE]      on a GPU; a peer that is not installed is named as such
    python benchmarks/launch.py --cpu                  the CPU device, without a GPU and without peers
    python benchmarks/launch.py --growth 10000000      memory before and after so many launches

Without a GPU the tests' stand-in for the driver shows the growth: it computes nothing, and CuPy's arrays lie in host
memory there. `cc -shared -fPIC -D_GNU_SOURCE -O2 -o libdriver.so tests/driver/*.c`, then the same command with
`WARPBRIDGE_LIBCUDA=$PWD/libdriver.so` in front of it.

The kernel adds two float32 arrays of 8192 elements: three arrays and a length. Method: every row in turn, the floor
first, so that drift hits all; bursts between synchronisations; medians over the rounds; a ratio is the median of the
rounds' own ratios. Every row's result is checked before anything is timed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from launch_growth import growth
from launch_peers import PEERS
from launch_ptx import BLOCK, COUNT, adder
from places import Cpu, gpu, title

ROUNDS = 21
BURSTS = {False: 256, True: 100}
MORE_ARRAYS = 8
BUDGET_S = 75.0


@dataclass
class Row:
    """One way to launch; `burst` makes so many launches and returns seconds per launch."""

    name: str
    blocking: bool
    burst: Callable[[int], float]
    samples: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="measure the CPU device")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--growth", type=int, default=0, metavar="N", help="make N launches and show the memory")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    place: Any = Cpu() if arguments.cpu else gpu()
    if arguments.growth:
        text = heading("What launches leave behind", place, "") + grown(place, arguments.growth)
        return shown(text, arguments.markdown)
    rows, missing = list(ours(place)), []
    for peer in () if arguments.cpu else PEERS:
        try:
            rows += [Row(name, blocking, looped(call, place)) for name, blocking, call in peer(place)]
        except Exception as error:
            missing.append((peer.__doc__ or peer.__name__, f"{type(error).__name__}: {error}".splitlines()[0]))
    measure(rows, place, arguments.rounds)
    return shown(
        heading("Launch cost", place, "; medians, interleaved rounds") + table(rows, missing), arguments.markdown
    )


def shown(text: str, markdown: Path | None) -> int:
    print(text)
    if markdown:
        markdown.write_text(text, encoding="utf-8")
    return 0


def grown(place: Any, count: int) -> str:
    """Return what so many launches leave behind."""
    arrays = next(iter(place.arrays(3, COUNT).values()))
    kernel = adder(3)
    bound = kernel.bind(*arrays[:-1], out=arrays[-1])
    return growth(place, count, bound, call_of(kernel.launch, arrays, place))


def looped(call: Callable[[], Any], place: Any) -> Callable[[int], float]:
    """Return a burst of a Python call."""

    def burst(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        spent = time.perf_counter() - start
        place.synchronize()
        return spent / count

    return burst


def ours(place: Any) -> Iterator[Row]:
    """Yield the floors and our own rows; each call's result is checked."""
    for number, (library, arrays) in enumerate(place.arrays(MORE_ARRAYS, COUNT).items()):
        for count in (3, MORE_ARRAYS):
            kernel, used = adder(count), arrays[:count]
            check(place, kernel, used)
            if number == 0 and count == 3:
                yield from bound_rows(place, kernel.bind(*used[:-1], out=used[-1]))
            where = f"{count} {library} arrays"
            yield Row(f"warpbridge kernel.launch, {where}", False, looped(call_of(kernel.launch, used, place), place))
            if count == 3:
                yield Row(f"warpbridge kernel(), {where}", True, looped(call_of(kernel, used, place), place))


def bound_rows(place: Any, bound: Any) -> Iterator[Row]:
    """Yield what is bound to its arrays: the floors, and us."""
    stream = place.stream
    title = "native launch" if place.name == "cpu" else "C: cuLaunchKernel"
    yield Row(title, False, lambda n: synchronised(place, bound.floor_s(n, stream=stream)))
    wait = ", waited for" if place.name == "cpu" else " + cuStreamSynchronize"
    yield Row(title + wait, True, lambda n: bound.floor_s(n, blocking=True, stream=stream))
    yield Row("warpbridge bound.launch(stream)", False, looped(lambda: bound.launch(stream), place))
    yield Row("warpbridge bound()", True, looped(lambda: bound(stream=stream), place))


def synchronised(place: Any, seconds: float) -> float:
    place.synchronize()
    return seconds


def call_of(function: Any, arrays: list[Any], place: Any) -> Callable[[], Any]:
    """Return the call as a user writes it: arrays by place, `out` and `stream` by name."""
    names = [f"a{index}" for index in range(len(arrays))]
    source = f"lambda: function({', '.join(names[:-1])}, out={names[-1]}, stream=stream)"
    scope = {"function": function, "stream": place.stream, **dict(zip(names, arrays, strict=True))}
    call: Callable[[], Any] = eval(source, scope)
    return call


def check(place: Any, kernel: Any, arrays: list[Any]) -> None:
    """Raise unless the kernel adds."""
    kernel(*arrays[:-1], out=arrays[-1], stream=place.stream)
    expected = np.sum([place.host(a) for a in arrays[:-1]], axis=0, dtype=np.float64)
    np.testing.assert_allclose(place.host(arrays[-1]), expected, rtol=1e-4, atol=1e-4)


def measure(rows: list[Row], place: Any, rounds: int) -> None:
    """Fill the samples, all rows in turn; stop early rather than late."""
    for row in rows:
        row.burst(20)
    place.synchronize()
    deadline = time.monotonic() + BUDGET_S
    for _ in range(rounds):
        for row in rows:
            row.samples.append(row.burst(BURSTS[row.blocking] // (8 if place.name == "cpu" else 1)))
        if time.monotonic() > deadline:
            return


def table(rows: list[Row], missing: list[tuple[str, str]]) -> str:
    """Return the rows as Markdown, each beside its floor."""
    floors = {row.blocking: row for row in reversed(rows)}
    lines = []
    for blocking in (False, True):
        title = "blocking" if blocking else "asynchronous"
        lines += [f"| {title} | us per launch | spread | ratio to the first |", "|---|---|---|---|"]
        for row in (row for row in rows if row.blocking == blocking):
            us = [1e6 * sample for sample in row.samples]
            ratios = [a / b for a, b in zip(row.samples, floors[blocking].samples, strict=True)]
            spread = f"{min(us):.2f} to {max(us):.2f}"
            lines.append(f"| {row.name} | {statistics.median(us):.2f} | {spread} | {statistics.median(ratios):.2f} |")
        lines.append("")
    lines += [per_array(rows), ""]
    lines += [f"Not measured: {name} ({reason})" for name, reason in missing]
    return "\n".join(lines) + "\n"


def per_array(rows: list[Row]) -> str:
    """Say what each array beyond the third costs."""
    found = []
    for few in (row for row in rows if "kernel.launch, 3" in row.name):
        many = next(row for row in rows if row.name == few.name.replace("launch, 3", f"launch, {MORE_ARRAYS}"))
        cost = (statistics.median(many.samples) - statistics.median(few.samples)) / (MORE_ARRAYS - 3)
        found.append(f"{1e6 * cost:.2f} us ({few.name.split()[-2]})")
    return "Each further array: " + ", ".join(found)


def heading(what: str, place: Any, method: str) -> str:
    """Say where and when."""
    names = [] if place.name == "cpu" else ["cupy-cuda13x", "torch", "triton", "cuda-core"]
    return title(
        what,
        place,
        names,
        f"Three float32 arrays of {COUNT} elements, blocks of {BLOCK}. Made by `benchmarks/launch.py`{method}.",
    )


if __name__ == "__main__":
    sys.exit(main())
