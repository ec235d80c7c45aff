"""A hand-made DLPack producer: wraps a NumPy array's memory and says about it whatever a test wants it to say.

Its capsules behave as the header asks: the deleter is theirs until somebody renames them to `used_...`.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from warpbridge.adapters.dlpack import Legacy, Tensor, Versioned

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_api = ctypes.pythonapi
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", _api)
)
# Not py_object: the capsule is dying, a reference would revive it.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_exported: dict[int, Any] = {}  # what each tensor's deleter frees; the address says whose call it is


@_DESTRUCTOR
def _destroy(capsule: int) -> None:
    for name, layout in ((b"dltensor_versioned", Versioned), (b"dltensor", Legacy)):
        if _is_valid(capsule, name):
            address = _get_pointer(capsule, name)
            deleter = layout.from_address(address).deleter
            if deleter:
                _DELETER(deleter)(address)


@_DELETER
def _delete(address: int) -> None:
    _managed, _shape, _strides, producer = _exported.pop(address)
    producer.deleted += 1


class Producer:
    """Exports `array` by `__dlpack__`.

    Parameters
    ----------
    array
        Whose memory it is.
    device
        What `__dlpack_device__` and the tensor say.
    readonly, versioned, byte_offset
        What the capsule says.
    knows
        Keywords that `__dlpack__` has.
    says
        Fields of the managed tensor (`major`, `flags`, `deleter`) or of the tensor, to be overwritten.
    """

    def __init__(
        self,
        array: np.ndarray,
        *,
        device: tuple[int, int] = (1, 0),
        readonly: bool = False,
        versioned: bool = True,
        byte_offset: int = 0,
        knows: tuple[str, ...] | None = None,
        **says: Any,
    ) -> None:
        self.array, self.device, self.readonly = array, device, readonly
        self.versioned, self.byte_offset = versioned, byte_offset
        self.knows = (("stream", "max_version", "copy") if versioned else ("stream",)) if knows is None else knows
        self.says = says
        self.asked: list[dict[str, Any]] = []
        self.deleted = 0

    @property
    def streams(self) -> list[object]:
        """The `stream` of each export, None where there was none."""
        return [keywords.get("stream") for keywords in self.asked]

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **keywords: Any) -> Any:
        for name in keywords:
            if name not in self.knows:
                raise TypeError(f"__dlpack__() got an unexpected keyword argument {name!r}")
        self.asked.append(keywords)
        managed: Versioned | Legacy = Versioned() if self.versioned else Legacy()
        if isinstance(managed, Versioned):
            managed.major, managed.minor, managed.flags = 1, 0, int(self.readonly)
        managed.deleter = ctypes.cast(_delete, ctypes.c_void_p)
        shape, strides = self._fill(managed.tensor)
        for field, value in self.says.items():
            setattr(managed if hasattr(managed, field) else managed.tensor, field, value)
        address = ctypes.addressof(managed)
        _exported[address] = managed, shape, strides, self
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        return _new_capsule(address, name, ctypes.cast(_destroy, ctypes.c_void_p))

    def _fill(self, tensor: Tensor) -> tuple[Any, Any]:
        array = self.array
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = (ctypes.c_int64 * array.ndim)(*(s // array.itemsize for s in array.strides))
        tensor.data = array.ctypes.data - self.byte_offset
        tensor.byte_offset = self.byte_offset
        tensor.device_type, tensor.device_id = self.device
        tensor.ndim, tensor.shape, tensor.strides = array.ndim, shape, strides
        tensor.code, tensor.bits, tensor.lanes = _CODES[array.dtype.kind], array.itemsize * 8, 1
        return shape, strides
