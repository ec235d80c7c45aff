"""What `bind` hands out: a checked launch with the three ways to run it, each at nearly the driver's cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from . import calls, waiting
from .checked import COPY_LATENCY, Checked
from .device import Device
from .pending import Pending
from .pickling import refuse
from .trace import Trace


class Bound:
    """A checked launch: ``b()`` blocks, ``b.submit()`` returns a Pending, ``b.launch(stream)`` queues it.

    The arrays are those it was bound to; their contents may change between calls. Made by ``kernel.bind`` and
    ``entry.bind``.
    """

    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        if calls.is_available():
            calls.install(self, _Repeat(checked))  # the same two ways, without Python code in between

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

    def __call__(self, *, timeout: float | None = None, stream: Any = None) -> Any:
        """Launch and wait.

        Parameters
        ----------
        timeout
            Seconds until the kernel is asked to stop.
        stream
            Where to queue it; default: the current stream of the arrays' library.

        Returns
        -------
        Any
            The output, a tuple of several, or None for a kernel without outputs.

        Raises
        ------
        LaunchTimeout
            The kernel did not end in time.
        KernelFault, LaunchError
            It failed.
        """
        return self._run(timeout, stream)

    def _run(self, timeout: float | None, stream: Any) -> Any:
        return self._checked.run(timeout, stream)

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
        timeout, stream = values
        return self._checked.run(timeout, stream), self._checked.recipe_of_repeat(values, ("timeout", "stream"), False)


def _launch(stream: Any = None) -> Any:
    """Read the arguments of `Bound.launch`."""
    return stream
