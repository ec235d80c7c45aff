"""Every form of stream that a call takes, on a GPU: the launch goes there, and two launches on it follow each other."""

from __future__ import annotations

import importlib
import importlib.util
import threading
import warnings
from collections.abc import Callable
from typing import Any

import late
import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu
COUNT = 10_000


def cuda_core() -> Any:
    """Return the module; it left `experimental` in 2025."""
    found = importlib.util.find_spec("cuda.core") and importlib.import_module("cuda.core")
    return found if hasattr(found, "Device") else importlib.import_module("cuda.core.experimental")


def of_core() -> Any:
    device = cuda_core().Device(0)
    device.set_current()
    return device.create_stream()


def of_numba(maker: str) -> Any:
    if importlib.util.find_spec("numba") is None:
        pytest.skip("numba is not installed here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numba's, about the newest NumPy
        return getattr(importlib.import_module("numba.cuda"), maker)()


_kept: list[Any] = []


def kept(stream: Any) -> Any:
    """Keep the owner of a bare handle: nobody else does."""
    _kept.append(stream)
    return stream


def cupy() -> Any:
    return importlib.import_module("cupy")


def torch() -> Any:
    return importlib.import_module("torch")


FORMS: dict[str, Callable[[], Any]] = {
    "cupy": lambda: cupy().cuda.Stream(non_blocking=True),
    "cupy blocking": lambda: cupy().cuda.Stream(null=False),
    "cupy null": lambda: cupy().cuda.Stream.null,
    "cupy per thread": lambda: cupy().cuda.Stream.ptds,
    "torch": lambda: torch().cuda.Stream(0),
    "torch default": lambda: torch().cuda.default_stream(0),
    "cuda.core": of_core,
    "cuda.core handle": lambda: kept(of_core()).handle,
    "numba": lambda: of_numba("stream"),
    "numba default": lambda: of_numba("default_stream"),
    "numba per thread": lambda: of_numba("per_thread_default_stream"),
    "warpbridge": lambda: wb.device("cuda:0").stream(),
    "handle": lambda: kept(wb.device("cuda:0").stream()).handle,
    "0": lambda: 0,
    "1": lambda: 1,
    "2": lambda: 2,
}


@pytest.mark.parametrize("style", ["launch", "submit", "call"])
@pytest.mark.parametrize("form", FORMS)
def test_launches_on_a_stream_of_any_form(form: str, style: str) -> None:
    stream = FORMS[form]()
    x = cupy().arange(COUNT, dtype="f4")
    y, z = cupy().zeros_like(x), cupy().zeros_like(x)
    cupy().cuda.Device().synchronize()
    scale = wb.kernels.scale
    run = {"launch": scale.launch, "submit": scale.submit, "call": scale}[style]
    run(x, 2.0, out=y, stream=stream)
    run(y, 1.0, 1.0, out=z, stream=stream)
    cupy().cuda.Device().synchronize()
    np.testing.assert_array_equal(cupy().asnumpy(z), 2 * np.arange(COUNT, dtype=np.float32) + 1)


@pytest.mark.parametrize("form", ["cupy", "torch", "cuda.core", "numba", "warpbridge"])
def test_stream_object_may_go_while_its_launch_runs(form: str) -> None:
    stream = FORMS[form]()
    x, y = cupy().ones(COUNT, "f4"), cupy().zeros(COUNT, "f4")
    cupy().cuda.Device().synchronize()
    pending = wb.kernels.scale.submit(x, 2.0, out=y, stream=stream)
    del stream
    pending.result(timeout=10)
    assert (y == 2).all()


def test_current_streams_of_two_libraries_are_ordered_without_the_host() -> None:
    stream = cupy().cuda.Stream(non_blocking=True)
    x = cupy().zeros(COUNT, "f4")
    with torch().cuda.stream(torch().cuda.Stream()):
        y = torch().zeros(COUNT, device="cuda:0")
        wb.kernels.scale(x, 2.0, out=y)
        cupy().cuda.Device().synchronize()
        late.fill(x, 3.0, stream)
        with stream:
            wb.kernels.scale.launch(x, 2.0, out=y)
        assert not stream.done, "the host has waited"
        doubled = (y * 2).cpu()  # torch's stream waits for the launch
    assert (doubled == 12).all()


def test_sixteen_threads_order_streams_at_once() -> None:
    x = [cupy().full(COUNT, index, "f4") for index in range(16)]
    y = [torch().zeros(COUNT, device="cuda:0") for _ in range(16)]
    torch().cuda.synchronize()
    wrong: list[int] = []

    def work(index: int) -> None:
        with cupy().cuda.Stream(non_blocking=True), torch().cuda.stream(torch().cuda.Stream()):
            for _ in range(50):
                x[index] += 1
                wb.kernels.scale.launch(x[index], 2.0, out=y[index])
            if not (y[index] == 2 * (index + 50)).all():
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
