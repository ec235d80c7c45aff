"""What kernels.py does once its imports are there: goes over the rows, and times them or compiles their peers."""

from __future__ import annotations

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
    **kernels_signal.ROWS,
    **kernels_matvec.ROWS,
    **kernels_stencil.ROWS,
    **kernels_rows.ROWS,
}
"""In the order in which they are timed: what --within cuts off is the peers of the norms' forms, 8192 first."""
compile_quietly()


def names_of(only: list[str] | None) -> list[str]:
    """Return the rows whose names contain one of these, or all."""
    return [name for name in ROWS if not only or any(part in name for part in only)]


def time_rows(names: list[str], deadline: float, markdown: Path | None) -> list[str]:
    """Time row after row, without peers from the deadline on; show the tables; return what failed, with the reason."""
    copy, lines, failed = copy_case(), {}, []
    nothing_s = launch_s(ROUNDS)
    text = header(ROUNDS).replace("bursts of 10 launches", "bursts of 6 ms")
    text = text.rstrip().removesuffix(".") + "; in brackets a peer's time as a multiple of ours.\n\n"
    for name in names:
        try:
            lines[name] = time_row(name, copy, peers=time.monotonic() < deadline)
        except Exception as error:  # the others are worth their minutes all the same
            failed.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
            print(failed[-1], flush=True)
            continue
        print(name, brief(lines[name]), sep=": ", flush=True)
        if markdown:
            markdown.write_text(text + tables(lines, nothing_s))
    print("", text + tables(lines, nothing_s), sep="\n")
    return failed


def time_row(name: str, copy: Case, *, peers: bool) -> Line:
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


def compile_peers(names: list[str]) -> None:
    """Run each compiled peer of these rows once; what fails is named by the process that times."""
    for name in names:
        clear()
        row = ROWS[name]()
        for peer in row.peers:
            if peer.startswith(COMPILED):
                compile_one(name, peer, row.peers[peer])
        del row


def compile_one(name: str, peer: str, run: Runner) -> None:
    try:
        run.compile() if isinstance(run, Tuned) else run()
    except Exception as error:
        print(f"{name}: {peer}: {type(error).__name__}", file=sys.stderr, flush=True)
