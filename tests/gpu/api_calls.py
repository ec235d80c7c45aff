"""Records the CUDA API calls of this process, of every library in it, by name: CUPTI's callback interface.

CUPTI comes with CUDA and with PyTorch. One subscriber at a time: not together with a profiler.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVER_API, RUNTIME_API = 1, 2
ENTER = 0
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)


class _Data(ctypes.Structure):
    """The head of `CUpti_CallbackData`."""

    _fields_ = (("site", ctypes.c_int), ("name", ctypes.c_char_p))


def library() -> Path:
    """Return CUPTI: the one that is loaded already, else PyTorch's or the toolkit's."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").split("\n")
    loaded = [Path(line.split()[-1]) for line in maps if "libcupti.so" in line]
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    shipped = [path for folder in folders for path in sorted(folder.glob("*/lib/libcupti.so*"))]
    toolkit = sorted(Path("/usr/local/cuda/extras/CUPTI/lib64").glob("libcupti.so*"))
    found = [*loaded, *shipped, *toolkit]
    assert found, "no libcupti.so, expected PyTorch's or that of a CUDA toolkit"
    return found[0]


@contextmanager
def recorded() -> Iterator[list[str]]:
    """Collect the names of the calls made inside, in order."""
    cupti = ctypes.CDLL(str(library()))
    names: list[str] = []

    def note(_: Any, domain: int, number: int, address: int) -> None:
        data = ctypes.cast(address, ctypes.POINTER(_Data)).contents
        if data.site == ENTER:
            names.append(data.name.decode() if data.name else f"{domain}:{number}")

    callback, subscriber = _CALLBACK(note), ctypes.c_void_p()
    checked(cupti.cuptiSubscribe(ctypes.byref(subscriber), callback, None))
    try:
        for domain in (DRIVER_API, RUNTIME_API):
            checked(cupti.cuptiEnableDomain(ctypes.c_uint32(1), subscriber, ctypes.c_int(domain)))
        yield names
    finally:
        checked(cupti.cuptiUnsubscribe(subscriber))


def checked(code: int) -> None:
    """Raise unless CUPTI's answer is CUPTI_SUCCESS."""
    assert code == 0, f"CUPTI returned {code}"
