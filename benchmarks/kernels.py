"""Each bundled kernel beside what it replaces: a table per kernel, with the floor, ours, and a column per peer.

Needs an NVIDIA GPU, CuPy and PyTorch; Triton's column needs Triton:

    python benchmarks/kernels.py [--only NAME ...] [--no-peers] [--jobs N] [--markdown FILE]

Method as in bandwidth.py: fresh random inputs several times the L2, outputs poisoned and checked before anything is
timed, CUDA events around bursts, all runners of a row in turn, medians. Bytes counted: each input read once, each
output written once, whatever a runner really moves. A peer that is not there is named in the table with the reason.

Peers that are compiled (torch.compile, Triton, CuPy) take seconds each. So before anything is timed, N processes
compile all of them, at the same time, into the compilers' caches on disk; then this process times alone. What a
compiler decides by timing it decides here, not there. The rows are in ``kernels_*.py``, one file per domain.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cupy as cp
import kernels_images
import kernels_matvec
import kernels_rows
import kernels_signal
import kernels_stencil
import torch
from bandwidth import Case, copy_case, header
from kernels_measure import launch_s, measure
from kernels_report import Line, tables
from kernels_table import Row, Runner, Tuned, compile_quietly

ROUNDS = 7
COMPILED = ("torch.compile", "Triton", "CuPy")
ROWS: dict[str, Callable[[], Row]] = {
    **kernels_images.ROWS,
    **kernels_rows.ROWS,
    **kernels_signal.ROWS,
    **kernels_matvec.ROWS,
    **kernels_stencil.ROWS,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", help="rows whose names contain one of these")
    parser.add_argument("--no-peers", action="store_true", help="time ours and the copy only")
    parser.add_argument("--jobs", type=int, help="processes that compile the peers beforehand; 0 for none")
    parser.add_argument("--share", help="only compile: 'I/N' takes every Nth row from the Ith on (what --jobs starts)")
    parser.add_argument("--markdown", type=Path, help="also write the tables there, after each row")
    options = parser.parse_args()
    began = time.monotonic()
    compile_quietly()
    names = [name for name in ROWS if not options.only or any(part in name for part in options.only)]
    if options.share:
        first, step = map(int, options.share.split("/"))
        return compile_peers(names[first::step])
    if not options.no_peers:
        compile_beside(names, options.jobs)
    failed = time_rows(names, peers=not options.no_peers, markdown=options.markdown)
    print(f"took {time.monotonic() - began:.0f} s; {len(failed)} rows failed", *failed, sep="\n")
    return 1 if failed else 0


def time_rows(names: list[str], *, peers: bool, markdown: Path | None) -> list[str]:
    """Time row after row and show the tables; return the rows that failed, with the reason."""
    copy, lines, failed = copy_case(), {}, []
    nothing_s = launch_s(ROUNDS)
    text = header(ROUNDS).rstrip().removesuffix(".") + "; in brackets a peer's time as a multiple of ours.\n\n"
    for name in names:
        try:
            lines[name] = time_row(name, copy, peers)
        except Exception as error:  # the others are worth their minutes all the same
            failed.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
            print(failed[-1], flush=True)
            continue
        print(name, brief(lines[name]), sep=": ", flush=True)
        if markdown:
            markdown.write_text(text + tables(lines, nothing_s))
    print("", text + tables(lines, nothing_s), sep="\n")
    return failed


def time_row(name: str, copy: Case, peers: bool) -> Line:
    clear()
    row = ROWS[name]()
    if not peers:
        row.peers.clear()
    return measure(row, copy.run, copy.moved_bytes, ROUNDS)


def brief(line: Line) -> str:
    found = [f"{peer} {of if isinstance(of, str) else f'{of / line.ours_s:.2f}'}" for peer, of in line.peers.items()]
    return ", ".join([f"{line.ours_s * 1e6:.1f} us", f"{line.ratio:.3f}", *found])


def clear() -> None:
    """Give back the memory of the row that was, and let torch.compile forget its shapes."""
    torch._dynamo.reset()
    cp.get_default_memory_pool().free_all_blocks()
    torch.cuda.empty_cache()


def compile_beside(names: list[str], jobs: int | None) -> None:
    """Let processes compile the peers of these rows at the same time."""
    count = min((os.cpu_count() or 2) - 2 if jobs is None else jobs, 14, len(names))
    if count <= 0:
        return
    began = time.monotonic()
    command = [sys.executable, __file__, "--only", *names, "--share"]
    running = [subprocess.Popen([*command, f"{first}/{count}"]) for first in range(count)]
    for process in running:
        process.wait()
    print(f"compiled the peers by {count} processes in {time.monotonic() - began:.0f} s", flush=True)


def compile_peers(names: list[str]) -> int:
    """Run each compiled peer of these rows once; what fails is named by the process that times."""
    for name in names:
        row = ROWS[name]()
        for peer in row.peers:
            if peer.startswith(COMPILED):
                compile_one(name, peer, row.peers[peer])
        del row
        clear()
    return 0


def compile_one(name: str, peer: str, run: Runner) -> None:
    try:
        run.compile() if isinstance(run, Tuned) else run()
    except Exception as error:
        print(f"{name}: {peer}: {type(error).__name__}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
