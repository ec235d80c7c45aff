"""Each bundled kernel beside what it replaces: a table per kernel, with the floor, ours, and a column per peer.

Needs an NVIDIA GPU, CuPy and PyTorch; Triton's column needs Triton:

    python benchmarks/kernels.py [--only NAME ...] [--no-peers] [--within SECONDS] [--jobs N] [--markdown FILE]

Method: fresh random inputs several times the L2, outputs poisoned and checked before anything is timed, bursts of the
stream's own time (`stream_time.py`), all runners of a row in turn, medians. Bytes counted: each input read once, each
output written once, whatever a runner really moves. A peer that is not there is named in the table with the reason.

Peers that are compiled (torch.compile, Triton, CuPy) take seconds each. So before anything is timed, N processes
compile all of them, at the same time, into the compilers' caches on disk; then this process times alone. What a
compiler decides by timing it decides here, not there. Everything takes about two and a half minutes on an H200.

Here are the command line and these processes. `kernels_run.py` times, the rows are in `kernels_*.py`, by domain.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

MOST_JOBS = 14


def main() -> int:
    options = read_options()
    began = time.monotonic()
    if options.share:
        import kernels_run

        first, step = map(int, options.share.split("/"))
        kernels_run.compile_peers(kernels_run.names_of(options.only)[first::step])
        return 0
    jobs = 0 if options.no_peers else min(options.jobs, MOST_JOBS)
    arguments = ["--only", *options.only] if options.only else []
    command = [sys.executable, __file__, *arguments, "--share"]
    running = [subprocess.Popen([*command, f"{first}/{jobs}"]) for first in range(jobs)]
    import kernels_run  # seconds, beside the processes' own

    for process in running:
        process.wait()
    print(f"{jobs} processes compiled the peers: {time.monotonic() - began:.0f} s", flush=True)
    deadline = began if options.no_peers else began + options.within
    failed = kernels_run.time_rows(kernels_run.names_of(options.only), deadline, options.markdown)
    print(f"took {time.monotonic() - began:.0f} s; {len(failed)} rows failed", *failed, sep="\n")
    return 1 if failed else 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", help="rows whose names contain one of these")
    parser.add_argument("--no-peers", action="store_true", help="time ours and the copy only")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds; rows after that have no peers")
    parser.add_argument(
        "--jobs", type=int, default=(os.cpu_count() or 2) - 2, help="processes that compile the peers; 0 for none"
    )
    parser.add_argument("--share", help="only compile: 'I/N' takes every Nth row from the Ith on (what --jobs starts)")
    parser.add_argument("--markdown", type=Path, help="also write the tables there, after each row")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
