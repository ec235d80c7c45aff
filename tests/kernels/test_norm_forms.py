"""Norms with a residual, and quantised, against NumPy in float64; 8-bit rounding against ml_dtypes bit for bit."""

from __future__ import annotations

import inspect
import pickle
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import references
import warpbridge as wb
from test_rows import DTYPES, VARIANTS, near, values

FLOAT8 = ml_dtypes.float8_e4m3fn
KINDS = [np.int8, FLOAT8]
NORMS = ["rms_norm", "layer_norm"]
# Short rows, odd ones, one stage and several with and without a residual, longer than the ring.
SHAPES = [(1, 1), (3, 5), (7, 33), (100, 64), (40, 1024), (3, 4095), (2, 30_000), (2, 60_001)]
# Rows that warps hold in registers: of whole parts, of parts of which one is not, and the longest.
SHAPES += [(9, 4096), (5, 12_288), (5, 7168), (3, 8193), (3, 14_336), (3, 28_672)]

# Elements of float32; without a residual.
LONGER_THAN_THE_RING = {"sm_80": 23_001, "sm_90": 50_001}


def expected(norm: str, z: np.ndarray, weight: Any, bias: Any) -> np.ndarray:
    if norm == "rms_norm":
        return references.rms_norm(z, weight, 1e-3)
    return references.layer_norm(z, weight, bias, 1e-3)


def check(
    rng: np.random.Generator, norm: str, shape: tuple[int, int], dtype: Any, to: Any = np.asarray, **options: Any
) -> None:
    """All forms of a norm on one matrix; each result against the reference of what went in."""
    x, residual = values(rng, shape, dtype), values(rng, shape, dtype)
    weight = values(rng, shape[1:], dtype)
    bias = values(rng, shape[1:], dtype) if norm == "layer_norm" and rng.integers(2) else None
    kernel = getattr(wb.kernels, norm)
    call = {"eps": 1e-3, **options} | ({} if bias is None else {"bias": to(bias)})
    z = references.rounded_sum(x, residual)
    y = expected(norm, z, weight, bias)
    found, total = (back(a) for a in kernel(to(x), to(weight), residual=to(residual), **call))
    np.testing.assert_array_equal(total.view(np.uint8), z.view(np.uint8))
    near(found, y, least=1e-5)
    kind = KINDS[rng.integers(2)] if to is np.asarray else np.int8
    q, total, scales = (back(a) for a in kernel(to(x), to(weight), residual=to(residual), quantise=kind, **call))
    np.testing.assert_array_equal(total.view(np.uint8), z.view(np.uint8))
    check_quantised(q, scales, y, kind)
    y = expected(norm, x, weight, bias)
    check_quantised(*(back(a) for a in kernel(to(x), to(weight), quantise=kind, **call)), y, kind)
    given = np.array([np.abs(y).max() / 100], np.float32)
    q, scales = (back(a) for a in kernel(to(x), to(weight), quantise=kind, scale=to(given), **call))
    assert (scales == given).all()
    check_rounding(q, y, given.astype(np.float64), kind)


def check_quantised(q: np.ndarray, scales: np.ndarray, y: np.ndarray, kind: Any) -> None:
    np.testing.assert_allclose(scales, references.row_scales(y, kind), rtol=2e-5)
    check_rounding(q, y, scales.astype(np.float64)[:, None], kind)


def check_rounding(q: np.ndarray, y: np.ndarray, scales: np.ndarray, kind: Any, more: Any = 0.0) -> None:
    """Each number is one that a value within float32's errors, and `more`, of the exact one rounds to."""
    assert q.dtype == kind
    slack = 1e-5 * np.abs(y) + 1e-5 + more
    low, high = (references.to_8_bits(v / scales, kind).astype(np.float64) for v in (y - slack, y + slack))
    wide = q.astype(np.float64)
    assert ((low <= wide) & (wide <= high)).all()


