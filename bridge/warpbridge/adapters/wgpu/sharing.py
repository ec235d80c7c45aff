"""The shared transport: wgpu's buffer and kernels have the same bytes, by memory that the Vulkan layer puts under it.

The layer is enabled in the environment, so before the process makes its first Vulkan instance. A buffer is shared from
its creation on; it carries its memory with it, so that any later view of it finds it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from warpbridge import handover
from warpbridge.errors import DeviceError

from .checks import MAP_READ, MAP_WRITE, described, is_installed, reason, usable, usage_names

_FOLDERS, _LAYERS = "VK_ADD_LAYER_PATH", "VK_INSTANCE_LAYERS"
_ONLY_FOLDERS, _EXCLUDED = "VK_LAYER_PATH", "VK_LOADER_LAYERS_DISABLE"
_NOT_CREATED = "it was not created by warpbridge.adapters.wgpu.share"


def enable() -> None:
    """Allow buffers that are shared without a copy, by a Vulkan layer; to be called before wgpu is used.

    Sets ``VK_ADD_LAYER_PATH`` and ``VK_INSTANCE_LAYERS`` for this process, and adds to ``VK_LAYER_PATH`` where that is
    set, as the Vulkan loader then looks nowhere else. Again is nothing.

    Raises
    ------
    DeviceError
        It comes too late, or cannot be had here; the text says why. The staged transport works all the same.
    """
    core = handover.core()
    if core.layer_is_live():
        return
    if not is_installed():
        raise DeviceError("enable: wgpu is not installed, expected wgpu 0.32 or later; pip install 'warpbridge[wgpu]'")
    if sys.platform != "linux":
        raise DeviceError(
            f"enable: buffers are shared on Linux, found {sys.platform}; views are staged here, by copies"
        )
    if _has_instance():
        raise DeviceError(
            "enable: wgpu has made its instance already, expected this call before it; call enable() before the first "
            "request_adapter. Views are staged, by copies"
        )
    folder, layer = core.layer()
    if os.pathsep in folder:
        raise DeviceError(
            f"enable: warpbridge is installed in {folder!r}, expected a path without {os.pathsep!r}, at which the "
            "Vulkan loader cuts; install it elsewhere. Views are staged, by copies"
        )
    folders = [_FOLDERS, _ONLY_FOLDERS] if _ONLY_FOLDERS in os.environ else [_FOLDERS]
    for variable, value in (*((name, folder) for name in folders), (_LAYERS, layer)):
        before = os.environ.get(variable, "").split(os.pathsep)
        if value not in before:
            os.environ[variable] = os.pathsep.join([value, *filter(None, before)])


def _has_instance() -> bool:
    """Whether wgpu has made its Vulkan instance, which a layer can no longer join."""
    backends = [module for name, module in list(sys.modules.items()) if name.startswith("wgpu.backends.")]
    return any(getattr(module, "_the_instance", None) is not None for module in backends)


def why_not(device: Any) -> str:
    """Return why no buffer of a device can be shared, or empty text."""
    return why_not_by(device.adapter.info["backend_type"]) or (
        "" if handover.core().layer_is_live() else _why_not_live()
    )


def why_not_by(backend: str) -> str:
    """Return why a backend of wgpu shares no buffers, or empty text."""
    return "" if backend == "Vulkan" else f"its device uses {backend}, expected the Vulkan backend"


def _why_not_live() -> str:
    if not _is_asked_for():
        return "warpbridge.adapters.wgpu.enable() was not called before wgpu was first used"
    excluded = os.environ.get(_EXCLUDED)
    hint = f"; {_EXCLUDED} is {excluded!r}, which may exclude it" if excluded else ""
    return f"the Vulkan loader has not taken warpbridge's layer in, expected loader 1.3.234 or later{hint}"


def _is_asked_for() -> bool:
    return handover.core().layer()[1] in os.environ.get(_LAYERS, "").split(os.pathsep)


def create(device: Any, descriptor: dict[str, Any], places: Sequence[handover.Place]) -> tuple[Any, str]:
    """Make a buffer, shared where that can be.

    Parameters
    ----------
    device
        wgpu's.
    descriptor
        Keywords of ``create_buffer``.
    places
        Where kernels may see it, best first.

    Returns
    -------
    tuple
        The buffer, and why it is not shared; empty for one that is.
    """
    core = handover.core()
    why = why_not(device)
    if why:
        return made(device, descriptor), why
    if descriptor["size"] == 0:
        return made(device, descriptor), "it is empty"
    mapped = descriptor["usage"] & (MAP_READ | MAP_WRITE)
    if mapped:  # wgpu would map memory that is not under the buffer
        return made(device, descriptor), f"its usage has {usage_names(mapped)}, expected it without"
    buffer, found = core.share(
        lambda: made(device, descriptor), descriptor["size"], places, on_host=places[0].kind == "cpu"
    )
    if isinstance(found, DeviceError):
        return buffer, str(found)
    clear(buffer)
    buffer._warpbridge_sharing = found
    return buffer, ""


def made(device: Any, descriptor: dict[str, Any]) -> Any:
    """Return a new buffer.

    Raises
    ------
    DeviceError
        wgpu makes none; the text has its reason.
    """
    try:
        return device.create_buffer(**descriptor)
    except Exception as error:
        raise DeviceError(
            f"wgpu cannot make wgpu buffer {descriptor['label']!r} of {descriptor['size']} bytes: "
            f"{reason(str(error))}; expected usage flags that go together, and a live device with room"
        ) from error


def clear(buffer: Any) -> None:
    """Let wgpu write its zeros now: it does so at its own first use of a buffer, over whatever is there."""
    encoder = buffer._device.create_command_encoder(label="warpbridge adopts")
    encoder.clear_buffer(buffer)
    buffer._device.queue.submit([encoder.finish()])
    buffer._device._poll_wait()


def shared_memory(buffer: Any) -> handover.Sharing | None:
    """Return what `create` has shared of a buffer."""
    found: handover.Sharing | None = getattr(buffer, "_warpbridge_sharing", None)
    return found


def sharing_of(buffer: Any, place: handover.Place) -> tuple[handover.Sharing | None, str]:
    """Return a buffer's shared memory, or why it has none there."""
    found = shared_memory(buffer)
    if found is None:
        return None, _NOT_CREATED
    if found.place is not place:
        return None, f"it is shared with {found.place}, not with {place}"
    return found, ""


