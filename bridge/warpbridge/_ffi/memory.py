"""Memory of a device, its export as DLPack, and copies."""

from __future__ import annotations

import ctypes
from typing import Any

from warpbridge.buffer import Buffer

from .native import Handle, check, ffi, lib, python_function
from .values import tensor_of


def memory_new(device: int, nbytes: int, pinned: bool) -> tuple[Handle, int]:
    """Allocate memory on a device; return its handle and its address."""
    out, address = ffi.new("wb_memory **"), ffi.new("uint64_t *")
    check(lib.wb_memory_new(device, nbytes, int(pinned), out))
    memory = ffi.gc(out[0], lib.wb_memory_free)
    check(lib.wb_memory_address(memory, address))
    return memory, int(address[0])


_capsule = python_function("wb_python_capsule", ctypes.c_void_p, ctypes.c_int)


def memory_export(memory: Handle, buffer: Buffer, flags: int, versioned: bool) -> Any:
    """Return a DLPack capsule that owns a share of the memory until somebody takes it."""
    keep: list[Any] = []
    out = ffi.new("void **")
    check(lib.wb_memory_export(memory, tensor_of(buffer, keep), flags, int(versioned), out))
    del keep
    return _capsule(int(ffi.cast("uintptr_t", out[0])), int(versioned))


def memory_copy(device: int, to: int, source: int, nbytes: int, stream: int) -> None:
    """Copy bytes behind what is queued on the stream, and wait for it."""
    check(lib.wb_memory_copy(device, to, source, nbytes, stream))
