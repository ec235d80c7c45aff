"""Every way in which an argument does not fit is refused before the launch, with the whole text compared."""

from __future__ import annotations

import numpy as np
import pytest
import warpbridge as wb
from producer import Producer
from warpbridge import _ffi
from warpbridge.kernel import Kernel

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def why_no_device(ordinal: int) -> str:
    """Return the end of the text about a CUDA device that is not there."""
    names = ", ".join(str(device) for device in wb.devices())
    reason = _ffi.driver()["cuda"]["reason"]
    return f"is on cuda:{ordinal}, expected one of {names}" + (f" ({reason})" if reason else "")


@pytest.fixture
def x() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def images() -> np.ndarray:
    return np.zeros((2, 4, 6, 3), np.uint8)


@pytest.fixture(scope="module")
def steps(data) -> Kernel:
    return wb.load(data / "steps.ptx").kernels["steps"]


def refused(call, *args: object, **keywords: object) -> wb.ArgumentError:
    with pytest.raises(wb.ArgumentError) as caught:
        call(*args, **keywords)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    return caught.value


def test_wrong_dtype(x: np.ndarray) -> None:
    error = refused(wb.kernels.scale, x.astype(np.float64), 2.0)
    assert str(error) == "scale: argument 1 (x) is float64, expected float32 or float16; convert it first"
    assert (error.kernel, error.argument, error.index) == ("scale", "x", 1)
    assert (error.found, error.expected) == ("float64", "float32 or float16")


def test_output_of_another_dtype_than_the_input(x: np.ndarray) -> None:
    error = refused(wb.kernels.scale, x, 2.0, out=np.empty((2, 3), np.float16))
    assert str(error) == "scale: out (y) is float16, expected float32, like argument 1 (x); convert it first"


def test_wrong_rank(images: np.ndarray) -> None:
    error = refused(wb.kernels.image_prep, images[0], MEAN, STD)
    assert str(error) == (
        "image_prep: argument 1 (x) has 3 dimensions, shape (4, 6, 3), expected 4 dimensions, shape (n, h, w, 3); "
        "reshape it first"
    )


def test_wrong_size(images: np.ndarray) -> None:
    error = refused(wb.kernels.image_prep, images[..., :2].copy(), MEAN, STD)
    assert str(error) == (
        "image_prep: argument 1 (x) has shape (2, 4, 6, 2), expected (n, h, w, 3); reshape or slice it first"
    )


def test_output_of_wrong_shape(x: np.ndarray) -> None:
    error = refused(wb.kernels.scale, x, 2.0, out=np.empty((3, 2), np.float32))
    assert str(error) == (
        "scale: out (y) has shape (3, 2), expected (2, 3), the shape of argument 1 (x); reshape or slice it first"
    )


def test_array_on_a_device_that_is_not_there(x: np.ndarray) -> None:
    with pytest.raises(wb.DeviceError) as caught:
        wb.kernels.scale(Producer(x, device=(2, 99)), 2.0, out=x)
    assert str(caught.value) == f"scale: argument 1 (x) {why_no_device(99)}"


def test_misaligned_output(x: np.ndarray) -> None:
    y = np.zeros(4 * x.size + 1, np.uint8)[1:].view(np.float32).reshape(x.shape)
    error = refused(wb.kernels.scale, x, 2.0, out=y)
    assert str(error) == f"scale: out (y) has address {y.ctypes.data:#x}, expected a multiple of 4; make a copy first"


def test_read_only_output(x: np.ndarray) -> None:
    y = np.empty_like(x)
    y.flags.writeable = False
    error = refused(wb.kernels.scale, x, 2.0, out=y)
    assert str(error) == "scale: out (y) is read-only, expected a writable array; pass another array, or a copy"


def test_read_only_input_is_welcome(x: np.ndarray) -> None:
    x.flags.writeable = False
    np.testing.assert_array_equal(wb.kernels.scale(x, 2.0, 1.0), 2 * x + 1)


def test_read_only_inout(steps: Kernel) -> None:
    y = np.zeros(4, np.int32)
    y.flags.writeable = False
    assert str(refused(steps, y)) == (
        "steps: argument 1 (y) is read-only, expected a writable array; pass another array, or a copy"
    )


def test_missing_argument(x: np.ndarray) -> None:
    error = refused(wb.kernels.scale, x)
    assert str(error) == (
        "scale: argument 2 (a) is missing, expected scale(x, a, b=0, *, out=None, timeout=None, stream=None, arch=None)"
    )
    assert error.argument == "a"


def test_non_contiguous_input(x: np.ndarray) -> None:
    error = refused(wb.kernels.scale, x.T, 2.0)
    assert str(error) == (
        "scale: argument 1 (x) has strides (1, 3), expected a C-contiguous array of shape (3, 2); "
        "make a contiguous copy first"
    )


@pytest.mark.parametrize(
    ("obj", "found"), [([1.0], "a list"), (3, "an int"), ("text", "a str"), (object(), "an object")], ids=repr
)
def test_no_array(obj: object, found: str) -> None:
    assert str(refused(wb.kernels.scale, obj, 2.0)) == (
        f"scale: argument 1 (x) is {found}, expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)"
    )


