"""What each adapter makes of an array; CuPy and CUDA tensors stand in tests/gpu."""

from __future__ import annotations

import ml_dtypes  # noqa: F401 - gives NumPy float8 and bfloat16 by name
import numpy as np
import pytest
import warpbridge as wb
from warpbridge.adapters import claim
from warpbridge.buffer import CPU, DTYPES


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
        (
            np.zeros(3, ">f4"),
            "a numpy array has dtype >f4, expected native byte order; "
            "convert it first: x.astype(x.dtype.newbyteorder('='))",
        ),
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


def test_adapters_are_imported_at_once_and_their_libraries_never(run_python) -> None:
    """A first use would be too late: a child of `fork` waits for ever for what another thread was importing."""
    program = """
import sys, numpy as np, warpbridge as wb
loaded = set(sys.modules)
print(*sorted(name.rpartition(".")[2] for name in loaded if name.startswith("warpbridge.adapters.")))
print(*sorted({"cupy", "torch", "wgpu", "jax"} & loaded))
wb.kernels.scale(np.zeros(1, np.float32), 2.0)
print(*sorted(name for name in set(sys.modules) - loaded if name.startswith("warpbridge")))
"""
    process = run_python(program)
    assert (process.stdout, process.stderr) == ("cuda_array cupy dlpack numpy own plugins torch\n\n\n", "")
