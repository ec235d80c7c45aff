"""Arrays in memory of our own: `empty` makes them, and so does a call whose arrays' library cannot make outputs.

An array here is memory with a shape: it has no arithmetic, and is handed on by DLPack, `__cuda_array_interface__` or
NumPy's `__array_interface__`, without a copy. The memory lives in the native core until the last array, export or
launch that uses it is gone.
"""

from __future__ import annotations

import ctypes
import math
import struct
import threading
import weakref
from collections.abc import Sequence
from typing import Any, NoReturn

from . import _ffi, buffer
from .buffer import CPU, CUDA, CUDA_HOST, DTYPES, NARROW, Buffer, DType
from .device import Device, devices, wait_for_stream
from .device import device as find_device
from .errors import ArgumentError, DeviceError, type_of
from .kernel import dtype_name
from .pickling import refuse

_LEGACY_STREAM = 1
_NO_SYNC = -1
_FLAG_COPIED = 2
# Letters of `struct`, for `numbers`.
_LETTERS = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}
# Class of a DLPack type code as typestr writes it; the others have no typestr.
_TYPESTR = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}


class _Own:
    """The `buffer.Library` of our own arrays."""

    name = "warpbridge"

    def empty(self, shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int, stream: int | None) -> Any:
        """Return an array as `warpbridge.empty` does."""
        return buffer.own_array(shape, dtype, device_type, device_id)

    def current_stream(self, device_type: int, device_id: int) -> int:
        """Return the default stream: there is no other notion of a current one here."""
        return 0 if device_type in (CPU, CUDA_HOST) else _LEGACY_STREAM

    def numbers(self, array: Any) -> list[float]:
        """Return the elements of a host array.

        Raises
        ------
        ArgumentError
            Its type is none that Python knows.
        """
        letter = _LETTERS.get(array.dtype)
        if letter is None:
            raise ArgumentError(f"{array!r} holds no numbers that Python reads; pass a tuple of numbers")
        return [float(number) for (number,) in struct.iter_unpack(f"={letter}", array.tobytes())]


LIBRARY = _Own()


