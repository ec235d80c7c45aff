"""`gather_rows` against NumPy's indexing: every type, rows of every length, numbers outside."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
DTYPES = [
    *(np.float32, np.float16, ml_dtypes.bfloat16, np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32),
    *(np.uint32, np.int64, np.uint64, np.float64, np.complex64, np.complex128),
]
# Rows of src, columns, rows of y: short rows, odd ones, pieces of long ones.
SIZES = [(1, 1, 1), (10, 3, 7), (50, 64, 200), (300, 17, 1000), (20, 1000, 33), (5, 9001, 7)]


def check(size: tuple[int, int, int], dtype: Any, to: Any, **options: Any) -> None:
    rng = np.random.default_rng(size[1])
    src = (rng.standard_normal(size[:2]) * 50).astype(dtype)
    idx = rng.integers(0, size[0], size[2])
    for kind in (np.int64, np.int32):
        y = wb.kernels.gather_rows(to(src), to(idx.astype(kind)), **options)
        y = y if isinstance(y, np.ndarray) else y.get()
        assert y.dtype == src.dtype
        assert y.tobytes() == src[idx].tobytes()


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_type(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    check(size, dtype, as_it_is, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(arch: str, schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check((40, 33, 300), np.int16, as_it_is, arch=arch)
        check((9, 6000, 20), np.float32, as_it_is, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_scaled(dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(3)
    src, idx = rng.standard_normal((30, 77)).astype(dtype), rng.integers(0, 30, 50)
    y = wb.kernels.gather_rows(src, idx, 3.0, arch=arch)
    assert (y == (src[idx].astype(np.float32) * np.float32(3.0)).astype(dtype)).all()


def test_copies_keep_nan_bits() -> None:
    src = np.array([[0x7F800001, 0xFFC12345]], np.uint32).view(np.float32)
    assert wb.kernels.gather_rows(src, np.zeros(3, np.int32)).view(np.uint32).tolist() == [[0x7F800001, 0xFFC12345]] * 3


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("shift", range(1, 8))
def test_addresses_that_are_no_multiple_of_16(shift: int, arch: str) -> None:
    rng = np.random.default_rng(shift)
    src = rng.integers(0, 255, 40 * 50 + 8).astype(np.uint8)[shift : shift + 2000].reshape(40, 50)
    idx = rng.integers(0, 40, 60)
    whole = np.full(3000 + 16, 99, np.uint8)
    y = whole[8 - shift : 3008 - shift].reshape(60, 50)
    wb.kernels.gather_rows(src, idx, out=y, arch=arch)
    assert (y == src[idx]).all()
    assert (whole[: 8 - shift] == 99).all()
    assert (whole[3008 - shift :] == 99).all()


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("size", [(40, 4, 900), (70, 64, 300), (9, 2048, 20), (5, 2052, 12), (4, 6000, 6)], ids=str)
def test_rows_of_whole_vectors(size: tuple[int, int, int], arch: str, schedule: str, seed: int) -> None:
    """Tiles without gaps: rows of 16 bytes, short ones, one stage, a stage and 16 bytes, several stages."""
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check(size, np.float32, as_it_is, arch=arch)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("y_shift", [0, 4])
@pytest.mark.parametrize("src_shift", [0, 4])
def test_rows_of_whole_vectors_at_any_address(src_shift: int, y_shift: int, arch: str) -> None:
    rng = np.random.default_rng(7)
    src = rng.integers(0, 255, 100 * 256 + 8).astype(np.uint8)[src_shift : src_shift + 25_600].reshape(100, 256)
    idx = rng.integers(0, 100, 90)
    whole = np.full(90 * 256 + 8, 99, np.uint8)
    y = whole[y_shift : y_shift + 90 * 256].reshape(90, 256)
    wb.kernels.gather_rows(src, idx, out=y, arch=arch)
    assert (y == src[idx]).all()
    assert (whole[:y_shift] == 99).all()
    assert (whole[y_shift + 90 * 256 :] == 99).all()


@pytest.mark.parametrize(
    ("idx", "scale", "dtype", "text"),
    [
        ([0, 1, 99], 1.0, np.float32, "idx[2] is 99, expected the number of a row of src: at least 0, less than 5"),
        ([0, -1], 1.0, np.int8, "idx[1] is -1, expected the number of a row of src: at least 0, less than 5"),
    ],
)
def test_faults(idx: list[int], scale: float, dtype: Any, text: str) -> None:
    with pytest.raises(wb.KernelFault) as caught:
        wb.kernels.gather_rows(np.zeros((5, 8), dtype), np.array(idx), scale)
    assert str(caught.value) == f"gather_rows: {text}"


@pytest.mark.parametrize("scale", [2.0, float("nan")])
@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_scale_of_a_type_that_cannot_be_scaled(dtype: Any, scale: float) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.gather_rows.launch(np.zeros((5, 8), dtype), np.array([0]), scale)
    assert str(caught.value) == (
        "gather_rows: scale is not 1, expected 1 unless src is float32, float16 or bfloat16; scale the rows afterwards"
    )


def test_float8_rows() -> None:
    src = np.arange(256, dtype=np.uint8).reshape(16, 16).view(ml_dtypes.float8_e4m3fn)
    idx = np.array([3, 15, 0])
    assert wb.kernels.gather_rows(src, idx).tobytes() == src[idx].tobytes()


def test_rows_of_a_type_that_it_does_not_know_go_as_a_view() -> None:
    src = np.arange(256, dtype=np.uint8).reshape(16, 16).view(ml_dtypes.float8_e5m2)
    idx = np.array([3, 15, 0])
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.gather_rows(src, idx)
    found = "gather_rows: argument 1 (src) is float8_e5m2, expected float32, "
    assert str(caught.value).startswith(found)
    assert str(caught.value).endswith(" or float8_e4m3fn; convert it first")
    assert "(float8_e5m2) are refused: convert\nthem, or" in wb.kernels.gather_rows.__doc__
    assert wb.kernels.gather_rows(src.view(np.uint8), idx).tobytes() == src[idx].tobytes()


def test_source_without_rows() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert wb.kernels.gather_rows(empty, np.zeros(0, np.int64)).shape == (0, 4)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.gather_rows(empty, np.zeros(2, np.int64))
    assert "src has no rows, expected some: idx has 2 numbers" in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.complex128])
@pytest.mark.parametrize("size", [*SIZES, (5000, 1024, 20_000), (3000, 2052, 5000)], ids=str)
def test_any_type_on_the_gpu(size: tuple[int, int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(size, dtype, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("columns", [64, 77, 2048])
def test_scaled_on_the_gpu(columns: int, dtype: Any, arch: str) -> None:
    import cupy

    rng = np.random.default_rng(3)
    src, idx = rng.standard_normal((500, columns)).astype(dtype), rng.integers(0, 500, 10_000)
    y = wb.kernels.gather_rows(cupy.asarray(src), cupy.asarray(idx), 3.0, arch=arch, timeout=20.0).get()
    assert (y == (src[idx].astype(np.float32) * np.float32(3.0)).astype(dtype)).all()
