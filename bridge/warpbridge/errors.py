"""The exceptions of warpbridge, one class per kind of failure.

Every text says what was found, then what was expected, then what to do. The same facts are attributes of the exception,
so that a program need not parse the text. This module imports nothing of warpbridge; `_ffi` turns the native core's
status codes into these classes.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, ClassVar

__all__ = [
    "ArgumentError",
    "DeadlockError",
    "DeviceError",
    "KernelFault",
    "LaunchCancelled",
    "LaunchError",
    "LaunchTimeout",
    "LoadError",
    "ManifestError",
    "MemoryFault",
    "RaceError",
    "WarpbridgeError",
]


class WarpbridgeError(Exception):
    """Base of every exception that warpbridge raises.

    Parameters
    ----------
    message
        The whole text.
    **fields
        Facts of this failure. Each becomes an attribute; those that a class documents are ``None`` where unknown.

    Attributes
    ----------
    message : str
        The whole text, as ``str(error)`` gives it.
    fields : dict
        Every fact that is known, by name.
    """

    _known: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, /, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields: dict[str, Any] = fields
        for name in self._known:
            setattr(self, name, fields.get(name))
        for name, value in fields.items():
            if name not in _OWN_NAMES:
                setattr(self, name, value)

    def __reduce__(self) -> tuple[Callable[..., WarpbridgeError], tuple[type[WarpbridgeError], str, dict[str, Any]]]:
        return _rebuild, (type(self), self.message, self.fields)


_OWN_NAMES = frozenset(dir(WarpbridgeError)) | {"message", "fields"}


def _rebuild(kind: type[WarpbridgeError], message: str, fields: dict[str, Any]) -> WarpbridgeError:
    """Make an unpickled exception: keyword arguments do not survive pickle's default."""
    return kind(message, **fields)


_LAUNCH = ("kernel", "device", "arguments", "stream", "device_usable")
"""What is known of a launch at fault."""


def type_of(obj: object) -> str:
    """Return what an object is, for an error text: ``an int``, ``a numpy.ndarray``, ``None``."""
    if obj is None:
        return "None"
    return with_article(type_name(obj))


def type_name(obj: object) -> str:
    """Return the full name of an object's type: ``int``, ``numpy.ndarray``."""
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def with_article(name: str) -> str:
    """Return a type's name with a or an in front of it."""
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


class ArgumentError(WarpbridgeError, TypeError, ValueError):
    """An argument does not fit: missing, of a wrong type, dtype, rank, size, device, alignment or range.

    Attributes
    ----------
    kernel : str or None
        Name of the kernel or entry.
    argument : str or None
        Name of the argument.
    index : int or None
        Its place in the call.
    found, expected : object
        The two sides of the comparison, as text.
    """

    _known: ClassVar[tuple[str, ...]] = ("kernel", "argument", "index", "found", "expected")
    kernel: str | None
    argument: str | None
    index: int | None
    found: Any
    expected: Any


class LoadError(WarpbridgeError):
    """PTX that cannot be loaded: a syntax error, an unknown instruction, or a version the driver does not take.

    Attributes
    ----------
    origin : str or None
        The file, or ``<string>``.
    line, column : int or None
        Where in the PTX, from 1.
    log : str or None
        The driver's compilation log.
    ptx_version, driver_version : object
        What the PTX asks for and what the driver has.
    """

    _known: ClassVar[tuple[str, ...]] = ("origin", "line", "column", "log", "ptx_version", "driver_version")
    origin: str | None
    line: int | None
    column: int | None
    log: str | None
    ptx_version: Any
    driver_version: Any


class ManifestError(WarpbridgeError):
    """A manifest that is wrong in itself, or that contradicts its PTX.

    Attributes
    ----------
    file : str or None
        The manifest.
    key : str or None
        The key to correct.
    """

    _known: ClassVar[tuple[str, ...]] = ("file", "key")
    file: str | None
    key: str | None


class LaunchError(WarpbridgeError):
    """The device refused a launch, or failed during it for a reason that it does not attribute to the kernel.

    Attributes
    ----------
    kernel : str or None
        Name of the kernel or entry.
    device : str or None
        Where it was to run.
    arguments : str or None
        Name, dtype and shape of each argument.
    stream : int or None
        Handle of the stream.
    device_usable : bool or None
        Whether this process can go on using the device.
    """

    _known: ClassVar[tuple[str, ...]] = _LAUNCH
    kernel: str | None
    device: str | None
    arguments: str | None
    stream: int | None
    device_usable: bool | None