def back(y: Any) -> np.ndarray:
    return y if isinstance(y, np.ndarray) else y.get()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_any_shape(norm: str, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    check(np.random.default_rng(shape[1]), norm, shape, dtype, arch=arch)


@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("norm", NORMS)
def test_every_schedule(norm: str, arch: str, schedule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        for shape in [(37, 65), (5, 2100), (2, 4500), (9, 4096)]:
            check(rng, norm, shape, DTYPES[rng.integers(3)], arch=arch)
        check(rng, norm, (1, 25_500), np.float32, arch=arch)  # longer than the ring: both halves of its stages are full


@pytest.mark.parametrize(("schedule", "seed"), [("latest", 0), ("seeded", 1), ("seeded", 2)])
@pytest.mark.parametrize(
    ("columns", "dtype"), [(4096, np.float16), (12_288, np.float16), (4096, np.float32), (6144, np.float16)], ids=str
)
@pytest.mark.parametrize("norm", NORMS)
def test_held_rows_go_around_the_ring(norm: str, columns: int, dtype: Any, schedule: str, seed: int) -> None:
    """One thread, so as few blocks as there are at a time: each has more rows than stages."""
    with wb.cpu(schedule=schedule, seed=seed, checks="all", threads=1):
        check(np.random.default_rng(seed), norm, (43, columns), dtype, arch="sm_90")


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_at_addresses_that_are_no_multiple_of_16(dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(1)
    shape, size = (5, 301), 5 * 301
    for shift in range(1, 8):
        x, residual = (values(rng, (size + 8,), dtype)[at : at + size].reshape(shape) for at in (shift, shift * 3 % 8))
        whole = {name: np.full(size + 16, 77, kind) for name, kind in (("q", np.int8), ("sum", dtype))}
        q, total = (whole[name][shift + 1 : shift + 1 + size].reshape(shape) for name in whole)
        scales = np.zeros(5, np.float32)
        wb.kernels.rms_norm(x, residual=residual, quantise="int8", out=(q, total, scales), arch=arch)
        z = references.rounded_sum(x, residual)
        assert (total == z).all()
        check_quantised(q, scales, references.rms_norm(z), np.int8)
        for around in whole.values():
            assert (around[: shift + 1] == 77).all()
            assert (around[shift + 1 + size :] == 77).all()


def rounded(numbers: np.ndarray, kind: Any, arch: str) -> np.ndarray:
    """Round through `rms_norm`: rows so small that eps alone is the root, and a weight that undoes it, both exactly."""
    x = (numbers.astype(np.float64) * 2.0**-30).astype(np.float32)
    weight = np.full(len(numbers), 2.0**20, np.float32)
    scale = np.array([2.0**-10], np.float32)
    q, scales = wb.kernels.rms_norm(x[None], weight, 1.0, quantise=kind, scale=scale, arch=arch)
    assert scales == scale
    return np.asarray(q[0])


@pytest.mark.parametrize("arch", VARIANTS)
def test_float8_is_that_of_ml_dtypes_bit_for_bit(arch: str) -> None:
    codes = np.arange(0x7F, dtype=np.uint8).view(FLOAT8).astype(np.float64)
    ties = (codes[1:] + codes[:-1]) / 2
    near_ties = np.concatenate([np.nextafter(ties.astype(np.float32), np.float32(to)) for to in (0, 1000)])
    random = np.exp2(np.random.default_rng(1).uniform(-14, 9, 20_000))
    above = np.array([448.0, 449.0, 464.0, 480.0, 1000.0, 2.0**-11, 2.0**-20])
    numbers = np.concatenate([codes, ties, near_ties, random, above]).astype(np.float32)
    numbers = np.concatenate([numbers, -numbers])
    found = rounded(numbers, FLOAT8, arch)
    np.testing.assert_array_equal(found.view(np.uint8), references.to_8_bits(numbers, FLOAT8).view(np.uint8))


@pytest.mark.parametrize("arch", VARIANTS)
def test_int8_is_rounded_to_even_and_saturates(arch: str) -> None:
    numbers = np.concatenate([np.arange(-300, 300, 0.25), [-0.0, 1e-9, 127.49999, 127.5, -128.5, -128.50002, 5e4]])
    found = rounded(numbers.astype(np.float32), np.int8, arch)
    np.testing.assert_array_equal(found, references.to_8_bits(numbers.astype(np.float32), np.int8))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("columns", [7, 4096, 5000, 60_000])
def test_rows_of_zeros_and_of_nan(columns: int, arch: str) -> None:
    x = np.zeros((3, columns), np.float32)
    x[1, -1] = np.nan
    x[2, 0] = 1.0
    q, scales = wb.kernels.rms_norm(x, quantise="int8", arch=arch)
    assert not q[:2].any()
    assert q[2, 0] == 127
    assert scales[0] == np.float32(2.0**-23)
    assert np.isnan(scales[1])
    q, scales = wb.kernels.rms_norm(x, quantise=FLOAT8, arch=arch)
    assert (q[1].view(np.uint8) == 0x7F).all()
    assert scales[0] == np.float32(1.0 / (448 * 512))
    assert np.isnan(scales[1])


def offset_rows(rng: np.random.Generator, columns: int, dtype: Any, bound: float) -> np.ndarray:
    """Rows whose mean is near zero, far from it in either direction, and just to either side of where that begins."""
    x = rng.standard_normal((9, columns))
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    return np.asarray((x + np.array([0, 30, -30, 300, -1000, 1, -1, bound, -bound])[:, None]).astype(dtype))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [4096, 8192, 6000, 12_288])
@pytest.mark.parametrize("bound", [1.7, 1.732, 1.74, 1.76])
def test_rows_whose_mean_is_far_from_zero(bound: float, columns: int, dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(columns)
    x = offset_rows(rng, columns, dtype, bound)
    weight, bias = values(rng, (columns,), dtype), values(rng, (columns,), dtype)
    zeros = np.zeros_like(x)
    for b in (None, bias):
        y = references.layer_norm(x, weight, b, 1e-3)
        for kind in KINDS:
            q, total, scales = wb.kernels.layer_norm(x, weight, b, 1e-3, residual=zeros, quantise=kind, arch=arch)
            np.testing.assert_array_equal(total.view(np.uint8), x.view(np.uint8))
            check_far(q, scales, y, kind, x)
            check_far(*wb.kernels.layer_norm(x, weight, b, 1e-3, quantise=kind, arch=arch), y, kind, x)


def check_far(q: np.ndarray, scales: np.ndarray, y: np.ndarray, kind: Any, x: np.ndarray) -> None:
    """As `check_quantised`, given that the mean is rounded to float32, however far from zero it is."""
    z = x.astype(np.float64)
    far = (1e-7 * np.abs(z.mean(1)) / z.std(1))[:, None] * (1 + np.abs(y).max(1, keepdims=True))
    wanted = references.row_scales(y, kind)
    np.testing.assert_array_less(np.abs(scales - wanted), 2e-5 * wanted + far[:, 0] * wanted)
    check_rounding(q, y, scales.astype(np.float64)[:, None], kind, far)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [7, 4096, 5000, 12_288])
def test_rows_of_nan_infinity_and_one_number(columns: int, dtype: Any, arch: str) -> None:
    x = np.random.default_rng(1).standard_normal((6, columns)).astype(dtype)
    x[0, -1] = np.nan
    x[1, 0] = np.inf
    x[2, columns // 2] = -np.inf
    x[3] = dtype(3)
    x[4] = dtype(0)
    for residual in ({"residual": np.zeros_like(x)}, {}):
        q, *_, scales = wb.kernels.layer_norm(x, **residual, quantise="int8", arch=arch)
        assert np.isnan(scales[:3]).all()
        assert not q[:3].any()
        # What rounding the mean leaves, times 1 over the root of eps.
        assert (np.abs(q[3] * scales[3]) < 1e-3).all()
        assert not q[4].any()
        assert scales[4] == np.float32(2.0**-23)
        check_quantised(q[5:], scales[5:], references.layer_norm(x[5:]), np.int8)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [4096, 12_288])
def test_either_of_weight_and_bias_may_be_missing(columns: int, dtype: Any, arch: str) -> None:
    rng = np.random.default_rng(columns)
    x, weight, bias = values(rng, (3, columns), dtype), values(rng, (columns,), dtype), values(rng, (columns,), dtype)
    for w, b in ((None, None), (weight, None), (None, bias), (weight, bias)):
        for kind in KINDS:
            q, scales = wb.kernels.layer_norm(x, w, b, quantise=kind, arch=arch)
            check_quantised(q, scales, references.layer_norm(x, w, b), kind)


@pytest.mark.parametrize("name", ["x", "weight", "bias", "q"])
@pytest.mark.parametrize("columns", [4096, 12_288])
def test_whole_parts_at_addresses_that_are_no_multiple_of_16(columns: int, name: str) -> None:
    rng = np.random.default_rng(columns)
    sizes = {"x": 3 * columns, "weight": columns, "bias": columns}
    shift = {key: int(key == name) for key in (*sizes, "q")}
    whole = {key: values(rng, (size + 8,), np.float16) for key, size in sizes.items()}
    x, weight, bias = (whole[key][shift[key] : shift[key] + size] for key, size in sizes.items())
    x, room = x.reshape(3, columns), np.full(3 * columns + 16, 77, np.int8)
    q = room[shift["q"] : shift["q"] + 3 * columns].reshape(3, columns)
    scales = np.zeros(3, np.float32)
    wb.kernels.layer_norm(x, weight, bias, quantise="int8", out=(q, scales), arch="sm_90")
    check_quantised(q, scales, references.layer_norm(x, weight, bias), np.int8)
    assert (room[: shift["q"]] == 77).all()
    assert (room[shift["q"] + 3 * columns :] == 77).all()


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("columns", [4096, 12_288])
def test_squares_that_float32_does_not_hold(columns: int, arch: str) -> None:
    """The mean square is infinite, the variance is not."""
    x = np.full((2, columns), 2.0**62, ml_dtypes.bfloat16)
    x[:, ::2] = ml_dtypes.bfloat16(2.0**62 * 1.0078125)
    for residual in ({"residual": np.zeros_like(x)}, {}):
        q, *_, scales = wb.kernels.layer_norm(x, **residual, quantise="int8", arch=arch)
        np.testing.assert_allclose(scales, 1 / 127, rtol=2e-5)
        assert (q[:, ::2] == 127).all()
        assert (q[:, 1::2] == -127).all()


def test_no_rows_and_no_columns() -> None:
    for shape in ((0, 5), (5, 0)):
        x = np.zeros(shape, np.float32)
        q, total, scales = wb.kernels.layer_norm(x, residual=x, quantise="int8")
        assert (q.shape, total.shape, scales.shape) == (shape, shape, shape[:1])


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
def test_rows_may_be_mapped_in_place(schedule: str, seed: int, arch: str) -> None:
    rng = np.random.default_rng(seed)
    for shape in [(37, 65), (7, 2100), (2, 4501), (1, LONGER_THAN_THE_RING[arch])]:
        dtype = DTYPES[rng.integers(3)] if shape[0] > 1 else np.float32
        x, residual = values(rng, shape, dtype), values(rng, shape, dtype)
        for name in ("softmax", "rms_norm", "layer_norm"):
            kernel, y = getattr(wb.kernels, name), x.copy()
            with wb.cpu(schedule=schedule, seed=seed, checks="all"):
                assert kernel(y, out=y, arch=arch) is y
            np.testing.assert_array_equal(y, kernel(x, arch=arch))
        y, total = x.copy(), residual.copy()
        with wb.cpu(schedule=schedule, seed=seed, checks="all"):
            wb.kernels.rms_norm(y, residual=total, out=(y, total), arch=arch)
        for found, wanted in zip((y, total), wb.kernels.rms_norm(x, residual=residual, arch=arch), strict=True):
            np.testing.assert_array_equal(found, wanted)
        total = residual.copy()
        wb.kernels.rms_norm(x, residual=total, quantise="int8", out=(None, total, None), arch=arch)
        np.testing.assert_array_equal(total, references.rounded_sum(x, residual))


def launched(kernel: Any, *args: Any, **keywords: Any) -> Any:
    """Launch on the CPU device's default stream, and wait by a blocking call behind it."""
    outputs = kernel.launch(*args, **keywords)
    wb.kernels.scale(np.zeros(1, np.float32), 1.0)
    return outputs


def test_every_call_style_takes_the_keywords() -> None:
    rng = np.random.default_rng(4)
    x, residual, weight = (values(rng, shape, np.float32) for shape in ((50, 300), (50, 300), (300,)))
    wanted = wb.kernels.rms_norm_residual_quantised(x, residual, weight, dtype="int8")
    keywords = {"residual": residual, "quantise": np.int8}
    for _ in range(3):
        for found in (
            wb.kernels.rms_norm(x, weight, **keywords),
            wb.kernels.rms_norm(x, weight=weight, **keywords),
            launched(wb.kernels.rms_norm, x, weight, **keywords),
            wb.kernels.rms_norm.submit(x, weight, timeout=20.0, **keywords).result(20.0),
            wb.kernels.rms_norm.bind(x, weight, **keywords)(),
            pickle.loads(pickle.dumps(wb.kernels.rms_norm))(x, weight, **keywords),
        ):
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(one, other)
        plain = wb.kernels.rms_norm(x, weight, residual=None, quantise=None)
        near(plain, references.rms_norm(x, weight))


def test_signature_and_documentation_name_the_keywords() -> None:
    assert str(inspect.signature(wb.kernels.layer_norm)) == (
        "(x, weight=None, bias=None, eps=1e-05, *, residual=None, quantise=None, scale=None, "
        "out=None, timeout=None, stream=None, arch=None)"
    )
    assert repr(wb.kernels.rms_norm).startswith("<Kernel rms_norm(x, weight=None, eps=1e-06, *, residual=None")
    for word in ("\nresidual : ", "\nquantise : ", "\nscale : ", "rms_norm_residual", "rms_norm_quantised"):
        assert word in (wb.kernels.rms_norm.__doc__ or "")


X = np.zeros((4, 5), np.float32)


@pytest.mark.parametrize(
    ("args", "keywords", "text"),
    [
        (
            (X,),
            {"scale": np.ones(1, np.float32)},
            'rms_norm: scale= is given without quantise=, expected quantise="int8" or quantise="float8_e4m3fn" with it',
        ),
        (
            (X,),
            {"quantise": "int8", "dtype": "int8"},
            "rms_norm: dtype= is given with quantise=, expected quantise= only: it says the output's dtype",
        ),
        (
            (X, None, 1e-6),
            {"quantise": "int8", "eps": 1e-6},
            "rms_norm: argument 3 (eps) is given twice, by place and by name, expected once",
        ),
        (
            (X,),
            {"residual": X, "dtype": "float16"},
            "rms_norm_residual: dtype= is given, expected none: the dtypes of its outputs follow from its inputs",
        ),
        ((X,), {"quantise": "int4"}, "rms_norm: quantise is int4, expected int8 or float8_e4m3fn"),
        (
            (X,),
            {"residual": np.zeros((4, 6), np.float32)},
            "rms_norm_residual: argument 2 (residual) has shape (4, 6), expected (4, 5), because d is 5 in argument 1 "
            "(x); reshape or slice it first",
        ),
        ((X,), {"residual": X, "out": X}, "rms_norm_residual: out has 1 array, expected 2 (y, sum)"),
        (
            (X,),
            {"residul": X},
            "rms_norm: 'residul' is no argument of it, expected rms_norm(x, weight=None, eps=1e-06, *, residual=None, "
            "quantise=None, scale=None, out=None, timeout=None, stream=None, arch=None)",
        ),
    ],
)
def test_wrong_calls(args: tuple[Any, ...], keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.rms_norm(*args, **keywords)
    assert str(caught.value) == text


def test_cancel_stops_a_norm_with_a_residual() -> None:
    x = np.ones((20_000, 1000), np.float32)
    pending = wb.kernels.rms_norm.submit(x, residual=x, quantise="int8")
    while pending.progress == 0.0:
        time.sleep(0.001)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [*SHAPES, (3000, 4096), (300, 12_345), (40, 262_144)], ids=str)
@pytest.mark.parametrize("norm", NORMS)
def test_any_shape_on_the_gpu(norm: str, shape: tuple[int, int], dtype: Any, arch: str) -> None:
    import cupy

    check(np.random.default_rng(3), norm, shape, dtype, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("columns", [64, 1000, 4096, 262_144])
def test_float8_on_the_gpu(columns: int, arch: str) -> None:
    import torch

    x, residual = (torch.randn(100, columns, device="cuda").to(torch.bfloat16) for _ in range(2))
    weight = torch.randn(columns, device="cuda").to(torch.bfloat16)
    q, total, scales = wb.kernels.rms_norm(
        x, weight, residual=residual, quantise=torch.float8_e4m3fn, arch=arch, timeout=20.0
    )
    assert torch.equal(total, x + residual)
    y = torch.nn.functional.rms_norm(total.double(), (columns,), weight.double(), 1e-6)
    torch.testing.assert_close(scales.double(), y.abs().amax(-1) / 448, rtol=2e-5, atol=0.0)
    torch.testing.assert_close(q.double() * scales.double()[:, None], y, rtol=2**-3, atol=float(y.abs().max()) / 2**14)


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
def test_float8_is_that_of_torch_bit_for_bit_on_the_gpu(arch: str) -> None:
    import torch

    numbers = torch.exp2(torch.rand(100_000, device="cuda") * 24 - 14) * torch.sign(torch.randn(100_000, device="cuda"))
    weight, scale = torch.full_like(numbers, 2.0**20), torch.tensor([2.0**-10], device="cuda")
    x = numbers[None] * 2.0**-30
    q, _ = wb.kernels.rms_norm(x, weight, 1.0, quantise="float8_e4m3fn", scale=scale, arch=arch, timeout=20.0)
    wanted = numbers.clamp(-448, 448).to(torch.float8_e4m3fn)
    assert torch.equal(q[0].view(torch.uint8), wanted.view(torch.uint8))


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("shape", [(3000, 65), (500, 4096), (100, 12_345), (20, 262_143)], ids=str)
def test_rows_may_be_mapped_in_place_on_the_gpu(shape: tuple[int, int], arch: str) -> None:
    import cupy

    x, residual = (cupy.random.standard_normal(shape, dtype=cupy.float32).astype(cupy.float16) for _ in range(2))
    for name in ("softmax", "rms_norm", "layer_norm"):
        kernel, y = getattr(wb.kernels, name), x.copy()
        kernel(y, out=y, arch=arch, timeout=20.0)
        assert (y == kernel(x, arch=arch, timeout=20.0)).all()
    y, total = x.copy(), residual.copy()
    wb.kernels.rms_norm(y, residual=total, out=(y, total), arch=arch, timeout=20.0)
    wanted = wb.kernels.rms_norm(x, residual=residual, arch=arch, timeout=20.0)
    assert (y == wanted[0]).all()
    assert (total == wanted[1]).all()
