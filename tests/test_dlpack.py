"""DLPack as a consumer, clause by clause of its header and its python_spec, with hand-made capsules."""

from __future__ import annotations

import ctypes
import gc
import threading
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from producer import Producer
from until import until
from warpbridge.adapters import claim
from warpbridge.adapters.dlpack import Versioned
from warpbridge.buffer import DType

NAME = "producer.Producer"


def refused(producer: Producer) -> str:
    """Return the text; the capsule's destructor has called the deleter for every export by then."""
    with pytest.raises(wb.ArgumentError) as caught:
        claim(producer)
    text = str(caught.value)
    del caught
    gc.collect()
    assert producer.deleted == len(producer.asked)
    return text


class Keeping(Producer):
    """Remembers its capsules."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.capsules: list[Any] = []

    def __dlpack__(self, **keywords: Any) -> Any:
        self.capsules.append(super().__dlpack__(**keywords))
        return self.capsules[-1]


# ---- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", [True, False])
def test_tensor_is_read(versioned: bool) -> None:
    x = np.arange(24, dtype=np.int16).reshape(4, 6)[::2, 1:]
    buffer = claim(Producer(x, versioned=versioned))
    assert buffer is not None
    assert (buffer.pointer, buffer.shape, buffer.strides) == (x.ctypes.data, (2, 5), (12, 1))
    assert buffer.dtype == DType(0, 16)
    assert not buffer.readonly


@pytest.mark.parametrize("versioned", [True, False])
def test_byte_offset_is_honoured(versioned: bool) -> None:
    x = np.zeros(5, np.float32)
    assert claim(Producer(x, byte_offset=64, versioned=versioned)).pointer == x.ctypes.data


def test_read_only_flag_is_honoured() -> None:
    x = np.zeros(5, np.float32)
    assert claim(Producer(x, readonly=True)).readonly
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x, 2.0, out=Producer(np.zeros(5, np.float32), readonly=True))
    assert str(caught.value) == (
        "scale: out (y) is read-only, expected a writable array; pass another array, or a copy"
    )


def test_null_strides_mean_c_contiguous() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    source = Producer(x, strides=None)
    assert claim(source).strides is None
    y = np.empty_like(x)
    wb.kernels.scale(source, 2.0, out=y)
    np.testing.assert_array_equal(y, 2 * x)


def test_zero_dimensions_without_shape_and_strides() -> None:
    x = np.array(3.0, np.float32)
    y = np.empty((), np.float32)
    wb.kernels.scale(Producer(x, shape=None, strides=None), 2.0, 1.0, out=y)
    assert y == 7


def test_empty_tensor_may_have_no_address() -> None:
    source = Producer(np.zeros((0, 3), np.float32), data=None)
    assert (claim(source).pointer, claim(source).shape) == (0, (0, 3))
    wb.kernels.scale(source, 2.0, out=np.empty((0, 3), np.float32))


def test_flags_for_sub_byte_padding_do_not_matter_for_whole_bytes() -> None:
    assert claim(Producer(np.zeros(3, np.float32), flags=4)).dtype.name == "float32"


@pytest.mark.parametrize(
    ("code", "bits", "lanes", "name"),
    [
        (7, 8, 1, "float8_e3m4"),
        (8, 8, 1, "float8_e4m3"),
        (9, 8, 1, "float8_e4m3b11fnuz"),
        (10, 8, 1, "float8_e4m3fn"),
        (11, 8, 1, "float8_e4m3fnuz"),
        (12, 8, 1, "float8_e5m2"),
        (13, 8, 1, "float8_e5m2fnuz"),
        (14, 8, 1, "float8_e8m0fnu"),
        (17, 4, 2, "float4_e2m1fn_x2"),
        (2, 32, 4, "float32x4"),
        (3, 64, 1, "DLPack type code 3 of 64 bits"),
    ],
)
def test_kernel_names_the_type_that_it_does_not_take(code: int, bits: int, lanes: int, name: str) -> None:
    source = Producer(np.zeros(3, np.uint8), code=code, bits=bits, lanes=lanes)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(source, 2.0, out=np.zeros(3, np.float32))
    if code == 3:
        assert str(caught.value) == f"scale: argument 1 (x): {NAME} has dtype dtype(code=3, bits=64, lanes=1), " + (
            "expected numbers"
        )
    else:
        assert str(caught.value) == f"scale: argument 1 (x) is {name}, expected float32 or float16; convert it first"


COPY_BYTE = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry copy_byte(.param .u64 x, .param .u64 y)
{
    .reg .b64 %rd<3>;
    .reg .b16 %h;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    ld.global.u8 %h, [%rd1];
    st.global.u8 [%rd2], %h;
    ret;
}
"""


