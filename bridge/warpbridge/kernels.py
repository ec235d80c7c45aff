"""The bundled kernels, each loaded on first use: ``wb.kernels.scale``, or ``from warpbridge.kernels import scale``.

``dir(wb.kernels)`` lists them; demonstrations are hidden there but can be named. Their signatures for type checkers are
in `kernels.pyi`.
"""

from __future__ import annotations

from . import _ffi, long_rows, norms, ranges
from .kernel import Kernel
from .pickling import Bundled

_loaded: dict[str, Kernel] = {}


def __getattr__(name: str) -> Kernel:
    """Load a bundled kernel.

    Raises
    ------
    AttributeError
        There is none of that name.
    """
    if name not in _loaded:
        known = {entry["name"] for entry in _ffi.bundled()}
        if name not in known:
            raise AttributeError(f"warpbridge has no kernel {name!r}, expected one of: {', '.join(__dir__())}")
        module, origin = _ffi.bundled_load(name), Bundled(name, _ffi.version())
        forms = {norms.SUFFIX: norms.Norm, ranges.SUFFIX: ranges.Ranged, long_rows.SUFFIX: long_rows.LongRows}
        form = next((made for suffix, made in forms.items() if name + suffix in known), None)
        kernel = Kernel(module, name, origin) if form is None else form(module, name, origin, __getattr__)
        return _loaded.setdefault(name, kernel)  # one object, also when two threads come at once
    return _loaded[name]


def __dir__() -> list[str]:
    return sorted(entry["name"] for entry in _ffi.bundled() if not entry["hidden"])
