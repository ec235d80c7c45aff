"""`__cuda_array_interface__` as a consumer, clause by clause; what needs a GPU's memory stands in tests/gpu."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.adapters import claim

NAME = "test_cuda_array.Exporter"
OF = f"the __cuda_array_interface__ of {NAME}"


class Exporter:
    """Says whatever a test wants it to say; by itself an empty float32 array, which has no address to be looked up."""

    def __init__(self, **says: Any) -> None:
        base = {"shape": (0, 3), "typestr": "<f4", "data": (0, False), "version": 3}
        self.__cuda_array_interface__ = {**base, **says}


def test_empty_array_is_read() -> None:
    buffer = claim(Exporter())
    assert (buffer.pointer, buffer.shape, buffer.strides, buffer.dtype.name) == (0, (0, 3), None, "float32")
    assert (buffer.device_name, buffer.readonly) == ("cuda:0", False)


def test_strides_are_in_bytes_and_data_may_be_read_only() -> None:
    buffer = claim(Exporter(strides=(48, -8), data=(0, True)))
    assert (buffer.strides, buffer.readonly) == ((12, -2), True)


@pytest.mark.parametrize(
    ("typestr", "name"),
    [
        *(("|b1", "bool"), ("|i1", "int8"), ("|u1", "uint8"), ("<i2", "int16"), ("<u8", "uint64"), ("<f2", "float16")),
        *(("=f8", "float64"), ("<c8", "complex64"), ("<c16", "complex128"), (">u1", "uint8")),
    ],
)
def test_typestr(typestr: str, name: str) -> None:
    assert claim(Exporter(typestr=typestr)).dtype.name == name


@pytest.mark.parametrize(
    ("stream", "current", "waits"), [(None, 1, ()), (1, 1, (1,)), (2, 2, (2,)), (0x7F00, 0x7F00, (0x7F00,))]
)
def test_stream_of_the_producer(stream: int | None, current: int, waits: tuple[int, ...]) -> None:
    buffer = claim(Exporter(stream=stream))
    assert buffer.current_stream() == current
    assert tuple(buffer.order(0x1000)) == waits


def test_versions_before_three_have_no_stream() -> None:
    assert tuple(claim(Exporter(version=2)).order(5)) == ()


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"version": 4}, "has version 4, expected 0 to 3"),
        ({"version": None}, "has version None, expected 0 to 3"),
        ({"mask": object()}, "has a mask, expected none; fill the masked elements first"),
        ({"shape": [0]}, "has the shape [0], expected a tuple of sizes"),
        ({"shape": (0, -1)}, "has the shape (0, -1), expected a tuple of sizes"),
        ({"typestr": ">f4"}, "has typestr >f4, expected native byte order; convert it first"),
        ({"data": 0}, "has data 0, expected (address, read-only)"),
        ({"strides": (4,)}, "has 1 strides, expected 2, one per size"),
        ({"stream": 0}, "has stream 0, expected None, 1, 2 or a handle"),
        ({"stream": -1}, "has stream -1, expected None, 1, 2 or a handle"),
        ({"shape": (3,)}, "has the address 0 for the shape (3,), expected memory"),
        *(
            (
                {"typestr": typestr},
                f"has typestr {typestr!r}, expected one of a kernel's types (bool, int8, int16, int32, int64, uint8, "
                "uint16, uint32, uint64, float16, float32, float64, bfloat16, complex64, complex128, float8_e4m3fn)",
            )
            for typestr in ("|V2", "<M8[ns]", "|O", "<f16", "", None)
        ),
    ],
    ids=str,
)
def test_refuses(says: dict[str, Any], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        claim(Exporter(**says))
    assert str(caught.value) == f"{OF} {text}"


def test_refuses_strides_between_elements() -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        claim(Exporter(strides=(12, 6)))
    assert str(caught.value) == (
        f"{NAME} has byte strides (12, 6), expected multiples of its item size 4; copy it first"
    )


def test_refuses_an_address_that_no_device_knows() -> None:
    x = np.zeros(3, np.float32)
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(Exporter(shape=(3,), data=(x.ctypes.data, False)), 2.0)
    assert str(caught.value) == (
        f"scale: argument 1 (x): {NAME} has the address {x.ctypes.data:#x}, which is in no CUDA device's memory, "
        "expected memory of one"
    )


def test_refuses_what_is_no_dict() -> None:
    odd = Exporter()
    odd.__cuda_array_interface__ = 7
    with pytest.raises(wb.ArgumentError) as caught:
        claim(odd)
    assert str(caught.value) == f"{OF} is 7, expected a dict"


def test_refusal_of_the_producer_is_passed_on() -> None:
    class Locked:
        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            raise RuntimeError("it is locked")

    with pytest.raises(wb.ArgumentError) as caught:
        claim(Locked())
    assert str(caught.value).endswith("Locked does not export its memory: it is locked")


def test_attribute_error_means_no_interface() -> None:
    class OnTheHost:
        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            raise AttributeError("only on a GPU")

    assert claim(OnTheHost()) is None
