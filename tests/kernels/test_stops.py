"""Every kernel reports progress and stops when it is cancelled: on the CPU device; benchmarks/cancel.py times GPUs.

The arrays are large, zeros, and touched only as far as a launch comes: each takes seconds if nobody stops it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from test_misuse import CALLS
from until import until

GIB = 1 << 30
THIRDS = (0.5, 0.4, 0.3)


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


def rows(columns: int = 4096, dtype: Any = np.float32) -> np.ndarray:
    return zeros(GIB // np.dtype(dtype).itemsize // columns, columns, dtype=dtype)


def images() -> np.ndarray:
    return zeros(4096, 256, 256, 3, dtype=np.uint8)


def norm(name: str, columns: int = 4096) -> tuple[Any, ...]:
    x = rows(columns)
    return (x, x, None) if "residual" in name else (x, None)


LUT = np.ones((256, 4), np.uint8)
LARGE: dict[str, Callable[[], tuple[Any, ...]]] = {
    "cross_entropy": lambda: (x := rows(), np.zeros(len(x), np.int64)),
    "dequant_matvec": lambda: (
        w := rows(4096, np.uint8),
        zeros(len(w), 64, dtype=np.float16),
        zeros(1, 8192, dtype=np.float16),
    ),
    "fft_frames": lambda: (zeros(GIB // 4, 2, dtype=np.int16), zeros(4096), 4096),
    "fft_power": lambda: (rows(4096, np.complex64),),
    "field_to_rgba": lambda: (rows(), LUT, 0.0, 1.0),
    "field_to_rgba_own_range": lambda: (rows(), LUT),
    "gather_rows": lambda: (zeros(64, 4096), np.zeros(GIB // 4 // 4096, np.int64)),
    "image_prep": lambda: (images(), THIRDS, THIRDS),
    "image_resize": lambda: (images(), THIRDS, THIRDS, None, None, 224, 224),
    "scale": lambda: (zeros(GIB // 4), 2.0),
    "softmax": lambda: (rows(),),
    "softmax_long": lambda: (rows(1 << 18),),
    "spectral_multiply": lambda: (rows(4096, np.complex64), zeros(1, 4096, dtype=np.complex64)),
    "stencil3d": lambda: (zeros(64, 64, 64), zeros(3, 3), 1_000_000),
    **{name: lambda name=name: norm(name, 1 << 18 if "long" in name else 4096) for name in CALLS if "norm" in name},
}


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_cancel_stops_it_on_its_way(name: str, arch: str) -> None:
    pending = getattr(wb.kernels, name).submit(*LARGE[name](), arch=arch)
    seen = [0.0]

    def moves() -> bool:
        seen.append(pending.progress)
        return seen[-1] > 0.0

    assert until(moves, 120.0, collect=False)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(60)
    assert seen[-1] < 1.0
