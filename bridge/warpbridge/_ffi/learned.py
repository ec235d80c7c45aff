"""Learned calls: the functions of the native core that repeat a checked call (`ffi/src/python`)."""

from __future__ import annotations

import ctypes
from typing import Any

from .native import Handle, ffi, lib, python_function


def can_learn() -> bool:
    """Whether this interpreter exports what `caller` needs."""
    return bool(lib.wb_python_available())


_caller = python_function("wb_python_caller", ctypes.c_int, ctypes.py_object)


def caller(blocking: bool, owner: object) -> Any:
    """Return a function that repeats checked launches of the owner."""
    return _caller(int(blocking), owner)


def address_of(handle: Handle) -> int:
    """Return a handle's address."""
    return int(ffi.cast("uintptr_t", handle))


def adopt_pending(address: int) -> Handle:
    """Take over a tracked launch that the native core began."""
    return ffi.gc(ffi.cast("wb_pending *", address), lib.wb_pending_free)
