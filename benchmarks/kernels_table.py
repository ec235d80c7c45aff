"""What the rows of kernels.py's table are made of.

A row is our launch, a check of what it wrote, and the peers that do the same. The rows themselves are in
``kernels_images.py``, ``kernels_rows.py``, ``kernels_signal.py``, ``kernels_matvec.py`` and ``kernels_stencil.py``;
each lists its own as ``ROWS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cupy as cp
import torch

MIB = 1 << 20
Runner = Callable[[], Any]


@dataclass
class Row:
    """One row: our launch, and by name the runners that it is compared with."""

    name: str
    moved_bytes: int
    ours: Runner
    check: Runner
    peers: dict[str, Runner] = field(default_factory=dict)


def matrix(rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(rows, columns, device="cuda", dtype=torch.float32).to(dtype)


def stream() -> torch.cuda.Stream:
    return torch.cuda.current_stream()


def null() -> Any:
    return cp.cuda.get_current_stream()
