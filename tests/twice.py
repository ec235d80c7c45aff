"""The kernel of `data/twice.ptx`: y, z = a * x + i, a * x - i, which the tests of learned forms call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from warpbridge.entry import Entry
from warpbridge.kernel import Kernel

COUNT = 100
_PTX = Path(__file__).parent / "data" / "twice.ptx"


def fresh_kernel() -> Kernel:
    """Return a kernel of its own: nothing has been learned yet."""
    return wb.load(_PTX).kernels["twice"]


def fresh_entry() -> Entry:
    """Return an entry of its own, likewise."""
    return wb.load(_PTX).entries["twice"]


def line() -> np.ndarray:
    """Return numbers to call it with."""
    return np.linspace(-1, 1, COUNT, dtype=np.float32)


def expected(x: np.ndarray, a: float, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what it computes."""
    scaled = np.float32(a) * x
    return scaled + np.float32(i), scaled - np.float32(i)


def assert_pair(found: Any, wanted: tuple[np.ndarray, np.ndarray]) -> None:
    """Compare two outputs."""
    assert type(found) is tuple
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