@pytest.mark.parametrize(("code", "bits", "lanes"), [(10, 8, 1), (17, 4, 2)])
def test_entry_takes_narrow_floats_of_whole_bytes(code: int, bits: int, lanes: int) -> None:
    x, y = np.array([0x7E], np.uint8), np.zeros(1, np.uint8)
    wb.load(COPY_BYTE).entries["copy_byte"](1, 1, [Producer(x, code=code, bits=bits, lanes=lanes), y])
    assert y == x


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"major": 2, "minor": 7}, "exports DLPack 2.7, expected 1.x"),
        ({"ndim": -1}, "exports -1 dimensions, expected 0 to 64"),
        ({"ndim": 65}, "exports 65 dimensions, expected 0 to 64"),
        ({"shape": None}, "exports 1 dimensions without their sizes, expected a shape"),
        ({"data": None}, "exports the address NULL for the shape (3,), expected memory"),
        ({"flags": 2}, ".__dlpack__ returned a copy, expected its own memory, as asked for by copy=False"),
        (
            {"device_type": 2, "device_id": 1},
            "exports memory on cuda:1, expected cpu, as its __dlpack_device__ says",
        ),
        (
            {"code": 0, "bits": 4},
            "has dtype int4, expected elements of whole bytes; pass the packed values as uint8",
        ),
        (
            {"code": 1, "bits": 4, "flags": 4},
            "has dtype uint4, expected elements of whole bytes; pass the packed values as uint8",
        ),
        (
            {"code": 17, "bits": 4},
            "has dtype float4_e2m1fn, expected elements of whole bytes; pass the packed values as uint8",
        ),
        (
            {"code": 15, "bits": 6},
            "has dtype float6_e2m3fn, expected elements of whole bytes; pass the packed values as uint8",
        ),
        ({"lanes": 0}, "has dtype float32x0, expected numbers"),
    ],
    ids=lambda value: ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_refuses(says: dict[str, Any], text: str) -> None:
    assert refused(Producer(np.zeros(3, np.float32), **says)) == (NAME + (text if text[0] == "." else " " + text))


def test_refuses_a_negative_size() -> None:
    sizes = (ctypes.c_int64 * 2)(2, -3)
    source = Producer(np.zeros((2, 3), np.float32), shape=sizes)
    assert refused(source) == f"{NAME} exports the shape (2, -3), expected sizes of 0 or more"


def test_refuses_a_device_that_no_kernel_reaches() -> None:
    assert (
        refused(Producer(np.zeros(1), device=(15, 2))) == f"{NAME} is on webgpu:2, expected cpu or cuda; move it first"
    )


def test_refuses_a_capsule_that_somebody_else_has_used() -> None:
    source = Keeping(np.zeros(3, np.float32))
    np.from_dlpack(source)
    used = source.capsules[0]
    source.__class__ = type("Again", (Keeping,), {"__dlpack__": lambda self, **_: used})
    with pytest.raises(wb.ArgumentError) as caught:
        claim(source)
    name = f"{type(source).__module__}.Again"
    assert str(caught.value) == f"{name}.__dlpack__ returned {used!r}, expected a fresh DLPack capsule"


@pytest.mark.parametrize("what", [None, 7, "capsule"])
def test_refuses_what_is_no_capsule(what: object) -> None:
    class Odd(Producer):
        def __dlpack__(self, **_: object) -> object:
            return what

    with pytest.raises(wb.ArgumentError) as caught:
        claim(Odd(np.zeros(1)))
    assert str(caught.value).endswith(f"Odd.__dlpack__ returned {what!r}, expected a fresh DLPack capsule")


@pytest.mark.parametrize("error", [BufferError, ValueError, RuntimeError, TypeError, KeyError])
def test_refusal_of_the_producer_is_passed_on(error: type[Exception]) -> None:
    class Locked(Producer):
        def __dlpack__(self, **_: object) -> object:
            raise error("it is locked")

    with pytest.raises(wb.ArgumentError) as caught:
        claim(Locked(np.zeros(1)))
    assert str(caught.value).endswith(f"Locked does not export its memory: {error('it is locked')}")
    assert isinstance(caught.value.__cause__, error)


def test_refusal_of_the_device_is_passed_on() -> None:
    class Sharded(Producer):
        def __dlpack_device__(self) -> tuple[int, int]:
            raise BufferError("it is on two devices")

    with pytest.raises(wb.ArgumentError) as caught:
        claim(Sharded(np.zeros(1)))
    assert str(caught.value).endswith("Sharded does not export its memory: it is on two devices")


