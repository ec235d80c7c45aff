"""`dequant_matvec` against NumPy in float64: both widths, both types of x, sizes of groups, odd rows and k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import references
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
DTYPES = [np.float16, ml_dtypes.bfloat16]
GROUPS = "expected groups of 32, 64, 128 or another power of two, or a single one"
WIDTHS = [np.uint8, np.int8]  # two int4 per byte, one int8 per byte
# Rows, k, group and batch: one row and group; part of a unit, of a chunk; several chunks; rows that are no multiple of
# 16; scales of a row at odd addresses; x too long for shared memory (of an sm_80; of an sm_90).
SIZES = [
    (1, 32, 32, 1),
    (16, 128, 128, 1),
    (5, 96, 32, 2),
    (33, 352, 32, 3),
    (50, 704, 64, 8),
    (7, 1056, 1056, 1),
    (20, 2176, 128, 5),
    (18, 3072, 256, 4),
    (3, 8256, 64, 8),
    (2, 9088, 9088, 8),
    (17, 4096 + 2048, 2048, 7),
]


@dataclass
class Case:
    """Weights, scales, vectors, and perhaps zeros."""

    w: np.ndarray
    scales: np.ndarray
    x: np.ndarray
    zeros: np.ndarray | None

    @classmethod
    def random(cls, size: tuple[int, int, int, int], width: Any, dtype: Any, *, zeros: bool) -> Case:
        rows, k, group, batch = size
        rng = np.random.default_rng(k + rows)
        low, high = (0, 256) if width is np.uint8 else (-128, 128)
        w = rng.integers(low, high, (rows, k // 2 if width is np.uint8 else k)).astype(width)
        scales = (rng.uniform(0.5, 1.5, (rows, k // group)) / 16).astype(dtype)
        x = rng.standard_normal((batch, k)).astype(dtype)
        zero = rng.integers(0, 16, scales.shape) if width is np.uint8 else rng.integers(low, high, scales.shape)
        return cls(w, scales, x, zero.astype(width) if zeros else None)

    def check(self, to: Any, **options: Any) -> None:
        zeros = None if self.zeros is None else to(self.zeros)
        y = wb.kernels.dequant_matvec(to(self.w), to(self.scales), to(self.x), zeros, **options)
        y = y if isinstance(y, np.ndarray) else y.get()
        assert (y.shape, y.dtype) == ((len(self.x), len(self.w)), self.x.dtype)
        near(y, self)


def near(y: np.ndarray, case: Case) -> None:
    """One rounding to the output's type, and float32 sums of as many products as there are."""
    expected = references.dequant_matvec(case.w, case.scales, case.x, case.zeros)
    magnitudes = np.abs(case.x.astype(np.float64)).sum(axis=1).max() * 16 * (1 if case.w.dtype == np.uint8 else 16)
    digits = 2.0**-10 if y.dtype == np.float16 else 2.0**-7
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=digits, atol=magnitudes * 0.1 * 2.0**-20)


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size(size: tuple[int, int, int, int], width: Any, dtype: Any, arch: str) -> None:
    for zeros in (False, True):
        Case.random(size, width, dtype, zeros=zeros).check(as_it_is, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_schedule(width: Any, arch: str, schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        for size, dtype, zeros in (
            ((50, 2208, 32, 3), np.float16, True),
            ((37, 4480, 128, 8), ml_dtypes.bfloat16, False),
            ((21, 6144, 128, 1), np.float16, True),  # stages go round, and an sm_80, too, has room for x
        ):
            Case.random(size, width, dtype, zeros=zeros).check(as_it_is, arch=arch)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_integer_is_exact(width: Any) -> None:
    k = 512
    integers = np.arange(k) % (16 if width is np.uint8 else 256)
    row = (integers[0::2] | integers[1::2] << 4 if width is np.uint8 else integers).astype(np.uint8)
    w = row.view(width)[None]
    for dtype in DTYPES:
        for zero in (0, 15, 3) if width is np.uint8 else (-128, 127, 5):
            for place in range(0, k, 7):
                x = np.zeros((1, k), dtype)
                x[0, place] = 1
                y = wb.kernels.dequant_matvec(w, np.ones((1, 1), dtype), x, np.full((1, 1), zero, width))
                expected = int(integers[place] if width is np.uint8 else integers[place].astype(np.int8)) - zero
                assert y[0, 0] == expected


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("size", [(17, 4096, 128, 3), (5, 352, 32, 3)], ids=str)
def test_int4_with_vectors_of_one_sign(size: tuple[int, int, int, int], arch: str) -> None:
    for dtype in DTYPES:
        for zeros in (False, True):
            case = Case.random(size, np.uint8, dtype, zeros=zeros)
            case.x = (np.abs(case.x.astype(np.float32)) + 1).astype(dtype)
            case.check(as_it_is, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("size", [(17, 4096, 128, 3), (5, 352, 32, 3)], ids=str)
def test_int4_with_a_number_that_is_not_finite_is_nan(size: tuple[int, int, int, int], arch: str) -> None:
    for dtype in DTYPES:
        for zeros in (False, True):
            case = Case.random(size, np.uint8, dtype, zeros=zeros)
            finite = wb.kernels.dequant_matvec(case.w, case.scales, case.x, case.zeros, arch=arch)
            case.x[1, 77] = np.inf
            y = wb.kernels.dequant_matvec(case.w, case.scales, case.x, case.zeros, arch=arch)
            assert np.isnan(y[1].astype(np.float32)).all()
            assert (y[[0, 2]] == finite[[0, 2]]).all()


@pytest.mark.parametrize("shift", [1, 2, 3, 5])
def test_scales_and_output_at_odd_addresses(shift: int) -> None:
    case = Case.random((19, 352, 32, 2), np.uint8, np.float16, zeros=True)
    whole = np.zeros(case.scales.size + 16, np.float16)
    scales = whole[shift : shift + case.scales.size].reshape(case.scales.shape)
    scales[...] = case.scales
    assert case.zeros is not None
    bytes_ = np.zeros(case.zeros.size + 16, np.uint8)
    zeros = bytes_[shift : shift + case.zeros.size].reshape(case.zeros.shape)
    zeros[...] = case.zeros
    out = np.full(2 * 19 + 16, 99, np.float16)
    y = out[shift : shift + 2 * 19].reshape(2, 19)
    for arch in VARIANTS:
        wb.kernels.dequant_matvec(case.w, scales, case.x, zeros, out=y, arch=arch)
        near(y, case)
        assert (out[:shift] == 99).all()
        assert (out[shift + 2 * 19 :] == 99).all()


def test_scales_that_float16_weights_would_round_away() -> None:
    w = np.full((1, 64), 0x99, np.uint8)  # 1 after the zero
    scales, x = np.full((1, 1), 1.0009765625, np.float16), np.ones((1, 128), np.float16)
    x[0, 0] = 1024
    assert wb.kernels.dequant_matvec(w, scales, x)[0, 0] == np.float16((1024 + 127) * 1.0009765625)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_zeros_that_cancel_most_of_the_products(width: Any, arch: str) -> None:
    """Zeros come off by way of the sums of x: these are many times what is left."""
    case = Case.random((21, 4096, 128, 3), width, np.float16, zeros=True)
    assert case.zeros is not None
    case.x = (1 + case.x.astype(np.float64) / 64).astype(np.float16)
    middle = np.repeat(case.zeros.astype(np.int64), 128, axis=1)
    low, high = (0, 15) if width is np.uint8 else (-128, 127)
    integers = np.clip(middle + np.random.default_rng(1).integers(-1, 2, middle.shape), low, high)
    case.w = (integers[:, 0::2] | integers[:, 1::2] << 4 if width is np.uint8 else integers).astype(width)
    case.check(as_it_is, arch=arch)


def test_nothing_to_do() -> None:
    assert wb.kernels.dequant_matvec(
        np.zeros((0, 16), np.uint8), np.zeros((0, 1), np.float16), np.zeros((2, 32), np.float16)
    ).shape == (2, 0)
    assert wb.kernels.dequant_matvec(
        np.zeros((4, 16), np.uint8), np.zeros((4, 1), np.float16), np.zeros((0, 32), np.float16)
    ).shape == (0, 4)


@pytest.mark.parametrize(
    ("w", "scales", "x", "text"),
    [
        ((4, 32), (4, 1), (9, 64), "x has 9 rows, expected at most 8: larger batches are a matrix product"),
        ((4, 64), (4, 1), (1, 64), "x has 64 columns, expected 2 for each of the 64 bytes in a row of w"),
        ((4, 24), (4, 1), (1, 48), "x has 48 columns, expected a multiple of 32"),
        (
            (4, 48),
            (4, 2),
            (1, 96),
            f"scales has 2 groups for 96 columns, {GROUPS}",
        ),
        (
            (4, 32),
            (4, 0),
            (1, 64),
            f"scales has 0 groups for 64 columns, {GROUPS}",
        ),
    ],
)
def test_shapes_that_do_not_go_together(w: Any, scales: Any, x: Any, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.dequant_matvec(np.zeros(w, np.uint8), np.zeros(scales, np.float16), np.zeros(x, np.float16))
    assert str(caught.value) == f"dequant_matvec: {text}"


def test_int8_weights_take_one_column_of_x_each() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.dequant_matvec(
            np.zeros((4, 32), np.int8), np.zeros((4, 1), np.float16), np.zeros((1, 64), np.float16)
        )
    assert str(caught.value) == "dequant_matvec: x has 64 columns, expected 1 for each of the 32 bytes in a row of w"


@pytest.mark.parametrize("arch", VARIANTS)
def test_zero_that_is_no_int4_is_a_fault(arch: str) -> None:
    zeros = np.zeros((20, 2), np.uint8)
    zeros[18, 1] = 16
    with pytest.raises(wb.KernelFault) as caught:
        wb.kernels.dequant_matvec(
            np.zeros((20, 128), np.uint8), np.ones((20, 2), np.float16), np.ones((1, 256), np.float16), zeros, arch=arch
        )
    assert str(caught.value) == "dequant_matvec: zeros has 16 in row 18, expected 0 to 15"
    assert (caught.value.code, caught.value.detail) == (1, [18, 16])


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", [*SIZES, (4096, 4096, 128, 1), (5000, 11_008, 128, 8), (3000, 28_672, 64, 4)], ids=str)
def test_any_size_on_the_gpu(size: tuple[int, int, int, int], width: Any, arch: str) -> None:
    import cupy

    for zeros in (False, True):
        Case.random(size, width, np.float16, zeros=zeros).check(cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "size", [(16, 128, 128, 1), (33, 352, 32, 3), (4096, 4096, 128, 1), (5000, 11_008, 128, 8)], ids=str
)
def test_bfloat16_on_the_gpu(size: tuple[int, int, int, int], width: Any, arch: str) -> None:
    import torch

    case = Case.random(size, width, ml_dtypes.bfloat16, zeros=True)
    w, zeros = torch.from_numpy(case.w).cuda(), torch.from_numpy(case.zeros).cuda()
    scales, x = (torch.from_numpy(a.view(np.int16)).cuda().view(torch.bfloat16) for a in (case.scales, case.x))
    y = wb.kernels.dequant_matvec(w, scales, x, zeros, arch=arch, timeout=20.0)
    near(y.view(torch.int16).cpu().numpy().view(ml_dtypes.bfloat16), case)
