"""What a case is: one entry of one PTX file, launched once on seeded inputs, with the expected outputs.

The cases stand in `cuda_cases.py`, `arithmetic_cases.py`, `triton_cases.py` and `rust_cases.py`, the list of all
in `cases.py`. Only NumPy here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PTX = Path(__file__).resolve().parent / "ptx"


@dataclass(frozen=True)
class TensorMap:
    """Stands for the tensor map of `array`; `box` counts elements per axis, in the array's order of axes."""

    array: np.ndarray
    box: tuple[int, ...]
    swizzle: int = 0  # bytes: 0, 32, 64 or 128


@dataclass(frozen=True)
class Work:
    """The arguments of one launch, and what the arrays at some of their positions must hold afterwards."""

    args: list[Any]
    expected: dict[int, np.ndarray]
    view: Callable[[np.ndarray], np.ndarray] = field(default=lambda array: array)  # before comparing, say from bfloat16
    floor: float | None = None  # for `error()`


@dataclass(frozen=True)
class Case:
    """One launch. `tolerance` bounds `error()`; zero asks for equality."""

    stem: str
    entry: str
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    make: Callable[[np.random.Generator], Work]
    tolerance: float
    shared_bytes: int = 0
    cluster: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The file and the entry in it."""
        return f"{self.stem}:{self.entry}"

    @property
    def path(self) -> Path:
        """The PTX file."""
        return PTX / f"{self.stem}.ptx"

    def work(self) -> Work:
        """Return fresh inputs and outputs, the same ones every time."""
        return self.make(np.random.default_rng(zlib.crc32(self.name.encode())))


def registrar(cases: list[Case]) -> Callable[..., Callable[[Any], Any]]:
    """Return a decorator that adds a case to `cases`: `@case(stem, entry, grid, block, tolerance)` above its `make`."""

    def case(stem: str, entry: str, grid: Any, block: Any, tolerance: float, **more: Any) -> Callable[[Any], Any]:
        def add(make: Callable[[np.random.Generator], Work]) -> Callable[[np.random.Generator], Work]:
            cases.append(Case(stem, entry, grid, block, make, tolerance, **more))
            return make

        return add

    return case


def error(found: np.ndarray, expected: np.ndarray, floor: float | None = None) -> float:
    """Return the largest difference, relative to the element plus `floor`; infinite where NaNs or infinities differ.

    The floor keeps sums that happen to cancel from counting as wrong; by default it is the root mean square of all.
    """
    if np.issubdtype(expected.dtype, np.integer):
        return 0.0 if np.array_equal(found, expected) else float("inf")
    wide, reference = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(reference)
    if not np.array_equal(wide[~finite], reference[~finite], equal_nan=True) or not np.isfinite(wide[finite]).all():
        return float("inf")
    wide, reference = wide[finite], reference[finite]
    scale = np.abs(reference) + (np.sqrt(np.mean(reference**2)) if floor is None else floor)
    return float(np.max(np.abs(wide - reference) / np.maximum(scale, np.finfo(np.float64).tiny)))


def largest_error(work: Work, outputs: dict[int, np.ndarray]) -> float:
    """Return the largest `error()` over the outputs, given by argument position."""
    return max(error(work.view(outputs[at]), expected, work.floor) for at, expected in work.expected.items())


def aligned_zeros(count: int, alignment: int) -> np.ndarray:
    """Return `count` zero bytes whose address is a multiple of `alignment`."""
    raw = np.zeros(count + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + count]


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16, to nearest even, as its 16 bits; NumPy has no such type."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Widen the 16 bits of bfloat16 to float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