class LaunchTimeout(WarpbridgeError, TimeoutError):
    """A launch did not end within its ``timeout``; the kernel was asked to stop.

    Attributes
    ----------
    kernel : str or None
        Name of the kernel or entry.
    timeout_s, age_s : float or None
        The limit, and how long ago the launch was queued, in seconds.
    still_running : bool or None
        True when the kernel did not stop, so that its arrays are kept until it ends.
    device, arguments, stream : str, str, int or None
        Where it runs; name, dtype and shape of each argument; handle of the stream.
    device_usable : bool or None
        Whether this process can go on using the device.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "timeout_s", "age_s", "still_running")
    kernel: str | None
    timeout_s: float | None
    age_s: float | None
    still_running: bool | None
    device: str | None
    arguments: str | None
    stream: int | None
    device_usable: bool | None


class LaunchCancelled(WarpbridgeError, concurrent.futures.CancelledError):
    """A launch ended early because it was cancelled.

    Attributes
    ----------
    kernel : str or None
        Name of the kernel or entry.
    age_s : float or None
        How long ago it was queued, in seconds.
    device, arguments, stream : str, str, int or None
        Where it ran; name, dtype and shape of each argument; handle of the stream.
    device_usable : bool or None
        Whether this process can go on using the device.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "age_s")
    kernel: str | None
    age_s: float | None
    device: str | None
    arguments: str | None
    stream: int | None
    device_usable: bool | None


class KernelFault(WarpbridgeError):
    """The kernel itself went wrong, or reported that its arguments make no sense.

    Attributes
    ----------
    kernel, entry : str or None
        What ran.
    line : int or None
        Line of the PTX.
    instruction : str or None
        The instruction at fault, as written.
    role : str or None
        The role of the warp at fault.
    device, arguments, stream : str, str, int or None
        Where it ran; name, dtype and shape of each argument; handle of the stream.
    device_usable : bool or None
        Whether this process can go on using the device: always on the CPU device, never a GPU whose context is lost.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "entry", "line", "instruction", "role")
    device: str | None
    arguments: str | None
    stream: int | None
    device_usable: bool | None
    kernel: str | None
    entry: str | None
    line: int | None
    instruction: str | None
    role: str | None

    def __init__(self, message: str, /, **fields: Any) -> None:
        super().__init__(message, **fields)
        for name, value in (fields.get("location") or {}).items():
            if getattr(self, name, None) is None and name in self._known:
                setattr(self, name, value)


class DeadlockError(KernelFault):
    """Every warp waits and nothing is under way that could wake one (found by the CPU device).

    Attributes
    ----------
    waits : list or None
        Who waits for what.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "entry", "line", "instruction", "role", "waits")
    waits: Any


class RaceError(KernelFault):
    """Two accesses to one location without an order between them (found by the CPU device with ``checks="all"``).

    Attributes
    ----------
    what : str or None
        What is missing: ``"unordered"`` (an order), ``"copy in flight"`` (a wait for a copy) or ``"proxy fence"``.
    accesses : list or None
        The earlier and the later access: role, warp, lane, line, instruction and kind of each.
    offset : int or None
        Offset in shared memory, in bytes.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "entry", "line", "instruction", "role", "what", "accesses", "offset")
    what: str | None
    accesses: Any
    offset: int | None


class MemoryFault(KernelFault):
    """An access outside every array, misaligned, or a write to a read-only array.

    Attributes
    ----------
    address : int or None
        As the kernel saw it.
    array : str or None
        The nearest array.
    offset : int or None
        Offset of the access in it, in bytes.
    """

    _known: ClassVar[tuple[str, ...]] = (*_LAUNCH, "entry", "line", "instruction", "role", "address", "array", "offset")
    address: int | None
    array: str | None
    offset: int | None


class DeviceError(WarpbridgeError):
    """A device that is not there, or that cannot be used.

    Attributes
    ----------
    device : str or None
        The one asked for.
    available : list of str or None
        Those that there are.
    device_usable : bool or None
        False when this process can use the device no more, because its context is lost.
    """

    _known: ClassVar[tuple[str, ...]] = ("device", "available", "device_usable")
    device: str | None
    device_usable: bool | None
    available: list[str] | None
