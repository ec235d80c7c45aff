"""Streams of both devices, and every form in which another library hands one over.

A handle is 0 or 1 for the legacy default stream, 2 for the per-thread default, else an address. The CPU device's
streams have handles too, and the same order: launches on one stream follow each other.
"""

from __future__ import annotations

from typing import Any, NoReturn

from . import _ffi, dispatcher
from .device import Device, wait_for_stream
from .errors import ArgumentError, type_name, type_of, with_article
from .pickling import refuse

_LEGACY = (0, 1)
# Where libraries without `__cuda_stream__` keep the handle: old CuPy, old PyTorch, PyCUDA and old Numba.
_ATTRIBUTES = ("ptr", "cuda_stream", "handle")


class Stream:
    """A queue of launches on one device, in order.

    Made by `Device.stream`, or around a handle that another library owns.

    Parameters
    ----------
    device
        Where it belongs.
    handle
        0 or 1: the legacy default stream; 2: the per-thread default; else the address of a stream.
    owner
        Kept alive with the stream.
    """

    def __init__(self, device: Device, handle: int, owner: Any = None) -> None:
        self.device = device
        self.handle = handle
        self._owner = owner

    def __repr__(self) -> str:
        return f"Stream({str(self.device)!r}, {self.handle:#x})"

    def __reduce__(self) -> NoReturn:
        refuse(self, f"make one in the other process: wb.device({str(self.device)!r}).stream()")

    def __cuda_stream__(self) -> tuple[int, int]:
        """Hand the stream to another library (cuda.core's protocol).

        Raises
        ------
        ArgumentError
            It is a stream of the CPU device.
        """
        if self.device.kind != "cuda":
            raise ArgumentError(f"{self!r} is a stream of the CPU device, expected a CUDA stream")
        return (0, self.handle)

    def synchronize(self) -> None:
        """Wait for all work queued so far. Signals such as Ctrl-C end the wait, not the work.

        Raises
        ------
        KernelFault, LaunchError
            A stream-ordered launch on it failed.
        """
        wait_for_stream(self.device.index, self.handle)
        dispatcher.raise_stream_failure(self.device.index, self.handle)

    def wait(self, other: Stream) -> None:
        """Make what is queued here from now on wait for what is queued on `other` so far.

        Raises
        ------
        ArgumentError
            `other` is no `Stream`, or on another device.
        """
        if not isinstance(other, Stream):
            raise ArgumentError(f"{self!r}: wait for {type_of(other)}, expected a wb.Stream on {self.device}")
        if other.device is not self.device:
            raise ArgumentError(f"{other!r} is on {other.device}, expected a stream on {self.device}")
        _ffi.stream_order(self.device.index, other.handle, self.handle)


def handle_of(stream: Any, device_kind: str, device_label: str, described: str) -> int:
    """Return the handle of a stream in any of its forms.

    Parameters
    ----------
    stream
        A `Stream`, an object with ``__cuda_stream__`` (CuPy, PyTorch, Numba, cuda.core, RMM), with ``.ptr`` (old CuPy),
        ``.cuda_stream`` (old PyTorch) or ``.handle`` (PyCUDA, old Numba), a handle of cuda.bindings, or an int handle.
    device_kind, device_label
        Where the launch runs: ``cpu`` or ``cuda``, and its name.
    described
        Opens the error texts: the kernel's name.

    Raises
    ------
    ArgumentError
        It is no stream, or one of another device.
    """
    if isinstance(stream, Stream):
        if str(stream.device) != device_label:
            raise ArgumentError(
                f"{described}: stream is on {stream.device}, expected a stream on {device_label}, where the arrays are",
                kernel=described,
                argument="stream",
                found=str(stream.device),
                expected=device_label,
            )
        return stream.handle
    handle = _foreign_handle(stream, described)
    if device_kind == "cpu" and handle not in _LEGACY:
        raise ArgumentError(
            f"{described}: stream is a CUDA stream, expected a stream on {device_label}, where the arrays are; "
            "make one with wb.device('cpu').stream()",
            kernel=described,
            argument="stream",
            found="cuda",
            expected=device_label,
        )
    return handle


def _foreign_handle(stream: Any, described: str) -> int:
    """Read a handle out of another library's stream."""
    found: int | None
    if hasattr(stream, "__cuda_stream__"):
        found = _by_protocol(stream, described)
    else:
        found = _as_handle(stream)
        for name in _ATTRIBUTES:
            if found is None:
                found = _as_handle(getattr(stream, name, None))
    if found is None or not 0 <= found < 2**64:
        kind = type_name(stream)
        what = f"{found}" if found is not None else with_article(kind)
        raise ArgumentError(
            f"{described}: stream is {what}, expected a wb.Stream, an object with __cuda_stream__, a CuPy or PyTorch "
            "stream, or an int handle",
            kernel=described,
            argument="stream",
            found=kind,
        )
    return found


def _by_protocol(stream: Any, described: str) -> int:
    """Return what `__cuda_stream__` says; a method, in cuda.core before 0.3 a property."""
    said: Any = stream.__cuda_stream__
    if callable(said):
        said = said()
    is_pair = isinstance(said, tuple) and len(said) == 2
    handle = _as_handle(said[1]) if is_pair else None
    if handle is None:
        raise ArgumentError(
            f"{described}: stream's __cuda_stream__ gives {said!r}, expected (0, handle)",
            kernel=described,
            argument="stream",
        )
    if said[0] != 0:
        raise ArgumentError(
            f"{described}: stream has version {said[0]} of __cuda_stream__, expected version 0",
            kernel=described,
            argument="stream",
        )
    return handle


def _as_handle(value: Any) -> int | None:
    """Return a handle as an int: a number, a ctypes pointer, or one of the types of cuda.bindings."""
    if value is None or isinstance(value, bool):
        return None
    if hasattr(type(value), "__index__"):
        return int(value)
    package = type(value).__module__.partition(".")[0]
    if package == "ctypes":  # None is its null pointer
        found: Any = getattr(value, "value", None) or 0
        return found if isinstance(found, int) else None
    return int(value) if package == "cuda" and hasattr(type(value), "__int__") else None
