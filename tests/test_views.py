"""Views of NumPy arrays: what a kernel refuses, in which words, and what an entry takes, with the values it reads."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest
import warpbridge as wb

View = Callable[[], np.ndarray]


def base() -> np.ndarray:
    return np.arange(24, dtype=np.float32).reshape(4, 6)


# The view, its strides in elements, and the shape a kernel wants it to be contiguous in.
STRIDED: dict[str, tuple[View, str, str]] = {
    "transposed": (lambda: base().T, "(1, 6)", "(6, 4)"),
    "every second": (lambda: base()[::2], "(12, 1)", "(2, 6)"),
    "columns": (lambda: base()[:, 1:4], "(6, 1)", "(4, 3)"),
    "reversed": (lambda: base().ravel()[::-1], "(-1,)", "(24,)"),
    "rows reversed": (lambda: base()[::-1], "(-6, 1)", "(4, 6)"),
    "Fortran order": (lambda: np.asfortranarray(base()), "(1, 4)", "(4, 6)"),
    "broadcast": (lambda: np.broadcast_to(np.float32(3), (5,)), "(0,)", "(5,)"),
    "broadcast rows": (lambda: np.broadcast_to(np.arange(6, dtype=np.float32), (4, 6)), "(0, 1)", "(4, 6)"),
    "field": (lambda: np.zeros(4, [("a", "f4"), ("b", "f4")])["b"], "(2,)", "(4,)"),
}


@pytest.mark.parametrize("name", STRIDED)
def test_kernel_refuses_a_view_with_gaps(name: str) -> None:
    make, strides, shape = STRIDED[name]
    text = f"has strides {strides}, expected a C-contiguous array of shape {shape}; make a contiguous copy first"
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(make(), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) {text}"
    view = make()
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(np.zeros(view.shape, np.float32), 2.0, out=view)
    assert str(caught.value) == f"scale: out (y) {text}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: base()[1:3],
        lambda: base()[2],
        lambda: base()[:, np.newaxis],
        lambda: base()[1:2, ::-1][:, :1],
        lambda: base()[:1].T[:1],
        lambda: base()[::2][:0],
        lambda: base().reshape(2, 2, 6),
        lambda: base()[3, 5],
        lambda: base()[:, 6:],
    ],
)
def test_kernel_takes_a_view_without_gaps(make: View) -> None:
    x = np.asarray(make())
    np.testing.assert_array_equal(wb.kernels.scale(x, 2.0, 1.0), 2 * x + 1)


def test_in_place() -> None:
    x = base()
    assert wb.kernels.scale(x, 2.0, 1.0, out=x) is x
    np.testing.assert_array_equal(x, 2 * base() + 1)


def test_shifted_output_is_refused() -> None:
    x = base().ravel()
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x[:-1], 2.0, out=x[1:])
    assert str(caught.value) == (
        "scale: out (y) shares 88 bytes of memory with argument 1 (x), expected exactly the memory of argument 1 (x), "
        "or none of it; pass another array, or a copy"
    )


def test_output_beside_the_input_is_welcome() -> None:
    x = base().ravel()
    wb.kernels.scale(x[:12], 2.0, out=x[12:])
    np.testing.assert_array_equal(x[12:], 2 * np.arange(12))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: np.ma.masked_array(base(), base() > 3),
            "a numpy array is masked, expected one without a mask; pass x.filled(value) or x.data",
        ),
        (
            lambda: base().astype(">f4"),
            "a numpy array has dtype >f4, expected native byte order; "
            "convert it first: x.astype(x.dtype.newbyteorder('='))",
        ),
    ],
    ids=["masked", "byte order"],
)
def test_kernel_refuses(make: View, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(make(), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x): {text}"


# y[i] = x[i * step], for i below the number of threads; `step` counts bytes and may be negative or 0.
GATHER = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry gather(.param .u64 x, .param .u64 y, .param .s64 step)
{
    .reg .b64 %rd<6>;
    .reg .b32 %r;
    .reg .f32 %f;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    ld.param.s64 %rd3, [step];
    mov.u32 %r, %tid.x;
    cvt.u64.u32 %rd4, %r;
    mad.lo.s64 %rd1, %rd4, %rd3, %rd1;
    mad.lo.s64 %rd2, %rd4, 4, %rd2;
    ld.global.f32 %f, [%rd1];
    st.global.f32 [%rd2], %f;
    ret;
}
"""


@pytest.mark.parametrize(
    "x",
    [
        base()[:, 2],
        base().ravel()[::-1],
        base()[::-1][:, 3],
        np.broadcast_to(np.float32(3), (5,)),
        base().T[1],
    ],
    ids=["column", "reversed", "column reversed", "broadcast", "row of the transposed"],
)
def test_entry_takes_any_layout(x: np.ndarray) -> None:
    y = np.zeros(len(x), np.float32)
    wb.load(GATHER).entries["gather"](1, len(x), [x, y, x.strides[0]])
    np.testing.assert_array_equal(y, x)


def test_entry_may_not_read_outside_a_view() -> None:
    x = base()[1:3, 2]
    with pytest.raises(wb.MemoryFault) as caught:
        wb.load(GATHER).entries["gather"](1, 3, [x, np.zeros(3, np.float32), x.strides[0]])
    assert caught.value.array == "x"


def test_entry_may_not_write_a_broadcast_array() -> None:
    y = np.broadcast_to(np.float32(3), (5,))
    with pytest.raises(wb.MemoryFault) as caught:
        wb.load(GATHER).entries["gather"](1, 5, [base(), y, 4])
    assert caught.value.array == "y"


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
def test_narrow_floats_of_ml_dtypes_are_named(name: str) -> None:
    ml_dtypes = importlib.import_module("ml_dtypes")  # comes with JAX
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(np.zeros(3, getattr(ml_dtypes, name)), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) is {name}, expected float32 or float16; convert it first"


@pytest.mark.parametrize("name", ["int4", "uint4", "int2", "float4_e2m1fn", "float6_e2m3fn"])
def test_sub_byte_types_of_ml_dtypes_are_refused(name: str) -> None:
    ml_dtypes = importlib.import_module("ml_dtypes")  # comes with JAX
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(np.zeros(3, getattr(ml_dtypes, name)), 2.0)
    assert str(caught.value) == (
        f"scale: argument 1 (x): a numpy array has dtype {name}, expected elements of whole bytes; "
        "pass the packed values as uint8"
    )