class Shared:
    """`handover.Transport` of a buffer that `create` has shared."""

    name = "shared"
    copies = False
    is_readable = is_writable = True

    def __init__(self, buffer: Any, offset: int, sharing: handover.Sharing) -> None:
        self.owner = buffer
        self.offset = offset
        self._sharing = sharing

    @property
    def memory(self) -> tuple[Any, int]:
        """Handle and address of the view's first byte."""
        handle, address = self._sharing.memory
        return handle, address + self.offset

    def describe(self) -> str:
        """Return its name."""
        return described(self.owner)

    def allow(self, reads: bool, writes: bool) -> None:
        """Allow both: no copy needs a usage flag."""

    def check(self) -> None:
        """Refuse a buffer that is destroyed."""
        usable(self.owner)

    def fill(self, address: int) -> None:
        """Never asked: there is no copy."""

    def write_back(self, address: int) -> None:
        """Never asked: there is no copy."""

    def to_kernels(self, stream: int) -> None:
        """Put wgpu's work so far before the stream's; what `write_buffer` has kept back is submitted first."""
        self.owner._device.queue.submit([])
        self._sharing.to_kernels(stream)

    def to_owner(self, stream: int) -> None:
        """Put the stream's work so far before what wgpu is given later."""
        self._sharing.to_vulkan(stream)
