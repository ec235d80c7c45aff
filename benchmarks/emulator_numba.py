"""The kernels of ``emulator.py`` in Numba's CUDA Python; its simulator looks for ``cuda`` among their globals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda


@cuda.jit  # type: ignore[untyped-decorator]
def add(a: Any, b: Any, c: Any) -> None:
    i = cuda.grid(1)
    if i < c.size:
        c[i] = a[i] + b[i]


@cuda.jit  # type: ignore[untyped-decorator]
def naive(a: Any, b: Any, c: Any) -> None:
    row, column = cuda.blockIdx.y, cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    total = np.float32(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    c[row, column] = total
