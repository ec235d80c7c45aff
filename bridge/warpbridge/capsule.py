"""Capsules around DLPack tensors that the native core made (python_spec of DLPack, "export").

A capsule that nobody takes calls the tensor's deleter when it goes; whoever takes one renames it to `used_...`, and
calls the deleter, which is the core's and needs no interpreter.
"""

from __future__ import annotations

import ctypes
from typing import Any

from .adapters.dlpack import Legacy, Versioned

_VERSIONED = ctypes.create_string_buffer(b"dltensor_versioned")
_LEGACY = ctypes.create_string_buffer(b"dltensor")
_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
# Capsules as addresses: in its destructor a capsule has no references left, and must get no new one.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)


def _destroy(capsule: int) -> None:
    for name, layout in ((_VERSIONED, Versioned), (_LEGACY, Legacy)):
        if _is_valid(capsule, name):
            address = _get_pointer(capsule, name)
            _DELETER(layout.from_address(address).deleter)(address)


_destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_destroy)
# For ever: a capsule may outlive this module while the interpreter ends.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_destructor))


def wrap(address: int, versioned: bool) -> Any:
    """Return a capsule that owns the managed tensor at this address."""
    name = ctypes.addressof(_VERSIONED if versioned else _LEGACY)
    return _new(address, name, ctypes.cast(_destructor, ctypes.c_void_p))
