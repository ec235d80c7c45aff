"""Arrays of our own on the CPU device: memory, and how it is handed on; those on GPUs stand in tests/gpu."""

from __future__ import annotations

import ctypes
import gc
import importlib
import pickle
import resource
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from producer import Producer
from warpbridge.adapters import claim
from warpbridge.adapters.dlpack import Legacy, Versioned
from warpbridge.buffer import DTYPES, NARROW

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.argtypes, _pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p


def no_cuda() -> bool:
    return all(device.kind == "cpu" for device in wb.devices())


@pytest.mark.parametrize("name", [name for name in DTYPES if name not in ("bfloat16", "float8_e4m3fn")])
def test_numpy_sees_the_memory(name: str) -> None:
    x = wb.empty((2, 3), name)
    view = np.asarray(x)
    assert (view.shape, view.dtype.name, view.ctypes.data % 256) == ((2, 3), name, 0)
    view[:] = np.arange(6).reshape(2, 3) % 2
    np.testing.assert_array_equal(np.from_dlpack(x), view)
    assert (repr(x), x.nbytes) == (f"<Array {name} (2, 3) on cpu>", view.nbytes)


@pytest.mark.parametrize("shape", [(), 0, 5, (0, 3), [2, 3]], ids=str)
def test_shapes(shape: object) -> None:
    view = np.asarray(wb.empty(shape))
    assert view.shape == np.empty(shape).shape
    assert view.flags.c_contiguous


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.float16, "float16"), (np.dtype("i8"), "int64"), ("bfloat16", "bfloat16")]
)
def test_dtypes_of_libraries(dtype: object, name: str) -> None:
    assert wb.empty(3, dtype).dtype == name


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-1,), "empty: shape is -1, expected sizes of 0 or more"),
        (((2, 1.5),), "empty: shape is (2, 1.5), expected sizes of 0 or more"),
        ((True,), "empty: shape is True, expected sizes of 0 or more"),
        ((3, "float"), f"empty: dtype is float, expected one of {', '.join((*DTYPES, *NARROW))}"),
        (((2**40, 2**40),), f"empty: shape is ({2**40}, {2**40}), expected fewer than 2**63 bytes"),
    ],
)
def test_refuses(arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.empty(*arguments)
    assert str(caught.value) == text


def test_more_memory_than_there_is() -> None:
    with pytest.raises(wb.DeviceError) as caught:
        wb.empty(2**60, "int8")
    assert str(caught.value) == f"cpu: {2**60} bytes of memory cannot be allocated"


@pytest.mark.skipif(not no_cuda(), reason="says what is said without a GPU; with one, tests/gpu pins memory")
def test_pinned_memory_needs_a_gpu() -> None:
    with pytest.raises(wb.DeviceError) as caught:
        wb.empty(3, pinned=True)
    assert str(caught.value) == "pinned memory needs a CUDA device, expected at least one; see wb.devices()"


def test_kernels_read_and_write_it() -> None:
    x, y = wb.empty(1000), wb.empty(1000)
    np.asarray(x)[:] = np.arange(1000)
    assert wb.kernels.scale(x, 2.0, 1.0, out=y) is y
    np.testing.assert_array_equal(np.asarray(y), 2 * np.arange(1000) + 1)
    z = wb.kernels.scale(y, 1.0, -1.0)
    assert isinstance(z, wb.Array)
    np.testing.assert_array_equal(np.asarray(z), 2 * np.arange(1000))


def test_output_of_a_library_known_by_dlpack_only() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = wb.kernels.scale(Producer(x), 2.0)
    assert (type(y), y.shape, y.dtype, str(y.device)) == (wb.Array, (2, 3), "float32", "cpu")
    np.testing.assert_array_equal(np.asarray(y), 2 * x)


def test_output_for_jax_is_of_jax_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = importlib.import_module("jax")
    x = jax.device_put(np.arange(6, dtype=np.float32), jax.devices("cpu")[0])
    addresses, from_dlpack = [], jax.dlpack.from_dlpack
    monkeypatch.setattr(jax.dlpack, "from_dlpack", lambda y: addresses.append(y._address) or from_dlpack(y))
    for _ in range(2):
        y = wb.kernels.scale(x, 2.0)
        assert isinstance(y, jax.Array)
        assert [y.unsafe_buffer_pointer()] == addresses[-1:]
        np.testing.assert_array_equal(np.asarray(y), 2 * np.arange(6))
    assert len(addresses) == 2


@pytest.mark.parametrize("style", ["submit", "launch", "bind", "out"])
def test_output_for_jax_is_ours_where_jax_may_not_have_it_yet(style: str) -> None:
    jax = importlib.import_module("jax")
    x = jax.device_put(np.arange(6, dtype=np.float32), jax.devices("cpu")[0])
    out = wb.empty(6)
    y = {
        "submit": lambda: wb.kernels.scale.submit(x, 2.0).result(),
        "launch": lambda: wb.kernels.scale.launch(x, 2.0),
        "bind": wb.kernels.scale.bind(x, 2.0),
        "out": lambda: wb.kernels.scale(x, 2.0, out=out),
    }[style]()
    assert type(y) is wb.Array
    assert (y is out) == (style == "out")
    np.testing.assert_array_equal(np.asarray(jax.dlpack.from_dlpack(y)), 2 * np.arange(6))


@pytest.mark.parametrize("read", [np.asarray, np.from_dlpack], ids=["asarray", "from_dlpack"])
def test_readers_wait_for_launches(data, read) -> None:
    steps = wb.load(data / "steps.ptx").kernels["steps"]
    y = wb.empty(100, "int32")
    np.asarray(y)[:] = -1
    steps.launch(y, 20_000, stream=wb.device("cpu").stream())
    np.testing.assert_array_equal(read(y), np.arange(100))


def test_copy_waits_for_launches_and_is_apart(data) -> None:
    steps = wb.load(data / "steps.ptx").kernels["steps"]
    y = wb.empty(100, "int32")
    steps.launch(y, 20_000)
    z = y.copy()
    np.asarray(y)[:] = 0
    np.testing.assert_array_equal(np.asarray(z), np.arange(100))


def test_inline_argument_of_our_own() -> None:
    mean = wb.empty(3, "float64")
    np.asarray(mean)[:] = (0.5, 0.25, 0.125)
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    np.testing.assert_array_equal(
        wb.kernels.image_prep(images, mean, (1, 1, 1)), wb.kernels.image_prep(images, (0.5, 0.25, 0.125), (1, 1, 1))
    )


# ---- DLPack ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "name"),
    [(None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned"), ((1, 9), "dltensor_versioned")],
)
def test_capsule_is_of_the_newest_kind_that_the_consumer_reads(version: tuple[int, int] | None, name: str) -> None:
    x = wb.empty((2, 3), "int16")
    capsule = x.__dlpack__(max_version=version)
    layout = Versioned if name == "dltensor_versioned" else Legacy
    managed = layout.from_address(_pointer(capsule, name.encode()))
    tensor = managed.tensor
    assert (tensor.data, tensor.byte_offset) == (np.asarray(x).ctypes.data, 0)
    assert (tensor.device_type, tensor.device_id, tensor.code, tensor.bits, tensor.lanes) == (1, 0, 0, 16, 1)
    assert (tensor.shape[:2], tensor.strides[:2]) == ([2, 3], [3, 1])
    if layout is Versioned:
        assert (managed.major, managed.minor, managed.flags) == (1, 3, 0)


@pytest.mark.parametrize("name", NARROW)
def test_narrow_types_are_handed_on(name: str) -> None:
    buffer = claim(Again(wb.empty(3, name)))
    assert buffer.dtype == NARROW[name]


class Again:
    """Hides what an array is, so that it is read by DLPack."""

    def __init__(self, array: wb.Array) -> None:
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    def __dlpack__(self) -> None: ...

    def __dlpack_device__(self) -> None: ...


def test_copies() -> None:
    x = wb.empty(3)
    np.asarray(x)[:] = 7
    copied = np.from_dlpack(x, copy=True)
    assert copied.ctypes.data != np.asarray(x).ctypes.data
    assert (copied == 7).all()
    assert np.from_dlpack(x, copy=False).ctypes.data == np.asarray(x).ctypes.data
    managed = Versioned.from_address(_pointer(x.__dlpack__(max_version=(1, 3), copy=True), b"dltensor_versioned"))
    assert managed.flags == 2


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"stream": 1}, "<Array float32 (3,) on cpu> is in host memory: stream is 1, expected None"),
        ({"dl_device": (2, 0)}, "<Array float32 (3,) on cpu> is asked for on cuda:0, expected cpu; copy it first"),
    ],
    ids=str,
)
def test_export_that_cannot_be(keywords: dict[str, object], text: str) -> None:
    with pytest.raises(BufferError) as caught:
        wb.empty(3).__dlpack__(**keywords)
    assert str(caught.value) == text


