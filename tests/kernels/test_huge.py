"""Every kernel on a GPU with more than 2^31 numbers: offsets that 32 bits do not hold.

All is zero but the end. The end is compared with the reference, and what is before it with what zeros become.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb

pytestmark = pytest.mark.gpu

NEEDED = 64 << 30
"""Bytes of memory; the spectra take 51."""
MANY = 1 << 31
LAST = 3
"""Rows at the end that are no zeros."""
ROWS, COLUMNS = MANY // 4096 + 5, 4096


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    import cupy

    if wb.device("cuda:0").memory_bytes < NEEDED:
        pytest.skip(f"needs a GPU with {NEEDED >> 30} GiB")
    cupy.get_default_memory_pool().free_all_blocks()
    yield
    cupy.get_default_memory_pool().free_all_blocks()


def ending(shape: tuple[int, ...], end: np.ndarray) -> Any:
    """Return an array on the GPU of zeros, and of these rows at its end."""
    import cupy

    x = cupy.zeros(shape, end.dtype)
    x[-len(end) :] = cupy.asarray(end)
    return x


def normal(*shape: int, dtype: Any = np.float16) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def spectra(*shape: int) -> np.ndarray:
    return (normal(*shape, dtype=np.float32) + 1j * normal(*shape, dtype=np.float32)[::-1]).astype(np.complex64)


def near(found: Any, expected: np.ndarray, digits: float = 2e-3) -> None:
    np.testing.assert_allclose(found.get().astype(np.float64), expected, rtol=digits, atol=digits / 4)


def test_scale_of_more_than_2_to_the_32_numbers() -> None:
    end = normal(2 * LAST)
    y = wb.kernels.scale(ending((2 * MANY + 7,), end), 2.0, 0.5, timeout=20.0)
    near(y[-len(end) :], references.scale(end, 2.0, 0.5))
    assert bool((y[: -len(end)] == 0.5).all())


@pytest.mark.parametrize(("rows", "columns"), [(ROWS, COLUMNS), (MANY // (1 << 18) + 2, 1 << 18)])
@pytest.mark.parametrize("name", ["softmax", "rms_norm", "layer_norm"])
def test_rows(name: str, rows: int, columns: int) -> None:
    end = normal(LAST, columns)
    y = getattr(wb.kernels, name)(ending((rows, columns), end), timeout=20.0)
    near(y[-LAST:], getattr(references, name)(end))
    assert bool((y[:-LAST] == (np.float16(1 / columns) if name == "softmax" else 0)).all())


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm"])
def test_norm_of_a_sum_to_8_bits(name: str) -> None:
    end, other = normal(LAST, COLUMNS), normal(LAST, COLUMNS)[::-1].copy()
    residual = ending((ROWS, COLUMNS), other)
    q, total, scales = getattr(wb.kernels, name)(
        ending((ROWS, COLUMNS), end), residual=residual, quantise="int8", timeout=20.0
    )
    exact = getattr(references, name)(references.rounded_sum(end, other))
    near(total[-LAST:], references.rounded_sum(end, other))
    np.testing.assert_allclose(q[-LAST:].get() * scales[-LAST:].get()[:, None], exact, atol=0.02)
    assert not bool(q[:-LAST].any())


def test_cross_entropy() -> None:
    import cupy

    end, target = normal(LAST, COLUMNS), np.array([0, 77, 4095])
    y = wb.kernels.cross_entropy(ending((ROWS, COLUMNS), end), ending((ROWS,), target), timeout=20.0)
    near(y[-LAST:], references.cross_entropy(end, target))
    cupy.testing.assert_allclose(y[:-LAST], np.log(COLUMNS), rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_gather_rows_from_and_to_places_behind_2_to_the_31(scale: float) -> None:
    end = normal(LAST, COLUMNS)
    idx = np.array([ROWS - 1, ROWS - 3, ROWS - 2])
    y = wb.kernels.gather_rows(ending((ROWS, COLUMNS), end), ending((ROWS,), idx), scale=scale, timeout=20.0)
    near(y[-LAST:], scale * end[[2, 0, 1]])
    assert not bool(y[:-LAST].any())


def test_fft_frames() -> None:
    length = 4096
    end = np.random.default_rng(0).integers(-128, 128, (LAST * length, 2)).astype(np.int8)
    window = np.hanning(length).astype(np.float32)
    y = wb.kernels.fft_frames(ending((ROWS * length, 2), end), _on_gpu(window), length, timeout=20.0)
    found = y[-LAST:].get()
    np.testing.assert_allclose(found, references.fft_frames(end, window, length), rtol=1e-5, atol=1e-4)
    assert not bool(y[:-LAST].any())


def test_fft_power() -> None:
    end = spectra(LAST, COLUMNS)
    y = wb.kernels.fft_power(ending((ROWS, COLUMNS), end), timeout=20.0)
    near(y[-LAST:], references.fft_power(end), 1e-5)
    assert not bool(y[:-LAST].any())


def test_spectral_multiply() -> None:
    end, b = spectra(LAST, COLUMNS), spectra(1, COLUMNS)
    y = wb.kernels.spectral_multiply(ending((ROWS, COLUMNS), end), _on_gpu(b), timeout=20.0)
    np.testing.assert_allclose(y[-LAST:].get(), references.spectral_multiply(end, b), rtol=1e-5, atol=1e-5)
    assert not bool(y[:-LAST].any())


@pytest.mark.parametrize("ends", [(-2.0, 2.0), (None, None)])
def test_field_to_rgba(ends: tuple[float | None, float | None]) -> None:
    end = normal(LAST, COLUMNS)
    lut = np.random.default_rng(0).integers(0, 256, (256, 4)).astype(np.uint8)
    y = wb.kernels.field_to_rgba(ending((ROWS, COLUMNS), end), _on_gpu(lut), *ends, timeout=20.0)
    low, high = (-2.0, 2.0) if ends[0] is not None else references.own_range(end)
    np.testing.assert_array_equal(y[-LAST:].get(), references.field_to_rgba(end, lut, low, high))
    of_zero = references.field_to_rgba(np.zeros((1, 1), np.float16), lut, low, high)
    assert bool((y[:-LAST] == _on_gpu(of_zero)).all())


def test_image_prep() -> None:
    n, size = MANY // (3 * 224 * 224) + 4, 224
    end = np.random.default_rng(0).integers(0, 256, (LAST, 256, 256, 3)).astype(np.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    y = wb.kernels.image_prep(ending((n, 256, 256, 3), end), mean, std, oh=size, ow=size, dtype="float16", timeout=20.0)
    near(y[-LAST:], references.image_prep(end, mean, std, size=(size, size)))
    assert bool((y[:-LAST] == y[:1]).all())


def test_image_resize() -> None:
    n, size = MANY // (3 * 224 * 224) + 4, 224
    end = np.random.default_rng(0).integers(0, 256, (LAST, 256, 256, 3)).astype(np.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    y = wb.kernels.image_resize(
        ending((n, 256, 256, 3), end), mean, std, oh=size, ow=size, dtype="float16", timeout=20.0
    )
    near(y[-LAST:], references.image_resize(end, mean, std, size=(size, size)), 4e-3)
    assert bool((y[:-LAST] == y[:1]).all())


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_dequant_matvec(kind: Any) -> None:
    rows, per_row, last = ROWS + 11, 4096, 16
    k = per_row * (2 if kind is np.uint8 else 1)
    rng = np.random.default_rng(0)
    w = rng.integers(0, 256, (last, per_row)).astype(np.uint8).view(kind)
    scales = (rng.random((last, k // 128)) / 16).astype(np.float16)
    x = normal(2, k)
    on_gpu = (ending((rows, per_row), w), ending((rows, k // 128), scales))
    y = wb.kernels.dequant_matvec(*on_gpu, _on_gpu(x), timeout=20.0)
    exact = references.dequant_matvec(w, scales, x)
    np.testing.assert_allclose(y[:, -last:].get(), exact, rtol=2e-3, atol=2e-3 * float(np.abs(exact).mean()))
    assert not bool(y[:, :-last].any())


def test_stencil3d() -> None:
    n, planes = 1290, 1296
    end = normal(8, n, n, dtype=np.float32)
    weights = normal(3, 3, dtype=np.float32)
    y = wb.kernels.stencil3d(ending((planes, n, n), end), _on_gpu(weights), 1, timeout=20.0)
    near(y[-7:], references.stencil3d(end, weights)[-7:], 1e-6)
    assert not bool(y[: -len(end) - 1].any())


def _on_gpu(array: np.ndarray) -> Any:
    import cupy

    return cupy.asarray(array)
