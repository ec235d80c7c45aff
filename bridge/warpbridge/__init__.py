"""warpbridge: call warp-specialised async GPU kernels from code that has never heard of async.

A kernel is called like a function, on arrays of NumPy, CuPy, PyTorch or anything with ``__dlpack__``; it runs where its
arrays are. Start with `warpbridge.kernels`, `load` and `devices`; the call styles are on `Kernel`.
"""

from __future__ import annotations

from . import handover_core as _handover_core  # noqa: F401 - connects the adapters
from . import kernels
from ._ffi import version as _version
from .array import Array, empty
from .bound import Bound
from .buffer import TensorMap
from .device import Device, device, devices
from .entry import Entry
from .errors import (
    ArgumentError,
    DeadlockError,
    DeviceError,
    KernelFault,
    LaunchCancelled,
    LaunchError,
    LaunchTimeout,
    LoadError,
    ManifestError,
    MemoryFault,
    RaceError,
    WarpbridgeError,
)
from .kernel import Kernel
from .module import Module, load
from .pending import Pending
from .settings import cpu
from .stream import Stream
from .tensor_map import tensor_map
from .trace import Trace
from .view import View

__version__ = _version()

__all__ = [
    "ArgumentError",
    "Array",
    "Bound",
    "DeadlockError",
    "Device",
    "DeviceError",
    "Entry",
    "Kernel",
    "KernelFault",
    "LaunchCancelled",
    "LaunchError",
    "LaunchTimeout",
    "LoadError",
    "ManifestError",
    "MemoryFault",
    "Module",
    "Pending",
    "RaceError",
    "Stream",
    "TensorMap",
    "Trace",
    "View",
    "WarpbridgeError",
    "cpu",
    "device",
    "devices",
    "empty",
    "kernels",
    "load",
    "tensor_map",
]


def __dir__() -> list[str]:
    """List what is for users: completion shows no internal modules."""
    return sorted([*__all__, "__version__", "adapters", "buffer", "errors"])
