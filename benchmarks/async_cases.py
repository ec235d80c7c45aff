"""The cases of async_cost.py: a bundled kernel, its twin and its one-role variant, bound to the same arrays.

A case is made for an array module (CuPy on a GPU, NumPy on the CPU device) and a size; everything else about it is the
same in both places. Whoever runs a case poisons its output. The twins' geometry is written here, as by hand; that of
our kernels comes from their manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POISON = 0x7F  # as bytes: no result of any case

Array = Any


@dataclass(frozen=True)
class Runner:
    """One way to do a case's work: its name, the PTX file and entry behind it, dynamic shared memory, launch."""

    name: str
    ptx: Path
    entry: str
    shared_bytes: int
    bound: wb.Bound | None

    def unbound(self) -> Runner:
        """Let go of the arrays."""
        return replace(self, bound=None)


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
    runners: list[Runner] = field(init=False)

    def __post_init__(self) -> None:
        self.runners = [self.ours, self.twin, self.plain]


@dataclass(frozen=True)
class Machine:
    """Where cases run: array module, multiprocessors, the twins' PTX by kernel, the directory of our kernels."""

    xp: Any
    multiprocessors: int
    twins: dict[str, Path]
    kernels: Path = KERNELS

    def ours(self, kernel: str, entry: str, shared_bytes: int, *args: Any, **named: Any) -> Runner:
        """Bind a kernel of ours as its manifest says; `entry` and `shared_bytes` are for the record."""
        path = self.kernels / "ptx" / f"{kernel}.sm_90.ptx"
        module = wb.load(path, self.kernels / f"{kernel}.toml")
        return Runner("ours", path, entry, shared_bytes, module.kernels[kernel].bind(*args, **named))

    def by_hand(
        self, name: str, kernel: str, entry: str, grid: int, block: int, args: Sequence[Any], shared_bytes: int = 0
    ) -> Runner:
        """Bind an entry of the twins' PTX."""
        path = self.twins[kernel]
        bound = wb.load(path).entries[entry].bind(grid, block, list(args), shared_bytes)
        return Runner(name, path, entry, shared_bytes, bound)

    def random(self, shape: Sequence[int], dtype: Any) -> Array:
        """Draw normal deviates."""
        random = np.random.default_rng() if self.xp is np else self.xp.random
        return random.standard_normal(tuple(shape), dtype=np.float32).astype(dtype)

    def integers(self, low: int, high: int, shape: Sequence[int] | int, dtype: Any) -> Array:
        """Draw uniformly from ``low`` to ``high - 1``."""
        random = np.random.default_rng().integers if self.xp is np else self.xp.random.randint
        return random(low, high, shape, dtype=dtype)


