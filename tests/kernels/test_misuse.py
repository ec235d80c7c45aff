"""Every kernel called wrongly in the ways that are the same for all: argument, found, expected, what to do.

What is wrong for one kernel only (an index, a range, sizes that must agree) is in the tests of that kernel.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import warpbridge as wb

Call = tuple[list[Any], dict[str, Any]]
MATRIX = np.linspace(-1, 1, 4 * 64, dtype=np.float32).reshape(4, 64)
ROW = MATRIX[0].copy()
COMPLEX = (MATRIX + 1j).astype(np.complex64)
IMAGES = np.arange(2 * 16 * 16 * 3, dtype=np.uint8).reshape(2, 16, 16, 3)
THIRDS = (0.5, 0.4, 0.3)
HALVES = MATRIX.astype(np.float16)

CALLS: dict[str, Call] = {
    "cross_entropy": ([MATRIX, np.arange(4)], {}),
    "dequant_matvec": ([np.zeros((16, 32), np.uint8), np.ones((16, 2), np.float16), HALVES[:2].copy()], {}),
    "fft_frames": ([np.ones((99, 2), np.int16), ROW, 8], {}),
    "fft_power": ([COMPLEX], {"average": 2}),
    "field_to_rgba": ([MATRIX, np.zeros((8, 4), np.uint8), -1.0, 1.0], {}),
    "field_to_rgba_own_range": ([MATRIX, np.zeros((8, 4), np.uint8)], {}),
    "gather_rows": ([MATRIX, np.array([3, 0])], {}),
    "image_prep": ([IMAGES, THIRDS, THIRDS], {"oh": 8, "ow": 8}),
    "image_resize": ([IMAGES, THIRDS, THIRDS], {"oh": 8, "ow": 8}),
    "layer_norm": ([MATRIX, ROW, ROW], {}),
    "layer_norm_long": ([MATRIX, ROW, ROW], {}),
    "layer_norm_quantised": ([MATRIX, ROW, ROW], {}),
    "layer_norm_residual": ([MATRIX, MATRIX, ROW, ROW], {}),
    "layer_norm_residual_quantised": ([MATRIX, MATRIX, ROW, ROW], {}),
    "rms_norm": ([MATRIX, ROW], {}),
    "rms_norm_long": ([MATRIX, ROW], {}),
    "rms_norm_quantised": ([MATRIX, ROW], {}),
    "rms_norm_quantised_long": ([MATRIX, ROW], {}),
    "rms_norm_residual": ([MATRIX, MATRIX, ROW], {}),
    "rms_norm_residual_quantised": ([MATRIX, MATRIX, ROW], {}),
    "scale": ([MATRIX, 2.0], {}),
    "softmax": ([MATRIX], {}),
    "softmax_long": ([MATRIX], {}),
    "spectral_multiply": ([COMPLEX, COMPLEX.copy()], {}),
    "stencil3d": ([MATRIX.reshape(4, 8, 8), np.ones((3, 3), np.float32)], {}),
}
ARRAYS = [
    (name, place)
    for name, (arguments, _) in CALLS.items()
    for place, argument in enumerate(arguments)
    if isinstance(argument, np.ndarray)
]
OUTPUTS = [(name, place) for name in CALLS for place in range(2 if "quantised" in name or "residual" in name else 1)]


def refused(name: str, place: int, value: Any) -> str:
    arguments, keywords = CALLS[name]
    with pytest.raises(wb.ArgumentError) as caught:
        getattr(wb.kernels, name)(*arguments[:place], value, *arguments[place + 1 :], **keywords)
    assert (caught.value.kernel, caught.value.index) == (name, place + 1)
    return str(caught.value)


def place_of(name: str, place: int) -> str:
    parameter = list(inspect.signature(getattr(wb.kernels, name)).parameters)[place]
    return f"{name}: argument {place + 1} ({parameter})"


def shape_of(name: str, place: int) -> str | None:
    """Return the shape that the description gives an array; None for any shape."""
    parameter = list(inspect.signature(getattr(wb.kernels, name)).parameters)[place]
    found = re.search(rf"^{parameter} : array of [\w ]+, (\(.*?\)|any shape)", getattr(wb.kernels, name).__doc__, re.M)
    assert found, f"{parameter} is described"
    return None if found[1] == "any shape" else found[1]


def test_every_kernel_is_here() -> None:
    assert sorted(CALLS) == sorted(dir(wb.kernels))
    for name, (arguments, keywords) in CALLS.items():
        getattr(wb.kernels, name)(*arguments, **keywords)


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_list_is_no_array(name: str, place: int) -> None:
    listed = CALLS[name][0][place].tolist()
    assert refused(name, place, listed) == (
        f"{place_of(name, place)} is a list, expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)"
    )


@pytest.mark.parametrize(("name", "place"), [row for row in ARRAYS if row != ("gather_rows", 0)])
def test_dtype_that_it_does_not_take(name: str, place: int) -> None:
    strange = CALLS[name][0][place].astype(ml_dtypes.float8_e4m3fn)
    text = refused(name, place, strange)
    start = re.escape(f"{place_of(name, place)} is float8_e4m3fn, expected ")
    kinds = r"[a-z]+\d+(, [a-z]+\d+)*( or [a-z]+\d+)?"
    assert re.fullmatch(rf"{start}{kinds}(, like argument \d \(\w+\))?; convert it first", text), text


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_dimensions(name: str, place: int) -> None:
    expected = shape_of(name, place)
    if expected is None:
        return
    array = CALLS[name][0][place]
    count = array.ndim
    assert refused(name, place, array[None]) == (
        f"{place_of(name, place)} has {count + 1} dimensions, shape {array[None].shape}, expected "
        f"{count} dimension{'s' * (count > 1)}, shape {expected}; reshape it first"
    )


@pytest.mark.parametrize(("name", "place"), ARRAYS)
@pytest.mark.parametrize(
    "spaced",
    [lambda a: np.repeat(a, 2, axis=-1)[..., ::2], lambda a: a[::-1], lambda a: np.broadcast_to(a[:1], a.shape)],
    ids=["strided", "reversed", "broadcast"],
)
def test_array_with_gaps(name: str, place: int, spaced: Callable[[Any], Any]) -> None:
    array = spaced(CALLS[name][0][place])
    strides = tuple(step // array.itemsize for step in array.strides)
    assert refused(name, place, array) == (
        f"{place_of(name, place)} has strides {strides}, expected a C-contiguous array of shape {array.shape}; "
        "make a contiguous copy first"
    )


def outputs(name: str) -> list[np.ndarray]:
    arguments, keywords = CALLS[name]
    made = getattr(wb.kernels, name)(*arguments, **keywords)
    return list(made) if isinstance(made, tuple) else [made]


def refused_output(name: str, place: int, spoil: Callable[[np.ndarray], Any]) -> str:
    arguments, keywords = CALLS[name]
    outs = outputs(name)
    outs[place] = spoil(outs[place])
    with pytest.raises(wb.ArgumentError) as caught:
        getattr(wb.kernels, name)(*arguments, **keywords, out=outs[0] if len(outs) == 1 else tuple(outs))
    text = str(caught.value)
    start = f"{name}: out{f'[{place}]' if len(outs) > 1 else ''} ({caught.value.argument})"
    assert text.startswith(start)
    return text.removeprefix(start)


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(("name", "place"), OUTPUTS)
def test_outputs(name: str, place: int) -> None:
    made = outputs(name)[place]
    assert refused_output(name, place, frozen) == (
        " is read-only, expected a writable array; pass another array, or a copy"
    )
    long = refused_output(name, place, lambda y: np.zeros((len(y) + 1, *y.shape[1:]), y.dtype))
    assert re.match(rf" has shape {re.escape(str((len(made) + 1, *made.shape[1:])))}, expected ", long), long
    assert f"expected {made.shape}, " in long
    kind = refused_output(name, place, lambda y: np.zeros(y.shape, np.int64))
    assert re.fullmatch(r" is int64, expected [\w, ]+( \(\w+\))?; convert it first", kind), kind
    gaps = refused_output(name, place, lambda y: np.repeat(y, 2, axis=-1)[..., ::2])
    expected = f"expected a C-contiguous array of shape {made.shape}; make a contiguous copy first"
    assert re.fullmatch(rf" has strides \(.*\), {re.escape(expected)}", gaps), gaps
