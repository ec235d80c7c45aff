"""A library called PyTorch for tests of learned calls: host arrays that are read through DLPack's C exchange API.

The real one is too large for CI; `pytest -m gpu` has it. Its function fails with an exception set where a tensor has no
memory, or no type or device that DLPack knows; so does this one's between `refuse` and the test's end.
"""

from __future__ import annotations

import ctypes
import sys
import types
from typing import Any

import numpy as np
import pytest


class DLTensor(ctypes.Structure):
    """`DLTensor`, device and dtype as the numbers that they consist of."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )


class Table(ctypes.Structure):
    """`DLPackExchangeAPI`."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("functions_not_used", ctypes.c_void_p * 4),
        ("dltensor_from_py_object_no_sync", ctypes.c_void_p),
        ("current_work_stream", ctypes.c_void_p),
    )


@ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(DLTensor))
def _lend(tensor: Any, out: Any) -> int:
    shape = tensor.sizes.ctypes.data
    out[0] = DLTensor(tensor.data_ptr(), 1, 0, tensor.sizes.size, 2, 32, 1, shape, None, 0)
    return 0


@ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))
def _stream(_device_type: int, _device_id: int, out: Any) -> int:
    out[0] = None
    return 0


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


# For an object without a buffer: TypeError and -1, before it looks at its other arguments.
_REFUSING = ctypes.pythonapi.PyObject_GetBuffer
_TABLE = Table(1, 3, (ctypes.c_void_p * 4)(), _address(_lend), _address(_stream))
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_NAME = b"dlpack_exchange_api"  # which a capsule does not copy


class Device:
    """`torch.device`."""

    index = None

    def __init__(self, kind: str) -> None:
        self.type = kind

    def __str__(self) -> str:
        return self.type


class Tensor:
    """Float32 numbers on the host; `layout` and `place` say something else where a test asks for it."""

    requires_grad = is_nested = False
    dtype = "torch.float32"
    __dlpack_c_exchange_api__ = _new_capsule(ctypes.addressof(_TABLE), _NAME, None)

    def __init__(self, host: np.ndarray, *, layout: str = "strided", place: str = "cpu") -> None:
        self.host, self.layout, self.device = host, layout, Device(place)
        self.shape, self.sizes = host.shape, np.array(host.shape, np.int64)

    def data_ptr(self) -> int:
        return self.host.ctypes.data

    def numel(self) -> int:
        return self.host.size

    def is_contiguous(self) -> bool:
        return self.host.flags.c_contiguous

    def is_conj(self) -> bool:
        return False

    def is_neg(self) -> bool:
        return False


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it PyTorch until the test ends."""
    Tensor.__module__, Tensor.__qualname__ = "torch", "Tensor"
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=Tensor, strided="strided"))
    monkeypatch.setattr(_TABLE, "dltensor_from_py_object_no_sync", _address(_lend))


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the C function fail for whatever it is asked."""
    monkeypatch.setattr(_TABLE, "dltensor_from_py_object_no_sync", _address(_REFUSING))
