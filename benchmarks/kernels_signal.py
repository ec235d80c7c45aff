"""Rows of kernels.py's table: what stands around an FFT, and a field's colours, beside the chains of CuPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy as cp
import numpy as np
import warpbridge as wb
from kernels_table import MIB, Row, null


def frames_case(length: int, hop: int) -> Row:
    x = cp.random.randint(-30_000, 30_000, (256 * MIB // 8 * hop // length, 2), dtype=np.int16)
    window = cp.asarray(np.hanning(length).astype(np.float32))
    frames = (len(x) - length) // hop + 1
    out = cp.full((frames, length), np.nan, dtype=np.complex64)
    bound = wb.kernels.fft_frames.bind(x, window, hop, out=out)

    def chain() -> Any:
        signal = x.astype(np.float32).view(np.complex64)[:, 0]
        return cp.lib.stride_tricks.sliding_window_view(signal, length)[::hop] * window

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-6)

    moved = out.nbytes + x.nbytes
    return Row(f"fft_frames int16, {length} by {hop}", moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def power_case(average: int) -> Row:
    columns = 1024
    x = cp.random.standard_normal((512 * MIB // 8 // columns, columns * 2), dtype=np.float32).view(np.complex64)
    out = cp.full((len(x) // average, columns), np.nan, dtype=np.float32)
    bound = wb.kernels.fft_power.bind(x, average, 1.0, 1, out=out)

    def chain() -> Any:
        power = cp.abs(x) ** 2
        return 10.0 * cp.log10(power.reshape(-1, average, columns).mean(axis=1))

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-4, atol=1e-4)

    moved = out.nbytes + x.nbytes
    return Row(f"fft_power dB, average {average}", moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def product_case() -> Row:
    columns = 4096
    shape = (256 * MIB // 8 // columns, columns * 2)
    a, b = (cp.random.standard_normal(shape, dtype=np.float32).view(np.complex64) for _ in range(2))
    out = cp.full(a.shape, np.nan, dtype=np.complex64)
    bound = wb.kernels.spectral_multiply.bind(a, b, 0.25, 1, out=out)

    def chain() -> Any:
        return a * b.conj() * np.float32(0.25)

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-4, atol=1e-5)

    return Row("spectral_multiply complex64", 3 * a.nbytes, lambda: bound.launch(null()), check, {"CuPy": chain})


def field_case(dtype: type) -> Row:
    h, w = 512 * MIB // np.dtype(dtype).itemsize // 8192, 8192
    x = cp.random.standard_normal((h, w), dtype=np.float32).astype(dtype)
    lut = cp.random.randint(0, 256, (256, 4), dtype=np.uint8)
    out = cp.full((h, w, 4), 99, dtype=np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, lut, -3.0, 3.0, out=out)

    def chain() -> Any:
        place = (x.astype(np.float32) + 3.0) * (256 / 6.0)
        return lut[cp.clip(place, 0, 255).astype(np.int32)]

    def check() -> None:
        differs = (out != chain()).any(axis=-1).mean()
        assert float(differs) < 1e-2, "the chain rounds places at the edges of colours otherwise, not elsewhere"

    moved = out.nbytes + x.nbytes
    name = f"field_to_rgba {np.dtype(dtype).name}"
    return Row(name, moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def own_range_case(side: int) -> Row:
    """Make a row of a square field whose range is not given; the bytes counted are x once and y."""
    x = cp.random.standard_normal((side, side), dtype=np.float32)
    lut = cp.random.randint(0, 256, (256, 4), dtype=np.uint8)
    out = cp.full((side, side, 4), 99, dtype=np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, lut, out=out)

    def chain() -> Any:
        low, high = cp.nanmin(x), cp.nanmax(x)
        return lut[cp.clip((x - low) * (256 / (high - low)), 0, 255).astype(np.int32)]

    def check() -> None:
        differs = (out != chain()).any(axis=-1).mean()
        assert float(differs) < 1e-2, "the chain rounds places at the edges of colours otherwise, not elsewhere"

    name = f"field_to_rgba float32, {side} x {side}, range found"
    return Row(name, out.nbytes + x.nbytes, lambda: bound.launch(null()), check, {"CuPy": chain})


ROWS: list[Callable[[], Row]] = [
    lambda: frames_case(1024, 512),
    lambda: frames_case(4096, 4096),
    lambda: power_case(1),
    lambda: power_case(8),
    product_case,
    lambda: field_case(np.float32),
    lambda: field_case(np.float16),
    lambda: own_range_case(2048),
    lambda: own_range_case(11_584),
]
