"""Rows of kernels.py's table: `dequant_matvec`, beside PyTorch, its own int4 product, and cuBLAS."""

from __future__ import annotations

from collections.abc import Callable

import torch
import warpbridge as wb
from kernels_table import Row, Runner, stream


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

    def check() -> None:
        exact = eager(w[:512], scales[:512].double(), x.double())
        torch.testing.assert_close(out[:, :512].double(), exact, rtol=2e-3, atol=2e-3 * float(exact.abs().mean()))
        assert not bool(torch.isnan(out).any()), "poison left in the output"

    compiled, wide = torch.compile(eager), torch.randn(rows, k, device="cuda", dtype=torch.float16)
    peers: dict[str, Runner] = {
        "torch": lambda: eager(w, scales, x),
        "torch.compile": lambda: compiled(w, scales, x),
        "cuBLAS on float16 weights": lambda: x @ wide.T,
    }
    if bits == 4:
        peers["torch's int4 (bfloat16)"] = int4pack(w, scales, x)
    moved = sum(t.nbytes for t in (w, scales, x, out))
    name = f"dequant_matvec int{bits}, {rows} x {k}, batch {batch}"
    return Row(name, moved, lambda: bound.launch(stream()), check, peers)


def int4pack(w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> Runner:
    """Return PyTorch's own int4 product: bfloat16, weights packed beforehand, scales and zeros side by side."""
    packed = torch._convert_weight_to_int4pack(w >> 4 | w << 4, 8)  # it wants the smaller k in the high half
    pairs = torch.stack([scales.T, torch.zeros_like(scales.T)], -1).to(torch.bfloat16).contiguous()
    narrow = x.to(torch.bfloat16)
    return lambda: torch._weight_int4pack_mm(narrow, packed, 128, pairs)


ROWS: list[Callable[[], Row]] = [
    *((lambda batch=batch: dequant_case(28_672, 8192, batch, 4)) for batch in (1, 4, 8)),
    lambda: dequant_case(28_672, 16_384, 1, 4),
    lambda: dequant_case(28_672, 8192, 1, 8),
]
