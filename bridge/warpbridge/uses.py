"""The hand-overs of one launch: what each array that another API uses too is told before it, and after.

Most launches have none, and an empty `Uses` is false. `checked.py` calls these; `view.py` is who answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .buffer import HandOver
from .errors import ArgumentError


class Use(NamedTuple):
    """One array of a launch."""

    hand_over: HandOver
    reads: bool
    writes: bool
    described: str = ""
    """Opens error texts: kernel, place and name."""
    fields: Mapping[str, Any] = MappingProxyType({})


class Uses(tuple[Use, ...]):
    """See the module."""

    __slots__ = ()

    @classmethod
    def of(cls, items: Iterable[Use]) -> Uses:
        """Collect the arrays of a launch; one that is passed twice is one."""
        found: dict[int, Use] = {}
        for use in items:
            before = found.setdefault(id(use.hand_over), use)
            if before is not use:
                found[id(use.hand_over)] = before._replace(
                    reads=before.reads or use.reads, writes=before.writes or use.writes
                )
        return cls(found.values())

    def begin(self, stream: int) -> None:
        """Before the launch; where one refuses, those before it are told that nothing runs."""
        for place, use in enumerate(self):
            try:
                use.hand_over.begin(stream, use.reads, use.writes)
            except BaseException as error:
                Uses(self[:place]).end(failed=True)
                if isinstance(error, ArgumentError) and use.described:
                    fields = {**error.fields, **use.fields}
                    raise ArgumentError(f"{use.described}: {error}", **fields) from error.__cause__
                raise

    def queued(self, stream: int) -> None:
        """After a launch whose end nobody will tell."""
        for use in self:
            use.hand_over.queued(stream, use.writes)

    def end(self, *, failed: bool) -> None:
        """After the end of the launch; each is told, also where one of them fails."""
        failure: BaseException | None = None
        for use in self:
            try:
                use.hand_over.end(use.writes, failed)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    @property
    def need_end(self) -> bool:
        """Whether a stream-ordered launch is to be followed to its end."""
        return any(use.hand_over.needs_end for use in self)

    def captured(self, name: str) -> Uses:
        """Return what is left to do for a launch under graph capture: nothing.

        Raises
        ------
        ArgumentError
            One of them works on a copy, which no graph can fetch.
        """
        for use in self:
            if use.hand_over.copies:
                raise ArgumentError(
                    f"{name}: {use.hand_over!r} is used under graph capture, expected an array that needs no copy; "
                    "capture the kernel with an array on the GPU, and copy before and after the graph",
                    kernel=name,
                )
        return Uses()