def test_memory_outlives_the_array() -> None:
    x = wb.empty(1000)
    np.asarray(x)[:] = 3
    views = [np.asarray(x), np.from_dlpack(x)]
    gone = weakref.ref(x)
    del x
    views.pop(0)
    gc.collect()
    assert gone() is None, "an export holds the memory, not the array"
    others = [wb.empty(1000) for _ in range(50)]
    for other in others:
        np.asarray(other)[:] = 5
    assert (views[0] == 3).all()


def address_space() -> int:
    """Return the bytes of memory that the process has asked for, touched or not."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def test_capsule_that_nobody_takes_frees_its_tensor() -> None:
    before = address_space()
    for version in [None, (1, 3)] * 50:
        wb.empty(2**26, "int8").__dlpack__(max_version=version)
    assert address_space() < before + 2**30, "6.7 GB, were they kept"


def test_consumer_that_refuses_a_tensor_is_heard_and_frees_it() -> None:
    before = address_space()
    for _ in range(100):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - NumPy's class is its own business
            np.from_dlpack(wb.empty(2**26, "float8_e5m2"))
        assert not isinstance(caught.value, SystemError), "the capsule's destructor has lost NumPy's exception"
    assert address_space() < before + 2**30, "6.7 GB, were they kept"


def test_deleter_runs_on_a_thread_without_an_interpreter_lock() -> None:
    capsule = wb.empty(10).__dlpack__(max_version=(1, 0))
    address = _pointer(capsule, b"dltensor_versioned")
    used = ctypes.create_string_buffer(b"used_dltensor_versioned")
    set_name = ctypes.pythonapi.PyCapsule_SetName
    set_name.argtypes = [ctypes.py_object, ctypes.c_void_p]
    set_name(capsule, ctypes.addressof(used))
    delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(Versioned.from_address(address).deleter)
    thread = threading.Thread(target=delete, args=(address,))
    thread.start()
    thread.join()
    del capsule


def test_capsules_at_interpreter_exit(run_python) -> None:
    process = run_python(
        "import numpy as np, warpbridge as wb\n"
        "x = wb.empty(10)\nkept = [x.__dlpack__(), np.from_dlpack(x), np.asarray(wb.empty(3))]\nprint('leaving')"
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "leaving\n", "")


# ---- the other interfaces --------------------------------------------------------------------------------------------


def test_host_array_has_no_cuda_interface() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = wb.empty(3).__cuda_array_interface__
    assert str(caught.value) == "<Array float32 (3,) on cpu> is in host memory, expected memory of a GPU"


def test_type_without_a_typestr() -> None:
    with pytest.raises(TypeError) as caught:
        np.asarray(wb.empty(3, "bfloat16"))
    assert str(caught.value) == (
        "<Array bfloat16 (3,) on cpu> has a type that numpy does not know, expected one that it has; use __dlpack__"
    )


def test_pickling_says_what_to_pickle() -> None:
    with pytest.raises(TypeError) as caught:
        pickle.dumps(wb.empty(3))
    assert str(caught.value) == (
        "<Array float32 (3,) on cpu> cannot be pickled, because it belongs to this process; pickle numpy.asarray(x) of "
        "its copy on the CPU, x.copy('cpu')"
    )


def test_bytes_of_an_array_are_read_and_overwritten() -> None:
    x = wb.empty((2, 2), "bfloat16")
    x.frombytes(bytes(range(8)))
    assert x.tobytes() == bytes(range(8))


def test_frombytes_rejects_another_number_of_bytes() -> None:
    x = wb.empty(3, "int16")
    with pytest.raises(wb.ArgumentError) as caught:
        x.frombytes(b"12345")
    assert str(caught.value) == "<Array int16 (3,) on cpu>: 5 bytes are given, expected 6"


@pytest.mark.parametrize(
    "data", [bytearray(b"abcd"), memoryview(b"abcd"), np.array([[97, 98], [99, 100]], np.uint8).T.copy().T]
)
def test_frombytes_takes_the_bytes_of_a_buffer(data: object) -> None:
    x = wb.empty(2, "int16")
    x.frombytes(data)
    assert x.tobytes() == b"abcd"


def test_frombytes_rejects_text() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.empty(2, "int16").frombytes("abcd")
    assert str(caught.value) == "<Array int16 (2,) on cpu>: data is a str, expected bytes"
