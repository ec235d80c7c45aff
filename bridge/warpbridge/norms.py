"""Norms by one name: ``rms_norm(x, weight, residual=r, quantise="int8")`` runs the kernel made for these keywords.

With a residual, and quantised, a norm is another kernel (``rms_norm_residual``, ``rms_norm_quantised``,
``rms_norm_residual_quantised``), because other bytes go in and out. Only the choice is here; `forms.py` has the rest,
and `long_rows.py` what becomes of long rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from . import _ffi
from .errors import ArgumentError
from .forms import Form, Forms
from .kernel import Kernel, dtype_name
from .long_rows import form_of_rows
from .pickling import Origin

SUFFIX = "_residual_quantised"
"""A bundled kernel is such a norm if there is one whose name has this behind its own."""

_CHOICES = ("residual", "quantise", "scale")
_DOCUMENTATION = """

Other Parameters
----------------
residual : array like x, optional
    Added to x first. The sum is a second output, behind the rows: see ``{name}_residual``.
quantise : "int8" or "float8_e4m3fn", or a dtype of that name, optional
    The type that rows are rounded to. The scale of each row is the last output: see ``{name}_quantised``.
scale : array of float32, (1,), optional
    With quantise: the scale of all rows; without it each row has its own.
"""


class Norm(Forms):
    """A norm with the keywords ``residual``, ``quantise`` and ``scale`` in every call style."""

    def __init__(self, module: _ffi.Handle, name: str, origin: Origin, kernel: Callable[[str], Kernel]) -> None:
        super().__init__(module, name, origin, kernel)
        parameters = list(self.__signature__.parameters.values())
        options = next(place for place, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY)
        more = [inspect.Parameter(choice, inspect.Parameter.KEYWORD_ONLY, default=None) for choice in _CHOICES]
        self._describe([*parameters[:options], *more, *parameters[options:]], _DOCUMENTATION.format(name=name))

    def _form(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Form:
        """Return the kernel that the keywords choose, None for this one, and its arguments."""
        chosen = {name: keywords[name] for name in _CHOICES if keywords.get(name) is not None}
        rest = {name: value for name, value in keywords.items() if name not in _CHOICES}
        if not chosen:
            return form_of_rows(self.__name__, self._kernel, self._names, args, rest)
        suffix = "_residual" if "residual" in chosen else ""
        if "quantise" in chosen:
            self._refuse_dtype(rest)
            suffix += "_quantised"
            rest["dtype"] = self._quantised_to(chosen.pop("quantise"))
        elif "scale" in chosen:
            raise ArgumentError(
                f'{self.__name__}: scale= is given without quantise=, expected quantise="int8" or '
                'quantise="float8_e4m3fn" with it',
                kernel=self.__name__,
                argument="scale",
            )
        # By name from here on: the other's arguments stand in another order. Too many, or one twice, is said here.
        self._shape.parse(args, {name: value for name, value in rest.items() if name in self._names}, ())
        by_name = dict(zip(self._names, args, strict=False))
        return self._kernel(self.__name__ + suffix), (), {**by_name, **rest, **chosen}

    def _quantised_to(self, quantise: Any) -> str:
        known = self._kernel(self.__name__ + "_quantised").manifest["dtypes"]["Q"]
        name = dtype_name(quantise)
        if name not in known:
            raise ArgumentError(
                f"{self.__name__}: quantise is {name}, expected {' or '.join(known)}",
                kernel=self.__name__,
                argument="quantise",
                found=name,
                expected=known,
            )
        return name

    def _refuse_dtype(self, keywords: Mapping[str, Any]) -> None:
        if "dtype" in keywords:
            raise ArgumentError(
                f"{self.__name__}: dtype= is given with quantise=, expected quantise= only: it says the output's dtype",
                kernel=self.__name__,
                argument="dtype",
            )