class Array:
    """A C-contiguous array in memory of warpbridge's own; made by `empty`.

    Its values are reached through another library: ``numpy.asarray(x)`` on the CPU, ``cupy.from_dlpack(x)``,
    ``torch.from_dlpack(x)``, ``jax.dlpack.from_dlpack(x)`` on either device. Nothing is copied then.

    Attributes
    ----------
    shape : tuple of int
        Extents.
    dtype : str
        Name of the element type, as in manifests.
    device : Device
        Where kernels run on it.
    pinned : bool
        Whether it is host memory that GPUs reach.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        device: Device,
        pinned: bool,
        memory: tuple[_ffi.Handle, int] | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype.name
        self.device = device
        self.pinned = pinned
        self._dtype = dtype
        if memory is None:
            memory = _ffi.memory_new((_pinning_device() if pinned else device).index, self.nbytes, pinned)
        self._memory, self._address = memory
        # Streams to wait for before the array is read, with their owners: on the CPU those that launches went to; on a
        # GPU one of the array's own that waits for them, because theirs may be gone by then.
        self._uses: dict[int, tuple[Any]] = {}
        self._behind = 0
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        pinned = ", pinned" if self.pinned else ""
        return f"<Array {self.dtype} {self.shape} on {self.device}{pinned}>"

    def __reduce__(self) -> NoReturn:
        refuse(self, "pickle numpy.asarray(x) of its copy on the CPU, x.copy('cpu')")

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self._dtype.bits * self._dtype.lanes // 8

    def copy(self, device: str | Device | None = None, *, pinned: bool = False) -> Array:
        """Return a copy, behind all launches that use this array.

        Parameters
        ----------
        device
            Where to; default: where this array is.
        pinned
            Whether a copy on the CPU is to be pinned.

        Raises
        ------
        DeviceError
            There is no such device, or no room on it.
        """
        target = Array(self.shape, self._dtype, self.device if device is None else find_device(device), pinned)
        self._wait()
        place = self.device if self.device.kind == "cuda" else target.device
        if place.kind == "cpu" and (self.pinned or pinned):
            place = _pinning_device()
        _ffi.memory_copy(place.index, target._address, self._address, self.nbytes, 0)
        return target

    # ---- handing it on -----------------------------------------------------------------------------------------------

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's device type and number."""
        return (CUDA_HOST, 0) if self.pinned else self.device.dl_device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export the memory by DLPack.

        Parameters
        ----------
        stream
            The stream on which the consumer will use the data, on a GPU: None or 1 legacy default, 2 per-thread
            default, a handle, -1 for no ordering. It waits for every launch that uses the array; the host does not.
        max_version
            The newest version that the consumer reads; from (1, 0) on a versioned capsule is returned.
        dl_device
            Where the consumer wants it: here, or on the CPU, which copies.
        copy
            True: always a copy; False: never one.

        Raises
        ------
        BufferError
            It cannot be exported so.
        """
        here = self.__dlpack_device__()
        wanted = here if dl_device is None else (int(dl_device[0]), int(dl_device[1]))
        if wanted not in (here, (CPU, 0)):
            found = buffer.device_name(*wanted)
            expected = "cpu" if self.device.kind == "cpu" else f"{self.device} or cpu"
            raise BufferError(f"{self!r} is asked for on {found}, expected {expected}; copy it first")
        if wanted != here and copy is False:
            raise BufferError(f"{self!r} is asked for on cpu without a copy, expected copy=True or None")
        source, flags = self, 0
        if copy or wanted != here:
            source, flags = self.copy("cpu" if wanted == (CPU, 0) else None), _FLAG_COPIED
        source._make_safe(stream)
        versioned = max_version is not None and max_version[0] >= 1
        return _ffi.memory_export(source._memory, source._buffer(), flags, versioned)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The CUDA array interface, version 3; consumers wait for its stream."""
        if self.device.kind != "cuda":
            raise AttributeError(f"{self!r} is in host memory, expected memory of a GPU")
        return {**self._interface(), "stream": self._behind if self._uses else None}

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """NumPy's array interface, for memory that the host reads; waits for launches that use the array."""
        if self.device.kind == "cuda":
            raise AttributeError(f"{self!r} is in memory of a GPU, expected host memory")
        interface = self._interface()
        self._wait()
        return interface

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Say why NumPy cannot read it; what it can read, it reads by `__array_interface__`."""
        if self.device.kind == "cuda":
            raise TypeError(f"{self!r} is in memory of a GPU, expected host memory; use x.copy('cpu')")
        raise TypeError(f"{self!r} has a type that numpy does not know, expected one that it has; use __dlpack__")

    def _interface(self) -> dict[str, Any]:
        kind = _TYPESTR.get(self._dtype.code)
        if kind is None:
            raise AttributeError(f"no typestr exists for {self.dtype}; use __dlpack__")
        typestr = f"{'|' if self._dtype.bits == 8 else '<'}{kind}{self._dtype.bits // 8}"
        return {"shape": self.shape, "typestr": typestr, "data": (self._address, False), "strides": None, "version": 3}

    # ---- launches ----------------------------------------------------------------------------------------------------

    def _buffer(self) -> Buffer:
        """Return what a launch needs to know."""
        device_type, device_id = self.__dlpack_device__()
        address = self._address if self.nbytes else 0
        return Buffer(address, device_type, device_id, self._dtype, self.shape, None, False, LIBRARY, self)

    def tobytes(self) -> bytes:
        """Return a copy of the bytes of an array on the CPU, behind all launches that use it.

        Raises
        ------
        ArgumentError
            It is on another device.
        """
        if self.device.kind != "cpu":
            raise ArgumentError(f"{self!r} is on {self.device}, expected the CPU; take x.copy('cpu') first")
        self._wait()
        return self._bytes()

    def frombytes(self, data: bytes | bytearray | memoryview) -> None:
        """Overwrite an array on the CPU, behind all launches that use it.

        Parameters
        ----------
        data
            ``bytes``, or an object with the buffer protocol: its bytes, whatever its type.

        Raises
        ------
        ArgumentError
            The array is on another device, or the data are no bytes, or not as many.
        """
        given = self._checked_bytes(data)
        self._wait()
        ctypes.memmove(self._address, given, len(given))

    def _checked_bytes(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return what `frombytes` was given, if it fits."""
        if self.device.kind != "cpu":
            raise ArgumentError(f"{self!r} is on {self.device}, expected the CPU; write x.copy('cpu') and copy it back")
        try:
            given = data if isinstance(data, bytes) else memoryview(data).tobytes()
        except TypeError:
            raise ArgumentError(f"{self!r}: data is {type_of(data)}, expected bytes") from None
        if len(given) != self.nbytes:
            raise ArgumentError(f"{self!r}: {len(given)} bytes are given, expected {self.nbytes}", found=len(given))
        return given

    def _bytes(self) -> bytes:
        return ctypes.string_at(self._address, self.nbytes)

    def _used_on(self, handle: int, owner: Any) -> None:
        """Remember where a launch just made went; `owner` keeps a stream of the CPU device alive."""
        if self.device.kind == "cuda":
            if _ffi.stream_is_capturing(self.device.index, handle):
                return  # nothing runs before the graph does, and that nobody tells us
            with self._lock:
                self._behind = self._behind or self._own_stream()
                _ffi.stream_order(self.device.index, handle, self._behind)
                self._uses[self._behind] = (None,)
            return
        with self._lock:
            self._uses[handle] = (owner,)

    def _own_stream(self) -> int:
        stream = _ffi.stream_new(self.device.index)
        free = weakref.finalize(self, _ffi.stream_free, self.device.index, stream)
        free.atexit = False  # type: ignore[misc]  # the driver is going then
        return stream

    def _make_safe(self, stream: int | None) -> None:
        """Order the data for a consumer's stream."""
        if self.device.kind == "cpu":
            if stream is not None:
                raise BufferError(f"{self!r} is in host memory: stream is {stream!r}, expected None")
            self._wait()
            return
        if stream == 0:
            raise BufferError(f"{self!r}: stream is 0, expected None, -1, 1, 2 or a handle: 0 could mean any of them")
        if stream == _NO_SYNC:
            return
        consumer = _LEGACY_STREAM if stream is None else int(stream)
        for handle in list(self._uses):
            _ffi.stream_order(self.device.index, handle, consumer)

    def _wait(self) -> None:
        """Wait on the host for every launch that uses the array."""
        for handle, use in list(self._uses.items()):
            wait_for_stream(self.device.index, handle)
            with self._lock:
                if self._uses.get(handle) is use:  # else another thread has launched since
                    del self._uses[handle]


