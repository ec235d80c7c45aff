"""What a wgpu buffer must be for kernels to use it, and the words where it is not.

WebGPU's usage flags are numbers of the standard, so wgpu itself is not needed to read them. A destroyed buffer must be
found before it is submitted: wgpu-native ends the process for a submission that uses one.
"""

from __future__ import annotations

import importlib.util
import math
import operator
import os
import re
from collections.abc import Sequence
from typing import Any

from warpbridge import handover
from warpbridge.buffer import DType
from warpbridge.errors import ArgumentError, DeviceError, type_name, with_article

MAP_READ, MAP_WRITE, COPY_SRC, COPY_DST = 1, 2, 4, 8
_USAGES = (
    "MAP_READ",
    "MAP_WRITE",
    "COPY_SRC",
    "COPY_DST",
    "INDEX",
    "VERTEX",
    "UNIFORM",
    "STORAGE",
    "INDIRECT",
    "QUERY_RESOLVE",
)
_UNMAPPED = "unmapped"


def described(buffer: Any) -> str:
    """Return a buffer's name for error texts."""
    return f"wgpu buffer {buffer.label!r}"


def usage_names(usage: int) -> str:
    """Return usage flags as wgpu writes them."""
    return " | ".join(name for bit, name in enumerate(_USAGES) if usage >> bit & 1) or "0"


def usage_flags(usage: Any) -> int:
    """Return usage flags as a number.

    Raises
    ------
    ArgumentError
        There is something else in it: for a bit that is no flag wgpu-native would end the process.
    """
    flags = -1
    if isinstance(usage, str):
        names = set(filter(None, re.split(r"[|,\s]+", usage.upper())))
        if names <= set(_USAGES):
            flags = sum(1 << bit for bit, name in enumerate(_USAGES) if name in names)
    elif hasattr(type(usage), "__index__"):
        flags = operator.index(usage)
    if not 0 <= flags < 1 << len(_USAGES):
        raise ArgumentError(
            f"share: usage is {usage!r}, expected flags of wgpu.BufferUsage: {', '.join(_USAGES)}",
            argument="usage",
            found=usage,
        )
    return flags


def of_wgpu(obj: Any, kind: str, argument: str) -> None:
    """Refuse what is no object of wgpu.

    Raises
    ------
    ArgumentError
        `obj` is no `kind`.
    """
    if any(base.__name__ == kind and base.__module__.partition(".")[0] == "wgpu" for base in type(obj).__mro__):
        return
    name = type_name(obj)
    hint = "" if is_installed() else "; wgpu is not installed: pip install 'warpbridge[wgpu]'"
    raise ArgumentError(
        f"{argument} is {with_article(name)}, expected a wgpu.{kind}{hint}", argument=argument, found=name
    )


def is_installed() -> bool:
    """Whether wgpu can be imported."""
    return importlib.util.find_spec("wgpu") is not None


def need_usage(buffer: Any, flag: int, why: str) -> None:
    """Refuse a buffer that was made without a usage flag.

    Raises
    ------
    ArgumentError
        It was; `why` says what the flag is for.
    """
    need_flag(buffer.usage, flag, described(buffer), why)


def need_flag(usage: int, flag: int, what: str, why: str) -> None:
    """Refuse usage flags without this one."""
    if not usage & flag:
        name = usage_names(flag)
        raise ArgumentError(
            f"{what} has usage {usage_names(usage)}, expected {name} too, {why}; "
            f"add wgpu.BufferUsage.{name} where it is made",
            found=usage_names(usage),
            expected=name,
        )


def usable(buffer: Any) -> None:
    """Refuse a buffer that cannot be submitted now.

    wgpu has no question for a destroyed buffer, but every operation on one is refused before all else. One byte is
    never written: wgpu's unit is four.

    Raises
    ------
    ArgumentError
        It is mapped or destroyed.
    DeviceError
        Its device is lost, or another process's.
    """
    same_process(buffer._device, described(buffer))
    if buffer.map_state != _UNMAPPED:
        raise ArgumentError(
            f"{described(buffer)} is {'being ' if buffer.map_state == 'pending' else ''}mapped, expected it unmapped; "
            "call its unmap() first",
            found=buffer.map_state,
        )
    if buffer.size == 0:
        return
    try:
        buffer._device.queue.write_buffer(buffer, 0, b"\0")
    except Exception as error:
        text = str(error)
        if "destroyed" in text:
            raise ArgumentError(
                f"{described(buffer)} has been destroyed, expected a live one; make a new one, and a view of that"
            ) from None
        if "is lost" in text:
            raise lost(buffer, text) from None


def lost(buffer: Any, text: str) -> DeviceError:
    """Say what wgpu said when it failed."""
    return DeviceError(
        f"wgpu cannot copy {described(buffer)}: {reason(text)}; expected a live device with room for a staging buffer"
    )


def reason(text: str) -> str:
    """Return the innermost of the causes that wgpu tells."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


def same_process(device: Any, what: str) -> None:
    """Refuse a device that came here by fork: its threads have stayed in the parent, so that every wait is for ever.

    Raises
    ------
    DeviceError
        It is one.
    """
    here = os.getpid()
    there = vars(device).setdefault("_warpbridge_process", here)
    if there != here:
        raise DeviceError(
            f"{what} belongs to process {there}, expected one of this process, {here}: Vulkan does not work on after a "
            "fork; start the child by spawn, in Python multiprocessing.set_start_method('spawn')"
        )


def extents(shape: int | Sequence[int] | None, dtype: DType, room: int | None, what: str) -> tuple[int, ...]:
    """Return the sizes of an array; without `shape` one dimension that fills `room` bytes.

    Raises
    ------
    ArgumentError
        They are no sizes, or do not fit.
    """
    item = dtype.bits * dtype.lanes // 8
    if shape is None:
        if room is None:
            raise ArgumentError(f"{what}: neither size nor shape is given, expected one of them", argument="shape")
        if room % item:
            raise ArgumentError(
                f"{what}: {room} bytes are no whole number of {dtype.name} of {item}, expected a multiple; give shape=",
                argument="dtype",
                found=room,
            )
        return (room // item,)
    items: list[Any] = list(shape) if isinstance(shape, list | tuple) else [shape]
    sizes = tuple(map(_size, items))
    if not all(0 <= size < 2**63 for size in sizes):
        raise ArgumentError(f"{what}: shape is {shape!r}, expected sizes of 0 or more", argument="shape", found=shape)
    return sizes


def _size(item: Any) -> int:
    try:
        return -1 if isinstance(item, bool) else operator.index(item)
    except TypeError:
        return -1


def nbytes(shape: tuple[int, ...], dtype: DType) -> int:
    """Return the size of an array in bytes."""
    return math.prod(shape) * dtype.bits * dtype.lanes // 8


def choose_places(device: Any, on: Any) -> list[handover.Place]:
    """Return where kernels may see the buffers of a wgpu device, best first: what was asked for, else where it is.

    wgpu tells a GPU's name only. Among equal ones a shared buffer finds its own by UUID; the copying transports work
    from any device to any other, so that a wrong guess costs nothing but distance.
    """
    core = handover.core()
    if on is not None:
        return [core.device(on)]
    places = list(core.devices())
    info = device.adapter.info
    if info["adapter_type"] == "CPU":
        return places[:1]
    gpus = [place for place in places if place.kind == "cuda"]
    same = [place for place in gpus if place.name in info["device"] or info["device"] in place.name]
    return same or gpus[:1] or places[:1]
