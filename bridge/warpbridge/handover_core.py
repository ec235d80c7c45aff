"""What adapters of other APIs' memory may ask of the core: `handover.Core`, connected when the package is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import _ffi, _vulkan, handover
from .buffer import DType, dtype_of
from .device import Device, devices
from .device import device as find_device
from .errors import DeviceError
from .kernel import dtype_name
from .view import View


class _Sharing:
    """A Vulkan buffer's memory on a device (`handover.Sharing`)."""

    def __init__(self, shared: _vulkan.Shared, place: Device) -> None:
        self._shared = shared
        self.place = place
        self.memory = _vulkan.open_memory(shared, place.index)

    def to_kernels(self, stream: int) -> None:
        _vulkan.to_kernels(self._shared, self.place.index, stream)

    def to_vulkan(self, stream: int) -> None:
        _vulkan.to_vulkan(self._shared, self.place.index, stream)


class _Core:
    """See the module."""

    def devices(self) -> Sequence[Device]:
        return devices()

    def device(self, name: Any) -> Device:
        return name if isinstance(name, Device) else find_device(name)

    def dtype(self, dtype: Any, described: str) -> DType:
        return dtype_of(dtype_name(dtype), described)

    def view(
        self, transport: handover.Transport, shape: tuple[int, ...], dtype: DType, place: Any, memory: Any
    ) -> View:
        return View(transport, shape, dtype, place, memory)

    def copy(self, place: Any, to: int, source: int, nbytes: int) -> None:
        _ffi.memory_copy(place.index, to, source, nbytes, 0)

    def pinned(self, place: Any, nbytes: int) -> tuple[Any, int]:
        return _ffi.memory_new(place.index, nbytes, True)

    def layer(self) -> tuple[str, str]:
        return _vulkan.layer_folder(), _vulkan.LAYER

    def layer_is_live(self) -> bool:
        return bool(_vulkan.status()["live"])

    def share(
        self, create: Callable[[], Any], nbytes: int, places: Sequence[Any], on_host: bool
    ) -> tuple[Any, _Sharing | DeviceError]:
        place = places[0]
        memory = _vulkan.host_memory(nbytes, place.kind == "cuda", place.index)[0] if on_host else None
        shared: _vulkan.Shared | DeviceError
        try:  # Ctrl-C may come at any place: no bracket is left open
            if memory is None:
                _vulkan.begin_export(nbytes)
            else:
                _vulkan.begin_import(memory, nbytes)
            made = create()
        finally:
            try:
                shared = _vulkan.end()
            except DeviceError as error:
                shared = error
        if isinstance(shared, DeviceError):
            return made, shared
        if not on_host:
            place = next((same for same in places if same.uuid == shared.uuid), place)
        try:
            return made, _Sharing(shared, place)
        except DeviceError as error:
            return made, error


handover.connect(_Core())
