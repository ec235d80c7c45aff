"""Rows of kernels.py's table: kernels over the rows of a matrix, beside PyTorch, eager and compiled.

Softmax, cross entropy and the norms of 512 MiB, the norms' forms (a residual, 8 bits) of 256 MiB, and gathered rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import warpbridge as wb
from kernels_table import MIB, Row, matrix, stream


def rows_case(
    name: str, columns: int, dtype: torch.dtype, ours: Callable[..., Any], torch_does: Callable[..., torch.Tensor]
) -> Row:
    """Make a row of 512 MiB: ``ours(x, weight, out)`` binds, ``torch_does(x, weight)`` is reference and peer."""
    size = torch.empty(0, dtype=dtype).element_size()
    x, weight = matrix(512 * MIB // size // columns, columns, dtype), torch.randn(columns, device="cuda").to(dtype)
    out = torch.full_like(x, float("nan"))
    bound = ours(x, weight, out)
    compiled = torch.compile(torch_does)

    def check() -> None:
        exact = torch_does(x[:64].double(), weight.double())
        digits = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
        torch.testing.assert_close(out[:64].double(), exact, rtol=digits, atol=digits / 16)
        assert not bool(torch.isnan(out).any()), "poison left in the output"

    kind = str(dtype).removeprefix("torch.")
    peers = {"torch": lambda: torch_does(x, weight), "torch.compile": lambda: compiled(x, weight)}
    return Row(f"{name} {kind}, rows of {columns}", 2 * x.nbytes, lambda: bound.launch(stream()), check, peers)


def softmax_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("softmax", columns, dtype),
        lambda x, _, out: wb.kernels.softmax.bind(x, out=out),
        lambda x, _: torch.softmax(x, -1),
    )


def rms_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("rms_norm", columns, dtype),
        lambda x, weight, out: wb.kernels.rms_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.rms_norm(x, (x.shape[1],), weight, 1e-6),
    )


def layer_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("layer_norm", columns, dtype),
        lambda x, weight, out: wb.kernels.layer_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.layer_norm(x, (x.shape[1],), weight),
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

    compiled = torch.compile(torch_does)

    def check() -> None:
        few = slice(0, 64)
        wanted = torch_does(x[few], None if other is None else other[few], weight)
        for found, expected in zip(outs, wanted, strict=True):
            step = 2.0 if found.dtype == torch.int8 else 0.0  # the place of a tie, and of one beside it
            digits = 0.13 if found.dtype == torch.float8_e4m3fn else 1e-2
            torch.testing.assert_close(found[few].double(), expected.double(), rtol=digits, atol=step or 4e-3)
        assert not any(bool(torch.isnan(found.float()).any()) for found in outs[1:]), "poison left in an output"

    inputs = x.nbytes + (x.nbytes if residual else 0)
    kinds = " to ".join(str(kind).removeprefix("torch.") for kind in (dtype, quantise) if kind)
    name = f"{norm}{' + residual' if residual else ''} {kinds}, rows of {columns}"
    peers = {"torch": lambda: torch_does(x, other, weight), "torch.compile": lambda: compiled(x, other, weight)}
    return Row(name, inputs + sum(a.nbytes for a in outs), lambda: bound.launch(stream()), check, peers)


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

    compiled = torch.compile(torch_does)

    def check() -> None:
        torch.testing.assert_close(out.double(), torch_does(x.double(), target), rtol=1e-5, atol=1e-5)

    kind = str(dtype).removeprefix("torch.")
    peers = {"torch": lambda: torch_does(x, target), "torch.compile": lambda: compiled(x, target)}
    return Row(f"cross_entropy {kind}, rows of {columns}", x.nbytes, lambda: bound.launch(stream()), check, peers)


def gather_case(row_bytes: int) -> Row:
    columns = row_bytes // 2
    src = matrix(1024 * MIB // row_bytes, columns, torch.float16)
    idx = torch.randint(0, len(src), (512 * MIB // row_bytes,), device="cuda")
    out = torch.full((len(idx), columns), float("nan"), device="cuda", dtype=src.dtype)
    bound = wb.kernels.gather_rows.bind(src, idx, out=out)

    def check() -> None:
        assert torch.equal(out, src[idx])

    peers = {"torch.index_select": lambda: torch.index_select(src, 0, idx)}
    return Row(f"gather_rows, rows of {row_bytes} B", 2 * out.nbytes, lambda: bound.launch(stream()), check, peers)


ROWS: list[Callable[[], Row]] = [
    *(
        (lambda make=make, columns=columns, dtype=dtype: make(columns, dtype))
        for make in (softmax_case, rms_norm_case, layer_norm_case, cross_entropy_case)
        for columns, dtype in (
            (1024, torch.float16),
            (4096, torch.float16),
            (4096, torch.bfloat16),
            (4096, torch.float32),
            (32_768, torch.float32),
            (262_144, torch.float16),
            (262_144, torch.float32),
        )
    ),
    *(
        (lambda norm=norm, columns=columns, form=form: form_case(norm, columns, *form))
        for norm in NORMS
        for columns in (4096, 8192)
        for form in (
            (torch.bfloat16, True, None),
            (torch.bfloat16, False, torch.float8_e4m3fn),
            (torch.bfloat16, True, torch.float8_e4m3fn),
            (torch.float16, True, torch.int8),
        )
    ),
    *((lambda size=size: gather_case(size)) for size in (256, 1024, 4096, 16_384)),
]
