"""Kernels over a range, by one name: ``field_to_rgba(x, lut)`` finds the range, with two numbers more it is told.

Finding it is another kernel (``field_to_rgba_own_range``), because it goes over x twice and needs memory of its own:
who gives the range pays for neither. Only the choice is here; `forms.py` has the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from . import _ffi
from .errors import ArgumentError
from .forms import Form, Forms
from .kernel import Kernel
from .pickling import Origin

SUFFIX = "_own_range"
"""A bundled kernel is such a kernel if there is one whose name has this behind its own."""

_ENDS = ("vmin", "vmax")
_DOCUMENTATION = """

Notes
-----
An end of the range that is left out, or None, is found in the same launch: see ``{name}_own_range``.
"""


class Ranged(Forms):
    """A kernel whose ``vmin`` and ``vmax`` may be left out, in every call style."""

    def __init__(self, module: _ffi.Handle, name: str, origin: Origin, kernel: Callable[[str], Kernel]) -> None:
        super().__init__(module, name, origin, kernel)
        parameters = self.__signature__.parameters.values()
        ends = (p.replace(default=None) if p.name in _ENDS else p for p in parameters)
        self._describe(list(ends), _DOCUMENTATION.format(name=name))

    def _form(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Form:
        given = {**dict(zip(self._names, args, strict=False)), **keywords}
        if all(given.get(end) is not None for end in _ENDS):
            return None, args, dict(keywords)  # whose manifest asks for finite ends
        for end in _ENDS:
            self._refuse_infinity(end, given.get(end))
        return self._kernel(self.__name__ + SUFFIX), args, dict(keywords)

    def _refuse_infinity(self, end: str, value: Any) -> None:
        """Refuse one end that is infinite where the other is found; NaN is allowed there, so no manifest can say it."""
        if isinstance(value, Real) and math.isinf(value):
            place = self._names.index(end) + 1
            raise ArgumentError(
                f"{self.__name__}: argument {place} ({end}) is {float(value)}, expected a finite number; leave it out, "
                "and it is found",
                kernel=self.__name__,
                argument=end,
                index=place,
                found=str(float(value)),
                expected="a finite number",
            )