def test_array_without_a_counterpart() -> None:
    error = refused(wb.kernels.scale, np.zeros(3, ">f4"), 2.0)
    assert str(error) == (
        "scale: argument 1 (x): a numpy array has dtype >f4, expected native byte order; "
        "convert it first: x.astype(x.dtype.newbyteorder('='))"
    )
    assert (error.kernel, error.argument) == ("scale", "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2", "is a str, expected a number"),
        (None, "is None, expected a number: scale(x, a, b=0, *, out=None, timeout=None, stream=None, arch=None)"),
        (1j, "is a complex, expected a number"),
        (np.array(2.0), "is a numpy.ndarray, expected a number; pass its item()"),
        (np.array([2.0]), "is a numpy.ndarray, expected a number; pass its item()"),
        (np.array([2.0, 3.0]), "is a numpy.ndarray, expected a number"),
        (True, "is the bool true, expected a number"),
        (1e39, "is 1e39, expected a value that float32 holds"),
        (2**70, f"is {2**70}, expected an integer of at most 64 bits"),
    ],
    ids=repr,
)
def test_scalar_that_is_no_number_of_its_width(x: np.ndarray, value: object, text: str) -> None:
    assert str(refused(wb.kernels.scale, x, value)) == f"scale: argument 2 (a) {text}"


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float16(2), np.float32(2), np.float64(2), np.int8(2), np.uint64(2)], ids=repr
)
def test_scalar_of_any_library_is_a_number(x: np.ndarray, value: object) -> None:
    np.testing.assert_array_equal(wb.kernels.scale(x, value), 2 * x)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1, "is -1, expected 0 to 18446744073709551615, the range of uint64"),
        (1_000_001, "is 1000001, expected at most 1000000"),
        (0.5, "is the float 0.5, expected an integer"),
    ],
)
def test_integer_scalar_out_of_range(steps: Kernel, value: object, text: str) -> None:
    assert str(refused(steps, np.zeros(4, np.int32), value)) == f"steps: argument 2 (rounds) {text}"


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        ((0.5, 0.5), "has 2 numbers, expected 3"),
        ((0.5, "x", 0.5), "is (0.5, 'x', 0.5), expected numbers only"),
        (np.zeros((3, 1)), "is float64, expected float32; convert it first"),
        (0.5, "is a float, expected a sequence of numbers or an array"),
    ],
    ids=repr,
)
def test_inline_sequence_that_does_not_fit(images: np.ndarray, mean: object, text: str) -> None:
    assert str(refused(wb.kernels.image_prep, images, mean, STD)) == f"image_prep: argument 2 (mean) {text}"


def test_wrong_number_of_outputs(x: np.ndarray) -> None:
    assert str(refused(wb.kernels.scale, x, 2.0, out=(x, x))) == "scale: out has 2 arrays, expected 1 (y)"


def test_output_of_a_library_known_by_dlpack_only(x: np.ndarray) -> None:
    y = np.empty_like(x)
    out = Producer(y)
    assert wb.kernels.scale(Producer(x), 2.0, out=out) is out
    np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), "soon", [1.0], 1j])
def test_timeout_that_is_no_duration(x: np.ndarray, timeout: object) -> None:
    assert str(refused(wb.kernels.scale, x, 2.0, timeout=timeout)) == (
        f"scale: timeout is {timeout!r}, expected a positive number of seconds, or None for no limit"
    )


def test_on_done_that_is_no_function(x: np.ndarray) -> None:
    assert str(refused(wb.kernels.scale.submit, x, 2.0, on_done=3)) == (
        "scale: on_done is an int, expected a function of one argument, the Pending"
    )


@pytest.mark.parametrize(
    ("arch", "text"),
    [
        ("sm_70", "variant sm_70 was asked for, but there are variants for sm_90, sm_80; ask for one of them"),
        ("hopper", 'arch is "hopper", expected an architecture, such as sm_90'),
    ],
)
def test_variant_that_is_not_there(x: np.ndarray, arch: str, text: str) -> None:
    with pytest.raises(wb.WarpbridgeError) as caught:
        wb.kernels.scale(x, 2.0, arch=arch)
    assert str(caught.value) == f"scale: {text}"


def test_dtype_that_is_no_instance(images: np.ndarray) -> None:
    error = refused(wb.kernels.image_prep, images, MEAN, STD, dtype="float64")
    assert str(error) == "image_prep: dtype of y is float64, expected float32 or float16"


@pytest.mark.parametrize(
    "timeout", [float("inf"), 1e300, 10**400, np.float32(1e30)], ids=["inf", "1e300", "10**400", "f4"]
)
def test_timeout_beyond_every_clock_is_no_limit(timeout: float) -> None:
    x = np.ones(4, np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(wb.kernels.scale(x, 2.0, timeout=timeout), 2 * x)
    np.testing.assert_array_equal(wb.kernels.scale.submit(x, 2.0, timeout=timeout).result(60), 2 * x)
