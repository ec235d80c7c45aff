"""Launches: queued, tracked, traced; their ends, and the queue that ends are fetched from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warpbridge import errors

from .native import KINDS, NULL, Handle, check, ffi, last_error, lib, read_json


def mode(stream: int, timeout_s: float, schedule: int, checks: int, seed: int, threads: int) -> Handle:
    """Return how a launch is to be run."""
    return ffi.new("wb_mode *", (stream, timeout_s, schedule, checks, seed, threads, 0))


def bound_info(bound: Handle) -> dict[str, Any]:
    """Return where a launch runs, and its text for errors."""
    info: dict[str, Any] = read_json(lib.wb_bound_json, bound)
    return info


def launch(bound: Handle, mode: Handle) -> None:
    """Queue a launch and return."""
    check(lib.wb_bound_launch(bound, mode))


def floor(bound: Handle, stream: int, launches: int, blocking: bool) -> float:
    """Return the seconds that launches take at the device's own cost."""
    seconds = ffi.new("double *")
    check(lib.wb_bound_floor(bound, stream, launches, int(blocking), seconds))
    return float(seconds[0])


def trace(bound: Handle, mode: Handle, ctas: Sequence[int], latency: int) -> tuple[Handle, Handle]:
    """Queue a tracked launch on the CPU device with a record of these thread blocks; return it and the record to be."""
    pending, out = ffi.new("wb_pending **"), ffi.new("wb_trace **")
    numbers = ffi.new("uint64_t[]", list(ctas))
    check(lib.wb_bound_trace_submit(bound, mode, numbers, len(ctas), latency, pending, out))
    return ffi.gc(pending[0], lib.wb_pending_free), ffi.gc(out[0], lib.wb_trace_free)


def record(trace: Handle) -> tuple[dict[str, Any], errors.WarpbridgeError | None]:
    """Return the record of a traced launch that has ended, and how it failed."""
    record: dict[str, Any] = read_json(lib.wb_trace_json, trace)
    failure = record["error"]
    if failure is None:
        return record, None
    kind = KINDS.get(failure["kind"], errors.WarpbridgeError)
    return record, kind(failure["message"], **failure["fields"])


def submit(bound: Handle, mode: Handle, queue: Handle | None = None, token: int = 0) -> Handle:
    """Queue a tracked launch; its token goes to `queue` when it has ended."""
    out = ffi.new("wb_pending **")
    check(lib.wb_bound_submit(bound, mode, NULL, NULL, NULL if queue is None else queue, token, out))
    return ffi.gc(out[0], lib.wb_pending_free)


def wait(pending: Handle, limit_s: float) -> bool:
    """Wait without the GIL; True when the launch has ended."""
    done = ffi.new("int32_t *")
    check(lib.wb_pending_wait(pending, limit_s, done))
    return bool(done[0])


def outcome(pending: Handle) -> errors.WarpbridgeError | None:
    """Return how an ended launch failed, None when it did not."""
    return None if lib.wb_pending_result(pending) == 0 else last_error()


def progress(pending: Handle) -> float:
    """Return the share done, in [0, 1]."""
    share = ffi.new("double *")
    check(lib.wb_pending_progress(pending, share))
    return float(share[0])


def cancel(pending: Handle) -> None:
    """Ask a launch to stop."""
    check(lib.wb_pending_cancel(pending))


def queue_new() -> Handle:
    """Make a queue for tokens of ended launches."""
    out = ffi.new("wb_queue **")
    check(lib.wb_queue_new(out))
    return ffi.gc(out[0], lib.wb_queue_free)


_ENDED_WELL = 1


def queue_next(queue: Handle, limit_s: float) -> tuple[int, bool] | None:
    """Wait without the GIL for a token; None when the limit has passed or the queue was woken.

    The token comes with whether its launch ended well; if not, `outcome` says how.
    """
    token, got = ffi.new("uint64_t *"), ffi.new("int32_t *")
    check(lib.wb_queue_next(queue, limit_s, token, got))
    return (int(token[0]), got[0] == _ENDED_WELL) if got[0] else None


def queue_wake(queue: Handle) -> None:
    """Make a waiting `queue_next` return."""
    check(lib.wb_queue_wake(queue))
