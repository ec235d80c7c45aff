"""Array libraries, one file each: `claim(obj)` returns a Buffer, or None for an object that is not the library's.

Which file is asked follows from the modules that define the object's type and its bases, so that a library which is not
in use is never imported. Types that no file here names go to the plugins of `plugins.py`, then to the two general
protocols. An adapter imports `buffer` and `errors` only, never another adapter, never `_ffi`.

No adapter imports its library, so all but wgpu's, which has functions of its own, are imported here at once. On first
use would be too late: a thread may be importing one at the moment another thread forks, and the child then waits for
ever for an import that nobody will finish.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from warpbridge import lazy
from warpbridge.buffer import Buffer

from . import cuda_array, cupy, dlpack, numpy, own, plugins, torch

Claim = Callable[[Any], "Buffer | None"]

# Top-level module of an array type -> its adapter. All else is asked for the general protocols, in this order.
_ADAPTERS: dict[str, Claim] = {
    "numpy": numpy.claim,
    "cupy": cupy.claim,
    "torch": torch.claim,
    "warpbridge": own.claim,
}
_PROTOCOLS: tuple[Claim, ...] = (dlpack.claim, cuda_array.claim)
_claims: dict[type, Claim] = {}


def __getattr__(name: str) -> Any:
    """Load the adapter that has functions of its own, on first use: ``warpbridge.adapters.wgpu.share``."""
    if name == "wgpu":
        return _wgpu()
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
        if package == "wgpu":
            found: Claim = _wgpu().claim
            return found
        if package in _ADAPTERS:
            return _ADAPTERS[package]
    plugin = lazy.whole(lambda: plugins.find(packages))
    return _first_of(_PROTOCOLS if plugin is None else (plugin, *_PROTOCOLS))


def _wgpu() -> ModuleType:
    found: ModuleType = lazy.load(".wgpu", __name__)
    return found


def _first_of(claims: tuple[Claim, ...]) -> Claim:
    def claim_by_any(obj: Any) -> Buffer | None:
        for one in claims:
            buffer = one(obj)
            if buffer is not None:
                return buffer
        return None

    return claim_by_any
