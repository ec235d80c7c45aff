"""`scale` against NumPy in float64: tails, odd addresses, both types, both variants, every schedule."""

from __future__ import annotations

import numpy as np
import pytest
import references
import warpbridge as wb

DTYPES = [np.float32, np.float16]
VARIANTS = ["sm_80", "sm_90"]
# One vector, one tile and their neighbours; many tiles with a tail.
SIZES = [1, 2, 3, 4, 7, 8, 9, 31, 33, 4095, 4096, 4097, 8192, 8193, 40_003]


def values(size: int, dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def check(x: np.ndarray, a: float, b: float, **options: object) -> None:
    y = wb.kernels.scale(x, a, b, **options)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert references.ulps(y, references.scale(x, a, b)).max(initial=0) <= 1


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_any_length(size: int, dtype: type, arch: str) -> None:
    check(values(size, dtype), 1.7, -0.3, arch=arch)


@pytest.mark.parametrize("schedule", ["eager", "latest", "seeded"])
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_schedule(dtype: type, arch: str, schedule: str) -> None:
    x = values(100_003, dtype)
    for seed in range(3 if schedule == "seeded" else 1):
        with wb.cpu(schedule=schedule, seed=seed, checks="all"):
            check(x, -2.5, 0.125, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_addresses_that_are_no_multiple_of_16(dtype: type, arch: str) -> None:
    for shift_x in range(4):
        for shift_y in range(4):
            x = values(5003 + shift_x, dtype)[shift_x:]
            whole = np.full(5003 + 8 + shift_y, 99, dtype)
            y = whole[shift_y : shift_y + 5003]
            assert wb.kernels.scale(x, 3.0, 1.0, out=y, arch=arch) is y
            assert references.ulps(y, references.scale(x, 3.0, 1.0)).max() <= 1
            assert (whole[:shift_y] == 99).all()
            assert (whole[shift_y + 5003 :] == 99).all()


@pytest.mark.parametrize("shape", [(), (1,), (3, 5, 7), (2, 0, 4), (1, 1, 1, 1, 1, 1, 1, 300)], ids=str)
def test_any_shape(shape: tuple[int, ...]) -> None:
    check(values(int(np.prod(shape)), np.float32).reshape(shape), 2.0, 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype: type) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny, np.finfo(dtype).max], dtype)
    with np.errstate(over="ignore"):
        check(x, 2.0, 0.0)
        check(x, -1.0, 1.0)


def test_random_sizes_and_factors() -> None:
    rng = np.random.default_rng(11)
    for _ in range(30):
        dtype = DTYPES[rng.integers(2)]
        x = values(int(rng.integers(1, 60_000)), dtype, int(rng.integers(1 << 30)))
        a, b = rng.normal(size=2)
        with wb.cpu(schedule="seeded", seed=int(rng.integers(1 << 30)), threads=int(rng.integers(1, 4))):
            check(x, float(a), float(b), arch=VARIANTS[rng.integers(2)])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*SIZES, 3_000_001])
@pytest.mark.parametrize("arch", VARIANTS)
def test_any_length_on_the_gpu(size: int, dtype: type, arch: str) -> None:
    import cupy

    x = values(size, dtype)
    y = wb.kernels.scale(cupy.asarray(x), 1.7, -0.3, arch=arch, timeout=10.0)
    assert references.ulps(cupy.asnumpy(y), references.scale(x, 1.7, -0.3)).max() <= 1
