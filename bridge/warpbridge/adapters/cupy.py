"""CuPy arrays: memory of the CUDA device that owns them, whichever device is current.

CuPy is taken from `sys.modules`: it is there, because an array of it was passed. Its null stream is the legacy default,
handle 0.
"""

from __future__ import annotations

import sys
from typing import Any

from warpbridge.buffer import CUDA, Buffer, DType, dtype_of, element_strides
from warpbridge.errors import ArgumentError


class _Handle:
    """A bare handle as CuPy takes it."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __cuda_stream__(self) -> tuple[int, int]:
        return (0, self._handle)


class _CuPy:
    """The `buffer.Library` of CuPy."""

    name = "cupy"

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return `cupy.empty` on that device, from the memory pool of that stream."""
        cupy = sys.modules["cupy"]
        if dtype.name in ("bfloat16", "float8_e4m3fn"):
            raise ArgumentError(f"cupy cannot make a {dtype.name} array; pass the output as out=")
        with cupy.cuda.Device(device_id):
            if stream is None or stream == self.current_stream(device_type, device_id):
                return cupy.empty(shape, dtype.name)
            with self._stream(cupy, stream, device_id):
                return cupy.empty(shape, dtype.name)

    def _stream(self, cupy: Any, stream: int, device_id: int) -> Any:
        if stream in (0, 1):
            return cupy.cuda.Stream.null
        if stream == 2:
            return cupy.cuda.Stream.ptds
        from_external = getattr(cupy.cuda.Stream, "from_external", None)  # CuPy 14; ExternalStream is deprecated there
        return from_external(_Handle(stream)) if from_external else cupy.cuda.ExternalStream(stream, device_id)

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return CuPy's current stream on that device."""
        cuda = sys.modules["cupy"].cuda
        return int(cuda.get_current_stream(device_id).ptr)

    def numbers(self, array: Any) -> list[float]:
        """Never asked: CuPy has no host arrays."""
        raise ArgumentError("a cupy array is not in host memory")


LIBRARY = _CuPy()


def claim(obj: Any) -> Buffer | None:
    """Claim a `cupy.ndarray`.

    Raises
    ------
    ArgumentError
        Its dtype or strides have no counterpart in a kernel.
    """
    if not isinstance(obj, sys.modules["cupy"].ndarray):
        return None
    dtype = obj.dtype
    strides = None
    if not obj.flags.c_contiguous:
        strides = element_strides(obj.strides, dtype.itemsize, "a cupy array")
    return Buffer(
        int(obj.data.ptr) if obj.size else 0,
        CUDA,
        int(obj.device.id),
        dtype_of(dtype.name, "a cupy array"),
        obj.shape,
        strides,
        False,
        LIBRARY,
        obj,
    )
