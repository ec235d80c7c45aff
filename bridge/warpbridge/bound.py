"""What `bind` hands out: a checked launch with the three ways to run it, each at nearly the driver's cost."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn

from . import _ffi, calls, waiting
from .checked import COPY_LATENCY, Checked
from .device import Device
from .pending import Pending
from .pickling import refuse
from .trace import Trace

if TYPE_CHECKING:
    _Called = object
else:
    _Called = functools.partial
    # Without arguments of its own it is the cheapest object that can be called: the interpreter hands calls on to the
    # native function, while a `__call__` written in Python costs a tuple, a dictionary and a frame.


class Bound(_Called):
    """A checked launch: ``b()`` blocks, ``b.submit()`` returns a Pending, ``b.launch(stream)`` queues it.

    The arrays are those it was bound to; their contents may change between calls. Made by ``kernel.bind`` and
    ``entry.bind``.

    ``b(timeout=None, stream=None)`` launches, waits, and returns what the kernel's call does: the output, a tuple of
    several, or None for a kernel without outputs. `timeout` is in seconds, until the kernel is asked to stop; the
    default stream is the current one of the arrays' library. Raises `LaunchTimeout` if the kernel did not end in time,
    `KernelFault` or `LaunchError` if it failed.
    """

    _checked: Checked

    def __new__(cls, checked: Checked) -> Bound:
        """Make one of a checked call."""
        repeat, new = _Repeat(checked), vars(_Called)["__new__"]
        own = {"_checked": checked, "__signature__": _SIGNATURE}
        if calls.is_available():
            made: Bound = new(cls, _ffi.caller(True, repeat))
            own["launch"] = _ffi.caller(False, repeat)
        else:
            made = new(cls, repeat.run)
        vars(made).update(own)
        return made

    if TYPE_CHECKING:

        def __call__(self, *, timeout: float | None = None, stream: Any = None) -> Any:
            """Launch and wait."""

    def __get__(self, instance: object, owner: type | None = None) -> Bound:
        """Return itself: as an attribute of a class it is no method, which a partial is from Python 3.14 on."""
        return self

    def __repr__(self) -> str:
        return f"<Bound {self._checked.name} on {self._checked.device}>"

    def __reduce__(self) -> NoReturn:
        refuse(self, "pickle the kernel and the arguments, and bind them in the other process")

    @property
    def result(self) -> Any:
        """What a call returns: the output, a tuple of several, or None."""
        return self._checked.result

    @property
    def device(self) -> Device:
        """Where it runs."""
        return self._checked.device

    def submit(
        self,
        *,
        on_done: Callable[[Future[Any]], object] | None = None,
        timeout: float | None = None,
        stream: Any = None,
    ) -> Pending:
        """Launch and return at once.

        Parameters
        ----------
        on_done
            Called with the Pending when the launch has ended, on warpbridge's dispatcher thread.
        timeout, stream
            As for a blocking call.
        """
        return self._checked.submit(on_done, timeout, stream)

    def launch(self, stream: Any = None) -> Any:
        """Queue on a stream and return the outputs at once, as array libraries do.

        The outputs hold their values for whatever is queued on the same stream later. Nothing is allocated or waited
        for; on CUDA devices it is legal under graph capture. There is no timeout, and an error comes out of the
        stream's next synchronisation.
        """
        return self._checked.launch(stream)

    def floor_s(self, launches: int, *, blocking: bool = False, stream: Any = None) -> float:
        """Measure what a launch costs without warpbridge, for benchmarks.

        Parameters
        ----------
        launches
            How many to make: in a loop of the driver's launch function, from native code.
        blocking
            Whether to wait for the stream after each.
        stream
            Where to queue them.

        Returns
        -------
        float
            Seconds per launch. On the CPU device, whose launch is our own, that of a launch from native code.
        """
        return self._checked.floor_s(launches, blocking, stream)

    def trace(
        self, *, ctas: Sequence[int] | None = (0,), latency: int = COPY_LATENCY, timeout: float | None = None
    ) -> Trace:
        """Launch on the CPU device, wait, and return a record of what happened.

        Parameters
        ----------
        ctas
            Thread blocks to record, as ``x + y * grid_x + z * grid_x * grid_y``; None for all.
        latency
            Warp instructions that an asynchronous copy is taken to need.
        timeout
            Seconds until the kernel is asked to stop.

        Returns
        -------
        Trace
            A launch that failed is no exception here: its error is `Trace.error`, beside the events up to then.

        Raises
        ------
        ArgumentError
            The arrays are on a GPU, or an argument is negative.
        """
        return self._checked.trace(ctas, latency, timeout)


class _Repeat:
    """Owner of the functions that repeat a Bound's launch; not the Bound, which would then live until a collection."""

    _finish = staticmethod(waiting.finish)

    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    def _missed_launch(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        stream = _launch(*values[:positional], **dict(zip(names or (), values[positional:], strict=True)))
        return self._checked.launch(stream), self._checked.recipe_of_repeat(values, ("stream",) * len(values), True)

    def _missed_run(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        names = names or ()
        timeout, stream = _call(*values[:positional], **dict(zip(names, values[positional:], strict=True)))
        return self._checked.run(timeout, stream), self._checked.recipe_of_repeat(values, names, False)

    def run(self, *args: Any, **options: Any) -> Any:
        """Launch and wait, without learning from it."""
        return self._checked.run(*_call(*args, **options))


def _launch(stream: Any = None) -> Any:
    """Read the arguments of `Bound.launch`."""
    return stream


def _call(*, timeout: float | None = None, stream: Any = None) -> Any:
    """Read the arguments of a call."""
    return timeout, stream


_call.__qualname__ = "Bound.__call__"  # for what the interpreter says of others
_SIGNATURE = inspect.signature(_call)
