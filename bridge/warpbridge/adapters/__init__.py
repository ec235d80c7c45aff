"""Array libraries, one file each: `claim(obj)` returns a Buffer, or None for an object that is not the library's.

Which file is asked follows from the modules that define the object's type and its bases, so that a library which is not
in use is never imported. An adapter imports `buffer` and `errors` only, never another adapter, never `_ffi`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from warpbridge.buffer import Buffer

Claim = Callable[[Any], "Buffer | None"]

# Top-level module of an array type -> adapter. Everything else is asked for __dlpack__.
_ADAPTERS = {"numpy": "numpy", "cupy": "cupy", "torch": "torch"}
_claims: dict[type, Claim] = {}


def claim(obj: Any) -> Buffer | None:
    """Return what a launch needs to know about an array, or None when `obj` is no array.

    Raises
    ------
    ArgumentError
        It is an array, but of a kind that no kernel can take.
    """
    kind = type(obj)
    found = _claims.get(kind)
    if found is None:
        found = _claims[kind] = _adapter_for(kind)
    return found(obj)


def _adapter_for(kind: type) -> Claim:
    """Choose the adapter of a type; bases count, so that subclasses of an array class are arrays too."""
    for base in kind.__mro__:
        name = _ADAPTERS.get(base.__module__.partition(".")[0])
        if name is not None:
            return _load(name)
    return _load("dlpack")


def _load(name: str) -> Claim:
    module = importlib.import_module(f".{name}", __name__)
    found: Claim = module.claim
    return found
