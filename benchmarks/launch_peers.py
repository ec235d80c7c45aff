"""The peers of `launch.py`, each in a function of its own that raises where its library is missing.

Each yields (name, whether it blocks, call). All launch the same PTX, or the library's own addition of the same arrays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from launch_ptx import BLOCK, COUNT, ptx

Found = Iterator[tuple[str, bool, Callable[[], Any]]]
GRID = -(-COUNT // BLOCK)


def cupy_raw_kernel(place: Any) -> Found:
    """CuPy RawKernel."""
    a, b, y = place.arrays(3, COUNT)["CuPy"]
    path = _file("adder.ptx", ptx(2))
    kernel = place.library.RawModule(path=path).get_function("adder")
    arguments = (a, b, y, np.uint64(COUNT))
    grid, block = (GRID,), (BLOCK,)
    kernel(grid, block, arguments)
    _check(place, a, b, y)
    stream = place.stream
    yield "CuPy RawKernel", False, lambda: kernel(grid, block, arguments)
    yield "CuPy RawKernel + synchronize", True, lambda: (kernel(grid, block, arguments), stream.synchronize())


def cuda_core(place: Any) -> Found:
    """cuda.core."""
    try:
        core = importlib.import_module("cuda.core")
        core.LaunchConfig  # noqa: B018 - older releases have it elsewhere
    except (ImportError, AttributeError):
        core = importlib.import_module("cuda.core.experimental")
    device = core.Device(0)
    device.set_current()
    stream = core.Stream.from_handle(place.stream.ptr)
    kernel = core.ObjectCode.from_ptx(ptx(2).encode()).get_kernel("adder")
    config = core.LaunchConfig(grid=GRID, block=BLOCK)
    a, b, y = place.arrays(3, COUNT)["CuPy"]
    pointers = [array.data.ptr for array in (a, b, y)]
    length, launch = np.uint64(COUNT), core.launch
    launch(stream, config, kernel, *pointers, length)
    _check(place, a, b, y)
    p, q, r = pointers
    yield "cuda.core, integer pointers", False, lambda: launch(stream, config, kernel, p, q, r, length)
    yield (
        "cuda.core, integer pointers + sync",
        True,
        lambda: (launch(stream, config, kernel, p, q, r, length), stream.sync()),
    )


def torch_add(place: Any) -> Found:
    """PyTorch."""
    torch = importlib.import_module("torch")
    a, b, y = place.arrays(3, COUNT)["torch"]
    stream = torch.cuda.ExternalStream(place.stream.ptr)
    torch.cuda.set_stream(stream)
    add = torch.add
    add(a, b, out=y)
    _check(place, a, b, y)
    yield "torch.add(out=)", False, lambda: add(a, b, out=y)
    yield "torch.add(out=) + synchronize", True, lambda: (add(a, b, out=y), stream.synchronize())


def triton_kernel(place: Any) -> Found:
    """Triton."""
    triton = importlib.import_module("triton")
    kernel = triton.jit(importlib.import_module("launch_triton").adder)
    torch = importlib.import_module("torch")
    a, b, y = place.arrays(3, COUNT)["torch"]
    stream = torch.cuda.ExternalStream(place.stream.ptr)
    torch.cuda.set_stream(stream)
    kernel[(GRID,)](a, b, y, COUNT, BLOCK=BLOCK)
    _check(place, a, b, y)
    yield "Triton", False, lambda: kernel[(GRID,)](a, b, y, COUNT, BLOCK=BLOCK)
    yield "Triton + synchronize", True, lambda: (kernel[(GRID,)](a, b, y, COUNT, BLOCK=BLOCK), stream.synchronize())


def tvm_ffi(place: Any) -> Found:
    """tvm-ffi: its call of a function that does nothing, because a function that launches would need a compiler."""
    ffi = importlib.import_module("tvm_ffi")
    nothing = ffi.get_global_func("testing.nop")
    a, b, y = place.arrays(3, COUNT)["torch"]
    nothing(a, b, y, COUNT)
    yield "tvm-ffi with three torch tensors, launching nothing", False, lambda: nothing(a, b, y, COUNT)


def _file(name: str, text: str) -> str:
    import tempfile
    from pathlib import Path

    path = Path(tempfile.mkdtemp(prefix="warpbridge-launch-")) / name
    path.write_text(text, encoding="ascii")
    return str(path)


def _check(place: Any, a: Any, b: Any, y: Any) -> None:
    place.synchronize()
    np.testing.assert_allclose(place.host(y), place.host(a) + place.host(b), rtol=1e-4, atol=1e-4)


PEERS = (cupy_raw_kernel, cuda_core, torch_add, triton_kernel, tvm_ffi)
