"""Peers in Triton for kernels.py's tables: kernels over rows, as one writes them by its tutorials, lightly tuned.

A program has a whole row where one block of numbers holds it, and goes over it by blocks where none does; every row is
then read as often as the formula needs it. Block and warps are tried out on the arrays of the row (``Tuned``). Here
are the kernels; ``kernels_tuned.py`` launches them.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice

LOW = tl.constexpr(-3.0e38)
"""Stands for minus infinity outside a row: two of it differ by 0, not by NaN."""


@triton.jit  # type: ignore[untyped-decorator]
def scaled(x, y, a, b, count, block: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < count
    tl.store(y + at, tl.load(x + at, mask=inside) * a + b, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def softmax_block(x, y, columns, block: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64) * columns, tl.arange(0, block)
    inside = at < columns
    v = tl.load(x + row + at, mask=inside, other=LOW).to(tl.float32)
    e = tl.exp(v - tl.max(v, 0))
    tl.store(y + row + at, e / tl.sum(e, 0), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def top_and_sum(x, columns, block: tl.constexpr):
    """Return a row's largest number and the sum of exp of the differences to it, in one pass."""
    at = tl.arange(0, block)
    top, total = tl.full((block,), LOW, tl.float32), tl.zeros((block,), tl.float32)
    for start in range(0, columns, block):
        v = tl.load(x + start + at, mask=start + at < columns, other=LOW).to(tl.float32)
        higher = tl.maximum(top, v)
        total = total * tl.exp(top - higher) + tl.exp(v - higher)
        top = higher
    most = tl.max(top, 0)
    return most, tl.sum(total * tl.exp(top - most), 0)


