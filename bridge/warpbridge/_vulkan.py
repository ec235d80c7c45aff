"""Buffers of Vulkan that kernels share, for adapters of Vulkan libraries: brackets, addresses, order against streams.

The Vulkan layer (adapters/vulkan-layer) is part of the native core's shared library, so that a bracket opened here is
seen by the layer that the Vulkan loader calls. `_layer/` holds its manifest. Between `begin_export` or `begin_import`
and `end`, the next buffer that this thread makes through Vulkan gets memory that kernels see; nothing else is touched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from . import _ffi
from .device import WAIT_SLICE_S

LAYER = "VK_LAYER_WARPBRIDGE_share"
"""The layer's name, for ``VK_INSTANCE_LAYERS``."""

_NOT_YET, _BY_HOST = 0, 1


class Shared(NamedTuple):
    """A buffer that was made in a bracket."""

    handle: _ffi.Handle
    """Keeps its descriptor; the buffer and its memory live without it."""
    device_id: int
    """Number of its Vulkan device in `status`."""
    uuid: str
    """UUID of its GPU, 32 hex digits."""
    name: str
    """Name of its Vulkan device."""
    nbytes: int
    """Size of its memory."""
    kind: str
    """``export`` or ``import``."""


def layer_folder() -> str:
    """Return the folder with the layer's manifest, for ``VK_ADD_LAYER_PATH``."""
    return str(Path(__file__).parent / "_layer")


def status() -> dict[str, Any]:
    """Return whether the layer is live, and what each Vulkan device can do.

    Returns
    -------
    dict
        ``live`` (a Vulkan instance of this process uses the layer), ``instances``, and ``devices``: dicts with ``id``,
        ``name``, ``uuid``, ``import_alignment``, whether it can ``export``, ``import``, ``timeline``,
        ``timeline_export``, and in ``why`` the reason why not.
    """
    return _ffi.vulkan_report()


def host_memory(nbytes: int, pinned: bool = False, device: int = 0) -> tuple[_ffi.Handle, int]:
    """Return the handle and the address of new host memory that a Vulkan buffer can live in.

    Parameters
    ----------
    nbytes
        Size of the buffer; whole pages with room for padding are allocated.
    pinned
        Whether a GPU reaches it: then `device` is that GPU's index.
    device
        Index of a device; 0 is the CPU device.
    """
    return _ffi.vulkan_memory_new(device, nbytes, pinned)


def begin_export(nbytes: int) -> None:
    """Open this thread's bracket: the next Vulkan buffer of `nbytes` gets exportable memory of its own."""
    _ffi.vulkan_begin_export(nbytes)


def begin_import(memory: _ffi.Handle, nbytes: int) -> None:
    """Open this thread's bracket: the next Vulkan buffer of `nbytes` lives in this memory, and keeps it."""
    _ffi.vulkan_begin_import(nbytes, memory)


def end() -> Shared:
    """Close this thread's bracket, whatever happened in it.

    Returns
    -------
    Shared
        The buffer that was made.

    Raises
    ------
    DeviceError
        None was made as asked; the text says why. A buffer that was made meanwhile is an ordinary one.
    """
    handle = _ffi.vulkan_end()
    info = _ffi.vulkan_buffer_info(handle)
    return Shared(handle, info["device_id"], info["uuid"], info["device_name"], info["allocation_bytes"], info["kind"])


def open_memory(shared: Shared, device: int) -> tuple[_ffi.Handle, int]:
    """Return the handle and the address of the buffer's memory on a device; it outlives the buffer.

    Raises
    ------
    DeviceError
        The device is not the GPU that the buffer is on, or refuses.
    """
    return _ffi.vulkan_buffer_memory(shared.handle, device)


def to_kernels(shared: Shared, device: int, stream: int, timeout_s: float = math.inf) -> bool:
    """Order a stream behind everything that was submitted to the buffer's Vulkan device so far.

    Returns
    -------
    bool
        True: a timeline semaphore does it. False: the host has waited.

    Raises
    ------
    TimeoutError
        The host had to wait, and `timeout_s` seconds passed first.
    """
    return _order(_ffi.vulkan_to_stream, shared, device, stream, timeout_s)


def to_vulkan(shared: Shared, device: int, stream: int, timeout_s: float = math.inf) -> bool:
    """Order everything that is submitted to the buffer's Vulkan device later behind the stream; as `to_kernels`."""
    return _order(_ffi.vulkan_from_stream, shared, device, stream, timeout_s)


def _order(
    call: Callable[[_ffi.Handle, int, int, float], int], shared: Shared, device: int, stream: int, timeout_s: float
) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:  # in slices, so that Python looks at signals
        left = max(deadline - time.monotonic(), 0.0)
        how = call(shared.handle, device, stream, min(WAIT_SLICE_S, left))
        if how != _NOT_YET:
            return how != _BY_HOST
        if left == 0.0:
            raise TimeoutError(f"{shared.name}: its work is not done within {timeout_s} s, expected it to be")
