"""Rows of kernels.py's tables: what stands around an FFT, and a field's colours, beside CuPy's and PyTorch's chains.

torch.compile makes no code for complex numbers, so its peers take and return pairs of float32, which are as many bytes.
What a peer computes is compared with CuPy's chain, on the GPU: `cupy.testing` would bring it to the host, for seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cupy as cp
import kernels_tuned
import numpy as np
import torch
import warpbridge as wb
from kernels_table import MIB, Row, Runner, compiled, null, torch_peers


def frames_case(length: int, hop: int) -> Row:
    x = cp.random.randint(-30_000, 30_000, (256 * MIB // 8 * hop // length, 2), dtype=np.int16)
    window = cp.asarray(np.hanning(length).astype(np.float32))
    frames = (len(x) - length) // hop + 1
    out = cp.full((frames, length), np.nan, dtype=np.complex64)
    bound = wb.kernels.fft_frames.bind(x, window, hop, out=out)

    def chain() -> Any:
        signal = x.astype(np.float32).view(np.complex64)[:, 0]
        return cp.lib.stride_tricks.sliding_window_view(signal, length)[::hop] * window

    def frames_of(x: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        return x.float().unfold(0, length, hop).movedim(1, 2) * window[:, None]

    def agrees(found: Any) -> None:
        near(found, chain(), 1e-6)

    pairs, fused = (torch.from_dlpack(x), torch.from_dlpack(window)), compiled(frames_of)
    row = chain_row(out.nbytes + x.nbytes, bound, lambda: agrees(out), chain)
    row.peers |= torch_peers(lambda: frames_of(*pairs), lambda: fused(*pairs), agrees)
    return row


def chain_row(moved_bytes: int, bound: Any, check: Runner, chain: Runner) -> Row:
    """Return a row with what issue 5 asks of it: 0.85 of the floor, and a third of the chain's time."""
    return Row(moved_bytes, lambda: bound.launch(null()), check, {"CuPy": chain}, 0.85, {"CuPy": 3})


def near(found: Any, expected: Any, digits: float, least: float = 0.0) -> None:
    """Compare numbers, or pairs of float32 (..., 2) with complex ones."""
    found = cp.asarray(found)
    if found.dtype != expected.dtype:
        found = found.view(expected.dtype)[..., 0]
    assert found.shape == expected.shape
    right = cp.abs(found - expected) <= least + digits * cp.abs(expected)
    right |= found == expected  # the power of an exact zero is minus infinity decibels
    assert bool(right.all()), "wrong, or poison left in the output"


