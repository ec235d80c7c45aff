"""What the rows of kernels.py's tables are made of.

A row is our launch, a check of what it wrote, and the peers that do the same. The rows themselves are in
``kernels_images.py``, ``kernels_rows.py``, ``kernels_signal.py``, ``kernels_matvec.py`` and ``kernels_stencil.py``;
each has them by name in ``ROWS``, and the name's first word is the kernel's. ``kernels_triton.py`` has the peers in
Triton, ``kernels_measure.py`` times a row, ``kernels_report.py`` writes the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import cupy as cp
import torch
import torch._inductor.config

MIB = 1 << 20
Runner = Callable[[], Any]


@dataclass
class Row:
    """One row: our launch, and by name the runners that it is compared with."""

    moved_bytes: int
    ours: Runner
    check: Runner
    peers: dict[str, Runner] = field(default_factory=dict)
    target: float | None = None
    """The share of the copy's rate that issue 5 asks for."""
    times: dict[str, float] = field(default_factory=dict)
    """How many times as fast as a peer issue 5 asks this to be, by the peer's name."""


class Tuned:
    """A peer that is checked, in one configuration or several: the fastest on the arrays of the row is the one timed.

    ``agrees`` gets what a run returns and raises where it is wrong. A configuration that the device has no room for
    is left out.
    """

    def __init__(self, runners: Iterable[Runner], agrees: Callable[[Any], None]) -> None:
        self.runners, self.agrees = list(runners), agrees
        self.best: Runner | None = None

    def compile(self) -> list[Runner]:
        """Run each configuration once, and return those that ran."""
        ran, refused = [], None
        for run in self.runners:
            try:
                run()
                ran.append(run)
            except Exception as error:  # triton.OutOfResources: a tile too large for this device
                refused = error
        torch.cuda.synchronize()
        if not ran and refused is not None:
            raise refused
        return ran

    def tune(self, burst_s: Callable[[Runner, int], float]) -> None:
        """Take the fastest of three bursts each, and check what it computes."""
        ran = self.compile()
        self.best = min(ran, key=lambda run: min(burst_s(run, 5) for _ in range(3))) if ran[1:] else ran[0]
        self.agrees(self.best())

    def __call__(self) -> Any:
        """Run the fastest."""
        assert self.best is not None, "tune first"
        return self.best()


def torch_peers(eager: Runner, fused: Runner, agrees: Callable[[Any], None]) -> dict[str, Runner]:
    """Return PyTorch's two peers; what each returns is checked before it is timed."""
    return {"torch": Tuned([eager], agrees), "torch.compile": Tuned([fused], agrees)}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return torch.compile's version for the shapes of the first call, nothing left open.

    Without ``dynamic=False``, and without the reset that kernels.py does after each row, the second row of the same
    source would be compiled for any shape, and be slower.
    """
    return torch.compile(function, dynamic=False)


def compile_quietly() -> None:
    """Set the compiler up: in this process, and with no choice of a tile kept that was timed beside other processes."""
    torch._inductor.config.compile_threads = 1
    torch._inductor.config.autotune_local_cache = False


def matrix(rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(rows, columns, device="cuda", dtype=torch.float32).to(dtype)


def stream() -> torch.cuda.Stream:
    return torch.cuda.current_stream()


def null() -> Any:
    return cp.cuda.get_current_stream()
