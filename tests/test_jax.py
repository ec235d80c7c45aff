"""JAX, a producer of DLPack that nobody made for these tests: what it gives is read, or its refusal is passed on."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.adapters import claim


def ones_of_jax(dtype: str) -> object:
    """Return an array on the CPU, also where JAX has a GPU."""
    jax = importlib.import_module("jax")
    return jax.device_put(np.ones((2, 3), np.float32), jax.devices("cpu")[0]).astype(dtype)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8", "bool"])
def test_jax_array_is_read_through_dlpack(name: str) -> None:
    buffer = claim(ones_of_jax(name))
    assert (buffer.dtype.name, buffer.shape, buffer.device_name) == (name, (2, 3), "cpu")


def test_jax_array_is_an_input() -> None:
    y = np.empty((2, 3), np.float32)
    wb.kernels.scale(ones_of_jax("float32"), 2.0, 1.0, out=y)
    assert (y == 3).all()


def test_jax_array_is_no_output() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(np.ones((2, 3), np.float32), 2.0, out=ones_of_jax("float32"))
    assert str(caught.value) == "scale: out (y) is read-only, expected a writable array; pass another array, or a copy"


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
def test_jax_narrow_float_is_named(name: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(ones_of_jax(name), 2.0)
    assert str(caught.value) == f"scale: argument 1 (x) is {name}, expected float32 or float16; convert it first"


def test_jax_int4_is_refused_by_jax() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        claim(ones_of_jax("int4"))
    assert str(caught.value) == f"jaxlib._jax.ArrayImpl does not export its memory: {caught.value.__cause__}"


def test_jax_tracer_has_no_memory() -> None:
    jax = importlib.import_module("jax")
    seen: list[type] = []
    with pytest.raises(wb.ArgumentError) as caught:
        jax.jit(lambda x: seen.append(type(x)) or wb.kernels.scale(x, 2.0))(ones_of_jax("float32"))
    assert str(caught.value) == (
        f"scale: argument 1 (x) is a {seen[0].__module__}.{seen[0].__qualname__}, "
        "expected an array (NumPy, CuPy, PyTorch or anything with __dlpack__)"
    )


def test_jax_array_that_was_deleted_is_refused() -> None:
    x = ones_of_jax("float32")
    x.delete()
    with pytest.raises(wb.ArgumentError) as caught:
        claim(x)
    assert str(caught.value) == f"jaxlib._jax.ArrayImpl does not export its memory: {caught.value.__cause__}"
