"""Devices: `devices()` lists them, `device(name)` finds one or says why it is not there.

The CPU device is always the first. A device's index in the list is its number in the C ABI.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from . import _ffi
from .buffer import CPU, CUDA
from .errors import ArgumentError, DeviceError, type_of

if TYPE_CHECKING:
    from .stream import Stream

WAIT_SLICE_S = 0.02
"""Longest wait without looking at signals."""

# Streams whose last reference went, freed by the next `Device.stream`: a finalizer may run at any point, also between a
# failed native call and the reading of its error, so it must not make a native call of its own.
_discarded: list[tuple[int, int]] = []


@dataclass(frozen=True, eq=False, repr=False)
class Device:
    """A place where kernels run.

    Attributes
    ----------
    kind : str
        ``"cpu"`` or ``"cuda"``.
    ordinal : int
        Number among the devices of its kind.
    name : str
        Name of the product.
    arch : str
        Its architecture, e.g. ``sm_90``; of the CPU device the greatest that it executes.
    memory_bytes : int
        Size of its memory.
    sm_count : int
        Multiprocessors; of the CPU device its threads, or what ``WARPBRIDGE_MULTIPROCESSORS`` says.
    max_shared_bytes : int
        Greatest dynamic shared memory of a thread block.
    driver : str
        Version of its driver, empty for the CPU device.
    ptx_version : tuple of int
        Greatest PTX version it takes, as (major, minor).
    uuid : str
        32 hexadecimal digits, empty for the CPU device.
    """

    index: int = field(repr=False)
    kind: str
    ordinal: int
    name: str
    arch: str
    memory_bytes: int
    sm_count: int
    max_shared_bytes: int
    driver: str
    ptx_version: tuple[int, int]
    uuid: str

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"{self.kind}:{self.ordinal}"

    def __repr__(self) -> str:
        return f"Device({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[[str], Device], tuple[str]]:
        return device, (str(self),)  # the same object for the same name; in a process without it, `device` says so

    def __copy__(self) -> Device:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        return self

    @property
    def dl_device(self) -> tuple[int, int]:
        """The device as DLPack numbers it."""
        return (CPU, 0) if self.kind == "cpu" else (CUDA, self.ordinal)

    def stream(self) -> Stream:
        """Make a stream on this device.

        Returns
        -------
        Stream
            Yours until its last reference goes.
        """
        from .stream import Stream

        _free_discarded()
        handle = _ffi.stream_new(self.index)
        stream = Stream(self, handle)
        weakref.finalize(stream, _discarded.append, (self.index, handle))
        with _streams_lock:
            _streams.setdefault(self.index, weakref.WeakSet()).add(stream)
        return stream

    def synchronize(self) -> None:
        """Wait for the device's default stream and every stream that `stream` made.

        Raises
        ------
        KernelFault, LaunchError
            A stream-ordered launch failed since the last wait.
        """
        from .stream import Stream

        with _streams_lock:
            made = tuple(_streams.get(self.index, ()))
        for stream in (Stream(self, 0), *made):
            stream.synchronize()


# By device index: what `Device.synchronize` waits for.
_streams: dict[int, weakref.WeakSet[Stream]] = {}
_streams_lock = threading.RLock()  # re-entrant: a signal handler or a finalizer may make a stream at any point


def _free_discarded() -> None:
    """Free the streams that nobody has any more, but for those with work: their arrays are held by the stream."""
    for _ in range(len(_discarded)):
        try:
            place = _discarded.pop(0)
        except IndexError:  # another thread took the last one
            return
        position = _ffi.stream_position(*place)
        if position is not None and position[0] > position[1]:
            _discarded.append(place)
        else:
            _ffi.stream_free(*place)


def _renew_lock() -> None:
    """Give a child of `fork` a lock that nobody holds."""
    global _streams_lock  # noqa: PLW0603 - one per process
    _streams_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@functools.cache
def devices() -> tuple[Device, ...]:
    """Return every device, the CPU device first.

    Returns
    -------
    tuple of Device
        CUDA devices follow in the driver's order. Looked up once per process.
    """
    return tuple(_read(index, facts) for index, facts in enumerate(_ffi.devices()))


def _read(index: int, facts: Mapping[str, Any]) -> Device:
    known = {item.name: facts[item.name] for item in fields(Device) if item.name != "index"}
    return Device(index, **{**known, "ptx_version": tuple(facts["ptx_version"])})


def device(name: str | Device) -> Device:
    """Return a device by name.

    Parameters
    ----------
    name
        ``"cpu"``, ``"cuda:0"``, ...; ``"cuda"`` is ``"cuda:0"``. A `Device` is returned as it is.

    Raises
    ------
    ArgumentError
        It is no name.
    DeviceError
        There is none of that name; the text says what there is, and why there is no CUDA device.
    """
    if isinstance(name, Device):
        return name
    if not isinstance(name, str):
        raise ArgumentError(
            f"device: name is {type_of(name)}, expected 'cpu', 'cuda:0', ... or a Device", argument="name", found=name
        )
    wanted = {"cuda": "cuda:0", "cpu:0": "cpu"}.get(name, name)
    for found in devices():
        if str(found) == wanted:
            return found
    names = [str(found) for found in devices()]
    raise DeviceError(
        f"device {name!r} is not here, expected one of: {', '.join(names)}{_why_no_cuda(wanted)}",
        device=name,
        available=names,
    )


def _why_no_cuda(wanted: str) -> str:
    if not wanted.startswith("cuda") or any(found.kind == "cuda" for found in devices()):
        return ""
    reason = _ffi.driver().get("cuda", {}).get("reason")
    return f"; there is no CUDA device: {reason}" if reason else "; there is no CUDA device"


def wait_for_stream(index: int, handle: int, timeout_s: float | None = None) -> bool:
    """Wait for a stream in slices, so that signals are seen; False when `timeout_s` passed first."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = WAIT_SLICE_S if deadline is None else min(WAIT_SLICE_S, max(deadline - time.monotonic(), 0.0))
        if _ffi.stream_wait(index, handle, left):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
