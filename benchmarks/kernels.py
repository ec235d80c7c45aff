"""Each bundled kernel beside what it replaces, as ratios to the device-to-device copy of the same rounds.

Needs an NVIDIA GPU, CuPy and PyTorch:

    python benchmarks/kernels.py [--only NAME ...] [--no-peers] [--markdown FILE]

Method as in bandwidth.py: fresh random inputs several times the L2, outputs poisoned and checked before anything is
timed, CUDA events around bursts, all runners of a row in turn, medians. Bytes counted: each input read once, each
output written once, whatever a runner really moves. A peer that is not there is named in the table with the reason.

Here is how a row is timed; the rows are in ``kernels_*.py``, one file per domain.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import cupy as cp
import kernels_images
import kernels_matvec
import kernels_rows
import kernels_signal
import kernels_stencil
import torch
from bandwidth import Case, burst_s, copy_case, header
from kernels_table import Row

ROUNDS = 7
ROWS: list[Callable[[], Row]] = [
    *kernels_images.ROWS,
    *kernels_rows.ROWS,
    *kernels_signal.ROWS,
    *kernels_matvec.ROWS,
    *kernels_stencil.ROWS,
]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", help="rows whose names contain one of these")
    parser.add_argument("--no-peers", action="store_true", help="time ours and the copy only: a minute, not several")
    parser.add_argument("--markdown", type=Path, help="also write the table there, row by row")
    options = parser.parse_args()
    lines = ["| case | ours | TB/s | ratio to copy | peers: time as a multiple of ours |", "|---|---|---|---|---|"]
    copy = copy_case()
    for make in ROWS:
        row = make()
        if options.only and not any(name in row.name for name in options.only):
            continue
        if options.no_peers:
            row.peers.clear()
        lines.append(measure(row, copy))
        print(lines[-1], flush=True)
        if options.markdown:
            options.markdown.write_text(header(ROUNDS) + "\n".join(lines) + "\n")
        del row
        cp.get_default_memory_pool().free_all_blocks()
        torch.cuda.empty_cache()
    return 0


def measure(row: Row, copy: Case) -> str:
    row.ours()
    row.check()
    runners, missing = {"ours": row.ours, "copy": copy.run}, []
    for name, run in row.peers.items():
        try:
            run()
            torch.cuda.synchronize()
            runners[name] = run
        except Exception as error:
            missing.append(f"{name}: {type(error).__name__}")
    times: dict[str, list[float]] = {name: [] for name in runners}
    for warm in (True, *[False] * ROUNDS):
        for name, run in runners.items():
            seconds = burst_s(run)
            if not warm:
                times[name].append(seconds)
    pairs = zip(times["ours"], times["copy"], strict=True)
    ratio = statistics.median(row.moved_bytes / ours / (copy.moved_bytes / floor) for ours, floor in pairs)
    ours = statistics.median(times["ours"])
    against = [f"{name} {statistics.median(times[name]) / ours:.2f}" for name in row.peers if name in times]
    return (
        f"| {row.name} | {ours * 1e6:.1f} us | {row.moved_bytes / ours / 1e12:.3f} | {ratio:.3f} | "
        f"{', '.join(against + missing)} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
