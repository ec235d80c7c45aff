"""Anything with `__cuda_array_interface__` (versions 0 to 3) and without `__dlpack__`: PyCUDA, RMM, older Numba ...

The interface names the stream that the data is ordered on, but not the device: that follows from the address. There is
no maker of outputs in it: `buffer.own_array` makes them. No typestr exists for bfloat16 and narrower floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warpbridge import buffer
from warpbridge.buffer import CUDA, Buffer, DType, element_strides
from warpbridge.errors import ArgumentError

_LEGACY_STREAM = 1
_NEWEST = 3
# Kind and bytes of a typestr -> manifest name.
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


class _Producer:
    """The `buffer.Library` of an array known only by its interface, and the stream that it names."""

    def __init__(self, name: str, stream: int | None) -> None:
        self.name = name
        self._stream = stream

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return an array of our own."""
        return buffer.own_array(shape, dtype, device_type, device_id)

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the stream that the interface names; without one the legacy default stream."""
        return self._stream or _LEGACY_STREAM

    def numbers(self, array: Any) -> list[float]:
        """Never asked: the interface has no host arrays."""
        raise ArgumentError(f"{self.name} is not in host memory")

    def order(self, stream: int) -> tuple[int, ...]:
        """Return what a launch is to wait for, and what is to wait for it."""
        return () if self._stream is None else (self._stream,)


def claim(obj: Any) -> Buffer | None:
    """Claim an object that has `__cuda_array_interface__`.

    Raises
    ------
    ArgumentError
        What it says is not by the interface's rules, or no kernel can take it.
    """
    kind = type(obj)
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        interface = getattr(obj, "__cuda_array_interface__", None)
    except Exception as error:
        raise ArgumentError(f"{name} does not export its memory: {error}") from error
    if interface is None:
        return None
    if not isinstance(interface, Mapping):
        raise _wrong(name, f"is {interface!r}", "a dict")
    shape = _shape(interface, name)
    dtype, itemsize = _dtype(interface, name)
    pointer, readonly = _data(interface, name)
    library = _Producer(name, _stream(interface, name))
    strides = interface.get("strides")
    if strides is not None:
        if len(strides) != len(shape):
            raise _wrong(name, f"has {len(strides)} strides", f"{len(shape)}, one per size")
        strides = element_strides(tuple(int(s) for s in strides), itemsize, name)
    is_empty = 0 in shape
    if not pointer and not is_empty:
        raise _wrong(name, f"has the address 0 for the shape {shape}", "memory")
    device_id = 0 if is_empty else buffer.cuda_device_of(pointer, name)
    return Buffer(
        0 if is_empty else pointer, CUDA, device_id, dtype, shape, strides, readonly, library, obj, library.order
    )


def _wrong(name: str, found: str, expected: str) -> ArgumentError:
    return ArgumentError(f"the __cuda_array_interface__ of {name} {found}, expected {expected}", found=found)


def _shape(interface: Mapping[str, Any], name: str) -> tuple[int, ...]:
    version = interface.get("version")
    if not isinstance(version, int) or not 0 <= version <= _NEWEST:
        raise _wrong(name, f"has version {version!r}", f"0 to {_NEWEST}")
    if interface.get("mask") is not None:
        raise _wrong(name, "has a mask", "none; fill the masked elements first")
    shape = interface.get("shape")
    if not isinstance(shape, tuple) or any(size < 0 for size in shape):
        raise _wrong(name, f"has the shape {shape!r}", "a tuple of sizes")
    return tuple(int(size) for size in shape)


def _dtype(interface: Mapping[str, Any], name: str) -> tuple[DType, int]:
    typestr = interface.get("typestr")
    text = typestr if isinstance(typestr, str) else ""
    kind, size = _KINDS.get(text[1:2]), text[2:]
    if kind is not None and size.isdigit():
        known = "bool" if (kind, size) == ("bool", "1") else f"{kind}{8 * int(size)}"
        found = buffer.DTYPES.get(known)
        if found is not None and (text[0] in "<=|" or size == "1"):
            return found, int(size)
        if found is not None:
            raise _wrong(name, f"has typestr {text}", "native byte order; convert it first")
    raise _wrong(name, f"has typestr {typestr!r}", f"one of a kernel's types ({', '.join(buffer.DTYPES)})")


def _data(interface: Mapping[str, Any], name: str) -> tuple[int, bool]:
    data = interface.get("data")
    if not isinstance(data, tuple) or len(data) != 2 or not isinstance(data[0], int):
        raise _wrong(name, f"has data {data!r}", "(address, read-only)")
    return data[0], bool(data[1])


def _stream(interface: Mapping[str, Any], name: str) -> int | None:
    stream = interface.get("stream")
    if stream is None:
        return None
    if not isinstance(stream, int) or stream <= 0:
        raise _wrong(name, f"has stream {stream!r}", "None, 1, 2 or a handle")
    return stream
