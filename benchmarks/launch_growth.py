"""The part of `launch.py` that counts what launches leave behind: memory, objects and handles, before and after."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_UP = 20_000
WARM_UP_ON_CPU = 500
BURST = 100
"""Pairs of launches between synchronisations: what waits in a stream is no growth."""


def growth(place: Any, count: int, bound: Any, call: Callable[[], Any]) -> str:
    """Launch so many times, half of them bound, and return what came along, as Markdown.

    Parameters
    ----------
    place
        Where.
    count
        Launches in all.
    bound
        A bound launch.
    call
        Makes an unbound one.
    """
    work(place, WARM_UP_ON_CPU if place.name == "cpu" else WARM_UP, bound, call)
    before = books(place)
    start = time.monotonic()
    work(place, count, bound, call)
    seconds = time.monotonic() - start
    after = books(place)
    lines = [
        f"{count} launches, half of them `bound.launch(stream)`, half `kernel.launch` with three arrays, in "
        f"{seconds:.0f} s, on a machine with {os.cpu_count()} cores. Of this process, unless another is named.",
        "",
        "| | before | after | more |",
        "|---|---|---|---|",
    ]
    lines += [f"| {what} | {before[what]} | {after[what]} | {after[what] - before[what]} |" for what in before]
    return "\n".join(lines) + "\n"


def work(place: Any, count: int, bound: Any, call: Callable[[], Any]) -> None:
    """Launch."""
    launch, stream = bound.launch, place.stream
    for _ in range(count // 2 // BURST):
        for _ in range(BURST):
            launch(stream)
            call()
        place.synchronize()


def books(place: Any) -> dict[str, int]:
    """Return what the process has."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "resident memory, KiB": resident * os.sysconf("SC_PAGESIZE") // 1024,
        "blocks that Python has allocated": sys.getallocatedblocks(),
        "objects that its collector knows": len(gc.get_objects()),
        "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        **place.books(),
    }
