"""Array libraries, one file each: `claim(obj)` returns a Buffer, or None for an object that is not the library's.

Which file is asked follows from the modules that define the object's type and its bases, so that a library which is not
in use is never imported. Types that no file here names go to the plugins of `plugins.py`, then to the two general
protocols. An adapter imports `buffer` and `errors` only, never another adapter, never `_ffi`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from warpbridge.buffer import Buffer

Claim = Callable[[Any], "Buffer | None"]

# Top-level module of an array type -> adapter. Everything else is asked for the general protocols, in this order.
_ADAPTERS = {"numpy": "numpy", "cupy": "cupy", "torch": "torch", "warpbridge": "own", "wgpu": "wgpu"}
_PROTOCOLS = ("dlpack", "cuda_array")
_claims: dict[type, Claim] = {}


def __getattr__(name: str) -> Any:
    """Load the adapter that has functions of its own, on first use: ``warpbridge.adapters.wgpu.share``."""
    if name == "wgpu":
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "wgpu"])


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
    packages = [base.__module__.partition(".")[0] for base in kind.__mro__]
    for package in packages:
        name = _ADAPTERS.get(package)
        if name is not None:
            return _load(name)
    protocols = tuple(_load(name) for name in _PROTOCOLS)
    plugin: Claim | None = importlib.import_module(".plugins", __name__).find(packages)
    return _first_of(protocols if plugin is None else (plugin, *protocols))


def _first_of(claims: tuple[Claim, ...]) -> Claim:
    def claim_by_any(obj: Any) -> Buffer | None:
        for one in claims:
            buffer = one(obj)
            if buffer is not None:
                return buffer
        return None

    return claim_by_any


def _load(name: str) -> Claim:
    module = importlib.import_module(f".{name}", __name__)
    found: Claim = module.claim
    return found
