"""One daemon thread that learns of ended launches from the native queue and completes their Pendings.

It also keeps what a launch uses alive where no caller waits: stream-ordered launches on the CPU device, and launches
that did not stop when asked. No callback runs inside the CUDA driver (the design's note on `cuLaunchHostFunc`).
The thread starts with the first launch that needs it.

At interpreter exit, launches still under way are asked to stop and waited for briefly; the arrays of those that do not
stop are never freed, because the device may still write to them. What exit handlers launch later ends as usual.

Signal handlers and finalizers run between any two instructions, also of this file, and may launch: so the locks are
re-entrant, and no function here relies on what it has read before it called anything.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import sys
import threading
import time
from typing import Any

from . import _ffi
from .errors import LaunchError, WarpbridgeError
from .pending import Pending, report_unraisable

_IDLE_S = 60.0
_HOLDING_S = 0.02
_EXIT_LIMIT_S = 5.0

Place = tuple[int, int]
"""Device index and stream handle."""


class Dispatcher:
    """The thread, its queue, and what it keeps alive."""

    def __init__(self) -> None:
        self._queue = _ffi.queue_new()
        self._lock = threading.RLock()
        self._tokens = itertools.count(1)
        self._in_flight: dict[int, tuple[Pending, Place]] = {}
        self._on_streams: dict[Place, list[tuple[int, Any]]] = {}
        self._failures: dict[Place, WarpbridgeError] = {}
        self._closing = False
        self._drained = threading.Event()
        self._left_behind = False  # by a fork: this is the child's copy
        self._thread = threading.Thread(target=self._run, name="warpbridge-dispatcher", daemon=True)
        self._thread.start()

    def submit(self, bound: _ffi.Handle, mode: _ffi.Handle, pending: Pending, place: Place) -> None:
        """Launch, and complete `pending` when the launch has ended."""
        token = next(self._tokens)
        with self._lock:  # the end must not be handled before the launch is on the books
            self._in_flight[token] = pending, place
            try:
                pending._attach(_ffi.submit(bound, mode, self._queue, token), self)
            except BaseException as error:
                if pending._handle is None:  # after any other exception (Ctrl-C) something may run
                    if not isinstance(error, WarpbridgeError):
                        hold_for_stream(place, pending)
                    del self._in_flight[token]
                raise

    def hold_for_stream(self, place: Place, owners: Any) -> None:
        """Keep `owners` until all that is queued on the stream now is done."""
        position = _ffi.stream_position(*place)
        with self._lock:
            is_first = not self._on_streams
            self._on_streams.setdefault(place, []).append((position[0] if position else 0, owners))
        if is_first:  # else the thread is already looking at streams every few milliseconds
            _ffi.queue_wake(self._queue)

    def is_here(self) -> bool:
        """Whether this is the thread that completes launches."""
        return threading.current_thread() is self._thread

    def serve(self, pending: Pending, timeout: float | None) -> None:
        """Complete launches until this one has ended, or the time is over; in a callback that waits for it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not pending.done():
            left = _IDLE_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return
            self._turn(min(left, _IDLE_S))

    def keep_failure(self, place: Place, error: WarpbridgeError) -> None:
        """Keep how a stream-ordered launch failed for the stream's next synchronisation."""
        with self._lock:
            self._failures.setdefault(place, error)

    def take_failure(self, place: Place) -> WarpbridgeError | None:
        """Return how a stream-ordered launch failed, once."""
        with self._lock:
            return self._failures.pop(place, None)

    def close(self) -> None:
        """Stop what is under way; what does not stop keeps its arrays for ever, and so does what comes later."""
        try:
            with self._lock:
                for pending, _ in list(self._in_flight.values()):
                    pending.cancel()
                self._closing = True
            _ffi.queue_wake(self._queue)
            self._drained.wait(_EXIT_LIMIT_S)
        finally:
            _keep_for_ever(self)

    def _run(self) -> None:
        while not self._left_behind:
            self._turn(_IDLE_S)
            if self._closing and not (self._in_flight or self._on_streams):
                self._drained.set()
        _end_process()

    def _turn(self, limit_s: float) -> None:
        """Wait for something to do, and do it."""
        holding = bool(self._on_streams)
        ended = _ffi.queue_next(self._queue, min(limit_s, _HOLDING_S) if holding else limit_s)
        if ended is not None:
            self._complete(*ended)
        if holding and not self._left_behind:
            self._release()

    def _complete(self, token: int, ended_well: bool) -> None:
        """Complete the Pending. No call of the core comes before its callbacks: each would wait for the GIL again."""
        with self._lock:
            pending, place = self._in_flight.pop(token, (None, (0, 0)))
        if pending is None:  # Ctrl-C fell into `submit`, and nobody has it
            return
        try:
            owners = pending._complete(ended_well)
        except BaseException as error:  # the thread must live on for the other launches
            report_unraisable(error, pending)
        else:
            if owners is not None:
                self.hold_for_stream(place, owners)

    def _release(self) -> None:
        """Let go of what ended launches used."""
        dropped: list[Any] = []  # dies after the lock is released: owners may run any code when they go
        with self._lock:
            for place in list(self._on_streams):
                held = self._on_streams.pop(place)
                left = self._still_used(place, held)
                if left:  # beside what a finalizer has added meanwhile
                    self._on_streams.setdefault(place, []).extend(left)
                dropped.append(held)

    def _still_used(self, place: Place, held: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Return what launches that have not ended use; a stream that counts tells them apart."""
        try:
            position = _ffi.stream_position(*place)
        except WarpbridgeError:  # the stream was freed, which it is only without work
            return []
        if position is None:
            return [] if self._is_done(place) else held
        return [item for item in held if item[0] > position[1]]

    def _is_done(self, place: Place) -> bool:
        """Look at a stream; a failure comes out of the native core once, so it is kept for `Stream.synchronize`."""
        try:
            return _ffi.stream_wait(*place, 0.0)
        except WarpbridgeError as error:
            self._failures.setdefault(place, error)
            return True


_instance: Dispatcher | None = None
_instance_lock = threading.RLock()
_exiting = False
_kept: list[Any] = []  # referenced once more than anybody can take back, so that it outlives this module
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))


def instance() -> Dispatcher:
    """Return the dispatcher, started on first use.

    Raises
    ------
    LaunchError
        No thread can be started.
    """
    global _instance  # noqa: PLW0603 - one per process
    with _instance_lock:
        if _instance is None:
            try:
                made = Dispatcher()
            except RuntimeError as error:
                raise LaunchError(
                    f"no thread can be started that follows launches to their end: {error}; expected room for one, "
                    "before the interpreter exits; a blocking call needs none"
                ) from error
            if _exiting:
                _keep_for_ever(made)
            _instance = _instance or made  # a signal handler may have been faster
        return _instance


def hold_for_stream(place: Place, owners: Any) -> None:
    """Keep `owners` until all that is queued on the stream now is done; for ever, where that fails."""
    try:
        instance().hold_for_stream(place, owners)
    except BaseException:  # Ctrl-C, or no thread: what the device may write to must not be freed
        _keep_for_ever(owners)
        raise


def _keep_for_ever(owners: Any) -> None:
    _kept.append(owners)


def is_current_thread() -> bool:
    """Whether this is the thread that completes launches, which must not wait for one in silence."""
    return _instance is not None and _instance.is_here()


def raise_stream_failure(device: int, stream: int) -> None:
    """Raise what the dispatcher learned about a stream-ordered launch on that stream."""
    failure = None if _instance is None else _instance.take_failure((device, stream))
    if failure is not None:
        raise failure


def _close() -> None:
    """See to the launches of this process's dispatcher, where there is one."""
    global _exiting  # noqa: PLW0603 - once per process
    _exiting = True
    if _instance is not None:
        _instance.close()


def _start_afresh(parent: int) -> None:
    """Give a child of `fork` no dispatcher, and its copies of the parent's launches an end.

    Threads do not survive a fork, and what they held stays locked: nothing of the old one may be touched, not even to
    free it.
    """
    global _instance, _instance_lock
    old, _instance, _instance_lock = _instance, None, threading.RLock()
    if old is not None:
        old._left_behind = True
        _parents.append(old)
        for pending, _ in old._in_flight.values():
            pending._abandon(parent)


def _end_process() -> None:
    """End a child that was forked in a callback, which has returned: its one thread is the copy of the dispatcher's."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, closed, or gone
            stream.flush()
    os._exit(0)


_parents: list[Dispatcher] = []
_pid = os.getpid()


def _after_fork() -> None:
    global _pid
    parent, _pid = _pid, os.getpid()
    _start_afresh(parent)


atexit.register(_close)
os.register_at_fork(after_in_child=_after_fork)
