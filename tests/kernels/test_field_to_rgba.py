"""`field_to_rgba` against NumPy's table look-up: every type, sizes around tiles, NaN and clamping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
DTYPES = [np.float32, np.float16, np.float64, np.uint16]
SIZES = [(1, 1, 1), (3, 7, 256), (100, 333, 256), (64, 64, 4096)]


def field(rng: np.random.Generator, shape: tuple[int, int], dtype: Any) -> np.ndarray:
    if dtype is np.uint16:
        return rng.integers(0, 1 << 16, shape).astype(dtype)
    x = (rng.standard_normal(shape) * 4_000 + 30_000).astype(dtype)
    x.flat[::17] = np.nan
    return x


def check(size: tuple[int, int, int], dtype: Any, to: Any, **options: Any) -> None:
    rng = np.random.default_rng(size[1])
    x, lut = field(rng, size[:2], dtype), rng.integers(0, 256, (size[2], 4)).astype(np.uint8)
    y = wb.kernels.field_to_rgba(to(x), to(lut), 1000.0, 50_000.0, 0xFF0000FF, **options)
    y = y if isinstance(y, np.ndarray) else y.get()
    assert (y == references.field_to_rgba(x, lut, 1000.0, 50_000.0, 0xFF0000FF)).all()


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    check(size, dtype, as_it_is, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(arch: str, schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        for dtype in DTYPES:
            check((30, 333, 256), dtype, as_it_is, arch=arch)


def test_ends_of_the_table() -> None:
    lut = np.arange(16, dtype=np.uint8).reshape(4, 4)
    x = np.array([[-np.inf, -1.0, 0.0, 0.99, 1.0, 3.99, 4.0, 9.0, np.inf, np.nan]], np.float32)
    y = wb.kernels.field_to_rgba(x, lut, 0.0, 4.0)
    assert y[0, :, 0].tolist() == [0, 0, 0, 0, 4, 12, 12, 12, 12, 0]
    assert y[0, 9].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_range_that_is_turned_round_or_empty(dtype: Any) -> None:
    x = np.array([[0, 1, 2, 3]], dtype)
    table = np.arange(16, dtype=np.uint8)[:, None].repeat(4, axis=1)

    def colours(vmin: float, vmax: float) -> list[int]:
        return wb.kernels.field_to_rgba(x, table, vmin, vmax)[0, :, 0].tolist()

    assert colours(0.0, 4.0) == [0, 4, 8, 12]
    assert colours(4.0, 0.0) == [15, 12, 8, 4]
    assert colours(1.0, 1.0) == [0, 0, 15, 15]


@pytest.mark.parametrize("colours", [0, 4097])
def test_table_of_wrong_length(colours: int) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.field_to_rgba(np.zeros((2, 2), np.float32), np.zeros((colours, 4), np.uint8), 0.0, 1.0)
    assert f"lut has {colours} colours, expected 1 to 4096" in str(caught.value)


@pytest.mark.parametrize(("end", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize(("place", "name"), [(3, "vmin"), (4, "vmax")])
def test_range_without_an_end_is_refused(place: int, name: str, end: float, text: str) -> None:
    ends = [-1.0, 1.0]
    ends[place - 3] = end
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.field_to_rgba(np.zeros((2, 2), np.float32), np.zeros((8, 4), np.uint8), *ends)
    assert str(caught.value) == f"field_to_rgba: argument {place} ({name}) is {text}, expected a finite number"


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, (2000, 3001, 256)], ids=str)
def test_any_size_on_the_gpu(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(size, dtype, cupy.asarray, arch=arch, timeout=20.0)
