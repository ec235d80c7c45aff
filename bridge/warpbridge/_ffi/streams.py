"""Streams: made, waited for, ordered, counted."""

from __future__ import annotations

from .native import check, ffi, lib


def stream_new(device: int) -> int:
    """Make a stream on the device with this index."""
    out = ffi.new("uint64_t *")
    check(lib.wb_stream_new(device, out))
    return int(out[0])


def stream_free(device: int, stream: int) -> None:
    """Release a stream made by `stream_new`."""
    check(lib.wb_stream_free(device, stream))


def stream_wait(device: int, stream: int, limit_s: float) -> bool:
    """Wait without the GIL; True when all work queued on the stream is done."""
    done = ffi.new("int32_t *")
    check(lib.wb_stream_wait(device, stream, limit_s, done))
    return bool(done[0])


def stream_is_capturing(device: int, stream: int) -> bool:
    """Return whether the stream is being captured into a graph."""
    capturing = ffi.new("int32_t *")
    check(lib.wb_stream_is_capturing(device, stream, capturing))
    return bool(capturing[0])


def stream_position(device: int, stream: int) -> tuple[int, int] | None:
    """Return how many jobs were ever queued on the stream, and how many are done; None on a device without a count."""
    numbers, counted = ffi.new("uint64_t[2]"), ffi.new("int32_t *")
    check(lib.wb_stream_position(device, stream, numbers, numbers + 1, counted))
    return (int(numbers[0]), int(numbers[1])) if counted[0] else None


def stream_order(device: int, earlier: int, later: int) -> None:
    """Make the stream `later` wait for the work queued on `earlier` so far."""
    check(lib.wb_stream_order(device, earlier, later))
