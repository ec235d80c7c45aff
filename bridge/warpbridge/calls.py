"""What a checked call tells the native core, so that the next call like it needs no Python code.

`install` makes the functions that look for a learned call (`ffi/src/python`); their owner has the long way. A
recipe names what each argument of a call was to the checks: an array, a number, a stream, a timeout, a constant, or a
tuple or list of these. No recipe means that a call cannot be repeated fast, e.g. because an argument's value can change
without its identity changing.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import _ffi, dispatcher, settings
from .buffer import CPU, CUDA, Buffer
from .stream import Stream

Recipe = tuple[Any, ...]
"""As `ffi/src/python/learned.rs` reads it."""

_CONSTANT = (0,)
_TIMEOUT = (1,)
_STREAM, _ARRAY, _NUMBER, _ITEMS = 2, 3, 4, 5
_LIBRARIES = {"numpy": 1, "cupy": 2, "torch": 3}
_TYPES = {"numpy": ("numpy", "ndarray"), "cupy": ("cupy", "ndarray"), "torch": ("torch", "Tensor")}
_GREATEST_HANDLE = 2**64 - 1
_NUMPY_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {
    f"float{bits}" for bits in (16, 32, 64)
}
"""Whose ``__index__`` or ``__float__`` is what ``item()`` is."""


def is_available() -> bool:
    """Whether calls can be learned; ``WARPBRIDGE_LEARN=0`` turns it off."""
    return os.environ.get("WARPBRIDGE_LEARN", "1") != "0" and _ffi.can_learn()


def install(target: object, owner: object) -> None:
    """Give an object functions ``launch`` and ``_run`` that repeat checked launches.

    Parameters
    ----------
    target
        Gets the functions.
    owner
        What they belong to, with the methods ``_missed_launch``, ``_missed_run`` and ``_finish``.
    """
    vars(target)["launch"] = _ffi.caller(False, owner)
    vars(target)["_run"] = _ffi.caller(True, owner)


def array_slot(buffer: Buffer, place: int) -> Recipe | None:
    """Return an array's part of a recipe; None for arrays that are not read fast.

    Parameters
    ----------
    buffer
        The claim that was checked.
    place
        Number among the arrays of the call, in manifest order.
    """
    kind = type(buffer.owner)
    name = buffer.library.name
    if _TYPES.get(name) != (kind.__module__, kind.__qualname__) or buffer.strides is not None:
        return None
    if buffer.device_type not in (CPU, CUDA) or buffer.dtype.lanes != 1 or buffer.order is not None:
        return None
    code, bits, _ = buffer.dtype
    return (_ARRAY, place, _LIBRARIES[name], tuple(buffer.shape), code, bits, buffer.device_type, buffer.device_id)


def made_slot(buffer: Buffer, place: int) -> Recipe | None:
    """Return the part of an output that the call made: how to read one, this one, and how to make another."""
    slot = array_slot(buffer, place)
    make = functools.partial(buffer.library.empty, buffer.shape, buffer.dtype, buffer.device_type, buffer.device_id)
    return None if slot is None else (slot, buffer.owner, make)


def stream_slot(stream: Any, is_cpu: bool) -> Recipe | None:
    """Return a stream's part of a recipe: where its handle is read, and on which device it must be."""
    if stream is None:
        return _CONSTANT
    if type(stream) is Stream:
        return (_STREAM, "handle", stream.device, _GREATEST_HANDLE)
    greatest = 1 if is_cpu else _GREATEST_HANDLE
    if type(stream) is int:
        return (_STREAM, None, None, greatest)
    library = type(stream).__module__.partition(".")[0]
    if library == "cupy" and hasattr(stream, "ptr"):
        return (_STREAM, "ptr", None, greatest)
    if library == "torch" and hasattr(stream, "cuda_stream"):
        return (_STREAM, "cuda_stream", None, greatest)
    return (_STREAM, "__cuda_stream__", None, greatest) if hasattr(stream, "__cuda_stream__") else None


def constant_slot(value: Any) -> Recipe | None:
    """Return the part of an argument that must be the same again; None where that cannot be seen."""
    if value is None or type(value) in (bool, int, float, str, bytes) or isinstance(value, type):
        return _CONSTANT
    if type(value) in (tuple, list):
        return items_slot(map(_constant_item, value))
    return _CONSTANT if _is_dtype(value) else None


def _constant_item(value: Any) -> Recipe | None:
    return _CONSTANT if type(value) in (bool, int, float) else None


def number_slot(value: Any, name: str) -> Recipe | None:
    """Return the part of a scalar argument, which may be another number next time if nothing else depends on it."""
    if type(value) in (int, float) or _is_numpy_number(value):
        return (_NUMBER, name)
    return constant_slot(value)


def items_slot(slots: Iterable[Recipe | None]) -> Recipe | None:
    """Return the part of a tuple or list."""
    found = tuple(slots)
    return None if None in found else (_ITEMS, found)


def _is_numpy_number(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ in _NUMPY_NUMBERS


def _is_dtype(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("numpy", "torch") and type(value).__name__.endswith(
        ("dtype", "DType")
    )


def slots(
    values: Sequence[Any],
    names: Sequence[str],
    argument: Callable[[str, Any], Recipe | None],
    is_cpu: bool,
) -> tuple[Recipe, ...] | None:
    """Return the slots of a call's arguments.

    Parameters
    ----------
    values
        All arguments, in the order of the call.
    names
        What each is called: an argument of the kernel or an option.
    argument
        Returns the slot of what is neither a stream, nor a timeout, nor a progress bar.
    is_cpu
        Whether the launch runs on the CPU device.
    """
    found: list[Recipe] = []
    for value, name in zip(values, names, strict=True):
        if name == "timeout":
            slot: Recipe | None = _TIMEOUT
        elif name == "progress":
            slot = None if value else _CONSTANT
        elif name == "stream":
            slot = stream_slot(value, is_cpu)
        else:
            slot = argument(name, value)
        if slot is None:
            return None
        found.append(slot)
    return tuple(found)


def current_stream(buffers: Sequence[Buffer]) -> Callable[[], int] | None:
    """Return what asks the arrays' library for its current stream; None on the CPU device, which has one only."""
    if not buffers or buffers[0].device_type == CPU:
        return None
    first = buffers[0]
    return functools.partial(first.library.current_stream, first.device_type, first.device_id)


def on_cpu() -> tuple[Callable[[], tuple[int, int, int, int]], Callable[[int, Any], None]]:
    """Return what the CPU device asks for at each launch: how it runs, and who keeps the arrays."""
    return _settings, _hold


def _settings() -> tuple[int, int, int, int]:
    now = settings.current()
    return now.schedule, now.checks, now.seed, now.threads


def _hold(stream: int, owners: Any) -> None:
    dispatcher.hold_for_stream((0, stream), owners)