def scale_case(machine: Machine, total_bytes: int, dtype: Any) -> Case:
    size = np.dtype(dtype).itemsize
    x = machine.random([total_bytes // size], dtype)
    y = machine.xp.empty_like(x)
    a, b, kind = 1.5, -0.25, {4: "f32", 2: "f16"}[size]
    tiles, shared = ceil_div(x.nbytes, 16384), 6 * (16384 + 128 + 16)

    def check() -> None:
        for part in (slice(0, 1 << 20), slice(max(0, len(x) - (1 << 20)), None)):
            exact = x[part].astype(np.float64) * a + b
            close(machine, y[part], exact, float(np.finfo(dtype).eps))

    return Case(
        f"scale {np.dtype(dtype).name}, {size_text(x.nbytes)}",
        2 * x.nbytes,
        y,
        check,
        machine.ours("scale", f"scale_{kind}", shared, x, a, b, out=y),
        machine.by_hand(
            *("twin", "scale", f"scale_{kind}_twin", min(tiles, machine.multiprocessors), 288, [x, y, x.size, a, b]),
            shared_bytes=shared,
        ),
        machine.by_hand("one role", "scale", f"scale_{kind}_plain", tiles, 256, [x, y, x.size, a, b]),
    )


def image_case(machine: Machine, images: int, size: int = 224, margin: int = 32) -> Case:
    xp, (h, w) = machine.xp, (size + margin, size + margin)
    x = machine.integers(0, 256, (images, h, w, 3), np.uint8)
    offsets = machine.integers(0, margin + 1, (images, 2), np.int32)
    mirror = machine.integers(0, 2, images, np.uint8)
    y = xp.empty((images, 3, size, size), dtype=np.float16)
    fitting = max(1, 16384 // ((3 * size + 30) // 16 * 16))
    band = max(1, min(fitting, ceil_div(images * size, 4 * machine.multiprocessors)))
    tiles, shared = images * ceil_div(size, band), 4 * (16384 + 128 + 16) + 3 * 256 * 4

    def check() -> None:
        for i in (0, images // 2, images - 1):
            r, c = (int(v) for v in offsets[i])
            crop = x[i, r : r + size, c : c + size].transpose(2, 0, 1)
            crop = (crop[:, :, ::-1] if int(mirror[i]) else crop).astype(np.float64) / 255
            mean, std = (xp.asarray(np.float32(v)).reshape(3, 1, 1).astype(np.float64) for v in (MEAN, STD))
            close(machine, y[i], (crop - mean) / std, 2**-11)

    args = [x, offsets, mirror, y, images, h, w, size, size, band, *MEAN, *STD]
    blocks = min(tiles, 2 * machine.multiprocessors)
    return Case(
        f"image_prep to float16, {images} x {size}^2",
        images * size * size * 3 * 3,
        y,
        check,
        machine.ours("image_prep", "image_prep_f16", shared, x, MEAN, STD, offsets, mirror, oh=size, ow=size, out=y),
        machine.by_hand("twin", "image_prep", "image_prep_f16_twin", blocks, 288, args, shared),
        machine.by_hand(
            *("one role", "image_prep", "image_prep_f16_plain", min(tiles, 8 * machine.multiprocessors), 256, args),
            shared_bytes=3 * 256 * 4,
        ),
    )


def softmax_case(machine: Machine, total_bytes: int, columns: int, dtype: Any) -> Case:
    size = np.dtype(dtype).itemsize
    rows = max(2, total_bytes // size // columns)
    x = machine.random([rows, columns], dtype)
    y = machine.xp.empty_like(x)
    kind, shared = {4: "f32", 2: "f16"}[size], 24 * (8192 + 128 + 16) + 15 * 16
    digits = {4: 2e-5, 2: 1e-3}[size]

    def check() -> None:
        for part in (slice(0, 16), slice(max(0, rows - 16), None)):
            exponentials = machine.xp.exp(x[part].astype(np.float64))
            close(machine, y[part], exponentials / exponentials.sum(axis=1, keepdims=True), digits)

    vectors = columns * size // 16
    way, block = ("plain4", max(32, vectors // 4)) if vectors <= 1024 else ("plain8", ceil_div(vectors, 8))
    if block > 1024:
        way, block = "plain_twice", 1024
    return Case(
        f"softmax {np.dtype(dtype).name}, rows of {columns}",
        2 * x.nbytes,
        y,
        check,
        machine.ours("softmax", f"softmax_{kind}", shared, x, out=y),
        machine.by_hand(
            *("twin", "softmax", f"softmax_{kind}_twin", min(rows, machine.multiprocessors), 512),
            *([x, y, rows, columns], shared),
        ),
        machine.by_hand(
            "one role", "softmax", f"softmax_{kind}_{way}", rows, ceil_div(block, 32) * 32, [x, y, columns]
        ),
        tolerance=digits,
    )


def gather_case(machine: Machine, total_bytes: int, row_bytes: int) -> Case:
    count = max(4, total_bytes // row_bytes)
    src = machine.random([2 * count, row_bytes // 2], np.float16)
    idx = machine.integers(0, len(src), count, np.int64)
    y = machine.xp.empty((count, row_bytes // 2), dtype=np.float16)
    piece = min(row_bytes, 16384)
    pieces, fitting = ceil_div(row_bytes, piece), max(1, 16512 // ((piece + 30) // 16 * 16))
    band = max(1, min(fitting, ceil_div(count * pieces, 4 * machine.multiprocessors)))
    tiles, shared = ceil_div(count, band) * pieces, 6 * (16384 + 128 + 16)

    def check() -> None:
        assert bool((y.view(np.uint16) == src[idx].view(np.uint16)).all()), "a row is not the one asked for"

    shift = min(5, (row_bytes // 16 - 1).bit_length())
    head = [src, idx, y, len(src), count, row_bytes]
    return Case(
        f"gather_rows, rows of {row_bytes} B",
        2 * y.nbytes,
        y,
        check,
        machine.ours("gather_rows", "gather_rows_f16", shared, src, idx, out=y),
        machine.by_hand(
            *("twin", "gather_rows", "gather_rows_twin", min(tiles, 2 * machine.multiprocessors), 288),
            *([*head, band, piece, pieces], shared),
        ),
        machine.by_hand(
            "one role", "gather_rows", "gather_rows_plain", ceil_div(count << shift, 256), 256, [*head, shift]
        ),
    )


def close(machine: Machine, found: Array, exact: Array, relative: float) -> None:
    """Raise unless all of `found` is within `relative` of `exact`, or, near zero, of a ten-thousandth of it."""
    off = machine.xp.abs(found.astype(np.float64) - exact) - relative * machine.xp.abs(exact)
    worst = float(off.max())
    assert worst <= relative * 1e-4, f"off by {worst:g} beyond a relative {relative:g}"


def size_text(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)