def power_case(average: int) -> Row:
    columns = 1024
    x = cp.random.standard_normal((512 * MIB // 8 // columns, columns * 2), dtype=np.float32).view(np.complex64)
    out = cp.full((len(x) // average, columns), np.nan, dtype=np.float32)
    bound = wb.kernels.fft_power.bind(x, average, 1.0, 1, out=out)

    def chain() -> Any:
        power = cp.abs(x) ** 2
        return 10.0 * cp.log10(power.reshape(-1, average, columns).mean(axis=1))

    def decibels(power: torch.Tensor) -> torch.Tensor:
        return 10.0 * power.view(-1, average, columns).mean(1).log10()

    def agrees(found: Any) -> None:
        near(found, chain(), 1e-4, 1e-4)

    spectra = torch.from_dlpack(x)
    pairs, fused = torch.view_as_real(spectra), compiled(lambda pairs: decibels(pairs.square().sum(-1)))
    row = chain_row(out.nbytes + x.nbytes, bound, lambda: agrees(out), chain)
    row.peers |= torch_peers(lambda: decibels(spectra.abs().square()), lambda: fused(pairs), agrees)
    return row


def product_case() -> Row:
    columns = 4096
    shape = (256 * MIB // 8 // columns, columns * 2)
    a, b = (cp.random.standard_normal(shape, dtype=np.float32).view(np.complex64) for _ in range(2))
    out = cp.full(a.shape, np.nan, dtype=np.complex64)
    bound = wb.kernels.spectral_multiply.bind(a, b, 0.25, 1, out=out)

    def chain() -> Any:
        return a * b.conj() * np.float32(0.25)

    def product(a: torch.Tensor, b: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
        real, imaginary = b[..., :1], b[..., 1:]
        return (a * real + a.flip(-1) * imaginary * signs) * 0.25

    def agrees(found: Any) -> None:
        near(found, chain(), 1e-4, 1e-5)

    left, right = torch.from_dlpack(a), torch.from_dlpack(b)
    pairs = (torch.view_as_real(left), torch.view_as_real(right), torch.tensor([1.0, -1.0], device=left.device))
    fused = compiled(product)
    peers = {"CuPy": chain, **torch_peers(lambda: left * right.conj() * 0.25, lambda: fused(*pairs), agrees)}
    return Row(3 * a.nbytes, lambda: bound.launch(null()), lambda: agrees(out), peers)


def field_case(dtype: type) -> Row:
    h, w = 512 * MIB // np.dtype(dtype).itemsize // 8192, 8192
    x = cp.random.standard_normal((h, w), dtype=np.float32).astype(dtype)
    lut = cp.random.randint(0, 256, (256, 4), dtype=np.uint8)
    out = cp.full((h, w, 4), 99, dtype=np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, lut, -3.0, 3.0, out=out)

    def chain() -> Any:
        place = (x.astype(np.float32) + 3.0) * (256 / 6.0)
        return lut[cp.clip(place, 0, 255).astype(np.int32)]

    def agrees(found: Any) -> None:
        same_colours(found, chain())

    row = chain_row(out.nbytes + x.nbytes, bound, lambda: agrees(out), chain)
    row.peers |= colour_peers(x, lut, lambda x: (x.float() + 3.0) * (256 / 6.0), agrees)
    row.peers |= kernels_tuned.field(torch.from_dlpack(x), torch.from_dlpack(lut), -3.0, 3.0, agrees)
    return row


def same_colours(found: Any, expected: Any) -> None:
    """Compare colours, as 4 bytes or as one number each."""
    differs = cp.asarray(found).view(np.uint32).ravel() != expected.view(np.uint32).ravel()
    assert float(differs.mean()) < 1e-2, "the chain rounds places at the edges of colours otherwise, not elsewhere"


def colour_peers(
    x: Any, lut: Any, place_of: Callable[[torch.Tensor], torch.Tensor], agrees: Callable[[Any], None]
) -> dict[str, Runner]:
    """Return the peers that take each number's place to a colour; those are int32, one to fetch per number."""
    inputs = torch.from_dlpack(x), torch.from_dlpack(lut).view(torch.int32).ravel()

    def colours(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return table[place_of(x).clamp(0, 255).long()]

    fused = compiled(colours)
    return torch_peers(lambda: colours(*inputs), lambda: fused(*inputs), agrees)


def own_range_case(side: int, target: float | None) -> Row:
    """Make a row of a square field whose range is not given; the bytes counted are x once and y.

    PyTorch has no minimum that leaves NaN out: its peers take the plain one, which is less work.
    """
    x = cp.random.standard_normal((side, side), dtype=np.float32)
    lut = cp.random.randint(0, 256, (256, 4), dtype=np.uint8)
    out = cp.full((side, side, 4), 99, dtype=np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, lut, out=out)

    def chain() -> Any:
        low, high = cp.nanmin(x), cp.nanmax(x)
        return lut[cp.clip((x - low) * (256 / (high - low)), 0, 255).astype(np.int32)]

    def place_of(x: torch.Tensor) -> torch.Tensor:
        low, high = torch.aminmax(x)
        return (x - low) * (256 / (high - low))

    def agrees(found: Any) -> None:
        same_colours(found, chain())

    row = chain_row(out.nbytes + x.nbytes, bound, lambda: agrees(out), chain)
    row.peers |= colour_peers(x, lut, place_of, agrees)
    row.target = target
    return row


ROWS: dict[str, Callable[[], Row]] = {
    "fft_frames int16, 1024 by 512": partial(frames_case, 1024, 512),
    "fft_frames int16, 4096 by 4096": partial(frames_case, 4096, 4096),
    "fft_power dB, average 1": partial(power_case, 1),
    "fft_power dB, average 8": partial(power_case, 8),
    "spectral_multiply complex64": product_case,
    "field_to_rgba float32": partial(field_case, np.float32),
    "field_to_rgba float16": partial(field_case, np.float16),
    "field_to_rgba float32, 2048 x 2048, range found": partial(own_range_case, 2048, None),
    "field_to_rgba float32, 11584 x 11584, range found": partial(own_range_case, 11_584, 0.85),
}
"""The share is asked of data several times the L2, which 2048 x 2048 is not."""
