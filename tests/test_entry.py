"""Entries launched by hand: geometry and arguments against the PTX parameter list."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import warpbridge as wb

PTX = """
.version 8.0
.target sm_80
.address_size 64

.visible .entry put(.param .u64 y, .param .f32 a, .param .s16 b, .param .align 4 .b8 pair[8])
{
    .reg .b16 %h<2>;
    .reg .b32 %r<6>;
    .reg .f32 %f<2>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd0, [y];
    mov.u32 %r0, %ctaid.x;
    mov.u32 %r1, %ntid.x;
    mov.u32 %r2, %tid.x;
    mad.lo.u32 %r0, %r0, %r1, %r2;
    mul.wide.u32 %rd1, %r0, 16;
    add.u64 %rd0, %rd0, %rd1;
    ld.param.f32 %f0, [a];
    st.global.f32 [%rd0], %f0;
    ld.param.s16 %h0, [b];
    cvt.s32.s16 %r3, %h0;
    st.global.u32 [%rd0+4], %r3;
    ld.param.u32 %r4, [pair];
    st.global.u32 [%rd0+8], %r4;
    ld.param.u32 %r5, [pair+4];
    st.global.u32 [%rd0+12], %r5;
    ret;
}
"""
PAIR = struct.pack("<iI", -5, 7)


@pytest.fixture(scope="module")
def put() -> wb.Entry:
    return wb.load(PTX).entries["put"]


def test_entry_passes_addresses_numbers_and_structs(put: wb.Entry) -> None:
    y = np.zeros((6, 4), np.int32)
    assert put(2, 3, [y, 1.5, -2, PAIR]) is None
    assert y[:, 0].view(np.float32).tolist() == [1.5] * 6
    assert y[:, 1:].tolist() == [[-2, -5, 7]] * 6


@pytest.mark.parametrize("grid", [2, (2,), (2, 1), [2, 1, 1], np.int64(2)], ids=repr)
def test_entry_takes_extents_of_any_form(put: wb.Entry, grid: object) -> None:
    y = np.zeros((6, 4), np.int32)
    put(grid, (3, 1), [y, np.float32(1.5), np.int8(-2), PAIR])
    assert (y[:, 1] == -2).all()


def test_entry_in_the_other_call_styles(put: wb.Entry) -> None:
    y, z = np.zeros((4, 4), np.int32), np.zeros((4, 4), np.int32)
    assert put.submit(1, 4, [y, 1.0, 9, PAIR]).result(timeout=30) is None
    stream = wb.device("cpu").stream()
    assert put.launch(1, 4, [z, 1.0, 9, PAIR], stream=stream) is None
    stream.synchronize()
    assert y.tolist() == z.tolist()
    assert (y[:, 1] == 9).all()


def test_entry_describes_itself(put: wb.Entry) -> None:
    assert repr(put) == "<Entry put(u64, f32, s16, b8)>"
    assert [(p["name"], p["bytes"]) for p in put.params] == [("y", 8), ("a", 4), ("b", 2), ("pair", 8)]


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        (1, "one", "is a str, expected an array, a number, or bytes"),
        (1, None, "is None, expected an array, a number, or bytes"),
        (2, 70_000, "is the integer 70000, expected -32768 to 32767, the range of int16"),
        (2, 0.5, "is the float 0.5, expected an integer for .s16 of 2 bytes"),
        (3, b"1234", "is 4 bytes, expected 8 bytes for .b8 of 8 bytes"),
        (3, 5, "is the integer 5, expected 8 bytes for .b8 of 8 bytes"),
    ],
)
def test_entry_refuses_an_argument(put: wb.Entry, place: int, value: object, text: str) -> None:
    args: list[object] = [np.zeros((1, 4), np.int32), 1.0, 2, PAIR]
    args[place] = value
    with pytest.raises(wb.ArgumentError) as caught:
        put(1, 1, args)
    assert str(caught.value) == f"put: argument {place + 1} ({put.params[place]['name']}) {text}"
    assert (caught.value.kernel, caught.value.index) == ("put", place + 1)


def test_entry_refuses_a_wrong_number_of_arguments(put: wb.Entry) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        put(1, 1, [1, 2])
    assert str(caught.value) == "put: 2 arguments, expected 4 (.u64 y, .f32 a, .s16 b, .b8 pair)"


def test_entry_refuses_arguments_that_are_no_list(put: wb.Entry) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        put(1, 1, np.zeros(4))
    assert str(caught.value) == "put: args is a numpy.ndarray, expected a list or tuple with one item per PTX parameter"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("grid", -1, "grid is -1, expected an int, or 1 to 3 of them, 0 to 2**32 - 1"),
        ("block", (1, 2, 3, 4), "block is (1, 2, 3, 4), expected an int, or 1 to 3 of them, 0 to 2**32 - 1"),
        ("grid", 1.5, "grid is 1.5, expected an int, or 1 to 3 of them, 0 to 2**32 - 1"),
        ("cluster", True, "cluster is True, expected an int, or 1 to 3 of them, 0 to 2**32 - 1"),
        ("shared_bytes", -1, "shared_bytes is -1, expected 0 to 2**32 - 1 bytes"),
    ],
)
def test_entry_refuses_extents(put: wb.Entry, name: str, value: object, text: str) -> None:
    call = {"grid": 1, "block": 1, "args": [np.zeros((1, 4), np.int32), 1.0, 2, PAIR], name: value}
    with pytest.raises(wb.ArgumentError) as caught:
        put(**call)
    assert str(caught.value) == f"put: {text}"


def test_entry_refuses_a_block_that_no_device_runs(put: wb.Entry) -> None:
    with pytest.raises(wb.LaunchError) as caught:
        put(1, (1024, 2), [np.zeros((1, 4), np.int32), 1.0, 2, PAIR])
    assert str(caught.value) == "put: block is [1024, 2, 1] with 2048 threads, expected at most 1024"


def test_entry_with_an_empty_grid_does_nothing(put: wb.Entry) -> None:
    y = np.zeros((1, 4), np.int32)
    put(0, 1, [y, 1.0, 2, PAIR])
    assert not y.any()
