"""What an adapter makes of an array: the facts a launch needs, and how to make an output of the same library.

Knows no array library and nothing native; `adapters/` fill these values in, `_ffi` hands them to the native core.
Strides count elements, as DLPack's do; the pointer already includes any byte offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
        """The manifest's name of it, e.g. ``float32``; a name that says what it is where manifests have none."""
        found = _NAMES.get(self)
        if found is not None:
            return found
        one = _NAMES.get(DType(self.code, self.bits)) or _FLOATS.get(self.code)
        if one is None and self.code in _PLAIN:
            one = f"{_PLAIN[self.code]}{self.bits}"
        if one is None:
            return f"dtype(code={self.code}, bits={self.bits}, lanes={self.lanes})"
        return one if self.lanes == 1 else f"{one}x{self.lanes}"


# Codes: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool, 7 to 17 narrow floats (dlpack.h, DLDataTypeCode).
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
    "float8_e4m3fn": DType(10, 8),
}

# Element types that a PTX entry can be given, while no manifest names them: of each, one element is one byte.
NARROW: dict[str, DType] = {
    "float8_e3m4": DType(7, 8),
    "float8_e4m3": DType(8, 8),
    "float8_e4m3b11fnuz": DType(9, 8),
    "float8_e4m3fnuz": DType(11, 8),
    "float8_e5m2": DType(12, 8),
    "float8_e5m2fnuz": DType(13, 8),
    "float8_e8m0fnu": DType(14, 8),
    "float4_e2m1fn_x2": DType(17, 4, 2),
}
_NAMES = {dtype: name for name, dtype in (*DTYPES.items(), *NARROW.items())}
_FLOATS = {15: "float6_e2m3fn", 16: "float6_e3m2fn", 17: "float4_e2m1fn"}
_PLAIN = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
# How libraries name types of less than a byte: one element is not what one address reaches.
_SUB_BYTE = ("int1", "int2", "int4", "uint1", "uint2", "uint4", "float4_", "float6_")


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


class HandOver(Protocol):
    """What a launch asks of an array whose bytes another API uses too (`view.py` has the only one).

    The order of calls: `begin`, the launch, then `end` when it has ended, or `queued` where nobody will tell.
    """

    @property
    def needs_end(self) -> bool:
        """Whether a stream-ordered launch is to be followed to its end: something must be done there."""
        ...

    @property
    def copies(self) -> bool:
        """Whether the other API's bytes are copied, so that a captured launch would miss them."""
        ...

    @property
    def uses(self) -> tuple[bool, bool]:
        """Whether it can be read and written, for launches that do not say which they do."""
        ...

    def allow(self, reads: bool, writes: bool) -> None:
        """Raise ArgumentError where the array cannot be read, or written, by kernels."""

    def begin(self, stream: int, reads: bool, writes: bool) -> None:
        """Make the bytes safe to use by what is queued on `stream` from here on."""

    def queued(self, stream: int, writes: bool) -> None:
        """Take note of a launch that is on its stream."""

    def end(self, writes: bool, failed: bool) -> None:
        """Make what an ended launch wrote visible to the other API."""


@dataclass(slots=True, eq=False)  # not frozen: that would triple the cost of making one
class Buffer:
    """A claimed array; nothing changes it.

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
    order
        For arrays that come with a stream of their own, on CUDA devices: called with the stream of each launch before
        it is queued, and makes the memory safe there, or returns streams that the launch is to wait for, and that are
        to wait for the launch. None: the library's current stream counts.
    hand_over
        For arrays whose bytes another API uses too; asked around each launch.
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
    order: Callable[[int], Iterable[int]] | None = None
    hand_over: HandOver | None = None

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


WHOLE_BYTES = "elements of whole bytes; pass the packed values as uint8"


def dtype_of(name: str, described: str) -> DType:
    """Return the element type with this name.

    Raises
    ------
    ArgumentError
        There is none; `described` opens the text.
    """
    found = DTYPES.get(name) or NARROW.get(name)
    if found is not None:
        return found
    if name.startswith(_SUB_BYTE):
        raise ArgumentError(f"{described} has dtype {name}, expected {WHOLE_BYTES}", found=name)
    raise ArgumentError(f"{described} has dtype {name}, expected one of {', '.join(DTYPES)}", found=name)


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


# ---- what the layer above does for adapters --------------------------------------------------------------------------

_own_array: Callable[[tuple[int, ...], DType, int, int], Any] | None = None
_device_of: Callable[[int], int | None] | None = None


def connect(
    own_array: Callable[[tuple[int, ...], DType, int, int], Any], device_of: Callable[[int], int | None]
) -> None:
    """Take what adapters need of the native core, which they cannot reach; called once, by `array.py`."""
    global _own_array, _device_of
    _own_array, _device_of = own_array, device_of


def own_array(shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int) -> Any:
    """Return a new `warpbridge.Array`, for libraries that cannot make arrays themselves."""
    if _own_array is None:
        raise ArgumentError("import warpbridge first: without it no array can be made")
    return _own_array(shape, dtype, device_type, device_id)


def cuda_device_of(address: int, described: str) -> int:
    """Return the number of the CUDA device whose memory an address is in.

    Raises
    ------
    ArgumentError
        It is in none of this process; `described` opens the text.
    """
    found = None if _device_of is None else _device_of(address)
    if found is None:
        raise ArgumentError(
            f"{described} has the address {address:#x}, which is in no CUDA device's memory, expected memory of one",
            found=address,
        )
    return found
