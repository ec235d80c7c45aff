"""A signal handler runs between any two lines, also of ours: it may raise, and it may launch.

No test sends a signal at a lucky moment. A trace function stands in for the handler, at every line in turn, so that
each run finds the same.
"""

from __future__ import annotations

import linecache
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.kernel import Kernel
from warpbridge.stream import Stream

DATA = Path(__file__).parent / "data"
PACKAGE = str(Path(wb.__file__).parent)


class Interrupt(Exception):
    """What the handler raises."""


class At:
    """Calls `handler` at the line with this number that runs inside the package."""

    def __init__(self, number: int, handler: Callable[[], None]) -> None:
        self.left, self.handler, self.where = number, handler, ""
        self._before = sys.gettrace()
        self._last: dict[FrameType, int] = {}

    def __enter__(self) -> At:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)
        self._last.clear()  # frames keep what they use

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and not self._sees_none(frame):
            self.left -= 1
            if self.left == 0:
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
                self.handler()
        return self._trace

    def _sees_none(self, frame: FrameType) -> bool:
        """Whether Python sees no signal at this line: at a `try:`, and before `__exit__` is called."""
        before, self._last[frame] = self._last.get(frame, 0), frame.f_lineno
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
        return text.startswith("try:") or (before > frame.f_lineno and text.startswith("with "))


def interrupt() -> None:
    raise Interrupt


@pytest.fixture(scope="module")
def steps() -> Kernel:
    return wb.load(DATA / "steps.ptx").kernels["steps"]


class Busy:
    """A stream whose first launch lasts until `end`."""

    def __init__(self, steps: Kernel) -> None:
        self.stream = wb.device("cpu").stream()
        self._first = steps.submit(np.zeros(1_000_000, np.int32), 100_000, stream=self.stream)

    def end(self) -> None:
        self._first.cancel()
        self.stream.synchronize()


@pytest.fixture
def busy(steps: Kernel) -> Iterator[Busy]:
    made = Busy(steps)
    yield made
    made.end()


STYLES: dict[str, Callable[[Kernel, np.ndarray, Stream], object]] = {
    "launch": lambda k, y, s: k.launch(y, 3, stream=s),
    "submit": lambda k, y, s: k.submit(y, 3, stream=s),
    "call": lambda k, y, s: k(y, 3, stream=s),
    "bound launch": lambda k, y, s: k.bind(y, 3).launch(s),
    "bound submit": lambda k, y, s: k.bind(y, 3).submit(stream=s),
    "bound call": lambda k, y, s: k.bind(y, 3)(stream=s),
}


@pytest.mark.parametrize("learned", [False, True], ids=["checked", "learned"])
@pytest.mark.parametrize("style", STYLES)
def test_handler_that_raises_at_any_line_is_heard_and_frees_no_array_in_use(
    steps: Kernel, busy: Busy, style: str, learned: bool
) -> None:
    if learned:
        STYLES[style](steps, np.zeros(8, np.int32), wb.device("cpu").stream())
    let_go: list[tuple[str, np.ndarray]] = []
    number = waits = 0
    while waits < 3:  # a blocking call gets no further: its stream is busy
        number += 1
        kernel = steps if learned else wb.load(DATA / "steps.ptx").kernels["steps"]
        memory = np.full(8, -1, np.int32)
        y = memory[:]
        gone = weakref.ref(y)
        handler = At(number, interrupt)
        try:
            with handler:
                STYLES[style](kernel, y, busy.stream)
        except Interrupt as error:
            error.__traceback__ = None
        else:
            assert not handler.where, f"the exception at {handler.where} was lost"
            break
        del y
        if gone() is None:
            let_go.append((handler.where, memory))
        waits += handler.where.startswith("until_ended:")
    assert let_go
    busy.end()
    assert steps.submit(np.zeros(4, np.int32)).result(60) is None  # no lock was left behind
    assert [where for where, memory in let_go if (memory != -1).any()] == []


LAUNCHING = f"""
import sys, pickle, numpy as np, warpbridge as wb
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_signals import At, DATA, STYLES
steps = wb.load(DATA / "steps.ptx").kernels["steps"]
stream = wb.device("cpu").stream()

def everything_that_locks():
    steps.submit(np.zeros(4, np.int32), 3, stream=stream)
    steps.launch(np.zeros(4, np.int32), 3, stream=stream)
    wb.device("cpu").stream()
    pickle.loads(pickle.dumps(steps))

everything_that_locks()
number, fired = 0, True
while fired:
    number += 1
    with At(number, everything_that_locks) as handler:
        everything_that_locks()
    fired = bool(handler.where)
stream.synchronize()
print(number > 100)
"""


def test_handler_that_launches_at_any_line_does_not_deadlock(run_python) -> None:
    process = run_python(LAUNCHING)
    assert (process.stdout, process.stderr) == ("True\n", "")
