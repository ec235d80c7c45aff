"""Anything with `__dlpack__` and `__dlpack_device__`, read with ctypes by the rules of DLPack 1.3 (python_spec).

A capsule that is refused stays as it is: its own destructor calls the producer's deleter. One that is taken is renamed
to `used_...`, and `_Consumed` calls the deleter, once, when the last launch that used the tensor has ended. There is no
maker of outputs here, because DLPack has none: `buffer.own_array` makes them.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

from warpbridge import buffer
from warpbridge.buffer import CPU, CUDA, CUDA_HOST, CUDA_MANAGED, WHOLE_BYTES, Buffer, DType, device_name
from warpbridge.errors import ArgumentError

_SUPPORTED_DEVICES = (CPU, CUDA, CUDA_HOST, CUDA_MANAGED)
_FLAG_READ_ONLY = 1
_FLAG_COPIED = 2
_LEGACY_STREAM = 1
_NO_SYNC = -1
_MAX_VERSION = (1, 3)
_MAX_NDIM = 64
_OPAQUE = 3  # kDLOpaqueHandle

# Producers whose arrays never change; they export no read-only flag, because their capsules are older than flags.
_IMMUTABLE = ("jax", "jaxlib")
# Producers that take every stream number for a real stream, also -1.
_NO_MINUS_ONE = ("jax", "jaxlib")


class Tensor(ctypes.Structure):
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


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


class Legacy(ctypes.Structure):
    """DLManagedTensor, from before DLPack 1.0."""

    _fields_ = (("tensor", Tensor), ("manager_ctx", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]
_is_valid.restype = ctypes.c_int
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_get_pointer.restype = ctypes.c_void_p
# A capsule keeps the pointer it is given, not the text: these two live for ever.
_USED_VERSIONED = ctypes.create_string_buffer(b"used_dltensor_versioned")
_USED_LEGACY = ctypes.create_string_buffer(b"used_dltensor")
_set_name = ctypes.pythonapi.PyCapsule_SetName
_set_name.argtypes = [ctypes.py_object, ctypes.c_void_p]
_set_name.restype = ctypes.c_int
_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # releases the GIL: a deleter takes it where it needs it


class _Consumed:
    """The tensor of a renamed capsule: ours, until its deleter has been called."""

    __slots__ = ("_address", "_deleter")

    def __init__(self, address: int, deleter: int | None) -> None:
        self._address = address
        self._deleter = None if not deleter else _DELETER(deleter)

    def __del__(self) -> None:
        deleter, self._deleter = self._deleter, None
        if deleter is not None:
            deleter(self._address)


class _Producer:
    """The `buffer.Library` of a producer known only by DLPack."""

    def __init__(self, name: str) -> None:
        self.name = name

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return an array of our own: DLPack cannot make arrays."""
        return buffer.own_array(shape, dtype, device_type, device_id)

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the legacy default stream: DLPack does not tell on which stream a producer works."""
        return 0 if device_type in (CPU, CUDA_HOST) else _LEGACY_STREAM

    def numbers(self, array: Any) -> list[float]:
        """Return the elements, where the producer can be iterated."""
        return [float(item) for item in array]


class _Jax(_Producer):
    """JAX's arrays never change, so a kernel writes to one of ours, which becomes one of JAX's when it is whole."""

    def hand_back(self, array: Any) -> Any:
        """Return the array that JAX makes of a finished output, without a copy."""
        return importlib.import_module("jax.dlpack").from_dlpack(array)


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
    device = _device(obj, name)
    package = kind.__module__.partition(".")[0]
    if device[0] in (CPU, CUDA_HOST):
        return _read(_export(obj, None, name), name, device, package, None)
    return _read(_export_unordered(obj, name, package), name, device, package, _orderer(obj, name))


def _device(obj: Any, name: str) -> tuple[int, int]:
    try:
        device_type, device_id = obj.__dlpack_device__()
        device = (int(device_type), int(device_id))
    except Exception as error:
        raise ArgumentError(f"{name} does not export its memory: {error}") from error
    if device[0] not in _SUPPORTED_DEVICES:
        found = device_name(*device)
        raise ArgumentError(f"{name} is on {found}, expected cpu or cuda; move it first", found=found)
    return device


def _orderer(obj: Any, name: str) -> Callable[[int], tuple[int, ...]]:
    """Return `Buffer.order`: the producer is asked once more, for the stream of the launch.

    The export is for its ordering only. Its capsule is dropped unused, so its destructor calls the deleter.
    """

    def order(stream: int) -> tuple[int, ...]:
        _export(obj, stream or _LEGACY_STREAM, name)
        return ()

    return order


def _export_unordered(obj: Any, name: str, package: str) -> Any:
    """Ask for a CUDA tensor without any synchronisation: the stream of the launch is not known yet."""
    if package in _NO_MINUS_ONE:
        return _export(obj, _LEGACY_STREAM, name)
    try:
        return _export(obj, _NO_SYNC, name)
    except ArgumentError:
        return _export(obj, _LEGACY_STREAM, name)


def _export(obj: Any, stream: int | None, name: str) -> Any:
    """Ask for a capsule, never for a copy; older producers know no `copy`, still older ones no `max_version`."""
    forms: tuple[dict[str, Any], ...] = (
        {"stream": stream, "max_version": _MAX_VERSION, "copy": False},
        {"stream": stream, "max_version": _MAX_VERSION},
        {"stream": stream} if stream is not None else {},
    )
    try:
        for keywords in forms[:-1]:
            try:
                return obj.__dlpack__(**keywords)
            except TypeError:
                continue
        return obj.__dlpack__(**forms[-1])
    except Exception as error:
        raise ArgumentError(f"{name} does not export its memory: {error}") from error


def _read(
    capsule: Any,
    name: str,
    device: tuple[int, int],
    package: str,
    order: Callable[[int], tuple[int, ...]] | None,
) -> Buffer:
    """Read the tensor inside a capsule, then take the capsule over."""
    flags = 0
    managed: Versioned | Legacy
    if _is_valid(capsule, b"dltensor_versioned"):
        address, used = _get_pointer(capsule, b"dltensor_versioned"), _USED_VERSIONED
        managed = Versioned.from_address(address)
        if managed.major != 1:  # only the deleter's place is the same in all versions
            raise ArgumentError(f"{name} exports DLPack {managed.major}.{managed.minor}, expected 1.x")
        flags = managed.flags
    elif _is_valid(capsule, b"dltensor"):
        address, used = _get_pointer(capsule, b"dltensor"), _USED_LEGACY
        managed = Legacy.from_address(address)
    else:
        raise ArgumentError(f"{name}.__dlpack__ returned {capsule!r}, expected a fresh DLPack capsule")
    tensor = managed.tensor
    shape = _shape(tensor, name)
    _check(tensor, flags, shape, name, device)
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    _set_name(capsule, ctypes.addressof(used))  # from here on the tensor is ours, and nothing may fail
    return Buffer(
        (tensor.data or 0) + tensor.byte_offset if all(shape) else 0,
        tensor.device_type,
        tensor.device_id,
        DType(tensor.code, tensor.bits, tensor.lanes),
        shape,
        strides,
        bool(flags & _FLAG_READ_ONLY) or package in _IMMUTABLE,
        (_Jax if package in _IMMUTABLE else _Producer)(name),
        _Consumed(address, managed.deleter),
        order,
    )


def _shape(tensor: Tensor, name: str) -> tuple[int, ...]:
    ndim = tensor.ndim
    if not 0 <= ndim <= _MAX_NDIM:
        raise ArgumentError(f"{name} exports {ndim} dimensions, expected 0 to {_MAX_NDIM}", found=ndim)
    if ndim and not tensor.shape:
        raise ArgumentError(f"{name} exports {ndim} dimensions without their sizes, expected a shape")
    shape = tuple(tensor.shape[:ndim]) if ndim else ()
    if any(size < 0 for size in shape):
        raise ArgumentError(f"{name} exports the shape {shape}, expected sizes of 0 or more", found=shape)
    return shape


def _check(tensor: Tensor, flags: int, shape: tuple[int, ...], name: str, device: tuple[int, int]) -> None:
    """Refuse what the header allows and no kernel can take, and what contradicts itself."""
    dtype = DType(tensor.code, tensor.bits, tensor.lanes)
    if flags & _FLAG_COPIED:
        raise ArgumentError(f"{name}.__dlpack__ returned a copy, expected its own memory, as asked for by copy=False")
    if (tensor.device_type, tensor.device_id) != device:
        found, said = device_name(tensor.device_type, tensor.device_id), device_name(*device)
        raise ArgumentError(f"{name} exports memory on {found}, expected {said}, as its __dlpack_device__ says")
    if dtype.code == _OPAQUE or dtype.lanes == 0 or dtype.bits == 0:
        raise ArgumentError(f"{name} has dtype {dtype.name}, expected numbers", found=dtype.name)
    if dtype.bits * dtype.lanes % 8:
        raise ArgumentError(f"{name} has dtype {dtype.name}, expected {WHOLE_BYTES}", found=dtype.name)
    if not tensor.data and all(shape):
        raise ArgumentError(f"{name} exports the address NULL for the shape {shape}, expected memory", found=None)
