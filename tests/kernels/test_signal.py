"""Kernels around an FFT (fft_frames, fft_power, spectral_multiply) against NumPy in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
# Samples, length of a frame, hop: one frame, many in a tile, frames longer than a stage, odd everything.
SIGNALS = [
    (1, 1, 1),
    (100, 10, 3),
    (1000, 64, 64),
    (3000, 256, 128),
    (20_000, 8192, 1000),
    (9000, 5001, 777),
    (4000, 33, 5),
]
# Frames, columns, average: no average, groups that leave frames over, groups that fill a stage.
SPECTRA = [(1, 1, 1), (3, 5, 1), (8, 33, 2), (7, 1000, 3), (4, 5000, 1), (256, 40, 256), (300, 4100, 100)]
# Rows, columns, rows of b.
PRODUCTS = [(1, 1, 1), (3, 5, 1), (3, 5, 3), (4, 1025, 1), (2, 4000, 2)]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.complex64) -> np.ndarray:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def signal(rng: np.random.Generator, samples: int, dtype: Any) -> np.ndarray:
    if dtype is np.float32:
        return rng.standard_normal(samples).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (samples, 2), endpoint=True).astype(dtype)


def check_frames(rng: np.random.Generator, size: tuple[int, int, int], dtype: Any, to: Any, **options: Any) -> None:
    samples, length, hop = size
    x, window = signal(rng, samples, dtype), (np.hanning(length) + 0.1).astype(np.float32)
    y = back(wb.kernels.fft_frames(to(x), to(window), hop, scale=0.25, **options))
    assert y.dtype == np.complex64
    np.testing.assert_allclose(y, references.fft_frames(x, window, hop, 0.25), rtol=2e-7)


def check_power(rng: np.random.Generator, size: tuple[int, int, int], dtype: Any, to: Any, **options: Any) -> None:
    frames, columns, average = size
    x = numbers(rng, (frames, columns))
    y = back(wb.kernels.fft_power(to(x), average, 2.0, dtype=dtype, **options))
    assert y.dtype == dtype
    tolerance = 2e-6 if dtype is np.float32 else 1e-3
    np.testing.assert_allclose(y, references.fft_power(x, average, 2.0), rtol=tolerance, atol=1e-7)
    decibel = back(wb.kernels.fft_power(to(x), average, 2.0, 1, **options))
    np.testing.assert_allclose(decibel, references.fft_power(x, average, 2.0, 1), rtol=1e-6, atol=1e-5)


def check_product(rng: np.random.Generator, size: tuple[int, int, int], dtype: Any, to: Any, **options: Any) -> None:
    rows, columns, rows_of_b = size
    a, b = numbers(rng, (rows, columns), dtype), numbers(rng, (rows_of_b, columns), dtype)
    for conjugate in (0, 1):
        y = back(wb.kernels.spectral_multiply(to(a), to(b), 0.5, conjugate, **options))
        assert y.dtype == dtype
        off = np.abs(y - references.spectral_multiply(a, b, 0.5, conjugate)).max()
        assert off <= 16 * np.finfo(dtype).eps


def back(y: Any) -> np.ndarray:
    return y if isinstance(y, np.ndarray) else y.get()


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


CASES = [
    *((check_frames, size, dtype) for size in SIGNALS for dtype in (np.int16, np.int8, np.float32)),
    *((check_power, size, dtype) for size in SPECTRA for dtype in (np.float32, np.float16)),
    *((check_product, size, dtype) for size in PRODUCTS for dtype in (np.complex64, np.complex128)),
]
NAMES = [f"{check.__name__[6:]}-{size}-{np.dtype(dtype).name}" for check, size, dtype in CASES]


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("check", "size", "dtype"), CASES, ids=NAMES)
def test_any_size(check: Any, size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    check(np.random.default_rng(size[0]), size, dtype, as_it_is, arch=arch)


@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(arch: str, schedule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check_frames(rng, (3001, 257, 100), np.int16, as_it_is, arch=arch)
        check_frames(rng, (9000, 4500, 1500), np.float32, as_it_is, arch=arch)
        check_power(rng, (9, 2345, 2), np.float32, as_it_is, arch=arch)
        check_product(rng, (3, 2345, 1), np.complex64, as_it_is, arch=arch)


def test_power_of_nothing_is_minus_infinity_decibel() -> None:
    assert (wb.kernels.fft_power(np.zeros((2, 6), np.complex64), decibel=1) == -np.inf).all()


def test_frames_that_do_not_fill_a_group_are_left_out() -> None:
    assert wb.kernels.fft_power(np.zeros((5, 6), np.complex64), average=2).shape == (2, 6)
    assert wb.kernels.fft_power(np.zeros((1, 6), np.complex64), average=2).shape == (0, 6)


def test_convolution_through_fft() -> None:
    rng = np.random.default_rng(4)
    signal, kernel = rng.standard_normal((3, 500)), rng.standard_normal(20)
    size = 512 + 19
    spectra = np.fft.fft(signal, size).astype(np.complex64)
    response = np.fft.fft(kernel, size).astype(np.complex64)[None]
    found = np.fft.ifft(wb.kernels.spectral_multiply(spectra, response)).real[:, :519]
    expected = np.stack([np.convolve(row, kernel) for row in signal])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: wb.kernels.fft_frames(np.zeros(5, np.int16), np.ones(2, np.float32), 1),
            "x has 5 elements, expected an even number of them: in-phase and quadrature in turns",
        ),
        (
            lambda: wb.kernels.fft_frames(np.zeros(5, np.float32), np.ones(6, np.float32), 1),
            "window has 6 weights, expected 1 to 5, as many as x has samples",
        ),
        (
            lambda: wb.kernels.fft_frames(np.zeros((0, 2), np.int16), np.ones(2, np.float32), 1),
            "x has no samples, expected at least one",
        ),
        (
            lambda: wb.kernels.fft_frames(np.zeros(5, np.float32), np.ones(2, np.float32), 0),
            "hop",
        ),
        (
            lambda: wb.kernels.spectral_multiply(np.zeros((4, 5), np.complex64), np.zeros((2, 5), np.complex64)),
            "b has 2 rows, expected 4, as many as a, or 1",
        ),
        (
            lambda: wb.kernels.fft_power(np.zeros((4, 5), np.complex64), 257),
            "average",
        ),
    ],
)
def test_wrong_arguments(call: Any, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        call()
    assert text in str(caught.value)


def test_flags_are_true_and_false_too() -> None:
    a = np.array([[1 + 2j, 3 - 1j]], np.complex64)
    multiply, power = wb.kernels.spectral_multiply, wb.kernels.fft_power
    assert multiply(a, a, conjugate=True).tobytes() == multiply(a, a, conjugate=1).tobytes()
    assert multiply(a, a, conjugate=False).tobytes() == multiply(a, a).tobytes()
    assert power(a, decibel=np.True_).tobytes() == power(a, decibel=1).tobytes()
    with pytest.raises(wb.ArgumentError) as caught:
        power(a, True)
    assert str(caught.value) == "fft_power: argument 2 (average) is the bool true, expected an integer"


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("check", "size", "dtype"), CASES, ids=NAMES)
def test_any_size_on_the_gpu(check: Any, size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(np.random.default_rng(5), size, dtype, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
def test_frames_fft_and_power_on_one_stream() -> None:
    import cupy

    x = signal(np.random.default_rng(6), 1_000_000, np.int16)
    window = np.hanning(1024).astype(np.float32)
    device = cupy.asarray(x)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        frames = wb.kernels.fft_frames.launch(device, cupy.asarray(window), 512, scale=1 / 32768, stream=stream)
        power = wb.kernels.fft_power.launch(cupy.fft.fft(frames), 8, stream=stream)
        found = power.get(stream=stream)
    expected = references.fft_power(np.fft.fft(references.fft_frames(x, window, 512, 1 / 32768)), 8)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
