"""One daemon thread that learns of ended launches from the native queue and completes their Pendings.

It also keeps what a launch uses alive where no caller waits: stream-ordered launches on the CPU device, and launches
whose blocking call was interrupted. CUDA work never runs a callback inside the driver; see the design's note on
`cuLaunchHostFunc`. The thread starts with the first launch that needs it.

At interpreter exit, launches still under way are asked to stop and waited for briefly; the arrays of those that do not
stop are never freed, because the device may still write to them.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from typing import Any

from . import _ffi
from .errors import WarpbridgeError
from .pending import Pending, report_unraisable

_IDLE_S = 60.0
_HOLDING_S = 0.02
_EXIT_LIMIT_S = 5.0


class Dispatcher:
    """The thread, its queue, and what it keeps alive."""

    def __init__(self) -> None:
        self._queue = _ffi.queue_new()
        self._lock = threading.Lock()
        self._next_token = 1
        self._in_flight: dict[int, Pending] = {}
        self._on_streams: dict[tuple[int, int], list[Any]] = {}
        self._abandoned: list[tuple[_ffi.Handle, Any]] = []
        self._failures: dict[tuple[int, int], WarpbridgeError] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="warpbridge-dispatcher", daemon=True)
        self._thread.start()

    def submit(self, bound: _ffi.Handle, mode: _ffi.Handle, pending: Pending) -> None:
        """Launch, and complete `pending` when the launch has ended."""
        with self._lock:  # the end must not be handled before the launch is on the books
            token = self._next_token
            self._next_token += 1
            self._in_flight[token] = pending
            try:
                pending._attach(_ffi.submit(bound, mode, self._queue, token))
            except WarpbridgeError:  # nothing runs; after any other exception (Ctrl-C) something may
                del self._in_flight[token]
                raise

    def hold_for_stream(self, device: int, stream: int, owners: Any) -> None:
        """Keep `owners` until all that is queued on the stream now is done."""
        with self._lock:
            self._on_streams.setdefault((device, stream), []).append(owners)
        _ffi.queue_wake(self._queue)

    def hold_for_launch(self, launch: _ffi.Handle, owners: Any) -> None:
        """Keep `owners` until a tracked launch that nobody waits for has ended."""
        with self._lock:
            self._abandoned.append((launch, owners))
        _ffi.queue_wake(self._queue)

    def take_failure(self, device: int, stream: int) -> WarpbridgeError | None:
        """Return how a stream-ordered launch failed, once."""
        with self._lock:
            return self._failures.pop((device, stream), None)

    def close(self) -> None:
        """Stop what is under way and end the thread; what does not stop keeps its arrays for ever."""
        with self._lock:
            for pending in self._in_flight.values():
                pending.cancel()
            for launch, _ in self._abandoned:
                _ffi.cancel(launch)
            self._closing = True
        _ffi.queue_wake(self._queue)
        self._thread.join(_EXIT_LIMIT_S)
        with self._lock:
            for kept in (self._in_flight, self._on_streams, self._abandoned):
                if kept:
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    def _run(self) -> None:
        deadline: float | None = None
        while True:
            holding = bool(self._on_streams or self._abandoned or self._closing)
            token = _ffi.queue_next(self._queue, _HOLDING_S if holding else _IDLE_S)
            if token is not None:
                self._complete(token)
            self._release()
            if self._closing:
                deadline = deadline or time.monotonic() + _EXIT_LIMIT_S
                empty = not (self._in_flight or self._on_streams or self._abandoned)
                if empty or time.monotonic() > deadline:
                    return

    def _complete(self, token: int) -> None:
        with self._lock:
            pending = self._in_flight.pop(token, None)
        if pending is None:
            return
        try:
            pending._complete()
        except BaseException as error:
            report_unraisable(error, pending)

    def _release(self) -> None:
        """Let go of what ended launches used."""
        dropped: list[Any] = []  # dies after the lock is released: owners may run any code when they go
        with self._lock:
            for key, owners in list(self._on_streams.items()):
                if self._is_done(key):
                    dropped.append(owners)
                    del self._on_streams[key]
            abandoned, self._abandoned = self._abandoned, []
            for item in abandoned:
                (dropped if _ffi.wait(item[0], 0.0) else self._abandoned).append(item)

    def _is_done(self, stream: tuple[int, int]) -> bool:
        """Look at a stream; a failure comes out of the native core once, so it is kept for `Stream.synchronize`."""
        try:
            return _ffi.stream_wait(*stream, 0.0)
        except WarpbridgeError as error:
            self._failures.setdefault(stream, error)
            return True


_instance: Dispatcher | None = None
_instance_lock = threading.Lock()


def instance() -> Dispatcher:
    """Return the dispatcher, started on first use."""
    global _instance  # noqa: PLW0603 - one per process
    with _instance_lock:
        if _instance is None:
            _instance = Dispatcher()
            atexit.register(_instance.close)
        return _instance


def raise_stream_failure(device: int, stream: int) -> None:
    """Raise what the dispatcher learned about a stream-ordered launch on that stream."""
    failure = None if _instance is None else _instance.take_failure(device, stream)
    if failure is not None:
        raise failure


def _forget_after_fork() -> None:
    """Let a child process start its own: threads do not survive a fork."""
    global _instance, _instance_lock
    _instance, _instance_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
