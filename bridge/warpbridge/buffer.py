"""What an adapter makes of an array: the facts a launch needs, and how to make an output of the same library.

Knows no array library and nothing native; `adapters/` fill these values in, `_ffi.py` hands them to the native core.
Strides count elements, as DLPack's do; the pointer already includes any byte offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

from .errors import ArgumentError

# DLPack device types (dlpack.h, DLDeviceType).
CPU = 1
CUDA = 2
CUDA_HOST = 3
CUDA_MANAGED = 13

_DEVICE_KINDS = {CPU: "cpu", CUDA: "cuda", CUDA_HOST: "cuda_host", CUDA_MANAGED: "cuda_managed", 15: "webgpu"}


class DType(NamedTuple):
    """An element type as DLPack writes it: type code, bits, lanes."""

    code: int
    bits: int
    lanes: int = 1

    @property
    def name(self) -> str:
        """The manifest's name of it, e.g. ``float32``."""
        return _NAMES.get(self, f"dtype(code={self.code}, bits={self.bits}, lanes={self.lanes})")


# Codes: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool (dlpack.h, DLDataTypeCode).
DTYPES: dict[str, DType] = {
    "bool": DType(6, 8),
    "int8": DType(0, 8),
    "int16": DType(0, 16),
    "int32": DType(0, 32),
    "int64": DType(0, 64),
    "uint8": DType(1, 8),
    "uint16": DType(1, 16),
    "uint32": DType(1, 32),
    "uint64": DType(1, 64),
    "float16": DType(2, 16),
    "float32": DType(2, 32),
    "float64": DType(2, 64),
    "bfloat16": DType(4, 16),
    "complex64": DType(5, 64),
    "complex128": DType(5, 128),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Library(Protocol):
    """What warpbridge asks of an array library beyond the facts about one array."""

    @property
    def name(self) -> str:
        """As in error texts: ``numpy``, ``cupy``, ``torch``."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return a new C-contiguous array of the library on that device.

        The memory is first used by work queued on `stream` (None: the library's current stream); a library that
        recycles memory in stream order must take it from that stream's.

        Raises
        ------
        ArgumentError
            The library cannot make one.
        """

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the handle of the stream on which the library queues work for that device at the moment."""
        ...

    def numbers(self, array: Any) -> list[float]:
        """Return the elements of a one-dimensional host array."""
        ...


@dataclass(frozen=True, slots=True)
class Buffer:
    """A claimed array.

    Attributes
    ----------
    pointer
        Address of the first element; 0 for an empty array.
    device_type, device_id
        DLPack device.
    dtype
        Element type.
    shape
        Extents.
    strides
        In elements; None means C-contiguous.
    readonly
        Whether writing is forbidden.
    library
        The library the array belongs to.
    owner
        Keeps the memory alive for as long as it is referenced.
    """

    pointer: int
    device_type: int
    device_id: int
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    readonly: bool
    library: Library
    owner: Any

    @property
    def on_host(self) -> bool:
        """Whether the host can read the memory at its address."""
        return self.device_type != CUDA

    @property
    def device_name(self) -> str:
        """``cpu``, ``cuda:0`` and so on."""
        return device_name(self.device_type, self.device_id)

    def empty(self, shape: tuple[int, ...], dtype: DType, stream: int | None = None) -> Any:
        """Return a new array of the same library on the same device, to be used first on `stream`."""
        return self.library.empty(shape, dtype, self.device_type, self.device_id, stream)

    def current_stream(self) -> int:
        """Return the library's current stream on the array's device."""
        return self.library.current_stream(self.device_type, self.device_id)


@dataclass(frozen=True, slots=True, eq=False)
class TensorMap:
    """How the bulk tensor copies of a kernel walk an array; made by `tensor_map`, an argument of an Entry.

    Attributes
    ----------
    encoded
        The 128 bytes, in the form of the array's device.
    buffer
        The array's claim: it lives as long as the map.
    """

    encoded: bytes
    buffer: Buffer

    def __repr__(self) -> str:
        shape, dtype = self.buffer.shape, self.buffer.dtype.name
        return f"<TensorMap of {dtype} {shape} on {self.buffer.device_name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled, because it belongs to this process; pickle the array, and make its map "
            "in the other process with wb.tensor_map"
        )


def device_name(device_type: int, device_id: int) -> str:
    """Return the name that error texts use for a DLPack device."""
    kind = _DEVICE_KINDS.get(device_type, f"DLPack device type {device_type}")
    return kind if device_type == CPU else f"{kind}:{device_id}"


def dtype_of(name: str, described: str) -> DType:
    """Return the element type with this name.

    Raises
    ------
    ArgumentError
        There is none; `described` opens the text.
    """
    try:
        return DTYPES[name]
    except KeyError:
        raise ArgumentError(f"{described} has dtype {name}, expected one of {', '.join(DTYPES)}", found=name) from None


def element_strides(strides: tuple[int, ...], itemsize: int, described: str) -> tuple[int, ...]:
    """Return byte strides in elements.

    Raises
    ------
    ArgumentError
        A stride is no multiple of the item size; `described` opens the text.
    """
    if any(stride % itemsize for stride in strides):
        raise ArgumentError(
            f"{described} has byte strides {strides}, expected multiples of its item size {itemsize}; copy it first",
            found=strides,
        )
    return tuple(stride // itemsize for stride in strides)
