"""Times one row of kernels.py's tables, and writes the tables: one per kernel, a column per peer.

The floor of a row is the time that the copy of the same rounds would take for the same bytes. Where a launch that
does nothing takes more than a fiftieth of that, the table says so: no kernel of one launch gets below both.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import cupy as cp
import torch
import warpbridge as wb
from kernels_table import Row, Runner, Tuned

BURST = 10
BURST_S = 0.006
"""What a burst of a slow peer may take; one of ours and of the copy always has BURST launches."""
NOTHING = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n"


@dataclass
class Line:
    """What was measured of a row. Times in seconds; a peer without one has the reason instead."""

    floor_s: float
    ours_s: float
    ratio: float
    moved_bytes: int
    peers: dict[str, float | str] = field(default_factory=dict)
    target: float | None = None
    times: dict[str, float] = field(default_factory=dict)


def burst_s(run: Runner, count: int) -> float:
    """Seconds per launch in one burst, by events."""
    start, end = cp.cuda.Event(), cp.cuda.Event()
    start.record()
    for _ in range(count):
        run()
    end.record()
    end.synchronize()
    return float(cp.cuda.get_elapsed_time(start, end)) / 1e3 / count


def launch_s(rounds: int) -> float:
    """Seconds that a launch of an empty kernel takes in a burst."""
    bound = wb.load(NOTHING).entries["nothing"].bind(1, 32, ())
    stream = cp.cuda.get_current_stream()
    return statistics.median(burst_s(lambda: bound.launch(stream), 200) for _ in range(rounds))


def measure(row: Row, copy: Runner, copy_bytes: int, rounds: int) -> Line:
    """Check ours, get the peers ready, and time all in turn."""
    row.ours()
    row.check()
    runners, missing = {"ours": row.ours, "copy": copy}, {}
    for name, run in row.peers.items():
        try:
            if isinstance(run, Tuned):
                run.tune(burst_s)
            run()
            torch.cuda.synchronize()
            runners[name] = run
        except AssertionError:
            missing[name] = "wrong"
        except Exception as error:
            missing[name] = type(error).__name__
    counts = {name: BURST if name in ("ours", "copy") else count_of(run) for name, run in runners.items()}
    times: dict[str, list[float]] = {name: [] for name in runners}
    for warm in (True, *[False] * rounds):
        for name, run in runners.items():
            seconds = burst_s(run, counts[name])
            if not warm:
                times[name].append(seconds)
    share = row.moved_bytes / copy_bytes
    ratios = [share * floor / ours for ours, floor in zip(times["ours"], times["copy"], strict=True)]
    middle = {name: statistics.median(found) for name, found in times.items()}
    peers: dict[str, Any] = {name: middle.get(name, missing.get(name)) for name in row.peers}
    numbers = (share * middle["copy"], middle["ours"], statistics.median(ratios), row.moved_bytes)
    return Line(*numbers, peers, row.target, row.times)


def count_of(run: Runner) -> int:
    """Return how many launches of a peer fit in a burst."""
    return max(1, min(BURST, math.floor(BURST_S / burst_s(run, 1))))


def tables(lines: dict[str, Line], nothing_s: float) -> str:
    """Return a table per kernel, and what is missed of the targets; names are 'kernel case'."""
    kernels = dict.fromkeys(name.split()[0] for name in lines)
    parts = [table(kernel, {n: line for n, line in lines.items() if n.split()[0] == kernel}) for kernel in kernels]
    text = "\n".join(parts)
    short = [name for name, line in lines.items() if nothing_s > line.floor_s / 50]
    if short:
        text += f"\nA launch that does nothing took {nothing_s * 1e6:.1f} us, which counts in: {'; '.join(short)}.\n"
    missed = [f"- {name}: {reason}\n" for name, line in lines.items() for reason in misses(line)]
    return text + ("\n## Missed targets\n\n" + "".join(missed) if missed else "")


def table(kernel: str, lines: dict[str, Line]) -> str:
    """Return one kernel's table."""
    peers = list(dict.fromkeys(peer for line in lines.values() for peer in line.peers))
    head = ["case", "floor", "ours", "TB/s", "of the floor", "target", *peers]
    text = f"## {kernel}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for name, line in lines.items():
        rate = line.moved_bytes / line.ours_s / 1e12
        cells = [name.removeprefix(kernel).strip(" ,"), us(line.floor_s), us(line.ours_s), f"{rate:.3f}"]
        cells += [f"{line.ratio:.3f}", target(line), *(against(line, peer) for peer in peers)]
        text += f"| {' | '.join(cells)} |\n"
    return text


def us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"


def target(line: Line) -> str:
    """Return what is asked for: a share of the floor, and multiples of peers."""
    wanted = [f"{line.target:.2f}"] if line.target else []
    return ", ".join(wanted + [f"{times:g} x {peer}" for peer, times in line.times.items()])


def against(line: Line, peer: str) -> str:
    """Return a peer's time and in brackets what multiple of ours that is; or why there is none."""
    found = line.peers.get(peer, "")
    return found if isinstance(found, str) else f"{us(found)} ({found / line.ours_s:.2f})"


def misses(line: Line) -> list[str]:
    """Return what the row falls short of."""
    short = [f"{line.ratio:.3f} of the floor, {line.target:.2f} asked"] if line.ratio < (line.target or 0) else []
    for peer, times in line.times.items():
        found = line.peers.get(peer)
        if isinstance(found, float) and found / line.ours_s < times:
            short.append(f"{found / line.ours_s:.2f} times as fast as {peer}, {times:g} asked")
    return short
