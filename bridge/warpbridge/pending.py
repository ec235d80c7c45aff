"""A launch under way: a real `concurrent.futures.Future`, with progress and with a `cancel` that reaches the kernel.

It owns what the launch uses (arrays, the bound launch) until the launch has ended. `dispatcher.py` completes it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, NoReturn, Protocol

from . import _ffi
from .errors import LaunchCancelled, LaunchError, WarpbridgeError
from .pickling import refuse


class Server(Protocol):
    """Who completes launches: the dispatcher."""

    def is_here(self) -> bool:
        """Whether this is its thread, where callbacks run."""
        ...

    def serve(self, pending: Pending, timeout: float | None) -> None:
        """Complete launches until this one has ended, or the time is over."""


class Pending(Future[Any]):
    """A tracked launch.

    As with any Future: `result` waits and returns the outputs or raises what went wrong, `exception`, `done`,
    `running`, `add_done_callback`; `concurrent.futures.wait` and `asyncio.wrap_future` take it. Callbacks run on
    warpbridge's dispatcher thread; what they raise goes to `sys.unraisablehook`. A callback may wait for another
    launch, by `result` or `exception`.
    """

    def __init__(self, kernel: str, result: Any, owners: Any, at_end: Callable[..., None] | None = None) -> None:
        self._server: Server | None = None
        self._kernel = kernel
        super().__init__()
        self._at_end = at_end
        self._outputs = result
        self._owners = owners
        self._handle: _ffi.Handle | None = None
        self._abandoned: _ffi.Handle | None = None
        self.set_running_or_notify_cancel()

    def __repr__(self) -> str:
        if not self.done():
            return f"<Pending {self._kernel}: running, {self.progress:.0%}>"
        failure = self._failure()
        return f"<Pending {self._kernel}: {'finished' if failure is None else type(failure).__name__}>"

    def __reduce__(self) -> NoReturn:
        refuse(self, "wait for its result(), and pickle that")

    @property
    def progress(self) -> float:
        """Share done, in [0, 1]; 0 where the kernel reports none, 1 after the end."""
        handle = self._handle
        return 1.0 if self.done() or handle is None else _ffi.progress(handle)

    def result(self, timeout: float | None = None) -> Any:
        """Wait, and return the outputs or raise what went wrong.

        Parameters
        ----------
        timeout
            Seconds until `TimeoutError`; the launch goes on then, as it does when Ctrl-C ends the wait.
        """
        try:
            return super().result(self._until(timeout))
        finally:
            del self  # no cycle with the exception, whose traceback has this frame

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, and return what went wrong, None if nothing did; `timeout` as for `result`."""
        return super().exception(self._until(timeout))

    def _until(self, timeout: float | None) -> float | None:
        """Return how long to wait. In a callback nobody else would complete the launch, so that is done here."""
        server = self._server
        if server is None or self.done() or not server.is_here():
            return timeout
        server.serve(self, timeout)
        return 0.0

    def cancel(self) -> bool:
        """Ask the kernel to stop at its next wait.

        Returns
        -------
        bool
            False when the launch has already ended. After True the Pending ends with `LaunchCancelled`, unless the
            kernel reaches its end first.
        """
        handle = self._handle
        if self.done() or handle is None:
            return False
        _ffi.cancel(handle)
        return True

    def cancelled(self) -> bool:
        """Whether the launch ended early because of `cancel`."""
        return self.done() and isinstance(self._failure(), LaunchCancelled)

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Call ``fn(self)`` when the launch has ended; at once when it already has."""

        def guarded(pending: Future[Any]) -> None:
            try:
                fn(pending)
            except BaseException as error:
                report_unraisable(error, fn)

        super().add_done_callback(guarded)

    def _failure(self) -> BaseException | None:
        return super().exception()

    @property
    def _waiters(self) -> list[Any]:
        """What `concurrent.futures.wait` and `as_completed` register with: a callback would wait for ever there."""
        if self._server is not None and self._server.is_here() and not self.done():
            raise LaunchError(
                f"{self._kernel}: waited for by concurrent.futures in a callback, expected result() or exception() of "
                "each Pending there: callbacks run where launches are completed",
                kernel=self._kernel,
            )
        return self._waiting

    @_waiters.setter
    def _waiters(self, waiting: list[Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._waiting = waiting

    def _attach(self, handle: _ffi.Handle, server: Server) -> None:
        """Take the native launch over; called once, before the dispatcher can see its end."""
        self._server, self._handle = server, handle

    def _abandon(self, parent: int) -> None:
        """End the copy that a fork made of it; nobody else's lock is waited for, and no callback is called."""
        self._condition = threading.Condition()
        self._done_callbacks: list[Any] = []
        self._waiting, self._server = [], None
        self._abandoned = self._handle  # never freed: the native launch is the parent's
        self._handle = None
        if not self.done():
            self.set_exception(
                LaunchError(
                    f"{self._kernel}: launched in process {parent}, but this is process {os.getpid()}, forked from it; "
                    "expected its result to be taken where it was launched; launch again here, or fork before",
                    kernel=self._kernel,
                )
            )

    def _complete(self, ended_well: bool) -> Any:
        """Take the outcome from the native launch; return what the device may still use, None as a rule."""
        failure: WarpbridgeError | None = None
        handle = self._handle  # freed when this returns, behind the callbacks
        if handle is not None and not ended_well:  # None where Ctrl-C fell into `submit`, and nobody has this Pending
            failure = _ffi.outcome(handle)
        result, owners, self._outputs, self._owners, self._handle = self._outputs, self._owners, None, None, None
        at_end, self._at_end = self._at_end, None
        if at_end is not None:  # before anybody learns of the end
            try:
                at_end(failed=failure is not None)
            except Exception as error:
                if failure is None:
                    self.set_exception(error)
                    return None
        if failure is None:
            self.set_result(result)
            return None
        self.set_exception(failure)
        return owners if failure.fields.get("still_running") else None


def report_unraisable(error: BaseException, culprit: Any) -> None:
    """Hand an exception that nobody can catch to `sys.unraisablehook`."""
    message = "Exception ignored in a warpbridge callback"
    sys.unraisablehook(_facts_type()((type(error), error, error.__traceback__, message, culprit)))


@functools.cache
def _facts_type() -> Any:
    """Return the one type that Python's own hook takes; it has a name in no module."""
    found = [kind for kind in tuple.__subclasses__() if kind.__name__ == "UnraisableHookArgs"]
    return found[0] if found else lambda facts: SimpleNamespace(**dict(zip(_FACTS, facts, strict=True)))


_FACTS = ("exc_type", "exc_value", "exc_traceback", "err_msg", "object")
