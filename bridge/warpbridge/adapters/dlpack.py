"""Anything with `__dlpack__` and `__dlpack_device__`, read with ctypes.

The capsule is never renamed to `used_...`: it stays the owner of the tensor and is kept until the launch has finished;
its own destructor then calls the producer's deleter, exactly once (DLPack, python_spec: the capsule was not consumed).
There is no maker of outputs here, because DLPack has none; callers pass `out=`.
"""

from __future__ import annotations

import ctypes
from typing import Any

from warpbridge.buffer import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, Buffer, DType, device_name
from warpbridge.errors import ArgumentError

_SUPPORTED_DEVICES = (CPU, CUDA, CUDA_HOST, CUDA_MANAGED)
_FLAG_READ_ONLY = 1
_FLAG_SUBBYTE_PADDED = 4
_LEGACY_STREAM = 1
_MAX_VERSION = (1, 3)


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]
_is_valid.restype = ctypes.c_int
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_get_pointer.restype = ctypes.c_void_p


class _Producer:
    """The `buffer.Library` of a producer known only by DLPack."""

    def __init__(self, name: str) -> None:
        self.name = name

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """DLPack cannot make arrays."""
        raise ArgumentError(
            f"outputs cannot be made in the library of {self.name}, which is known only by __dlpack__; "
            f"pass out= ({dtype.name}, shape {shape}, on {device_name(device_type, device_id)})"
        )

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the stream that the producer was asked to make its data safe on."""
        return 0 if device_type == CPU else _LEGACY_STREAM

    def numbers(self, array: Any) -> list[float]:
        """Return the elements, where the producer can be iterated."""
        return [float(item) for item in array]


def claim(obj: Any) -> Buffer | None:
    """Claim an object that has `__dlpack__`.

    Raises
    ------
    ArgumentError
        It exports no tensor, or one that no kernel can take.
    """
    kind = type(obj)
    if not hasattr(kind, "__dlpack__") or not hasattr(kind, "__dlpack_device__"):
        return None
    name = f"{kind.__module__}.{kind.__qualname__}"
    device_type = int(obj.__dlpack_device__()[0])
    if device_type not in _SUPPORTED_DEVICES:
        found = device_name(device_type, int(obj.__dlpack_device__()[1]))
        raise ArgumentError(f"{name} is on {found}, expected cpu or cuda; move it first", found=found)
    return _read(_export(obj, None if device_type in (CPU, CUDA_HOST) else _LEGACY_STREAM, name), name)


def _export(obj: Any, stream: int | None, name: str) -> Any:
    """Ask for a capsule; producers from before DLPack 1.0 know no `max_version`."""
    try:
        try:
            return obj.__dlpack__(stream=stream, max_version=_MAX_VERSION)
        except TypeError:
            return obj.__dlpack__(stream=stream) if stream is not None else obj.__dlpack__()
    except (BufferError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"{name} does not export its memory: {error}") from error


def _read(capsule: Any, name: str) -> Buffer:
    """Read the tensor inside a capsule; the capsule becomes the owner."""
    flags = 0
    if _is_valid(capsule, b"dltensor_versioned"):
        managed = _Versioned.from_address(_get_pointer(capsule, b"dltensor_versioned"))
        if managed.major != 1:
            raise ArgumentError(f"{name} exports DLPack {managed.major}.{managed.minor}, expected 1.x")
        flags, tensor = managed.flags, managed.tensor
    elif _is_valid(capsule, b"dltensor"):
        tensor = _Tensor.from_address(_get_pointer(capsule, b"dltensor"))
    else:
        raise ArgumentError(f"{name}.__dlpack__ returned {capsule!r}, expected a fresh DLPack capsule")
    if flags & _FLAG_SUBBYTE_PADDED:
        raise ArgumentError(f"{name} has padded sub-byte elements, expected elements of whole bytes")
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    return Buffer(
        (tensor.data or 0) + tensor.byte_offset if all(shape) else 0,
        tensor.device_type,
        tensor.device_id,
        DType(tensor.code, tensor.bits, tensor.lanes),
        shape,
        tuple(tensor.strides[i] for i in range(tensor.ndim)) if tensor.strides else None,
        bool(flags & _FLAG_READ_ONLY),
        _Producer(name),
        capsule,
    )
