"""Where the demo runs: the first GPU that an installed array library can reach, else the CPU device with NumPy."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import warpbridge as wb

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from warpbridge.device import Device


@dataclass(frozen=True)
class Place:
    """A device, and the array library that the demo uses there.

    Attributes
    ----------
    device : Device
        Where kernels run.
    library : str
        ``NumPy``, ``CuPy`` or ``PyTorch``.
    to_device, to_host : callable
        Copies of an array in either direction (``to_host`` waits for the current stream).
    """

    device: Device
    library: str
    to_device: Callable[[npt.NDArray[Any]], Any]
    to_host: Callable[[Any], npt.NDArray[Any]]


def choose(name: str | None = None) -> Place:
    """Pick where to run.

    Parameters
    ----------
    name : str, optional
        ``cpu`` or ``cuda:0`` ...; default: the first GPU that CuPy or PyTorch can use, else ``cpu``.

    Returns
    -------
    Place
        Device, library and the two copies.

    Raises
    ------
    DeviceError
        The named device does not exist, or no installed array library reaches it.
    """
    if name is not None:
        device = wb.device(name)
        return _cpu(device) if device.kind == "cpu" else _cuda(device, required=True)
    for device in wb.devices():
        if device.kind == "cuda":
            return _cuda(device, required=False)
    return _cpu(wb.device("cpu"))


def _cpu(device: Device) -> Place:
    return Place(device, "NumPy", lambda array: array, np.asarray)


def _cuda(device: Device, *, required: bool) -> Place:
    if importlib.util.find_spec("cupy"):
        cupy = importlib.import_module("cupy")
        cupy.cuda.Device(device.ordinal).use()
        return Place(device, "CuPy", cupy.asarray, cupy.asnumpy)
    if importlib.util.find_spec("torch"):
        torch = importlib.import_module("torch")
        if torch.cuda.is_available():
            where = f"cuda:{device.ordinal}"
            return Place(device, "PyTorch", lambda a: torch.from_numpy(a).to(where), lambda t: t.cpu().numpy())
    if required:
        raise wb.DeviceError(
            f"{device.kind}:{device.ordinal} ({device.name}) is there, but neither CuPy nor PyTorch is installed to "
            "make arrays on it; install one, or take --device cpu"
        )
    return _cpu(wb.device("cpu"))
