"""Arguments as the native core takes them: arrays as tensors, numbers, bytes, tensor maps."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from warpbridge.buffer import Buffer, TensorMap

from .native import ffi


class Numbers(tuple[float, ...]):
    """A short host sequence for an inline array argument."""


Value = Numbers | Buffer | TensorMap | bytes | bool | int | float | None
"""What crosses as a `wb_value`; None stands for an argument that was left out."""


_NONE, _INT, _FLOAT, _BOOL, _TENSOR, _BYTES, _NUMBERS, _UINT, _TENSOR_MAP = range(9)
_READONLY = 1
_INT64_MAX = 2**63 - 1
_WORD = 2**64 - 1


def pack(values: Sequence[Value]) -> tuple[Any, list[Any]]:
    """Return a `wb_value` array, and what must stay alive while it is used."""
    packed = ffi.new("wb_value[]", len(values))
    keep: list[Any] = []
    for slot, value in zip(packed, values, strict=True):
        if value is None:
            continue
        if isinstance(value, Buffer):
            tensor = tensor_of(value, keep)
            slot.tag, slot.flags = _TENSOR, _READONLY if value.readonly else 0
            slot.payload = int(ffi.cast("uintptr_t", tensor))
        elif isinstance(value, TensorMap):
            described = ffi.new("wb_tensor_map *", (value.encoded, tensor_of(value.buffer, keep)))
            keep.append(described)
            slot.tag, slot.flags = _TENSOR_MAP, _READONLY if value.buffer.readonly else 0
            slot.payload = int(ffi.cast("uintptr_t", described))
        elif isinstance(value, bool):
            slot.tag, slot.payload = _BOOL, int(value)
        elif isinstance(value, int):
            slot.tag, slot.payload = (_UINT if value > _INT64_MAX else _INT), value & _WORD
        elif isinstance(value, float):
            slot.tag, slot.payload = _FLOAT, struct.unpack("=Q", struct.pack("=d", value))[0]
        else:
            tag, data = (
                (_NUMBERS, ffi.new("double[]", value))
                if isinstance(value, Numbers)
                else (_BYTES, ffi.from_buffer("uint8_t[]", value))
            )
            keep.append(data)
            slot.tag, slot.length = tag, len(value)
            slot.payload = int(ffi.cast("uintptr_t", data))
    return packed, keep


def tensor_of(buffer: Buffer, keep: list[Any]) -> Any:
    """Return a `wb_tensor *`; what it points to is added to `keep`."""
    tensor = ffi.new("wb_tensor *")
    shape = ffi.new("int64_t[]", buffer.shape)
    keep += (tensor, shape)
    tensor.data = ffi.cast("void *", buffer.pointer)
    tensor.device.device_type, tensor.device.device_id = buffer.device_type, buffer.device_id
    tensor.ndim, tensor.shape = len(buffer.shape), shape
    tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes = buffer.dtype
    if buffer.strides is not None:
        strides = ffi.new("int64_t[]", buffer.strides)
        tensor.strides = strides
        keep.append(strides)  # not `tensor.strides`: what is read back from a struct owns nothing
    return tensor
