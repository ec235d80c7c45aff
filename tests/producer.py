"""A hand-made DLPack producer: wraps a NumPy array's memory and says about it whatever a test wants it to say."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from warpbridge.adapters.dlpack import _Tensor, _Versioned

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_new_capsule.restype = ctypes.py_object
_DESTRUCTOR = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p
)  # not py_object: the capsule is dying, a reference would revive it
_exported: list[Any] = []  # what capsules point to; a test process is short


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
    """

    def __init__(
        self,
        array: np.ndarray,
        *,
        device: tuple[int, int] = (1, 0),
        readonly: bool = False,
        versioned: bool = True,
        byte_offset: int = 0,
    ) -> None:
        self.array, self.device, self.readonly = array, device, readonly
        self.versioned, self.byte_offset = versioned, byte_offset
        self.streams: list[object] = []
        self.deleted = 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: object = None, **keywords: Any) -> Any:
        if not self.versioned and keywords:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        self.streams.append(stream)
        managed = _Versioned()
        managed.major, managed.minor, managed.flags = 1, 0, int(self.readonly)
        self._fill(managed.tensor)
        address = ctypes.addressof(managed if self.versioned else managed.tensor)
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        destructor = _DESTRUCTOR(lambda _capsule: setattr(self, "deleted", self.deleted + 1))
        _exported.append((managed, destructor, self))
        return _new_capsule(address, name, ctypes.cast(destructor, ctypes.c_void_p))

    def _fill(self, tensor: _Tensor) -> None:
        array = self.array
        self._shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        self._strides = (ctypes.c_int64 * array.ndim)(*(s // array.itemsize for s in array.strides))
        tensor.data = array.ctypes.data - self.byte_offset
        tensor.byte_offset = self.byte_offset
        tensor.device_type, tensor.device_id = self.device
        tensor.ndim, tensor.shape, tensor.strides = array.ndim, self._shape, self._strides
        tensor.code, tensor.bits, tensor.lanes = _CODES[array.dtype.kind], array.itemsize * 8, 1
