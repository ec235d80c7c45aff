"""Times one row of kernels.py's tables: ours, the copy and the peers in turn, bursts of the stream's time, medians."""

from __future__ import annotations

import statistics
from typing import Any

import cupy as cp
import torch
import warpbridge as wb
from kernels_report import Line
from kernels_table import Row, Runner, Tuned
from stream_time import burst_s, count_of

NOTHING = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n"


def launch_s(rounds: int) -> float:
    """Seconds of the stream's time that a launch of an empty kernel takes."""
    bound = wb.load(NOTHING).entries["nothing"].bind(1, 32, ())
    stream = cp.cuda.get_current_stream()
    return statistics.median(burst_s(lambda: bound.launch(stream), 50) for _ in range(rounds))


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
    counts = {name: count_of(burst_s(run, 3)) for name, run in runners.items()}
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
