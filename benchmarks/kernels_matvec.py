"""Rows of kernels.py's tables: `dequant_matvec`, beside PyTorch, its own int4 product, cuBLAS and Triton."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import kernels_tuned
import torch
import warpbridge as wb
from kernels_table import Row, Runner, compiled, stream


def dequant_case(rows: int, k: int, batch: int, bits: int) -> Row:
    """Make a row of a layer with groups of 128; the bytes counted are w, scales, x and y."""
    c = k // 2 if bits == 4 else k
    kind = torch.uint8 if bits == 4 else torch.int8
    w = torch.randint(0, 256, (rows, c), dtype=torch.uint8, device="cuda").view(kind)
    scales = (torch.rand(rows, k // 128, device="cuda") / 16).to(torch.float16)
    x = torch.randn(batch, k, device="cuda").to(torch.float16)
    out = torch.full((batch, rows), float("nan"), dtype=x.dtype, device="cuda")
    bound = wb.kernels.dequant_matvec.bind(w, scales, x, out=out)

    def eager(w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        q = torch.stack([w & 15, w >> 4], -1).view(len(w), -1).to(x.dtype) - 8 if bits == 4 else w.to(x.dtype)
        return x @ (q.view(len(w), -1, 128) * scales[:, :, None]).view(len(w), -1).T

    def agrees(found: torch.Tensor, digits: float = 2e-3) -> None:
        exact = eager(w[:512], scales[:512].double(), x.double())
        torch.testing.assert_close(found[:, :512].double(), exact, rtol=digits, atol=digits * float(exact.abs().mean()))
        assert not bool(torch.isnan(found).any()), "poison left in the output"

    fused, wide = compiled(eager), torch.randn(rows, k, device="cuda", dtype=torch.float16)
    peers: dict[str, Runner] = {
        "torch": lambda: eager(w, scales, x),
        "torch.compile": lambda: fused(w, scales, x),
        "cuBLAS on float16 weights": lambda: x @ wide.T,
    }
    if bits == 4:
        peers["torch's int4 (bfloat16)"] = int4pack(w, scales, x)
    if bits == 4 or batch == 1:
        # tiles for the tensor cores are float16, which rounds what ours keeps in float32
        peers |= kernels_tuned.matvec(
            w, scales, x, lambda found: agrees(found, 2e-3 if batch == 1 else 1e-2), bits=bits
        )
    moved = sum(t.nbytes for t in (w, scales, x, out))
    target = 0.80 if bits == 4 else None
    return Row(moved, lambda: bound.launch(stream()), lambda: agrees(out), peers, target)


def int4pack(w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> Runner:
    """Return PyTorch's own int4 product: bfloat16, weights packed beforehand, scales and zeros side by side."""
    packed = torch._convert_weight_to_int4pack(w >> 4 | w << 4, 8)  # it wants the smaller k in the high half
    pairs = torch.stack([scales.T, torch.zeros_like(scales.T)], -1).to(torch.bfloat16).contiguous()
    narrow = x.to(torch.bfloat16)
    return lambda: torch._weight_int4pack_mm(narrow, packed, 128, pairs)


LAYERS = [(8192, 1, 4), (8192, 4, 4), (8192, 8, 4), (16_384, 1, 4), (8192, 1, 8)]
ROWS: dict[str, Callable[[], Row]] = {
    f"dequant_matvec int{bits}, 28672 x {k}, batch {batch}": partial(dequant_case, 28_672, k, batch, bits)
    for k, batch, bits in LAYERS
}
