"""Long rows that `rms_norm` takes to 8 bits: `rms_norm_quantised_long`, where what a row's largest number is comes with
its sum of squares. Shapes, schedules and numbers of multiprocessors as for all long rows are in test_long_rows.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb
from test_long_rows import DTYPES, KERNELS, SCHEDULES, VARIANTS, values
from test_long_rows_notes import with_sizes
from test_norm_forms import FLOAT8, KINDS, check_quantised, check_rounding
from warpbridge.long_rows import MOST_BYTES

NAME = "rms_norm_quantised_long"
CODES = {np.int8: 0, FLOAT8: 0x7F}  # what NaN becomes


def alike(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_types_on_pieces_that_are_kept_and_not(dtype: Any, kind: Any, arch: str) -> None:
    """Blocks have several pieces of several rows each, of which weights take up room that an sm_80 has not."""
    x = values((37, 32_768 // np.dtype(dtype).itemsize), dtype)
    weight = values(x.shape[1:], dtype)
    found = wb.kernels.rms_norm_quantised_long(x, weight, eps=1e-3, dtype=kind, arch=arch)
    check_quantised(*found, references.rms_norm(x, weight, 1e-3), kind)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("place", [0, 8191, 8192, 20_000])
def test_one_large_number_anywhere_makes_the_scale(place: int, arch: str) -> None:
    """As a number, and as a weight: in the first piece, in others, in the few behind the last vector."""
    for large_weight in (False, True):
        x, weight = np.ones((3, 20_001), np.float32), np.ones(20_001, np.float32)
        if large_weight:
            weight[place] = -1000
        else:
            x[1, place] = -1000
        q, scales = wb.kernels.rms_norm_quantised_long(x, weight, dtype="int8", arch=arch)
        y = references.rms_norm(x, weight)
        check_quantised(q, scales, y, np.int8)
        assert (np.abs(q[1]).argmax(), q[1, place]) == (place, -127)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_scale_of_all_rows(dtype: Any, schedule: str, seed: int, arch: str) -> None:
    x = values((5, 20_001), dtype)
    weight, given = values(x.shape[1:], dtype), np.array([0.07], np.float32)
    for kind in KINDS:
        with wb.cpu(schedule=schedule, seed=seed, checks="all"):
            q, scales = wb.kernels.rms_norm(x, weight, 1e-3, quantise=kind, scale=given, arch=arch)
        assert (scales == given).all()
        check_rounding(q, references.rms_norm(x, weight, 1e-3), given.astype(np.float64), kind)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zeros_nan_and_infinity(kind: Any, arch: str) -> None:
    """As the kernel of shorter rows has them, to the bit."""
    x = np.zeros((6, 30_000), np.float32)
    x[1, -1], x[2, 0], x[3, 9000], x[5, 12_345] = np.nan, np.inf, -np.inf, 1.0
    x[4] = values((30_000,), np.float32)
    x[4, 20_000] = np.nan
    found = wb.kernels.rms_norm_quantised_long(x, dtype=kind, arch=arch)
    short = wb.load(KERNELS / "ptx" / "rms_norm_quantised.sm_90.ptx", KERNELS / "rms_norm_quantised.toml")
    alike(found, short.kernels["rms_norm_quantised"](x, dtype=kind, arch=arch))
    q, scales = found
    assert (np.isnan(scales) == [False, True, True, True, True, False]).all()
    assert (q[1].view(np.uint8) == CODES[kind]).all()
    assert (q[4].view(np.uint8) == CODES[kind]).all()
    assert not q[0].view(np.uint8).any()
    assert scales[0] == np.float32({np.int8: 2.0**-23, FLOAT8: 1.0 / (448 * 512)}[kind])
    assert q[5, 12_345] == {np.int8: 127, FLOAT8: 448}[kind]
    assert np.count_nonzero(q[5]) == 1


@pytest.mark.parametrize("arch", VARIANTS)
def test_a_weight_that_is_nan_makes_all_rows_nan(arch: str) -> None:
    x, weight = values((3, 20_001), np.float16), np.ones(20_001, np.float16)
    weight[15_000] = np.nan
    q, scales = wb.kernels.rms_norm_quantised_long(x, weight, dtype="int8", arch=arch)
    assert np.isnan(scales).all()
    assert not q.any()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_at_addresses_that_are_no_multiple_of_16(dtype: Any, arch: str) -> None:
    shape, size = (3, 9001), 3 * 9001
    for shift in range(1, 8):
        x = values((size + 8,), dtype)[shift : shift + size].reshape(shape)
        weight = values((9016,), dtype)[shift * 3 % 8 :][:9001]
        whole = np.full(size + 16, 77, np.int8)
        q, scales = whole[shift + 1 : shift + 1 + size].reshape(shape), np.zeros(3, np.float32)
        wb.kernels.rms_norm_quantised_long(x, weight, out=(q, scales), arch=arch)
        check_quantised(q, scales, references.rms_norm(x, weight), np.int8)
        assert (whole[: shift + 1] == 77).all()
        assert (whole[shift + 1 + size :] == 77).all()


@pytest.mark.parametrize("sizes", [{"patience": 0}, {"crowd": 0}, {"crowd": 0, "patience": 0}, {"judges": 2}], ids=str)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
def test_whoever_finds_a_row_out_finds_the_same(
    tmp_path: Path, schedule: str, seed: int, arch: str, sizes: dict[str, int]
) -> None:
    """Blocks that look for others read weights from global memory; two judges need rows of fewer pieces."""
    kernel = with_sizes(NAME, tmp_path, sizes)
    shape = (37, 8000) if "judges" in sizes else (5, 20_001)
    dtype, kind, shift = (np.float16, FLOAT8, 1) if seed % 2 else (np.float32, np.int8, 0)
    x, weight = values(shape, dtype), values((shape[1] + 1,), dtype)[shift:][: shape[1]]
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        found = kernel(x, weight, dtype=kind, arch=arch)
    check_quantised(*found, references.rms_norm(x, weight), kind)
    # Where blocks bring their own notes together, sums are of blocks' sums.
    usual = kernel if "crowd" in sizes else wb.kernels.rms_norm_quantised_long
    alike(found, usual(x, weight, dtype=kind, arch=arch))


def test_empty_matrices() -> None:
    for shape in ((0, 5), (0, 0)):
        q, scales = wb.kernels.rms_norm_quantised_long(np.zeros(shape, np.float32), dtype="int8")
        assert (q.shape, scales.shape) == (shape, (0,))
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.rms_norm_quantised_long(np.zeros((5, 0), np.float32), dtype="int8")
    assert str(caught.value) == (
        "rms_norm_quantised_long: x has 5 rows of no elements, which have no scale: expected at least one in each"
    )


def test_stops_when_asked() -> None:
    x = np.zeros((200, 60_000), np.float32)
    pending = wb.kernels.rms_norm.submit(x, quantise="int8")
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(timeout=60)
    x = values((1, 60_000), np.float32)
    check_quantised(*wb.kernels.rms_norm(x, quantise="int8"), references.rms_norm(x), np.int8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_long_rows_of_the_norm_are_shared_out(dtype: Any, kind: Any) -> None:
    length = MOST_BYTES["rms_norm_quantised"] // np.dtype(dtype).itemsize
    x, weight = values((2, length + 1), dtype), values((length + 1,), dtype)
    norm, direct = wb.kernels.rms_norm, wb.kernels.rms_norm_quantised
    assert repr(norm.bind(x, weight, quantise=kind)) == f"<Bound {NAME} on cpu>"
    assert repr(direct.bind(x, weight, dtype=kind)) == f"<Bound {NAME} on cpu>"
    short = x[:, :length].copy()
    assert repr(norm.bind(short, quantise=kind)) == "<Bound rms_norm_quantised on cpu>"
    assert repr(direct.bind(short, dtype=kind)) == "<Bound rms_norm_quantised on cpu>"
    assert repr(norm.bind(x, residual=x, quantise=kind)) == "<Bound rms_norm_residual_quantised on cpu>"
    assert repr(wb.kernels.layer_norm.bind(x, quantise=kind)) == "<Bound layer_norm_quantised on cpu>"
    expected = wb.kernels.rms_norm_quantised_long(x, weight, dtype=kind)
    check_quantised(*expected, references.rms_norm(x, weight), kind)
    out = np.zeros(x.shape, kind), np.zeros(2, np.float32)
    for _ in range(3):
        alike(norm(x, weight, quantise=kind), expected)
        alike(norm.submit(x, weight=weight, quantise=kind).result(60.0), expected)
        alike(direct(x, weight, dtype=kind), expected)
        assert norm(x, weight, quantise=kind, out=out) == out
        alike(out, expected)


def test_what_is_wrong_is_said_by_the_kernel_that_was_chosen() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.rms_norm(np.zeros((1, 50_000), np.float32), np.zeros(3, np.float32), quantise="int8")
    assert str(caught.value) == (
        "rms_norm_quantised_long: argument 2 (weight) has shape (3,), expected (50000,), because d is 50000 in "
        "argument 1 (x); reshape or slice it first"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(1, 300_007), (100, 262_144), (9, 1_000_003), (400, 50_000)], ids=str)
def test_any_shape_on_the_gpu(shape: tuple[int, int], dtype: Any, arch: str) -> None:
    cupy = pytest.importorskip("cupy")
    x, weight = values(shape, dtype), values(shape[1:], dtype)
    there = cupy.asarray(x), cupy.asarray(weight)
    calls = [wb.kernels.rms_norm_quantised_long.launch(*there, dtype="int8", arch=arch) for _ in range(8)]
    rows = [0, shape[0] // 2, shape[0] - 1]
    y = references.rms_norm(x[rows], weight)
    for q, scales in calls:
        check_quantised(q[rows].get(), scales[rows].get(), y, np.int8)
        assert bool((q == calls[0][0]).all())
        assert bool((scales == calls[0][1]).all())
