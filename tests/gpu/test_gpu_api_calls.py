"""What is asked of CUDA while our launches stand between cuFFT's and cuBLAS's on one stream: nothing that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import api_calls
import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu

SLOW = ("Synchronize", "Alloc", "Free", "Memcpy", "EventQuery", "StreamQuery", "ModuleLoad")


@pytest.fixture
def cupy() -> Any:
    import cupy

    return cupy


@pytest.fixture
def stream(cupy) -> Iterator[Any]:
    with cupy.cuda.Stream(non_blocking=True) as stream:
        yield stream


def second_time(chain: Callable[[], Any], stream: Any) -> tuple[Any, list[str]]:
    """Return what a chain gives and the CUDA calls that it makes, once plans, workspaces and pools are there."""
    for _ in range(3):
        chain()
    stream.synchronize()
    with api_calls.recorded() as names:
        result = chain()
    stream.synchronize()
    return result, names


def launches(names: list[str]) -> int:
    return sum(name.startswith("cuLaunchKernel") for name in names)


def slow(names: list[str]) -> list[str]:
    return [name for name in names if any(word in name for word in SLOW)]


def test_recorder_sees_what_waits_and_what_allocates(cupy, stream) -> None:
    with api_calls.recorded() as names:
        cupy.cuda.runtime.free(cupy.cuda.runtime.malloc(512))
        stream.synchronize()
    assert {"Alloc", "Free", "Synchronize"} <= {word for word in SLOW for name in names if word in name}, names


def test_fft_our_kernel_and_inverse_fft_on_one_stream(cupy, stream) -> None:
    rng = np.random.default_rng(8)
    x, h = ((rng.standard_normal((64, 1024, 2)) @ [1, 1j]).astype(np.complex64) for _ in range(2))
    a, b = cupy.asarray(x), cupy.fft.fft(cupy.asarray(h))

    def chain() -> Any:
        return cupy.fft.ifft(wb.kernels.spectral_multiply.launch(cupy.fft.fft(a), b, stream=stream))

    y, names = second_time(chain, stream)
    assert slow(names) == []
    assert launches(names) >= 3, names
    np.testing.assert_allclose(y.get(), np.fft.ifft(np.fft.fft(x) * np.fft.fft(h)), rtol=1e-3, atol=1e-3)


def test_product_our_kernel_and_product_on_one_stream(cupy, stream) -> None:
    rng = np.random.default_rng(9)
    p, q, r = (rng.standard_normal((256, 256), dtype=np.float32) for _ in range(3))
    a, b, c = (cupy.asarray(host) for host in (p, q, r))

    def chain() -> Any:
        return wb.kernels.softmax.launch(a @ b, stream=stream) @ c

    y, names = second_time(chain, stream)
    assert slow(names) == []
    assert launches(names) >= 3, names
    exponents = np.exp((p @ q) - (p @ q).max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True) @ r
    np.testing.assert_allclose(y.get(), expected, rtol=1e-3, atol=1e-3)


def test_launch_of_ours_is_one_call_of_the_driver(cupy, stream) -> None:
    x = cupy.zeros(1000, np.float32)
    y = cupy.empty_like(x)
    bound = wb.kernels.scale.bind(x, 2.0, out=y)
    for chain in (lambda: wb.kernels.scale.launch(x, 2.0, out=y, stream=stream), lambda: bound.launch(stream)):
        _, names = second_time(chain, stream)
        assert [name for name in names if name != "cuCtxGetCurrent"] == ["cuLaunchKernel"]
