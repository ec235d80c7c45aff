"""The hand-overs of one launch: what each array that another API uses too is told before it, and after.

Most launches have none, and an empty `Uses` is false. `checked.py` calls these; `view.py` is who answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .buffer import Buffer, HandOver
from .errors import ArgumentError


class Use(NamedTuple):
    """One array of a launch."""

    hand_over: HandOver
    reads: bool
    writes: bool


class Uses(tuple[Use, ...]):
    """See the module."""

    __slots__ = ()

    @classmethod
    def of(cls, items: Sequence[tuple[Buffer, bool, bool]]) -> Uses:
        """Collect the arrays that have a hand-over; one that is passed twice is one."""
        found: dict[int, Use] = {}
        for buffer, reads, writes in items:
            if buffer.hand_over is not None:
                before = found.get(id(buffer.hand_over))
                reads, writes = (reads, writes) if before is None else (reads | before.reads, writes | before.writes)
                found[id(buffer.hand_over)] = Use(buffer.hand_over, reads, writes)
        return cls(found.values())

    def begin(self, stream: int) -> None:
        """Before the launch; where one refuses, those before it are told that nothing runs."""
        for place, use in enumerate(self):
            try:
                use.hand_over.begin(stream, use.reads, use.writes)
            except BaseException:
                Uses(self[:place]).end(failed=True)
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
                    f"{name}: {use.hand_over!r} is used under graph capture, expected an array that needs no copy; capture "
                    "the kernel with an array on the GPU, and copy before and after the graph",
                    kernel=name,
                )
        return Uses()
