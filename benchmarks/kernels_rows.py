"""Rows of kernels.py's tables: kernels over the rows of a matrix, beside PyTorch, eager and compiled.

Softmax, cross entropy and the norms of 512 MiB, the norms' forms (a residual, 8 bits) of 256 MiB, and gathered rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cupy as cp
import kernels_tuned
import torch
import warpbridge as wb
from kernels_table import MIB, Row, compiled, matrix, stream


def rows_case(
    columns: int,
    dtype: torch.dtype,
    ours: Callable[..., Any],
    torch_does: Callable[..., torch.Tensor],
    triton: Callable[..., kernels_tuned.Peers],
) -> Row:
    """Make a row of 512 MiB: ``ours(x, weight, out)`` binds, ``torch_does(x, weight)`` is reference and peer."""
    size = torch.empty(0, dtype=dtype).element_size()
    x, weight = matrix(512 * MIB // size // columns, columns, dtype), torch.randn(columns, device="cuda").to(dtype)
    out = torch.full_like(x, float("nan"))
    bound = ours(x, weight, out)
    fused = compiled(torch_does)

    def agrees(found: torch.Tensor) -> None:
        exact = torch_does(x[:64].double(), weight.double())
        digits = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
        torch.testing.assert_close(found[:64].double(), exact, rtol=digits, atol=digits / 16)
        assert not bool(torch.isnan(found).any()), "poison left in the output"

    peers = {"torch": lambda: torch_does(x, weight), "torch.compile": lambda: fused(x, weight)}
    peers |= triton(x, weight, agrees)
    return long_targets(columns, Row(2 * x.nbytes, lambda: bound.launch(stream()), lambda: agrees(out), peers))


def long_targets(columns: int, row: Row) -> Row:
    """Return the row with what issue 5 asks of softmax and the norms."""
    row.target = 0.88 if columns >= 4096 else None
    row.times = {"torch.compile": 1.4} if columns == 262_144 else {}
    return row


def softmax_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *(columns, dtype),
        lambda x, _, out: wb.kernels.softmax.bind(x, out=out),
        lambda x, _: torch.softmax(x, -1),
        kernels_tuned.softmax,
    )


def rms_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *(columns, dtype),
        lambda x, weight, out: wb.kernels.rms_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.rms_norm(x, (x.shape[1],), weight, 1e-6),
        partial(kernels_tuned.norm, centred=False),
    )


def layer_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *(columns, dtype),
        lambda x, weight, out: wb.kernels.layer_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.layer_norm(x, (x.shape[1],), weight),
        partial(kernels_tuned.norm, centred=True),
    )


def form_case(norm: str, columns: int, dtype: torch.dtype, residual: bool, quantise: torch.dtype | None) -> Row:
    """Make a row of a norm with a residual, or quantised with a scale per row, of 256 MiB; peers do the same steps."""
    x = matrix(256 * MIB // torch.empty(0, dtype=dtype).element_size() // columns, columns, dtype)
    other = torch.randn_like(x) if residual else None
    weight = torch.randn(columns, device="cuda").to(dtype)
    y = torch.empty_like(x, dtype=quantise or dtype)
    y.view(torch.uint8).fill_(0x7F)
    outs = (y, *([torch.full_like(x, float("nan"))] if residual else []))
    outs = (*outs, *([torch.full((len(x),), float("nan"), device="cuda")] if quantise else []))
    out = outs if len(outs) > 1 else y
    bound = getattr(wb.kernels, norm).bind(x, weight, residual=other, quantise=quantise, out=out)

    def torch_does(x: torch.Tensor, other: torch.Tensor | None, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        z = x if other is None else x + other
        wide = z if z.dtype == torch.float64 else z.float()
        normed = NORMS[norm](wide, (columns,), weight.to(wide.dtype))
        summed = () if other is None else (z,)
        if quantise is None:
            return (normed.to(z.dtype), *summed)
        most = 127.0 if quantise == torch.int8 else 448.0
        scales = normed.abs().amax(-1) / most
        places = normed / scales[:, None]
        places = places.round() if quantise == torch.int8 else places
        return (places.to(quantise), *summed, scales)

    fused = compiled(torch_does)

    def agrees(outs: tuple[torch.Tensor, ...]) -> None:
        few = slice(0, 64)
        wanted = torch_does(x[few], None if other is None else other[few], weight)
        for found, expected in zip(outs, wanted, strict=True):
            step = 2.0 if found.dtype == torch.int8 else 0.0  # the place of a tie, and of one beside it
            digits = 0.13 if found.dtype == torch.float8_e4m3fn else 1e-2
            torch.testing.assert_close(found[few].double(), expected.double(), rtol=digits, atol=step or 4e-3)
        assert not any(bool(torch.isnan(found.float()).any()) for found in outs[1:]), "poison left in an output"

    inputs = x.nbytes + (x.nbytes if residual else 0)
    peers = {"torch": lambda: torch_does(x, other, weight), "torch.compile": lambda: fused(x, other, weight)}
    forms = {"centred": norm == "layer_norm", "residual": other, "quantise": quantise}
    peers |= kernels_tuned.norm(x, weight, agrees, **forms)
    moved = inputs + sum(a.nbytes for a in outs)
    return long_targets(columns, Row(moved, lambda: bound.launch(stream()), lambda: agrees(outs), peers))


NORMS: dict[str, Callable[..., torch.Tensor]] = {
    "rms_norm": lambda x, shape, weight: torch.nn.functional.rms_norm(x, shape, weight, 1e-6),
    "layer_norm": torch.nn.functional.layer_norm,
}


def cross_entropy_case(columns: int, dtype: torch.dtype) -> Row:
    size = torch.empty(0, dtype=dtype).element_size()
    x = matrix(512 * MIB // size // columns, columns, dtype)
    target = torch.randint(0, columns, (len(x),), device="cuda")
    out = torch.full((len(x),), float("nan"), device="cuda")
    bound = wb.kernels.cross_entropy.bind(x, target, out=out)

    def torch_does(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(x, target, reduction="none")

    fused = compiled(torch_does)

    def agrees(found: torch.Tensor) -> None:
        torch.testing.assert_close(found.double(), torch_does(x.double(), target), rtol=1e-5, atol=1e-5)

    peers = {"torch": lambda: torch_does(x, target), "torch.compile": lambda: fused(x, target)}
    peers |= kernels_tuned.cross_entropy(x, target, agrees)
    return Row(x.nbytes, lambda: bound.launch(stream()), lambda: agrees(out), peers)


def gather_case(row_bytes: int) -> Row:
    columns = row_bytes // 2
    src = matrix(1024 * MIB // row_bytes, columns, torch.float16)
    idx = torch.randint(0, len(src), (512 * MIB // row_bytes,), device="cuda")
    out = torch.full((len(idx), columns), float("nan"), device="cuda", dtype=src.dtype)
    bound = wb.kernels.gather_rows.bind(src, idx, out=out)

    def agrees(found: torch.Tensor) -> None:
        assert torch.equal(found, src[idx])

    fused, of_cupy = compiled(lambda src, idx: src[idx]), cp.from_dlpack(src)
    peers = {
        "CuPy take": lambda: of_cupy.take(cp.from_dlpack(idx), axis=0),
        "torch.index_select": lambda: torch.index_select(src, 0, idx),
        "torch.compile": lambda: fused(src, idx),
        **kernels_tuned.gather_rows(src, idx, agrees),
    }
    target = 0.85 if row_bytes >= 4096 else None
    return Row(2 * out.nbytes, lambda: bound.launch(stream()), lambda: agrees(out), peers, target)


KINDS = [
    (1024, torch.float16),
    (4096, torch.float16),
    (4096, torch.bfloat16),
    (4096, torch.float32),
    (32_768, torch.float32),
    (262_144, torch.float16),
    (262_144, torch.float32),
]
FORMS = [
    (torch.bfloat16, True, None),
    (torch.bfloat16, False, torch.float8_e4m3fn),
    (torch.bfloat16, True, torch.float8_e4m3fn),
    (torch.float16, True, torch.int8),
]
MADE = {
    "softmax": softmax_case,
    "rms_norm": rms_norm_case,
    "layer_norm": layer_norm_case,
    "cross_entropy": cross_entropy_case,
}


def named(*dtypes: torch.dtype | None) -> str:
    return " to ".join(str(dtype).removeprefix("torch.") for dtype in dtypes if dtype)


ROWS: dict[str, Callable[[], Row]] = {
    **{f"gather_rows, rows of {size} B": partial(gather_case, size) for size in (256, 1024, 4096, 16_384)},
    **{
        f"{kernel} {named(dtype)}, rows of {columns}": partial(make, columns, dtype)
        for kernel, make in MADE.items()
        for columns, dtype in KINDS
    },
    **{
        f"{norm}{' + residual' if residual else ''} {named(dtype, quantise)}, rows of {columns}": partial(
            form_case, norm, columns, dtype, residual, quantise
        )
        for columns in (4096, 8192)
        for norm in NORMS
        for dtype, residual, quantise in FORMS
    },
}
