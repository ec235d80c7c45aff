"""The loaded native core, its statuses as exceptions, and text and JSON that it hands out.

The one file that imports the shared library. Everything here is for the other files of this package.
"""

from __future__ import annotations

import ctypes
import importlib
import json
from typing import Any, Protocol

from warpbridge import errors

ABI_VERSION = 1

Handle = Any
"""An opaque cffi pointer; freed with its last reference."""


class _Ffi(Protocol):
    """The part of `cffi.FFI` used here; cffi ships no type stubs."""

    NULL: Any

    def new(self, cdecl: str, init: Any = ...) -> Any: ...
    def cast(self, cdecl: str, source: Any) -> Any: ...
    def string(self, cdata: Any) -> bytes: ...
    def from_buffer(self, cdecl: str, source: Any) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def addressof(self, lib: Any, name: str) -> Any: ...


_REMEDY = (
    "Its shared library is built when warpbridge is installed: install a wheel, or run `python -m pip install .` "
    "(`maturin develop` for an editable checkout) in the source tree, with Rust and a C compiler present."
)


def _load() -> tuple[_Ffi, Any]:
    try:
        native = importlib.import_module("warpbridge._native")
        library = native.lib
    except (ImportError, OSError, AttributeError) as error:
        raise ImportError(f"warpbridge's native core cannot be loaded: {error}. {_REMEDY}") from error
    version = library.wb_abi_version()
    if version != ABI_VERSION:
        raise ImportError(f"warpbridge's native core has ABI {version}, this package expects {ABI_VERSION}. {_REMEDY}")
    return native.ffi, library


ffi, lib = _load()
NULL = ffi.NULL

KINDS: dict[int, type[errors.WarpbridgeError]] = {
    1: errors.ArgumentError,
    2: errors.LoadError,
    3: errors.ManifestError,
    4: errors.LaunchError,
    5: errors.LaunchTimeout,
    6: errors.LaunchCancelled,
    7: errors.KernelFault,
    8: errors.DeadlockError,
    9: errors.RaceError,
    10: errors.MemoryFault,
    11: errors.DeviceError,
}


def python_function(name: str, *arguments: Any) -> Any:
    """Return a function of the core that takes the GIL as held and returns an object; cffi's calls let go of it."""
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return ctypes.PYFUNCTYPE(ctypes.py_object, *arguments)(address)


def last_error() -> errors.WarpbridgeError:
    """Return this thread's last error as an exception."""
    message, fields = ffi.new("char const *[1]"), ffi.new("char const *[1]")
    kind = lib.wb_last_error(message, fields)
    text = text_of(message[0]) or "the native core failed without a message; please report this"
    return KINDS.get(kind, errors.WarpbridgeError)(text, **json.loads(text_of(fields[0]) or "{}"))


def check(status: int) -> None:
    """Raise this thread's last error unless the status is 0."""
    if status != 0:
        raise last_error()


def text_of(pointer: Any) -> str:
    """Return a C string's text; the null pointer has none."""
    return "" if pointer == NULL else ffi.string(pointer).decode("utf-8", "replace")


def optional(text: str | None) -> Any:
    """Return a C string, or the null pointer for None."""
    return NULL if text is None else ffi.new("char[]", text.encode(errors="backslashreplace"))


def version() -> str:
    """Return the native core's version."""
    return text_of(lib.wb_version())


def read_json(call: Any, *arguments: Any) -> Any:
    """Return what a function that gives JSON text says."""
    out = ffi.new("char const *[1]")
    check(call(*arguments, out))
    return json.loads(text_of(out[0]))
