"""Tensor maps of arrays, for kernels that copy boxes of them with ``cp.async.bulk.tensor``.

The form of the arguments is checked here; every limit on their values in the native core, the same for both devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _ffi
from .arguments import as_array
from .buffer import TensorMap
from .errors import ArgumentError

_INT64 = range(-(2**63), 2**63)


def tensor_map(
    array: Any,
    box: int | Sequence[int],
    *,
    swizzle: str | None = None,
    element_strides: int | Sequence[int] | None = None,
    interleave: str | None = None,
    l2_promotion: str | None = None,
    oob_fill: str | None = None,
    strides: int | Sequence[int] | None = None,
    dtype: str | None = None,
) -> TensorMap:
    """Make a tensor map of an array, for a ``.param .align 64 .b8 [128]`` of an Entry.

    All axes are in the array's own order, the innermost last, as in NumPy. PTX counts them from the innermost: the box
    ``(rows, columns)`` is read with the coordinates ``{column, row}``.

    Parameters
    ----------
    array
        1 to 5 dimensions. The elements of the last axis must be dense; address and other strides multiples of 16 bytes.
    box
        Elements per axis that one copy moves, 1 to 256; on the last axis a multiple of 16 bytes, and with a swizzle at
        most its length.
    swizzle
        Permutation of 16-byte pieces in shared memory: None, ``"32B"``, ``"64B"`` or ``"128B"``.
    element_strides
        Every how many elements of an axis one is moved, 1 to 8; default: all. That of the last axis is ignored without
        `interleave`.
    interleave
        Layout in global memory: None, ``"16B"`` or ``"32B"``; needs 3 dimensions or more.
    l2_promotion
        How much a GPU fetches into its second-level cache: None, ``"64B"``, ``"128B"`` or ``"256B"``.
    oob_fill
        What elements outside the array read as: None for zero, ``"nan"`` for NaN (floats only).
    strides
        Bytes from one index to the next of each axis, instead of the array's own; nothing beyond the array's memory can
        be described.
    dtype
        What the elements are taken for where the library has no such type: a name of the same width, for example
        ``"bfloat16"`` for uint16, ``"tfloat32"`` for float32.

    Returns
    -------
    TensorMap
        Holds the array: its memory lives as long as the map. The map is for the device of the array.

    Raises
    ------
    ArgumentError
        An argument is outside the limits that ``cuTensorMapEncodeTiled`` documents.
    DeviceError
        The array is on no device of this process, or the driver is too old.
    """
    buffer = as_array(array, "tensor_map: array", {"argument": "array"})
    options = _ffi.MapOptions(
        box=_integers(box, "box"),
        strides=None if strides is None else _integers(strides, "strides"),
        element_strides=None if element_strides is None else _integers(element_strides, "element_strides"),
        element=_name(dtype, "dtype"),
        interleave=_name(interleave, "interleave"),
        swizzle=_name(swizzle, "swizzle"),
        l2_promotion=_name(l2_promotion, "l2_promotion"),
        oob_fill=_name(oob_fill, "oob_fill"),
    )
    return TensorMap(_ffi.tensor_map_encode(buffer, options), buffer)


def _integers(value: int | Sequence[int], argument: str) -> list[int]:
    items: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not all(hasattr(type(i), "__index__") and not isinstance(i, bool) and int(i) in _INT64 for i in items):
        raise ArgumentError(
            f"tensor_map: {argument} is {value!r}, expected integers, one per axis of the array",
            argument=argument,
            found=value,
        )
    return [int(item) for item in items]


def _name(value: str | None, argument: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ArgumentError(
            f"tensor_map: {argument} is {value!r}, expected None or a name in quotes", argument=argument, found=value
        )
    return value
