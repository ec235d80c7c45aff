"""What each adapter makes of an array; CuPy and CUDA tensors stand in tests/gpu."""

from __future__ import annotations

import gc
import importlib
import sys

import numpy as np
import pytest
import warpbridge as wb
from producer import Producer
from warpbridge.adapters import claim
from warpbridge.buffer import CPU, DTYPES, DType


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "bfloat16"])
def test_numpy_dtype_is_read_and_made(name: str) -> None:
    buffer = claim(np.zeros((2, 3), name))
    assert buffer is not None
    assert buffer.dtype.name == name
    made = buffer.empty((4, 1), buffer.dtype)
    assert (type(made), made.shape, made.dtype.name) == (np.ndarray, (4, 1), name)


def test_numpy_array_gives_address_shape_and_owner() -> None:
    x = np.zeros((2, 3), np.float32)
    buffer = claim(x)
    assert buffer is not None
    assert (buffer.pointer, buffer.shape, buffer.strides) == (x.ctypes.data, (2, 3), None)
    assert (buffer.device_type, buffer.device_id, buffer.device_name) == (CPU, 0, "cpu")
    assert buffer.owner is x
    assert not buffer.readonly
    assert buffer.current_stream() == 0


def test_numpy_strides_count_elements() -> None:
    x = np.zeros((4, 6), np.float64)
    assert claim(x[::2, ::-3]).strides == (12, -3)
    assert claim(x.T).strides == (1, 6)


def test_numpy_read_only_array_is_marked() -> None:
    x = np.zeros(3, np.float32)
    x.flags.writeable = False
    assert claim(x).readonly


def test_numpy_subclass_is_claimed_by_its_base() -> None:
    class Mine(np.ndarray):
        pass

    assert claim(np.zeros(3, np.float32).view(Mine)).library.name == "numpy"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros(3, ">f4"), "a numpy array has dtype >f4, expected native byte order; copy it first"),
        (np.zeros(3, "U2"), f"a numpy array has dtype str64, expected one of {', '.join(DTYPES)}"),
        (
            np.zeros(4, np.dtype([("a", "u1"), ("b", "<f4")]))["b"],
            "a numpy array has byte strides (5,), expected multiples of its item size 4; copy it first",
        ),
    ],
    ids=["byte order", "text", "packed field"],
)  # fmt: skip
def test_numpy_refuses(array: np.ndarray, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        claim(array)
    assert str(caught.value) == text


@pytest.mark.parametrize("obj", [None, 1, 2.5, "text", b"bytes", [1.0], object(), np.float32(1), np], ids=repr)
def test_claim_leaves_other_objects_alone(obj: object) -> None:
    assert claim(obj) is None


def test_dlpack_tensor_is_read() -> None:
    x = np.arange(24, dtype=np.int16).reshape(4, 6)[::2, 1:]
    buffer = claim(Producer(x))
    assert buffer is not None
    assert (buffer.pointer, buffer.shape, buffer.strides) == (x.ctypes.data, (2, 5), (12, 1))
    assert buffer.dtype == DType(0, 16)
    assert not buffer.readonly


def test_dlpack_honours_byte_offset_and_read_only_flag() -> None:
    x = np.zeros(5, np.float32)
    buffer = claim(Producer(x, byte_offset=64, readonly=True))
    assert buffer.pointer == x.ctypes.data
    assert buffer.readonly


def test_dlpack_asks_an_old_producer_without_keywords() -> None:
    x = np.zeros(5, np.float32)
    assert claim(Producer(x, versioned=False)).pointer == x.ctypes.data


def test_dlpack_asks_for_no_stream_on_the_host_and_for_the_legacy_stream_on_cuda() -> None:
    host, cuda = Producer(np.zeros(1)), Producer(np.zeros(1), device=(2, 0))
    assert claim(host).current_stream() == 0
    assert claim(cuda).current_stream() == 1
    assert (host.streams, cuda.streams) == ([None], [1])


def test_dlpack_capsule_is_kept_and_released_exactly_once() -> None:
    producer = Producer(np.zeros(3, np.float32))
    buffer = claim(producer)
    gc.collect()
    assert producer.deleted == 0
    del buffer
    assert producer.deleted == 1


def test_dlpack_refuses_a_device_that_no_kernel_reaches() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        claim(Producer(np.zeros(1), device=(15, 2)))
    assert str(caught.value) == "producer.Producer is on webgpu:2, expected cpu or cuda; move it first"


def test_dlpack_refusal_of_the_producer_is_passed_on() -> None:
    class Locked(Producer):
        def __dlpack__(self, **keywords: object) -> object:
            raise BufferError("it is locked")

    with pytest.raises(wb.ArgumentError) as caught:
        claim(Locked(np.zeros(1)))
    assert str(caught.value).endswith("Locked does not export its memory: it is locked")
    assert isinstance(caught.value.__cause__, BufferError)


def test_dlpack_cannot_make_outputs() -> None:
    buffer = claim(Producer(np.zeros((2, 3), np.float32)))
    with pytest.raises(wb.ArgumentError) as caught:
        buffer.empty((2, 3), DTYPES["float16"])
    assert str(caught.value) == (
        "outputs cannot be made in the library of producer.Producer, which is known only by __dlpack__; "
        "pass out= (float16, shape (2, 3), on cpu)"
    )


def test_no_adapter_of_an_absent_library_is_loaded() -> None:
    claim(np.zeros(1))
    assert "warpbridge.adapters.numpy" in sys.modules
    if "cupy" not in sys.modules:
        assert "warpbridge.adapters.cupy" not in sys.modules


def ones_of_jax(dtype: str) -> object:
    """Return an array on the CPU, also where JAX has a GPU."""
    jax = importlib.import_module("jax")
    return jax.device_put(np.ones((2, 3), np.float32), jax.devices("cpu")[0]).astype(dtype)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8", "bool"])
def test_jax_array_is_read_through_dlpack(name: str) -> None:
    buffer = claim(ones_of_jax(name))
    assert buffer is not None
    assert (buffer.dtype.name, buffer.shape, buffer.device_name) == (name, (2, 3), "cpu")


def test_jax_array_is_an_input() -> None:
    y = np.empty((2, 3), np.float32)
    wb.kernels.scale(ones_of_jax("float32"), 2.0, 1.0, out=y)
    assert (y == 3).all()