@triton.jit  # type: ignore[untyped-decorator]
def softmax_loop(x, y, columns, block: tl.constexpr):
    row, at = tl.program_id(0).to(tl.int64) * columns, tl.arange(0, block)
    top, total = top_and_sum(x + row, columns, block)
    for start in range(0, columns, block):
        inside = start + at < columns
        v = tl.load(x + row + start + at, mask=inside).to(tl.float32)
        tl.store(y + row + start + at, tl.exp(v - top) / total, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def entropy_loop(x, target, y, columns, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    top, total = top_and_sum(x + row * columns, columns, block)
    wanted = tl.load(x + row * columns + tl.load(target + row)).to(tl.float32)
    tl.store(y + row, tl.log(total) + top - wanted)


@triton.jit  # type: ignore[untyped-decorator]
def norm_block(
    x,
    other,
    weight,
    y,
    z,
    scales,
    columns,
    eps,
    most,
    centred: tl.constexpr,
    residual: tl.constexpr,
    quantised: tl.constexpr,
    block: tl.constexpr,
):
    """Do either norm of a row in registers; on request of a sum, stored too, and to 8 bits by the row's scale."""
    row, at = tl.program_id(0).to(tl.int64) * columns, tl.arange(0, block)
    inside = at < columns
    v = tl.load(x + row + at, mask=inside, other=0.0)
    if residual:
        v += tl.load(other + row + at, mask=inside, other=0.0)
        tl.store(z + row + at, v, mask=inside)
    v = v.to(tl.float32)
    if centred:
        v = tl.where(inside, v - tl.sum(v, 0) / columns, 0.0)
    n = v * tl.rsqrt(tl.sum(v * v, 0) / columns + eps) * tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    if quantised:
        scale = tl.max(tl.abs(n), 0) / most
        tl.store(scales + tl.program_id(0), scale)
        n = n / scale
        if y.dtype.element_ty == tl.int8:
            n = libdevice.rint(n)
    tl.store(y + row + at, n.to(y.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def norm_loop(x, weight, y, columns, eps, centred: tl.constexpr, block: tl.constexpr):
    """Do either norm of a row of whole blocks: Welford's mean and squares by place in the block, brought together."""
    row, at = tl.program_id(0).to(tl.int64) * columns, tl.arange(0, block)
    mean, squares, seen = tl.zeros((block,), tl.float32), tl.zeros((block,), tl.float32), 0.0
    for start in range(0, columns, block):
        v = tl.load(x + row + start + at).to(tl.float32)
        if centred:
            seen += 1.0
            step = v - mean
            mean += step / seen
            squares += step * (v - mean)
        else:
            squares += v * v
    middle = tl.sum(mean, 0) / block
    if centred:
        squares += seen * (mean - middle) * (mean - middle)
    factor = tl.rsqrt(tl.sum(squares, 0) / columns + eps)
    for start in range(0, columns, block):
        v = tl.load(x + row + start + at).to(tl.float32)
        w = tl.load(weight + start + at).to(tl.float32)
        tl.store(y + row + start + at, (v - middle) * factor * w)


@triton.jit  # type: ignore[untyped-decorator]
def gathered(src, idx, y, count, columns, rows: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    source = tl.load(idx + row, mask=row < count, other=0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = (row < count)[:, None] & (at < columns)[None, :]
    values = tl.load(src + source[:, None] * columns + at[None, :], mask=inside)
    tl.store(y + row[:, None] * columns + at[None, :], values, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def int4_vector(w, scales, x, y, bytes_, group: tl.constexpr, rows: tl.constexpr, block: tl.constexpr):
    """Multiply rows of two 4-bit weights a byte by one vector; the row is added up at the end."""
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    total = tl.zeros((rows, block), tl.float32)
    for start in range(0, bytes_, block):
        at = start + tl.arange(0, block)
        q = tl.load(w + row[:, None] * bytes_ + at[None, :])
        scale = tl.load(scales + row[:, None] * (bytes_ // group) + at[None, :] // group).to(tl.float32)
        even, odd = tl.load(x + 2 * at).to(tl.float32), tl.load(x + 2 * at + 1).to(tl.float32)
        low, high = (q & 15).to(tl.float32) - 8.0, (q >> 4).to(tl.float32) - 8.0
        total += (low * even[None, :] + high * odd[None, :]) * scale
    tl.store(y + row, tl.sum(total, 1))


@triton.jit  # type: ignore[untyped-decorator]
def int4_vectors(
    w,
    scales,
    x,
    y,
    bytes_,
    batch,
    group: tl.constexpr,
    rows: tl.constexpr,
    block: tl.constexpr,
):
    """Do the same for up to 16 vectors: a product of tiles, on the tensor cores."""
    row, one = tl.program_id(0) * rows + tl.arange(0, rows), tl.arange(0, 16)
    total = tl.zeros((rows, 16), tl.float32)
    for start in range(0, bytes_, block):
        at = start + tl.arange(0, block)
        q = tl.load(w + row[:, None] * bytes_ + at[None, :])
        scale = tl.load(scales + row[:, None] * (bytes_ // group) + at[None, :] // group)
        from_x = x + one[None, :] * (2 * bytes_) + 2 * at[:, None]
        even = tl.load(from_x, mask=one[None, :] < batch, other=0.0)
        odd = tl.load(from_x + 1, mask=one[None, :] < batch, other=0.0)
        total = tl.dot(((q & 15).to(tl.float16) - 8.0) * scale, even, total)
        total = tl.dot(((q >> 4).to(tl.float16) - 8.0) * scale, odd, total)
    count = tl.num_programs(0) * rows
    tl.store(y + one[None, :] * count + row[:, None], total, mask=one[None, :] < batch)


@triton.jit  # type: ignore[untyped-decorator]
def int8_vector(w, scales, x, y, columns, group: tl.constexpr, rows: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0) * rows + tl.arange(0, rows)
    total = tl.zeros((rows, block), tl.float32)
    for start in range(0, columns, block):
        at = start + tl.arange(0, block)
        q = tl.load(w + row[:, None] * columns + at[None, :]).to(tl.float32)
        scale = tl.load(scales + row[:, None] * (columns // group) + at[None, :] // group).to(tl.float32)
        total += q * tl.load(x + at).to(tl.float32)[None, :] * scale
    tl.store(y + row, tl.sum(total, 1))


@triton.jit  # type: ignore[untyped-decorator]
def coloured(x, lut, y, low, factor, count, last, block: tl.constexpr):
    """Colours as int32, by the place in the table."""
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < count
    place = (tl.load(x + at, mask=inside).to(tl.float32) - low) * factor
    place = tl.minimum(tl.maximum(place, 0.0), last).to(tl.int32)
    tl.store(y + at, tl.load(lut + place, mask=inside), mask=inside)
