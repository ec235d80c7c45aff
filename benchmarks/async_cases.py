"""The cases of async_cost.py: a bundled kernel, its twin and its one-role variant, bound to the same arrays.

A case is made for a machine (`async_machine.py`) and a size; all else about it is the same on a GPU and on the CPU
device. The twins' geometry is written here, as by hand; that of our kernels comes from their manifests. References are
computed by NumPy in float64, on samples from both ends of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from async_machine import Array, Machine, Runner

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHORT = {"float32": "f32", "float16": "f16"}


@dataclass
class Case:
    """A row of the table. ``check`` raises where a sample of ``out`` differs from the reference."""

    name: str
    moved_bytes: int
    out: Array
    check: Callable[[], None]
    ours: Runner
    twin: Runner
    plain: Runner
    tolerance: float = 0.0
    absolute: float = 1e-7
    runners: list[Runner] = field(init=False)

    def __post_init__(self) -> None:
        self.runners = [self.ours, self.twin, self.plain]


def scale_case(machine: Machine, count: int, dtype: str) -> Case:
    size, kind = np.dtype(dtype).itemsize, SHORT[dtype]
    x, y = machine.normal([count], dtype), machine.empty([count], dtype)
    a, b = 1.5, -0.25
    tiles, shared = ceil_div(count * size, 8192), 4 * (8192 + 128 + 16)
    blocks = min(tiles, 131_072)

    def check() -> None:
        for part in ends(count, 1 << 20):
            exact = machine.take(x, part).astype(np.float64) * a + b
            close(machine.take(y, part), exact, float(np.finfo(dtype).eps))

    return Case(
        f"scale {dtype}, {size_text(count * size)}",
        2 * count * size,
        y,
        check,
        machine.ours("scale", f"scale_{kind}", shared, x, a, b, out=y),
        machine.by_hand(
            *("twin", "scale", f"scale_{kind}_twin", blocks, 160, [x, y, count, a, b]),
            shared_bytes=shared,
        ),
        machine.by_hand("one role", "scale", f"scale_{kind}_plain", tiles * 2, 256, [x, y, count, a, b]),
    )


def image_case(machine: Machine, images: int, size: int = 224, margin: int = 32) -> Case:
    h = w = size + margin
    x = machine.integers(0, 256, [images, h, w, 3], "uint8")
    offsets = machine.integers(0, margin + 1, [images, 2], "int32")
    mirror = machine.integers(0, 2, [images], "uint8")
    y = machine.empty([images, 3, size, size], "float16")
    fitting = max(1, 8192 // ((3 * size + 30) // 16 * 16))
    band = max(1, min(fitting, ceil_div(images * size, 4 * machine.multiprocessors)))
    tiles, shared = images * ceil_div(size, band), 2 * (8192 + 128 + 16) + 16 + 3 * 256 * 4

    def check() -> None:
        for i in (0, images // 2, images - 1):
            r, c = (int(v) for v in machine.take(offsets, i))
            crop = machine.take(x, i)[r : r + size, c : c + size].transpose(2, 0, 1)
            if int(machine.take(mirror, i)):
                crop = crop[:, :, ::-1]
            mean, std = (np.asarray(np.float32(v)).reshape(3, 1, 1).astype(np.float64) for v in (MEAN, STD))
            close(machine.take(y, i), (crop.astype(np.float64) / 255 - mean) / std, 2**-11)

    args = [x, offsets, mirror, y, images, h, w, size, size, band, *MEAN, *STD]
    blocks = max(min(tiles, 12 * machine.multiprocessors), ceil_div(tiles, 3))
    return Case(
        f"image_prep to float16, {images} x {size}^2",
        images * size * size * 3 * 3,
        y,
        check,
        machine.ours("image_prep", "image_prep_f16", shared, x, MEAN, STD, offsets, mirror, oh=size, ow=size, out=y),
        machine.by_hand("twin", "image_prep", "image_prep_f16_twin", blocks, 160, args, shared),
        machine.by_hand(
            *("one role", "image_prep", "image_prep_f16_plain", min(tiles, 8 * machine.multiprocessors), 256, args),
            shared_bytes=3 * 256 * 4,
        ),
    )


def softmax_case(machine: Machine, total_bytes: int, columns: int, dtype: str) -> Case:
    size, kind = np.dtype(dtype).itemsize, SHORT[dtype]
    rows = max(2, total_bytes // size // columns)
    x, y = machine.normal([rows, columns], dtype), machine.empty([rows, columns], dtype)
    pieces = ceil_div(columns * size, 8192)
    readers, stages = (max(2, pieces),) * 2 if pieces < 14 else (8, 27)
    most = max(1, stages // pieces * (1 if pieces < 14 else 8))
    blocks = ceil_div(rows, max(1, min(most, rows // (4 * machine.multiprocessors)), rows // 65536))
    shared, digits = stages * (8192 + 128 + 16) + 16 * 16, {4: 2e-5, 2: 1e-3}[size]

    def check() -> None:
        for part in ends(rows, 16):
            exponentials = np.exp(machine.take(x, part).astype(np.float64))
            close(machine.take(y, part), exponentials / exponentials.sum(axis=1, keepdims=True), digits)

    vectors = columns * size // 16
    way, block = ("plain4", max(32, vectors // 4)) if vectors <= 1024 else ("plain8", ceil_div(vectors, 8))
    if block > 1024:
        way, block = "plain_twice", 1024
    block = ceil_div(block, 32) * 32
    return Case(
        f"softmax {dtype}, rows of {columns}",
        2 * rows * columns * size,
        y,
        check,
        machine.ours("softmax", f"softmax_{kind}", shared, x, out=y),
        machine.by_hand(
            *("twin", "softmax", f"softmax_{kind}_twin", blocks, 32 * (readers + 1)),
            *([x, y, rows, columns, stages], shared),
        ),
        machine.by_hand("one role", "softmax", f"softmax_{kind}_{way}", rows, block, [x, y, columns]),
        tolerance=digits,
    )


def gather_case(machine: Machine, total_bytes: int, row_bytes: int) -> Case:
    count = max(4, total_bytes // row_bytes)
    src = machine.normal([2 * count, row_bytes // 2], "float16")
    idx = machine.integers(0, 2 * count, [count], "int64")
    y = machine.empty([count, row_bytes // 2], "float16")
    piece = min(row_bytes, 8192)
    pieces, fitting = ceil_div(row_bytes, piece), max(1, 8704 // ((piece + 30) // 16 * 16))
    band = max(1, min(fitting, ceil_div(count * pieces, 4 * machine.multiprocessors)))
    tiles, shared = ceil_div(count, band) * pieces, 4 * (8192 + 512 + 16)

    def check() -> None:
        assert machine.differs(y, src[idx], 0.0, 0.0) == 0.0, "a row is not the one asked for"

    shift = min(5, (row_bytes // 16 - 1).bit_length())
    head = [src, idx, y, 2 * count, count, row_bytes]
    return Case(
        f"gather_rows, rows of {row_bytes} B",
        2 * count * row_bytes,
        y,
        check,
        machine.ours("gather_rows", "gather_rows_f16", shared, src, idx, out=y),
        machine.by_hand(
            *("twin", "gather_rows", "gather_rows_twin", ceil_div(tiles, 4), 96),
            *([*head, band, piece, pieces], shared),
        ),
        machine.by_hand(
            *("one role", "gather_rows", "gather_rows_plain", ceil_div(count << shift, 256), 256, [*head, shift])
        ),
    )


def matvec_case(machine: Machine, rows: int, k: int, batch: int) -> Case:
    groups = k // 128
    w = machine.integers(0, 256, [rows, k // 2], "uint8")
    scales, x = machine.normal([rows, groups], "float16"), machine.normal([batch, k], "float16")
    y = machine.empty([batch, rows], "float16")
    x_bytes = batch * (2 * k + 64) + 16 * ceil_div(batch, 2) * (k // 128 + 1)
    shared = 4 * (17408 + 16) + 32 + 8192 + x_bytes

    def check() -> None:
        vectors = machine.take(x, slice(None)).astype(np.float64)
        for part in ends(rows, 64):
            packed = machine.take(w, part)
            integers = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1, k).astype(np.float64) - 8
            weights = integers * np.repeat(machine.take(scales, part).astype(np.float64), 128, axis=1)
            exact, size = vectors @ weights.T, np.abs(vectors) @ np.abs(weights).T
            off = np.abs(machine.take(y, (slice(None), part)).astype(np.float64) - exact) - 2**-11 * np.abs(exact)
            assert float((off / size).max()) < 1e-5, "products off by more than float32 sums allow"

    args = [w, scales, x, y, rows, k, groups, batch]
    entry = "dequant_matvec_w4_f16"
    return Case(
        f"dequant_matvec int4, {rows} x {k}, batch {batch}",
        rows * k // 2 + 2 * (rows * groups + batch * k + batch * rows),
        y,
        check,
        machine.ours("dequant_matvec", entry, shared, w, scales, x, out=y),
        machine.by_hand(
            *("twin", "dequant_matvec", f"{entry}_twin", min(rows // 16, machine.multiprocessors), 320, args),
            shared_bytes=shared,
        ),
        machine.by_hand(
            *("one role", "dequant_matvec", f"{entry}_plain", min(rows // 16, 4 * machine.multiprocessors), 256, args),
            shared_bytes=8192 + x_bytes,
        ),
        tolerance=2**-8,
        absolute=1e-2,  # where products cancel, what is left of float32 sums in another order
    )


def ends(count: int, most: int) -> tuple[slice, slice]:
    """Slices of the first and the last items."""
    return slice(0, most), slice(max(0, count - most), count)


def close(found: np.ndarray, exact: np.ndarray, relative: float) -> None:
    """Raise unless all of `found` is within `relative` of `exact`, or, near zero, of a ten-thousandth of it."""
    off = np.abs(found.astype(np.float64) - exact) - relative * np.abs(exact)
    worst = float(off.max())
    assert worst <= relative * 1e-4, f"off by {worst:g} beyond a relative {relative:g}"


def size_text(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)
