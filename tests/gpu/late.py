"""Work that ends late, on a stream of the caller's: what is not ordered behind it shows as a wrong value."""

from __future__ import annotations

import functools
import importlib
from typing import Any

_SOURCE = r"""
extern "C" __global__ void late_fill(float *x, float value, int n, long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) { }
    for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = value;
}
"""
CYCLES = 200_000_000  # about a tenth of a second


@functools.cache
def _kernel() -> Any:
    cupy = importlib.import_module("cupy")
    kernel = cupy.RawKernel(_SOURCE, "late_fill")
    kernel.compile()
    return kernel


def fill(array: Any, value: float, stream: Any) -> None:
    """Queue the filling of a float32 CuPy array on a CuPy stream; it ends a tenth of a second after it has begun."""
    cupy = importlib.import_module("cupy")
    arguments = (array, cupy.float32(value), cupy.int32(array.size), cupy.int64(CYCLES))
    _kernel()
    with stream:
        _kernel()((1,), (256,), arguments)
