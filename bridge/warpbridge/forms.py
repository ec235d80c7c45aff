"""Kernels of several forms by one name: each call runs the kernel that is made for its arguments.

Only the way of a call to its form is here, the same for every call style; `norms.py`, `ranges.py` and
`long_rows.py` say which form it is. Each form checks its arguments itself, and its texts bear its own name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _ffi
from .bound import Bound
from .kernel import Kernel
from .pending import Pending
from .pickling import Origin

Form = tuple[Kernel | None, tuple[Any, ...], dict[str, Any]]
"""The kernel that runs a call, None for the one that was called, and its arguments."""


class Forms(Kernel):
    """A kernel whose calls may be another's.

    Parameters
    ----------
    module, name, origin
        As `Kernel` takes them.
    kernel
        Returns the bundled kernel of a name.
    """

    def __init__(self, module: _ffi.Handle, name: str, origin: Origin, kernel: Callable[[str], Kernel]) -> None:
        super().__init__(module, name, origin)
        self._kernel = kernel

    def _describe(self, parameters: Sequence[inspect.Parameter], documentation: str) -> None:
        """Show these parameters, and this text behind the kernel's own."""
        self.__signature__ = self._shape.signature = inspect.Signature(parameters)
        self.__doc__ = f"{self.__doc__}{documentation}"

    def _form(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Form:
        """Return which kernel runs a call, and with which arguments."""
        raise NotImplementedError

    def _run(self, *args: Any, **keywords: Any) -> Any:
        form, args, keywords = self._form(args, keywords)
        return super()._run(*args, **keywords) if form is None else form(*args, **keywords)

    def submit(self, *args: Any, **keywords: Any) -> Pending:
        """Run and return at once, as `Kernel.submit`."""
        form, args, keywords = self._form(args, keywords)
        return super().submit(*args, **keywords) if form is None else form.submit(*args, **keywords)

    def launch(self, *args: Any, **keywords: Any) -> Any:
        """Queue on a stream, as `Kernel.launch`."""
        form, args, keywords = self._form(args, keywords)
        return super().launch(*args, **keywords) if form is None else form.launch(*args, **keywords)

    def bind(self, *args: Any, **keywords: Any) -> Bound:
        """Check the arguments once, as `Kernel.bind`."""
        form, args, keywords = self._form(args, keywords)
        return super().bind(*args, **keywords) if form is None else form.bind(*args, **keywords)

    def _missed_launch(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        form, args, keywords = self._form_of(values, positional, names)
        if form is None:
            return super()._missed_launch((*args, *keywords.values()), len(args), tuple(keywords))
        return form.launch(*args, **keywords), None

    def _missed_run(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        form, args, keywords = self._form_of(values, positional, names)
        if form is None:
            return super()._missed_run((*args, *keywords.values()), len(args), tuple(keywords))
        return form(*args, **keywords), None

    def _form_of(self, values: tuple[Any, ...], positional: int, names: Sequence[str] | None) -> Form:
        return self._form(values[:positional], dict(zip(names or (), values[positional:], strict=True)))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(argument.name for argument in self._shape.inputs)