# ---- how it is asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knows", "expected"),
    [
        (("stream", "max_version", "copy"), {"stream": None, "max_version": (1, 3), "copy": False}),
        (("stream", "max_version"), {"stream": None, "max_version": (1, 3)}),
        (("stream",), {}),
        ((), {}),
    ],
)
def test_producer_is_asked_with_what_it_knows(knows: tuple[str, ...], expected: dict[str, Any]) -> None:
    source = Producer(np.zeros(3), knows=knows)
    assert claim(source) is not None
    assert source.asked == [expected]


def test_old_producer_on_cuda_is_asked_with_a_stream_only() -> None:
    source = Producer(np.zeros(3), device=(2, 0), versioned=False)
    assert claim(source) is not None
    assert source.asked == [{"stream": -1}]


@pytest.mark.parametrize(("device", "stream"), [((1, 0), None), ((3, 0), None), ((2, 0), -1), ((13, 0), -1)])
def test_claim_asks_for_no_synchronisation(device: tuple[int, int], stream: int | None) -> None:
    source = Producer(np.zeros(1), device=device)
    buffer = claim(source)
    assert source.streams == [stream]
    assert buffer.current_stream() == (0 if stream is None else 1)
    assert (buffer.order is None) == (stream is None)


@pytest.mark.parametrize(("handle", "stream"), [(0, 1), (1, 1), (2, 2), (0x7F00, 0x7F00)])
def test_producer_is_asked_again_for_the_stream_of_each_launch(handle: int, stream: int) -> None:
    source = Producer(np.zeros(1), device=(2, 0))
    buffer = claim(source)
    assert tuple(buffer.order(handle)) == ()
    assert source.streams == [-1, stream]
    assert source.deleted == 1, "the second capsule is for its ordering only"
    del buffer
    assert source.deleted == 2


def test_producer_that_must_synchronise_is_asked_for_the_legacy_stream() -> None:
    class Careful(Producer):
        def __dlpack__(self, *, stream: int | None = None, **keywords: Any) -> Any:
            if stream == -1:
                raise BufferError("a stream is needed")
            return super().__dlpack__(stream=stream, **keywords)

    source = Careful(np.zeros(1), device=(2, 0))
    assert claim(source) is not None
    assert source.streams == [1]


# ---- whose memory it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", [True, False])
def test_capsule_is_renamed_and_its_deleter_called_once(versioned: bool) -> None:
    source = Keeping(np.zeros(3, np.float32), versioned=versioned)
    buffer = claim(source)
    name = "used_dltensor_versioned" if versioned else "used_dltensor"
    assert f'"{name}"' in repr(source.capsules[0])
    source.capsules.clear()
    gc.collect()
    assert source.deleted == 0
    del buffer
    assert source.deleted == 1


def test_refused_capsule_keeps_its_name() -> None:
    source = Keeping(np.zeros(3, np.float32), flags=2)
    with pytest.raises(wb.ArgumentError):
        claim(source)
    assert '"dltensor_versioned"' in repr(source.capsules[0])
    assert source.deleted == 0
    source.capsules.clear()
    assert source.deleted == 1


def test_tensor_without_a_deleter() -> None:
    buffer = claim(Producer(np.zeros(3, np.float32), deleter=None))
    assert buffer.shape == (3,)
    del buffer
    gc.collect()


def test_deleter_may_need_the_gil_on_another_thread() -> None:
    source = Producer(np.zeros(3, np.float32))
    held = [claim(source)]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert source.deleted == 1


def test_tensor_of_a_submitted_launch_lives_until_its_end(data) -> None:
    gate = wb.load(data / "gate.ptx").kernels["gate"]
    source, shut = Producer(np.zeros(100, np.int32)), np.zeros(2, np.int32)
    pending = gate.submit(shut, source)
    gc.collect()
    assert source.deleted == 0
    shut[0] = 1
    pending.result(timeout=60)
    del pending
    assert until(lambda: source.deleted != 0)
    assert source.deleted == 1


def test_tensor_of_a_refused_call_is_released() -> None:
    source = Producer(np.zeros(3, np.float64))
    with pytest.raises(wb.ArgumentError):
        wb.kernels.scale(source, 2.0, out=np.zeros(3, np.float32))
    gc.collect()
    assert source.deleted == len(source.asked) == 1


def test_layout_is_that_of_dlpack_h() -> None:
    assert ctypes.sizeof(Versioned) == 80
    assert (Versioned.deleter.offset, Versioned.flags.offset, Versioned.tensor.offset) == (16, 24, 32)
