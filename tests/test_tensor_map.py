"""Tensor maps: what is encoded for the CPU device, what is refused, how long they keep their array."""

from __future__ import annotations

import gc
import struct
import weakref

import numpy as np
import pytest
import warpbridge as wb

PTX = """
.version 8.0
.target sm_90
.address_size 64

.visible .entry show(.param .align 64 .b8 map[128], .param .u64 y)
{
    .reg .b64 %rd<9>;
    .reg .b32 %r<2>;
    ld.param.u64 %rd0, [y];
    ld.param.v2.u64 {%rd1, %rd2}, [map];
    st.global.v2.u64 [%rd0], {%rd1, %rd2};
    mov.u64 %rd3, map;
    cvta.param.u64 %rd3, %rd3;
    and.b64 %rd4, %rd3, 63;
    st.global.u64 [%rd0+16], %rd4;
    ret;
}
"""


def aligned(shape: tuple[int, ...], dtype: str, offset: int = 0) -> np.ndarray:
    """Return zeros whose address is `offset` beyond a multiple of 64."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(count + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    return raw[start : start + count].view(dtype).reshape(shape)


def fields(described: wb.TensorMap) -> tuple[int, ...]:
    """Return address, sizes, strides and box as the CPU device's form has them, innermost first."""
    words = struct.unpack_from("<10Q5H", described.encoded, 8)
    return (*words[:6], *words[6:10], *words[10:])


def test_map_reverses_the_axes() -> None:
    x = aligned((3, 4, 32), "float16")
    described = wb.tensor_map(x, box=(1, 2, 16))
    assert fields(described) == (x.ctypes.data, 32, 4, 3, 0, 0, 64, 256, 0, 0, 16, 2, 1, 0, 0)
    assert repr(described) == "<TensorMap of float16 (3, 4, 32) on cpu>"


def test_map_follows_the_strides_of_a_view() -> None:
    x = aligned((64, 32), "float32")[8:40:2, 4:20]
    assert fields(wb.tensor_map(x, (8, 4)))[:7] == (x.ctypes.data, 16, 16, 0, 0, 0, 256)


def test_map_of_one_dimension_takes_an_int() -> None:
    assert fields(wb.tensor_map(aligned((64,), "uint8"), 32))[1:2] == (64,)


def test_entry_gets_the_map_by_value_and_aligned() -> None:
    x, y = aligned((4, 8), "float32"), np.ones(3, np.uint64)
    described = wb.tensor_map(x, (4, 4))
    wb.load(PTX).entries["show"](1, 1, [described, y])
    assert y[:2].tobytes() == described.encoded[:16]
    assert (int(y[1]), int(y[2])) == (x.ctypes.data, 0)


def test_map_keeps_its_array_alive() -> None:
    class Array(np.ndarray):
        pass

    x = aligned((4, 8), "float32").view(Array)
    described, alive = wb.tensor_map(x, (4, 4)), weakref.ref(x)
    bound = wb.load(PTX).entries["show"].bind(1, 1, [described, np.zeros(3, np.uint64)])
    del x, described
    gc.collect()
    assert alive() is not None
    del bound
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("shape", "options", "text"),
    [
        ((64, 32), {"box": (8,)}, "box is (8,), expected length 2, one item per axis of the array"),
        ((64, 32), {"box": (8, 3)}, "box is (8, 3) with 12 bytes on the last axis, expected a multiple of 16"),
        ((64, 32), {"box": (257, 4)}, "box is (257, 4), expected 1 to 256 on each axis"),
        ((64, 32), {"box": (8.5, 4)}, "box is (8.5, 4), expected integers, one per axis of the array"),
        (
            (64, 32),
            {"box": (8, 16), "swizzle": "32B"},
            "box is (8, 16) with 64 bytes on the last axis, expected at most 32, the length of the swizzle",
        ),
        ((64, 32), {"box": (8, 4), "swizzle": "256B"}, 'swizzle is "256B", expected None or "32B" or "64B" or "128B"'),
        ((64, 32), {"box": (8, 4), "swizzle": 128}, "swizzle is 128, expected None or a name in quotes"),
        (
            (64, 32),
            {"box": (8, 4), "dtype": "bfloat16"},
            'dtype is "bfloat16", expected one of 4 bytes like the array\'s float32: int32, uint32, float32, '
            "float32_ftz, tfloat32, tfloat32_ftz",
        ),
        (
            (64, 32),
            {"box": (8, 4), "element_strides": (9, 1)},
            "element_strides is (9, 1), expected 1 to 8 on each axis",
        ),
        (
            (64, 32),
            {"box": (8, 4), "interleave": "16B"},
            "interleave needs 3 to 5 dimensions, but array has 2",
        ),
        (
            (64, 31),
            {"box": (8, 4)},
            "array has strides of (124, 4) bytes, expected multiples of 16, from 0 to below 2**40, on axis 0; pad or "
            "copy it",
        ),
        ((), {"box": ()}, "array has 0 dimensions, expected 1 to 5"),
    ],
)
def test_map_refuses(shape: tuple[int, ...], options: dict[str, object], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.tensor_map(aligned(shape, "float32"), **options)
    assert str(caught.value) == f"tensor_map: {text}"


def test_map_refuses_an_address_that_is_not_aligned() -> None:
    x = aligned((4, 8), "float32", offset=4)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.tensor_map(x, (4, 4))
    assert str(caught.value) == (
        f"tensor_map: array's first element is at address {x.ctypes.data:#x}, expected a multiple of 16; copy it, or "
        "start elsewhere"
    )


def test_map_refuses_what_is_no_array() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.tensor_map(3, 4)
    assert str(caught.value) == (
        "tensor_map: array is an int, expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)"
    )


def test_kernel_with_a_manifest_takes_no_map() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(wb.tensor_map(aligned((64,), "float32"), 4), 2.0)
    assert str(caught.value) == (
        "scale: argument 1 (x) is a warpbridge.buffer.TensorMap, expected an array (NumPy, CuPy, PyTorch or anything "
        "with __dlpack__)"
    )
