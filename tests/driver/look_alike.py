"""A library called CuPy for programs on the stand-in driver: host arrays with the attributes of CuPy's that are read.

The real one needs the CUDA runtime, which finds no GPU here; `pytest -m gpu` has it. What is tested with this one is
that calls of such arrays are learned, and what the driver is then asked to launch.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, ptr: int, device_id: int) -> None:
        self.ptr, self.device_id = ptr, device_id


class ndarray:  # noqa: N801 - its name
    """An array that says it is on a GPU."""

    def __init__(self, host: np.ndarray, device_id: int = 0) -> None:
        self._host, self.dtype, self.shape, self.size, self.ndim = host, host.dtype, host.shape, host.size, host.ndim
        self.strides = host.strides
        self.data = MemoryPointer(host.ctypes.data, device_id)
        self.device = types.SimpleNamespace(id=device_id)
        self.flags = types.SimpleNamespace(c_contiguous=host.flags.c_contiguous)
        self._c_contiguous = host.flags.c_contiguous


class Device:
    """The device on which arrays are made inside a ``with`` block."""

    current = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        self.before, Device.current = Device.current, self.number

    def __exit__(self, *_: object) -> None:
        Device.current = self.before


stream = types.SimpleNamespace(ptr=0)
"""The current stream."""


def empty(shape: tuple[int, ...], dtype: str) -> ndarray:
    return ndarray(np.empty(shape, dtype), Device.current)


def install() -> Any:
    """Make it importable; returns it."""
    cupy = types.ModuleType("cupy")
    ndarray.__module__ = "cupy"
    cuda = types.SimpleNamespace(Device=Device, get_current_stream=lambda _device: stream)
    vars(cupy).update(ndarray=ndarray, empty=empty, cuda=cuda, stream=stream)
    sys.modules["cupy"] = cupy
    return cupy
