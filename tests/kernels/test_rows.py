"""Row kernels (softmax, cross_entropy, rms_norm, layer_norm) against NumPy in float64, wherever a row lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import references
import warpbridge as wb

KERNELS = Path(__file__).parents[2] / "kernels" / "ptx"
DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]
VARIANTS = ["sm_80", "sm_90"]
# Number and length: several rows in a stage, at odd addresses, one per stage, several stages, longer than the ring.
SHAPES = [
    (1, 1),
    (3, 5),
    (7, 33),
    (100, 64),
    (50, 320),
    (33, 512),
    (5, 1000),
    (9, 1024),
    (40, 2048),
    (4, 4096),
    (3, 8191),
    (2, 30_000),
    (2, 110_001),
]

Check = Callable[..., None]


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, spread: float = 2.0) -> np.ndarray:
    return (rng.standard_normal(shape) * spread + 0.5).astype(dtype)


def near(found: np.ndarray, expected: np.ndarray, least: float = 1e-6) -> None:
    """One rounding to the output's type, and what float32 sums and the hardware's functions leave open."""
    digits = {2: 2.0**-10, 4: 4e-6}[found.dtype.itemsize] * (8 if found.dtype == ml_dtypes.bfloat16 else 1)
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=digits, atol=least)


def check_softmax(rng: np.random.Generator, shape: tuple[int, int], dtype: Any, to: Any, **options: Any) -> None:
    x = values(rng, shape, dtype)
    near(back(wb.kernels.softmax(to(x), **options)), references.softmax(x))


def check_cross_entropy(rng: np.random.Generator, shape: tuple[int, int], dtype: Any, to: Any, **options: Any) -> None:
    x = values(rng, shape, dtype)
    target = rng.integers(0, shape[1], shape[0])
    target[0] = -100
    for kind in (np.int64, np.int32):
        y = back(wb.kernels.cross_entropy(to(x), to(target.astype(kind)), **options))
        assert y.dtype == np.float32
        near(y, references.cross_entropy(x, target), least=4e-6)


def check_rms_norm(rng: np.random.Generator, shape: tuple[int, int], dtype: Any, to: Any, **options: Any) -> None:
    x, weight = values(rng, shape, dtype), values(rng, shape[1:], dtype)
    near(back(wb.kernels.rms_norm(to(x), to(weight), eps=1e-3, **options)), references.rms_norm(x, weight, 1e-3))
    near(back(wb.kernels.rms_norm(to(x), **options)), references.rms_norm(x))


def check_layer_norm(rng: np.random.Generator, shape: tuple[int, int], dtype: Any, to: Any, **options: Any) -> None:
    x, weight, bias = values(rng, shape, dtype), values(rng, shape[1:], dtype), values(rng, shape[1:], dtype)
    y = back(wb.kernels.layer_norm(to(x), to(weight), to(bias), **options))
    near(y, references.layer_norm(x, weight, bias), least=1e-5)
    near(
        back(wb.kernels.layer_norm(to(x), None, to(bias), **options)), references.layer_norm(x, None, bias), least=1e-5
    )
    near(back(wb.kernels.layer_norm(to(x), to(weight), **options)), references.layer_norm(x, weight), least=1e-5)


CHECKS = [check_softmax, check_cross_entropy, check_rms_norm, check_layer_norm]


def back(y: Any) -> np.ndarray:
    return y if isinstance(y, np.ndarray) else y.get()


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("check", CHECKS)
def test_any_shape(check: Check, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    check(np.random.default_rng(shape[1]), shape, dtype, as_it_is, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("check", CHECKS)
def test_every_schedule(check: Check, arch: str, schedule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        for shape in [(37, 65), (70, 512), (20, 2100), (3, 9000), (1, 52_000)]:
            check(rng, shape, DTYPES[rng.integers(3)], as_it_is, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("columns", [8192, 16_384, 32_768], ids=str)
@pytest.mark.parametrize("check", CHECKS)
def test_rows_follow_each_other_in_the_ring_of_one_block(
    check: Check, columns: int, arch: str, schedule: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    with wb.cpu(schedule=schedule, seed=seed, checks="all", threads=1):
        check(rng, (max(3, 40_960 // columns), columns), DTYPES[(columns // 4096 + seed) % 2], as_it_is, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_at_addresses_that_are_no_multiple_of_16(dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(1)
    for shift in range(1, 8):
        whole = values(rng, (5 * 301 + 8,), dtype)
        x = whole[shift : shift + 5 * 301].reshape(5, 301)
        out = np.full(5 * 301 + 16, 99, dtype)
        y = out[shift + 1 : shift + 1 + 5 * 301].reshape(5, 301)
        wb.kernels.softmax(x, out=y, arch=arch)
        near(y, references.softmax(x))
        assert (out[: shift + 1] == 99).all()
        assert (out[shift + 1 + 5 * 301 :] == 99).all()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["rms_norm", "layer_norm"])
def test_short_rows_at_addresses_that_are_no_multiple_of_16(name: str, dtype: Any, arch: str) -> None:
    """Rows of a size that a warp has in registers; x, weights and y each elsewhere, and one of them aligned."""
    rng = np.random.default_rng(3)
    rows, columns = 13, 1536 // np.dtype(dtype).itemsize
    count = rows * columns
    for x_at, weight_at, y_at in [(0, 0, 1), (0, 3, 0), (5, 0, 0), (1, 2, 7)]:
        x = values(rng, (count + 8,), dtype)[x_at : x_at + count].reshape(rows, columns)
        weight = values(rng, (columns + 8,), dtype)[weight_at : weight_at + columns]
        out = np.full(count + 16, 99, dtype)
        y = out[y_at : y_at + count].reshape(rows, columns)
        with wb.cpu(checks="all"):
            getattr(wb.kernels, name)(x, weight, out=y, arch=arch)
        near(y, getattr(references, name)(x, weight), least=1e-5)
        assert (out[:y_at] == 99).all()
        assert (out[y_at + count :] == 99).all()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("name", ["rms_norm", "layer_norm"])
def test_short_rows_in_place(name: str, arch: str) -> None:
    x = values(np.random.default_rng(4), (50, 640), np.float16)
    expected = getattr(references, name)(x.copy())
    with wb.cpu(checks="all"):
        assert getattr(wb.kernels, name)(x, out=x, arch=arch) is x
    near(x, expected, least=1e-5)


@pytest.mark.parametrize("columns", [7, 5000, 60_000])
def test_softmax_of_special_values(columns: int) -> None:
    x = np.zeros((5, columns), np.float32)
    x[0, 1] = np.inf
    x[1, 2] = np.nan
    x[2] = -np.inf
    x[3, 1:] = -np.inf
    x[4] = 3e38
    y = wb.kernels.softmax(x)
    assert np.isnan(y[:3]).all()
    assert y[3, 0] == 1.0
    assert (y[3, 1:] == 0.0).all()
    near(y[4], np.full(columns, 1.0 / columns))


@pytest.mark.parametrize("columns", [7, 5000, 60_000])
def test_cross_entropy_of_special_values(columns: int) -> None:
    x = np.zeros((6, columns), np.float32)
    x[0, 1] = x[5, 1] = np.inf
    x[1, 2] = np.nan
    x[2] = -np.inf
    x[3, 0] = -np.inf
    x[4, 1] = -np.inf
    loss = wb.kernels.cross_entropy(x, np.array([0, 0, 0, 0, 0, -100]))
    assert np.isnan(loss[:3]).all()
    assert loss[3] == np.inf
    near(loss[4:], np.array([np.log(columns - 1), 0.0]))


@pytest.mark.parametrize("columns", [100, 400, 70_000])
def test_layer_norm_of_rows_far_from_zero(columns: int) -> None:
    x = (1000.0 + np.random.default_rng(2).standard_normal((3, columns))).astype(np.float32)
    near(wb.kernels.layer_norm(x), references.layer_norm(x), least=2e-3)


def test_no_rows_and_no_columns() -> None:
    for kernel in (wb.kernels.softmax, wb.kernels.rms_norm, wb.kernels.layer_norm):
        assert kernel(np.zeros((0, 5), np.float32)).shape == (0, 5)
        assert kernel(np.zeros((5, 0), np.float32)).shape == (5, 0)


@pytest.mark.parametrize("wrong", [5, -1, 1 << 40])
def test_target_that_is_no_column(wrong: int) -> None:
    target = np.array([0, 4, wrong, 1])
    with pytest.raises(wb.KernelFault) as caught:
        wb.kernels.cross_entropy(np.zeros((4, 5), np.float32), target)
    assert str(caught.value) == (
        f"cross_entropy: target[2] is {wrong}, expected a column of x (at least 0, less than 5) or ignore_index = -100"
    )
    with pytest.raises(wb.KernelFault) as caught:  # a call like the one before, but for a number that the text quotes
        wb.kernels.cross_entropy(np.zeros((4, 5), np.float32), target, ignore_index=-5)
    assert str(caught.value).endswith("(at least 0, less than 5) or ignore_index = -5")


def test_weight_of_another_length() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.rms_norm(np.zeros((4, 5), np.float32), np.zeros(4, np.float32))
    assert "weight" in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [*SHAPES, (3000, 4096), (300, 12_345), (40, 262_144)], ids=str)
@pytest.mark.parametrize("check", CHECKS)
def test_any_shape_on_the_gpu(check: Check, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(np.random.default_rng(3), shape, dtype, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("columns", [64, 1000, 4096, 262_144])
def test_bfloat16_on_the_gpu(columns: int, arch: str) -> None:
    import torch

    x = torch.randn(200, columns, device="cuda").to(torch.bfloat16)
    weight, bias = (torch.randn(columns, device="cuda").to(torch.bfloat16) for _ in range(2))
    wide = x.double()
    y = wb.kernels.softmax(x, arch=arch, timeout=20.0)
    torch.testing.assert_close(y.double(), wide.softmax(-1), rtol=2**-7, atol=1e-7)
    y = wb.kernels.layer_norm(x, weight, bias, arch=arch, timeout=20.0)
    expected = torch.nn.functional.layer_norm(wide, (columns,), weight.double(), bias.double())
    torch.testing.assert_close(y.double(), expected, rtol=2**-7, atol=1e-4)


@pytest.mark.parametrize(("arch", "stages"), [("sm_80", 11), ("sm_90", 24)])
@pytest.mark.parametrize("seed", range(4))
def test_teams_that_skip_rounds_of_the_ring_wait_for_their_own(seed: int, arch: str, stages: int) -> None:
    """More rows than stages in one block: teams that do not divide the ring meet a stage in every other round or so."""
    rng = np.random.default_rng(seed)
    x = values(rng, (70, 4096), np.float16)
    y = np.full_like(x, np.nan)
    softmax = wb.load(KERNELS / f"softmax.{arch}.ptx").entries["softmax_f16"]
    with wb.cpu(schedule="seeded", seed=seed, checks="all"):
        softmax(1, 512, [x, y, 70, 4096, 0], shared_bytes=stages * (8192 + 128 + 16) + 15 * 16)
    near(y, references.softmax(x))
