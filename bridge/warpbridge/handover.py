"""Memory that another API uses too (wgpu's buffers): what its adapter gives, and what it may ask of the core.

Neutral ground, like `buffer.py`: adapters must not reach the native core, and the core knows no array library. An
adapter implements `Transport`; `view.py` makes an array of it, and implements `Core`. The reasons are in ADR 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .buffer import DType
from .errors import ArgumentError, DeviceError


class Transport(Protocol):
    """How bytes get from the other API's memory to the kernels' and back."""

    @property
    def name(self) -> str:
        """``shared``, ``pinned`` or ``staged``."""
        ...

    @property
    def copies(self) -> bool:
        """Whether kernels work on a copy: then `fill` and `write_back` are called, else `to_kernels` and `to_owner`."""
        ...

    @property
    def is_readable(self) -> bool:
        """Whether kernels may read the bytes."""
        ...

    @property
    def is_writable(self) -> bool:
        """Whether kernels may write the bytes."""
        ...

    @property
    def owner(self) -> Any:
        """The other API's object, alive as long as this."""
        ...

    @property
    def offset(self) -> int:
        """First byte in the owner."""
        ...

    def describe(self) -> str:
        """Return the owner's name for error texts."""
        ...

    def allow(self, reads: bool, writes: bool) -> None:
        """Raise ArgumentError where the owner was not made for this."""

    def check(self) -> None:
        """Raise ArgumentError where the owner cannot be used now."""

    def fill(self, address: int) -> None:
        """Copy the owner's bytes to this address, behind all that the other API was given to do."""

    def write_back(self, address: int) -> None:
        """Copy the bytes at this address into the owner, before all that the other API is given later."""

    def to_kernels(self, stream: int) -> None:
        """Put the other API's work so far before what is queued on the stream later."""

    def to_owner(self, stream: int) -> None:
        """Put what is queued on the stream so far before the other API's later work."""


class Place(Protocol):
    """A device of ours, as an adapter sees it; `device.Device` is one."""

    @property
    def index(self) -> int:
        """Its number in the C ABI."""
        ...

    @property
    def kind(self) -> str:
        """``cpu`` or ``cuda``."""
        ...

    @property
    def name(self) -> str:
        """Name of the product."""
        ...

    @property
    def uuid(self) -> str:
        """32 hexadecimal digits, empty for the CPU device."""
        ...


class Sharing(Protocol):
    """Memory that a Vulkan buffer and kernels have in common."""

    @property
    def place(self) -> Place:
        """Where kernels see it."""
        ...

    @property
    def memory(self) -> tuple[Any, int]:
        """Handle and address there."""
        ...

    def to_kernels(self, stream: int) -> None:
        """Put what was submitted to Vulkan so far before what is queued on the stream later."""

    def to_vulkan(self, stream: int) -> None:
        """Put what is queued on the stream so far before what is submitted to Vulkan later."""


class Core(Protocol):
    """What an adapter may ask for."""

    def devices(self) -> Sequence[Place]:
        """Return every device, the CPU device first."""
        ...

    def device(self, name: str | Place) -> Place:
        """Return a device by name."""
        ...

    def dtype(self, dtype: Any, described: str) -> DType:
        """Return the element type that a name, or a dtype of some library, means."""
        ...

    def view(self, transport: Transport, shape: tuple[int, ...], dtype: DType, place: Place, memory: Any) -> Any:
        """Return the array that kernels take; `memory` is (handle, address), None for memory of its own."""
        ...

    def copy(self, place: Place, to: int, source: int, nbytes: int) -> None:
        """Copy bytes between a device and the host, and wait."""

    def pinned(self, place: Place, nbytes: int) -> tuple[Any, int]:
        """Return handle and address of host memory that a GPU copies fast."""
        ...

    def layer(self) -> tuple[str, str]:
        """Return the folder and the name of the Vulkan layer."""
        ...

    def layer_is_live(self) -> bool:
        """Whether a Vulkan instance of this process has the layer."""
        ...

    def share(
        self, create: Callable[[], Any], nbytes: int, places: Sequence[Place], on_host: bool
    ) -> tuple[Any, Sharing | DeviceError]:
        """Call `create`, which makes one Vulkan buffer of at least `nbytes`, and share its memory.

        Parameters
        ----------
        create
            Makes the buffer.
        nbytes
            Its size.
        places
            Where kernels may see it: the one that the memory is on, else the first.
        on_host
            Whether the memory is to be the host's, which the first place reaches (CUDA: pinned), else the GPU's.

        Returns
        -------
        tuple
            What `create` returned, and its memory, or why it has an ordinary one.
        """
        ...


_core: Core | None = None


def connect(core: Core) -> None:
    """Take the core; called once, by `view.py`."""
    global _core  # noqa: PLW0603 - one front door
    _core = core


def core() -> Core:
    """Return what the front door has connected."""
    if _core is None:
        raise ArgumentError("import warpbridge first: without it no memory can be handed over")
    return _core
