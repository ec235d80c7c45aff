"""Peers in Triton for kernels.py's tables, as runners: outputs of their own, a few configurations each, checked.

Each function returns ``{"Triton": peer}``, or nothing where Triton is not installed: the column then stays empty.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from kernels_table import Runner, Tuned

if importlib.util.find_spec("triton"):
    import kernels_triton as kernels
    from triton import cdiv, next_power_of_2
else:
    kernels = None

WHOLE = 32_768
"""The longest row that a program takes into its registers."""
Peers = dict[str, Runner]


def over_rows(x: torch.Tensor, launch: Callable[[int, int], Any], agrees: Callable[[Any], None]) -> Peers:
    """Return a peer of one program per row; ``launch(block, warps)``, block 0 for whole rows."""
    if kernels is None:
        return {}
    blocks = [next_power_of_2(x.shape[1])] if x.shape[1] <= WHOLE else [4096, 8192]
    tried = [(block, warps) for block in blocks for warps in (4, 8, 16, 32) if 256 <= block // warps <= 1024]
    return {"Triton": Tuned([lambda block=block, warps=warps: launch(block, warps) for block, warps in tried], agrees)}


def scale(x: Any, a: float, b: float, agrees: Callable[[Any], None]) -> Peers:
    if kernels is None:
        return {}
    y = torch.empty_like(x)

    def launch(block: int, warps: int) -> Any:
        kernels.scaled[(cdiv(x.numel(), block),)](x, y, a, b, x.numel(), block=block, num_warps=warps)
        return y

    return {"Triton": Tuned([lambda w=w, n=n: launch(128 * w * n, w) for w in (4, 8) for n in (1, 2, 4)], agrees)}


def softmax(x: torch.Tensor, _weight: torch.Tensor, agrees: Callable[[Any], None]) -> Peers:
    y = torch.empty_like(x)

    def launch(block: int, warps: int) -> Any:
        kernel = kernels.softmax_block if block >= x.shape[1] else kernels.softmax_loop
        kernel[(len(x),)](x, y, x.shape[1], block=block, num_warps=warps)
        return y

    return over_rows(x, launch, agrees)


def cross_entropy(x: torch.Tensor, target: torch.Tensor, agrees: Callable[[Any], None]) -> Peers:
    y = torch.empty(len(x), device=x.device)

    def launch(block: int, warps: int) -> Any:
        kernels.entropy_loop[(len(x),)](x, target, y, x.shape[1], block=block, num_warps=warps)
        return y

    return over_rows(x, launch, agrees)


def norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    agrees: Callable[[Any], None],
    *,
    centred: bool,
    residual: torch.Tensor | None = None,
    quantise: torch.dtype | None = None,
) -> Peers:
    """Return rms_norm or, centred, layer_norm; its outputs are in the order of ours."""
    y = torch.empty_like(x, dtype=quantise or x.dtype)
    z = torch.empty_like(x) if residual is not None else None
    scales = torch.empty(len(x), device=x.device) if quantise else None
    eps, most = 1e-5 if centred else 1e-6, 127.0 if quantise == torch.int8 else 448.0

    def launch(block: int, warps: int) -> Any:
        if block >= x.shape[1]:
            kernels.norm_block[(len(x),)](
                *(x, residual, weight, y, z, scales, x.shape[1], eps, most),
                *(centred, residual is not None, quantise is not None),
                block=block,
                num_warps=warps,
            )
        else:
            kernels.norm_loop[(len(x),)](x, weight, y, x.shape[1], eps, centred, block=block, num_warps=warps)
        outs = tuple(t for t in (y, z, scales) if t is not None)
        return outs if residual is not None or quantise else y

    return over_rows(x, launch, agrees)


def gather_rows(src: torch.Tensor, idx: torch.Tensor, agrees: Callable[[Any], None]) -> Peers:
    if kernels is None:
        return {}
    columns, y = src.shape[1], torch.empty(len(idx), src.shape[1], dtype=src.dtype, device=src.device)

    def launch(numbers: int, warps: int) -> Any:
        block = min(numbers, next_power_of_2(columns))
        rows = numbers // block
        grid = (cdiv(len(idx), rows), cdiv(columns, block))
        kernels.gathered[grid](src, idx, y, len(idx), columns, rows=rows, block=block, num_warps=warps)
        return y

    tried = [(numbers, warps) for warps in (4, 8) for numbers in (1024, 2048, 4096, 8192) if numbers >= warps * 256]
    return {"Triton": Tuned([lambda n=n, w=w: launch(n, w) for n, w in tried], agrees)}


def matvec(
    w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor, agrees: Callable[[Any], None], *, bits: int
) -> Peers:
    if kernels is None:
        return {}
    y, group = torch.empty(len(x), len(w), dtype=x.dtype, device=x.device), 64 if bits == 4 else 128

    def vector(rows: int, block: int, warps: int) -> Any:
        kernel = kernels.int4_vector if bits == 4 else kernels.int8_vector
        kernel[(len(w) // rows,)](w, scales, x, y, w.shape[1], group, rows=rows, block=block, num_warps=warps)
        return y

    def vectors(rows: int, block: int, warps: int) -> Any:
        grid = (len(w) // rows,)
        kernels.int4_vectors[grid](w, scales, x, y, w.shape[1], len(x), group, rows=rows, block=block, num_warps=warps)
        return y

    one = [(1, 1024, 4), (2, 1024, 4), (4, 512, 4), (8, 256, 4), (4, 1024, 8), (16, 256, 8), (2, 2048, 8)]
    several = [(32, 64, 4), (32, 128, 4), (64, 64, 4), (64, 128, 8), (128, 64, 8), (16, 256, 4)]
    launch, tried = (vector, one) if len(x) == 1 else (vectors, several)
    return {"Triton": Tuned([lambda form=form: launch(*form) for form in tried], agrees)}


def field(x: torch.Tensor, lut: torch.Tensor, low: float, high: float, agrees: Callable[[Any], None]) -> Peers:
    """Return the colours of a field between two numbers; ``lut`` (k, 4) uint8."""
    if kernels is None:
        return {}
    y, table = torch.empty(x.shape, dtype=torch.int32, device=x.device), lut.view(torch.int32)
    numbers = (low, len(lut) / (high - low), x.numel(), len(lut) - 1.0)

    def launch(block: int, warps: int) -> Any:
        kernels.coloured[(cdiv(x.numel(), block),)](x, table, y, *numbers, block=block, num_warps=warps)
        return y.view(torch.uint8).view(*x.shape, 4)

    return {"Triton": Tuned([lambda w=w, n=n: launch(32 * w * n, w) for w in (4, 8) for n in (4, 8, 16)], agrees)}