def empty(
    shape: int | Sequence[int], dtype: Any = "float32", device: str | Device = "cpu", *, pinned: bool = False
) -> Array:
    """Make an array in memory of warpbridge's own, its values undefined; no array library is needed.

    Parameters
    ----------
    shape
        Extents.
    dtype
        Name of an element type, or a dtype of NumPy, CuPy or PyTorch.
    device
        ``"cpu"``, ``"cuda:0"``, ... or a `Device`.
    pinned
        On the CPU: host memory that GPUs reach, for fast copies.

    Returns
    -------
    Array
        Aligned to 256 bytes.

    Raises
    ------
    ArgumentError
        The shape or the dtype is none.
    DeviceError
        There is no such device, or no room on it.
    """
    items: list[Any] = list(shape) if isinstance(shape, list | tuple) else [shape]
    if not all(hasattr(type(i), "__index__") and not isinstance(i, bool) and 0 <= int(i) < 2**63 for i in items):
        raise ArgumentError(f"empty: shape is {shape!r}, expected sizes of 0 or more", argument="shape", found=shape)
    name = dtype_name(dtype)
    found = DTYPES.get(name) or NARROW.get(name)
    if found is None:
        raise ArgumentError(
            f"empty: dtype is {name}, expected one of {', '.join((*DTYPES, *NARROW))}", argument="dtype", found=name
        )
    sizes = tuple(int(item) for item in items)
    if math.prod(sizes) * found.bits * found.lanes // 8 >= 2**63:
        raise ArgumentError(
            f"empty: shape is {shape!r}, expected fewer than 2**63 bytes", argument="shape", found=shape
        )
    place = find_device(device)
    if pinned and place.kind != "cpu":
        raise ArgumentError(f"empty: pinned memory on {place}, expected it on cpu", argument="pinned", found=str(place))
    return Array(sizes, found, place, pinned)


def _pinning_device() -> Device:
    """Return the GPU whose driver pins memory; the memory is mapped for all of them."""
    for found in devices():
        if found.kind == "cuda":
            return found
    raise DeviceError("pinned memory needs a CUDA device, expected at least one; see wb.devices()", device="cuda")


def _make_output(shape: tuple[int, ...], dtype: DType, device_type: int, device_id: int) -> Array:
    on_host = device_type in (CPU, CUDA_HOST)
    return Array(shape, dtype, find_device("cpu" if on_host else f"cuda:{device_id}"), pinned=False)


def _cuda_device_of(address: int) -> int | None:
    index = _ffi.device_of_address(address)
    found = None if index is None else devices()[index]
    return found.ordinal if found is not None and found.dl_device[0] == CUDA else None


buffer.connect(_make_output, _cuda_device_of)
