"""NumPy arrays: host memory, so their kernels run on the CPU device.

`__array_interface__` is read instead of `ctypes`, which costs several times as much per call. NumPy itself is taken
from `sys.modules`: it is there, because an array of it was passed.
"""

from __future__ import annotations

import sys
from typing import Any

from warpbridge.buffer import CPU, Buffer, DType, dtype_of, element_strides
from warpbridge.errors import ArgumentError

_IN_ML_DTYPES = ("bfloat16", "float8_e4m3fn")


class _NumPy:
    """The `buffer.Library` of NumPy."""

    name = "numpy"

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return `numpy.empty`; bfloat16 and float8 exist only through ml_dtypes."""
        numpy = sys.modules["numpy"]
        if dtype.name not in _IN_ML_DTYPES:
            return numpy.empty(shape, dtype.name)
        ml_dtypes = sys.modules.get("ml_dtypes")
        if ml_dtypes is None:
            raise ArgumentError(f"numpy has no {dtype.name} of its own: import ml_dtypes, or pass the output as out=")
        return numpy.empty(shape, getattr(ml_dtypes, dtype.name))

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the CPU device's default stream."""
        return 0

    def numbers(self, array: Any) -> list[float]:
        """Return the elements."""
        return [float(item) for item in array.tolist()]


LIBRARY = _NumPy()


def claim(obj: Any) -> Buffer | None:
    """Claim a `numpy.ndarray`.

    Raises
    ------
    ArgumentError
        Its dtype or byte order has no counterpart in a kernel.
    """
    numpy = sys.modules["numpy"]
    if not isinstance(obj, numpy.ndarray):
        return None
    if type(obj) is not numpy.ndarray and isinstance(obj, numpy.ma.MaskedArray):
        raise ArgumentError("a numpy array is masked, expected one without a mask; pass x.filled(value) or x.data")
    dtype = obj.dtype
    if not dtype.isnative:
        raise ArgumentError(
            f"a numpy array has dtype {dtype.str}, expected native byte order; "
            "convert it first: x.astype(x.dtype.newbyteorder('='))",
            found=dtype.str,
        )
    pointer, readonly = obj.__array_interface__["data"]
    strides = None
    if not obj.flags.c_contiguous:
        strides = element_strides(obj.strides, dtype.itemsize, "a numpy array")
    return Buffer(
        pointer if obj.size else 0,
        CPU,
        0,
        dtype_of(dtype.name, "a numpy array"),
        obj.shape,
        strides,
        readonly,
        LIBRARY,
        obj,
    )
