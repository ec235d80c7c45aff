"""Waiting for a tracked launch: in slices, so that Python looks at signals, and with an end also where one raises."""

from __future__ import annotations

from typing import Any

from . import _ffi, dispatcher
from .device import WAIT_SLICE_S
from .errors import WarpbridgeError
from .progress import Bar

_STOP_LIMIT_S = 0.06
"""How long an interrupted wait stays to see the kernel end; a handler's exception is to come within 100 ms."""


def wait(launch: _ffi.Handle, place: dispatcher.Place, owners: Any, bar: Bar | None = None) -> None:
    """Wait for a launch and raise what went wrong.

    Parameters
    ----------
    launch
        The tracked launch.
    place
        Device index and stream handle.
    owners
        What the launch uses: kept alive until the kernel ends, also where it outlives this wait.
    bar
        Shows how far the kernel is.

    Raises
    ------
    LaunchTimeout
        It did not end in time, and was asked to stop.
    KernelFault, LaunchError
        It failed.
    """
    try:
        until_ended(launch, bar)
    except BaseException:
        if bar is not None:
            bar.close(finished=False)
        raise
    failure = _ffi.outcome(launch)
    if bar is not None:
        bar.close(finished=failure is None)
    if failure is None:
        return
    if failure.fields.get("still_running"):
        dispatcher.hold_for_stream(place, owners)
    raise failure


def until_ended(launch: _ffi.Handle, bar: Bar | None = None) -> None:
    """Wait for a launch, however it ends."""
    while not _ffi.wait(launch, WAIT_SLICE_S):
        if bar is not None:  # and Python looks at signals between slices
            bar.show(_ffi.progress(launch))


def stop(launch: _ffi.Handle | None, place: dispatcher.Place, owners: Any) -> None:
    """Ask an interrupted launch to stop; if it takes long, leave its arrays to the dispatcher.

    Parameters
    ----------
    launch
        The tracked launch; None where a signal came before anybody knew whether there is one.
    place, owners
        As for `wait`.
    """
    ended = False
    try:
        if launch is not None:
            _ffi.cancel(launch)
            ended = _ffi.wait(launch, _STOP_LIMIT_S)
    finally:
        if not ended:
            dispatcher.hold_for_stream(place, owners)


def finish(address: int, device: int, stream: int, owners: Any) -> None:
    """End a blocking call that the native core began; 0 is a launch that failed to begin.

    Raises
    ------
    WarpbridgeError
        As `wait`.
    """
    if address == 0:
        raise _ffi.last_error()
    launch = _ffi.adopt_pending(address)
    try:
        wait(launch, (device, stream), owners)
    except WarpbridgeError:
        raise
    except BaseException:
        stop(launch, (device, stream), owners)
        raise
