"""From a manifest's arguments to a signature, and from calls to values: names and places, with whole error texts."""

from __future__ import annotations

import pytest
import warpbridge as wb
from warpbridge.signature import Argument, CallShape

ALL_OPTIONS = ("out", "dtype", "arch", "timeout", "stream", "on_done")


def array(name: str, intent: str = "in", **keys: object) -> Argument:
    return Argument.read({"name": name, "kind": "array", "intent": intent, "dtype": "float32", **keys})


def scalar(name: str, **keys: object) -> Argument:
    return Argument.read({"name": name, "kind": "scalar", "dtype": "float32", **keys})


# Manifest order is the PTX's; Python's is required arrays, optional arrays, scalars.
SHAPE = CallShape(
    "prep",
    [array("x"), array("y", "out"), scalar("gain", default=1.0), array("offsets", optional=True), array("mean"),
     scalar("height", default="h"), array("scratch", "inout")],
    ["U"],
)  # fmt: skip
SIGNATURE = (
    "prep(x, mean, scratch, offsets=None, gain=1.0, height=h, *, "
    "out=None, dtype=None, timeout=None, stream=None, arch=None)"
)


def test_signature_puts_arrays_first_then_optional_ones_then_scalars() -> None:
    assert str(SHAPE) == SIGNATURE


def test_required_scalar_behind_an_optional_array_is_by_name_only() -> None:
    shape = CallShape("f", [array("x"), array("m", optional=True), scalar("a")], [])
    assert str(shape) == "f(x, m=None, *, a, timeout=None, stream=None, arch=None)"
    assert shape.parse((1,), {"a": 2}, ALL_OPTIONS).values == [1, None, 2]


def test_parse_takes_arguments_by_place_and_by_name() -> None:
    call = SHAPE.parse(("X", "M"), {"scratch": "S", "height": 3, "timeout": 0.5, "out": "Y"}, ALL_OPTIONS)
    assert call.values == ["X", "M", "S", None, None, 3]
    assert (call.out, call.timeout, call.dtype, call.arch, call.stream, call.on_done) == (
        "Y",
        0.5,
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("args", "keywords", "text"),
    [
        ((1, 2), {}, f"prep: argument 3 (scratch) is missing, expected {SIGNATURE}"),
        ((1, None, 3), {}, f"prep: argument 2 (mean) is None, expected an array: {SIGNATURE}"),
        ((1, 2, 3), {"gian": 2}, f"prep: 'gian' is no argument of it, expected {SIGNATURE}"),
        ((1, 2, 3), {"x": 1}, "prep: argument 1 (x) is given twice, by place and by name, expected once"),
        ((1, 2, 3), {"y": 1}, "prep: output y is given by name, expected it as out="),
        (tuple(range(8)), {}, f"prep: 8 arguments given by place, expected at most 6: {SIGNATURE}"),
    ],
)
def test_parse_names_kernel_and_argument(args: tuple, keywords: dict, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        SHAPE.parse(args, keywords, ALL_OPTIONS)
    assert str(caught.value) == text
    assert caught.value.kernel == "prep"


def test_parse_refuses_an_option_of_another_call_style() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        SHAPE.parse((1, 2, 3), {"timeout": 1.0}, ("out", "dtype", "arch", "stream"))
    assert str(caught.value) == "prep: timeout= is given, expected only out, dtype, arch, stream in this call style"


def test_parse_refuses_dtype_where_inputs_decide_it() -> None:
    shape = CallShape("f", [array("x"), array("y", "out")], [])
    with pytest.raises(wb.ArgumentError) as caught:
        shape.parse((1,), {"dtype": "float16"}, ALL_OPTIONS)
    assert str(caught.value) == "f: dtype= is given, expected none: the dtypes of its outputs follow from its inputs"
