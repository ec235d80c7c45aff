"""How long a bundled kernel takes to end after `cancel()`, and what the checks for that cost it.

    python benchmarks/cancel.py [--markdown FILE]    on a GPU
    python benchmarks/cancel.py --cpu                the CPU device, without a GPU: small arrays

Each kernel gets arrays so large that it runs for a millisecond or more. Cancelling: after a random part of a
millisecond the host calls `cancel()`, then asks the stream until it is empty ("ended"), then waits for the Pending
("told"). Launches that ended before they were asked do not count. Cost: bursts of launches with the control block
(`submit`) and without (`launch`: the kernel gets a null pointer and looks at nothing) in turn, the stream's own time.
A burst is queued while a launch in front of it still runs, so that the host's time for `submit` is not in it; what
`submit` queues behind the kernel is.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from places import Cpu, Gpu, title

TRIES = 300
ROUNDS = 15
BURST = 4
"""Launches per time."""
BYTES = {"cpu": 1 << 20, "cuda:0": 1 << 32}
"""Of each kernel's largest input."""
DELAY_US = (100, 500)


@dataclass
class Row:
    """One kernel's figures."""

    name: str
    ended_us: list[float] = field(default_factory=list)
    told_us: list[float] = field(default_factory=list)
    times_s: list[tuple[float, float]] = field(default_factory=list)
    """Of a launch with the control block, and of one without."""


def cases(place: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield each kernel's name and a function that binds it; only one binding should be alive at a time."""
    xp, size = place.library, BYTES[place.name]
    kernels = wb.kernels

    def rows(dtype: str) -> Any:
        return xp.ones((size // np.dtype(dtype).itemsize // 4096, 4096), dtype)

    def images() -> Any:
        return xp.ones((size // (3 << 16), 256, 256, 3), "u1")

    yield "scale", lambda: kernels.scale.bind(rows("f4"), 2.0)
    yield "image_prep", lambda: kernels.image_prep.bind(images(), (0.5,) * 3, (0.5,) * 3, dtype="float16")
    yield "softmax", lambda: kernels.softmax.bind(rows("f4"))
    yield "rms_norm", lambda: kernels.rms_norm.bind(rows("f2"), xp.ones(4096, "f2"))
    yield "layer_norm", lambda: kernels.layer_norm.bind(rows("f2"), xp.ones(4096, "f2"))
    yield "cross_entropy", lambda: kernels.cross_entropy.bind(rows("f4"), xp.zeros(size >> 14, "i8"))
    yield "gather_rows", lambda: kernels.gather_rows.bind(rows("f4"), xp.arange(size >> 14, dtype="i8"))
    yield "fft_frames", lambda: kernels.fft_frames.bind(xp.ones((size >> 3, 2), "i2"), xp.ones(1024, "f4"), 512)
    yield "fft_power", lambda: kernels.fft_power.bind(rows("c8"), 8, 1.0, 1)
    yield "spectral_multiply", lambda: kernels.spectral_multiply.bind(rows("c8"), rows("c8"), 0.25, 1)
    yield "field_to_rgba", lambda: kernels.field_to_rgba.bind(rows("f4"), xp.ones((256, 4), "u1"), -3.0, 3.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="measure the CPU device")
    parser.add_argument("--tries", type=int, default=TRIES, help="launches to cancel, per kernel")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of launches to compare, per kernel")
    parser.add_argument("--only", nargs="+", help="kernels whose names contain one of these")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    options = parser.parse_args()
    place: Any = Cpu() if options.cpu else Gpu()
    found = []
    for name, bind in cases(place):
        if options.only and not any(part in name for part in options.only):
            continue
        row, bound = Row(name), bind()
        compare(row, place, bound, options.rounds)
        cancel(row, place, bound, options.tries)
        found.append(row)
        print(line(row), flush=True)
        del bound
        place.free()
    text = heading(place) + table(found)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    return 0


def cancel(row: Row, place: Any, bound: Any, tries: int) -> None:
    """Fill the latencies."""
    choose = random.Random(3)
    for _ in range(tries):
        pending = bound.submit(stream=place.stream)
        until = time.perf_counter() + choose.randint(*DELAY_US) / 1e6
        while time.perf_counter() < until:
            pass
        start = time.perf_counter()
        pending.cancel()
        while not place.is_idle():
            pass
        ended = time.perf_counter()
        failure = pending.exception()
        told = time.perf_counter()
        if isinstance(failure, wb.LaunchCancelled):
            row.ended_us.append(1e6 * (ended - start))
            row.told_us.append(1e6 * (told - start))


def compare(row: Row, place: Any, bound: Any, rounds: int) -> None:
    """Fill the times; the first round warms up."""
    for number in range(rounds + 1):
        watched = seconds(place, bound, lambda: bound.submit(stream=place.stream))
        free = seconds(place, bound, lambda: bound.launch(place.stream))
        if number:
            row.times_s.append((watched, free))


def seconds(place: Any, bound: Any, launch: Callable[[], Any]) -> float:
    """Return a launch's part of a burst's time."""
    kept = []
    spent = place.seconds(lambda: kept.extend(launch() for _ in range(BURST)), lambda: bound.launch(place.stream))
    return float(spent) / BURST


def heading(place: Any) -> str:
    return title(
        "Cancelling, and what it costs to be cancellable",
        place,
        [] if place.name == "cpu" else ["cupy-cuda13x"],
        f"Largest input {BYTES[place.name] >> 20} MiB; bursts of {BURST} launches. Made by `benchmarks/cancel.py`; p50 "
        "and p99 of the launches that were stopped, median of the pairs' ratios.",
    )


def line(row: Row) -> str:
    """Return a kernel's line of the table."""
    watched, free = (statistics.median(times) for times in zip(*row.times_s, strict=True))
    ratio = statistics.median(a / b for a, b in row.times_s)
    cells = [row.name, str(len(row.ended_us))]
    for latencies in (row.ended_us, row.told_us):
        cells += [f"{q:.0f}" for q in np.percentile(latencies, [50, 99])] if latencies else ["none stopped", ""]
    cells += [f"{1e6 * watched:.1f}", f"{1e6 * free:.1f}", f"{100 * (ratio - 1):+.2f} %"]
    return f"| {' | '.join(cells)} |"


def table(found: list[Row]) -> str:
    """Return the kernels as Markdown."""
    head = "kernel | stopped | ended p50 us | p99 | told p50 us | p99 | us, with control | us, without | control's cost"
    every = [latency for row in found for latency in row.ended_us]
    last = (
        f"All kernels: ended within {np.percentile(every, 99):.0f} us (p99), {max(every):.0f} us (most)."
        if every
        else ""
    )
    return "\n".join([f"| {head} |", "|---" * 9 + "|", *map(line, found), "", last]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
