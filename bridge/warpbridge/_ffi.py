"""The bridge to the native core: the only file that touches its `lib` and `ffi`.

Every C call of warpbridge.h that Python needs stands here, as a plain function on opaque handles; a status other than 0
becomes the exception of `errors.py` with the core's text and fields. No policy: who calls what, and when, is decided in
`bound.py`, `dispatcher.py` and `module.py`. cffi releases the GIL during every call.

Safety: whatever a call's pointers refer to lives in locals of the function here until the call returns. Arrays must
outlive their launch; their owners are kept by `bound.py` (while it waits), `pending.py` and `dispatcher.py`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from . import errors
from .buffer import Buffer, DType, TensorMap

ABI_VERSION = 1

Handle = Any
"""An opaque cffi pointer; freed with its last reference."""


class Numbers(tuple[float, ...]):
    """A short host sequence for an inline array argument."""


Value = Numbers | Buffer | TensorMap | bytes | bool | int | float | None
"""What crosses as a `wb_value`; None stands for an argument that was left out."""


class Spec(NamedTuple):
    """An output to allocate."""

    shape: tuple[int, ...]
    dtype: DType


class _Ffi(Protocol):
    """The part of `cffi.FFI` used here; cffi ships no type stubs."""

    NULL: Any

    def new(self, cdecl: str, init: Any = ...) -> Any: ...
    def cast(self, cdecl: str, source: Any) -> Any: ...
    def string(self, cdata: Any) -> bytes: ...
    def from_buffer(self, cdecl: str, source: Any) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def addressof(self, lib: Any, name: str) -> Any: ...


_REMEDY = (
    "Its shared library is built when warpbridge is installed: install a wheel, or run `python -m pip install .` "
    "(`maturin develop` for an editable checkout) in the source tree, with Rust and a C compiler present."
)


def _load() -> tuple[_Ffi, Any]:
    try:
        native = importlib.import_module("warpbridge._native")
        lib = native.lib
    except (ImportError, OSError, AttributeError) as error:
        raise ImportError(f"warpbridge's native core cannot be loaded: {error}. {_REMEDY}") from error
    version = lib.wb_abi_version()
    if version != ABI_VERSION:
        raise ImportError(f"warpbridge's native core has ABI {version}, this package expects {ABI_VERSION}. {_REMEDY}")
    return native.ffi, lib


_ffi, _lib = _load()
_NULL = _ffi.NULL

_KINDS: dict[int, type[errors.WarpbridgeError]] = {
    1: errors.ArgumentError,
    2: errors.LoadError,
    3: errors.ManifestError,
    4: errors.LaunchError,
    5: errors.LaunchTimeout,
    6: errors.LaunchCancelled,
    7: errors.KernelFault,
    8: errors.DeadlockError,
    9: errors.RaceError,
    10: errors.MemoryFault,
    11: errors.DeviceError,
}


# ---- status, text ----------------------------------------------------------------------------------------------------


def last_error() -> errors.WarpbridgeError:
    """Return this thread's last error as an exception."""
    message, fields = _ffi.new("char const *[1]"), _ffi.new("char const *[1]")
    kind = _lib.wb_last_error(message, fields)
    text = _text(message[0]) or "the native core failed without a message; please report this"
    return _KINDS.get(kind, errors.WarpbridgeError)(text, **json.loads(_text(fields[0]) or "{}"))


def _check(status: int) -> None:
    if status != 0:
        raise last_error()


def _text(pointer: Any) -> str:
    return "" if pointer == _NULL else _ffi.string(pointer).decode("utf-8", "replace")


def _optional(text: str | None) -> Any:
    return _NULL if text is None else _ffi.new("char[]", text.encode())


def version() -> str:
    """Return the native core's version."""
    return _text(_lib.wb_version())


# ---- devices ---------------------------------------------------------------------------------------------------------


def devices() -> list[dict[str, Any]]:
    """Return the facts about each device; the CPU device is the first."""
    count = _ffi.new("uint32_t *")
    _check(_lib.wb_device_count(count))
    return [_json(_lib.wb_device_json, index) for index in range(count[0])]


def device_of_address(address: int) -> int | None:
    """Return the index of the device whose memory an address is in; None for host memory and what no device knows."""
    index = _ffi.new("int32_t *")
    _check(_lib.wb_device_of_address(address, index))
    return int(index[0]) if index[0] >= 0 else None


def driver() -> dict[str, Any]:
    """Return what is known about the CUDA driver, and why there is none."""
    facts: dict[str, Any] = _json(_lib.wb_driver_json)
    return facts


def _json(call: Any, *arguments: Any) -> Any:
    out = _ffi.new("char const *[1]")
    _check(call(*arguments, out))
    return json.loads(_text(out[0]))


# ---- modules and kernels ---------------------------------------------------------------------------------------------


def module_load(
    ptx: bytes, origin: str, manifest: str | None, manifest_origin: str | None, base_dir: str | None
) -> Handle:
    """Load PTX text, with its manifest where there is one."""
    out = _ffi.new("wb_module **")
    text = _ffi.from_buffer("uint8_t[]", ptx)
    strings = [_optional(item) for item in (origin, manifest, manifest_origin, base_dir)]
    _check(_lib.wb_module_load(text, len(ptx), *strings, out))
    return _ffi.gc(out[0], _lib.wb_module_free)


def module_info(module: Handle) -> dict[str, Any]:
    """Return versions, entries with their parameters, and kernels."""
    info: dict[str, Any] = _json(_lib.wb_module_json, module)
    return info


def module_survey(module: Handle) -> dict[str, Any]:
    """Return what a module needs, hazards found in its text, and which devices load it."""
    found: dict[str, Any] = _json(_lib.wb_module_survey, module)
    return found


def bundled() -> list[dict[str, Any]]:
    """Return name, summary and visibility of each bundled kernel."""
    found: list[dict[str, Any]] = _json(_lib.wb_bundled_json)
    return found


def bundled_load(name: str) -> Handle:
    """Load a bundled kernel's module."""
    out = _ffi.new("wb_module **")
    _check(_lib.wb_bundled_load(_optional(name), out))
    return _ffi.gc(out[0], _lib.wb_module_free)


def kernel_get(module: Handle, name: str) -> Handle:
    """Return a kernel of a module."""
    out = _ffi.new("wb_kernel **")
    _check(_lib.wb_kernel_get(module, _optional(name), out))
    return _ffi.gc(out[0], _lib.wb_kernel_free)


def kernel_info(kernel: Handle) -> dict[str, Any]:
    """Return the manifest, and the visible arguments' names in order."""
    info: dict[str, Any] = _json(_lib.wb_kernel_json, kernel)
    return info


# ---- arguments -------------------------------------------------------------------------------------------------------

_NONE, _INT, _FLOAT, _BOOL, _TENSOR, _BYTES, _NUMBERS, _UINT, _TENSOR_MAP = range(9)
_READONLY = 1
_INT64_MAX = 2**63 - 1
_WORD = 2**64 - 1


def _pack(values: Sequence[Value]) -> tuple[Any, list[Any]]:
    """Return a `wb_value` array, and what must stay alive while it is used."""
    packed = _ffi.new("wb_value[]", len(values))
    keep: list[Any] = []
    for slot, value in zip(packed, values, strict=True):
        if value is None:
            continue
        if isinstance(value, Buffer):
            tensor = _tensor(value, keep)
            slot.tag, slot.flags = _TENSOR, _READONLY if value.readonly else 0
            slot.payload = int(_ffi.cast("uintptr_t", tensor))
        elif isinstance(value, TensorMap):
            described = _ffi.new("wb_tensor_map *", (value.encoded, _tensor(value.buffer, keep)))
            keep.append(described)
            slot.tag, slot.flags = _TENSOR_MAP, _READONLY if value.buffer.readonly else 0
            slot.payload = int(_ffi.cast("uintptr_t", described))
        elif isinstance(value, bool):
            slot.tag, slot.payload = _BOOL, int(value)
        elif isinstance(value, int):
            slot.tag, slot.payload = (_UINT if value > _INT64_MAX else _INT), value & _WORD
        elif isinstance(value, float):
            slot.tag, slot.payload = _FLOAT, struct.unpack("=Q", struct.pack("=d", value))[0]
        else:
            tag, data = (
                (_NUMBERS, _ffi.new("double[]", value))
                if isinstance(value, Numbers)
                else (_BYTES, _ffi.from_buffer("uint8_t[]", value))
            )
            keep.append(data)
            slot.tag, slot.length = tag, len(value)
            slot.payload = int(_ffi.cast("uintptr_t", data))
    return packed, keep


def _tensor(buffer: Buffer, keep: list[Any]) -> Any:
    tensor = _ffi.new("wb_tensor *")
    shape = _ffi.new("int64_t[]", buffer.shape)
    keep += (tensor, shape)
    tensor.data = _ffi.cast("void *", buffer.pointer)
    tensor.device.device_type, tensor.device.device_id = buffer.device_type, buffer.device_id
    tensor.ndim, tensor.shape = len(buffer.shape), shape
    tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes = buffer.dtype
    if buffer.strides is not None:
        strides = _ffi.new("int64_t[]", buffer.strides)
        tensor.strides = strides
        keep.append(strides)  # not `tensor.strides`: what is read back from a struct owns nothing
    return tensor


class MapOptions(NamedTuple):
    """What a tensor map is to be; lists have one item per axis of the array."""

    box: Sequence[int]
    strides: Sequence[int] | None
    element_strides: Sequence[int] | None
    element: str | None
    interleave: str | None
    swizzle: str | None
    l2_promotion: str | None
    oob_fill: str | None


def tensor_map_encode(buffer: Buffer, options: MapOptions) -> bytes:
    """Check a tensor map of an array and return its bytes for the array's device."""
    keep: list[Any] = []
    lists = [_NULL if items is None else _ffi.new("int64_t[]", list(items)) for items in options[:3]]
    counts = [0 if items is None else len(items) for items in options[:3]]
    names = [_optional(name) for name in options[3:]]
    raw = _ffi.new("wb_map_options *", (*lists, *counts, 0, *names))
    encoded = _ffi.new("uint8_t[128]")
    _check(_lib.wb_tensor_map_encode(_tensor(buffer, keep), raw, encoded))
    del keep
    return bytes(encoded)


def kernel_infer(kernel: Handle, values: Sequence[Value], choices: str | None, n_outputs: int) -> list[Spec]:
    """Return shape and dtype of each output."""
    specs = _ffi.new("wb_spec[]", n_outputs)
    packed, keep = _pack(values)
    _check(_lib.wb_kernel_infer(kernel, packed, len(values), _optional(choices), specs, n_outputs))
    del keep
    return [
        Spec(tuple(spec.shape[0 : spec.ndim]), DType(spec.dtype.code, spec.dtype.bits, spec.dtype.lanes))
        for spec in specs
    ]


def kernel_bind(kernel: Handle, values: Sequence[Value], choices: str | None) -> Handle:
    """Check arguments and lay out a launch."""
    out = _ffi.new("wb_bound **")
    packed, keep = _pack(values)
    _check(_lib.wb_kernel_bind(kernel, packed, len(values), _optional(choices), out))
    del keep
    return _ffi.gc(out[0], _lib.wb_bound_free)


class Geometry(NamedTuple):
    """Extents of a launch by hand."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cluster: tuple[int, int, int]
    shared_bytes: int


def entry_bind(module: Handle, entry: str, geometry: Geometry, values: Sequence[Value]) -> Handle:
    """Check arguments against the PTX parameters and lay out a launch."""
    out = _ffi.new("wb_bound **")
    packed, keep = _pack(values)
    _check(_lib.wb_entry_bind(module, _optional(entry), _ffi.new("wb_geometry *", geometry), packed, len(values), out))
    del keep
    return _ffi.gc(out[0], _lib.wb_bound_free)


# ---- launches --------------------------------------------------------------------------------------------------------


def mode(stream: int, timeout_s: float, schedule: int, checks: int, seed: int, threads: int) -> Handle:
    """Return how a launch is to be run."""
    return _ffi.new("wb_mode *", (stream, timeout_s, schedule, checks, seed, threads, 0))


def bound_info(bound: Handle) -> dict[str, Any]:
    """Return where a launch runs, and its text for errors."""
    info: dict[str, Any] = _json(_lib.wb_bound_json, bound)
    return info


def launch(bound: Handle, mode: Handle) -> None:
    """Queue a launch and return."""
    _check(_lib.wb_bound_launch(bound, mode))


def floor(bound: Handle, stream: int, launches: int, blocking: bool) -> float:
    """Return the seconds that launches take at the device's own cost."""
    seconds = _ffi.new("double *")
    _check(_lib.wb_bound_floor(bound, stream, launches, int(blocking), seconds))
    return float(seconds[0])


def trace(
    bound: Handle, mode: Handle, ctas: Sequence[int], latency: int
) -> tuple[dict[str, Any], errors.WarpbridgeError | None]:
    """Launch on the CPU device with a record of these thread blocks; return the record and how the launch failed."""
    numbers = _ffi.new("uint64_t[]", list(ctas))
    record: dict[str, Any] = _json(_lib.wb_bound_trace, bound, mode, numbers, len(ctas), latency)
    failure = record["error"]
    if failure is None:
        return record, None
    kind = _KINDS.get(failure["kind"], errors.WarpbridgeError)
    return record, kind(failure["message"], **failure["fields"])


def submit(bound: Handle, mode: Handle, queue: Handle | None = None, token: int = 0) -> Handle:
    """Queue a tracked launch; its token goes to `queue` when it has ended."""
    out = _ffi.new("wb_pending **")
    _check(_lib.wb_bound_submit(bound, mode, _NULL, _NULL, _NULL if queue is None else queue, token, out))
    return _ffi.gc(out[0], _lib.wb_pending_free)


def wait(pending: Handle, limit_s: float) -> bool:
    """Wait without the GIL; True when the launch has ended."""
    done = _ffi.new("int32_t *")
    _check(_lib.wb_pending_wait(pending, limit_s, done))
    return bool(done[0])


def outcome(pending: Handle) -> errors.WarpbridgeError | None:
    """Return how an ended launch failed, None when it did not."""
    return None if _lib.wb_pending_result(pending) == 0 else last_error()


def progress(pending: Handle) -> float:
    """Return the share done, in [0, 1]."""
    share = _ffi.new("double *")
    _check(_lib.wb_pending_progress(pending, share))
    return float(share[0])


def cancel(pending: Handle) -> None:
    """Ask a launch to stop."""
    _check(_lib.wb_pending_cancel(pending))


def queue_new() -> Handle:
    """Make a queue for tokens of ended launches."""
    out = _ffi.new("wb_queue **")
    _check(_lib.wb_queue_new(out))
    return _ffi.gc(out[0], _lib.wb_queue_free)


def queue_next(queue: Handle, limit_s: float) -> int | None:
    """Wait without the GIL for a token; None when the limit has passed or the queue was woken."""
    token, got = _ffi.new("uint64_t *"), _ffi.new("int32_t *")
    _check(_lib.wb_queue_next(queue, limit_s, token, got))
    return int(token[0]) if got[0] else None


def queue_wake(queue: Handle) -> None:
    """Make a waiting `queue_next` return."""
    _check(_lib.wb_queue_wake(queue))


# ---- learned calls ---------------------------------------------------------------------------------------------------


def can_learn() -> bool:
    """Whether this interpreter exports what `caller` needs."""
    return bool(_lib.wb_python_available())


def _caller_function() -> Any:
    """Return `wb_python_caller` for calls that keep the GIL, which cffi's do not."""
    address = int(_ffi.cast("uintptr_t", _ffi.addressof(_lib, "wb_python_caller")))
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_int, ctypes.py_object)(address)


_caller = _caller_function()


def caller(blocking: bool, owner: object) -> tuple[Any, Any]:
    """Return a function that repeats checked launches, and the state that the owner must keep for it."""
    function, state = _caller(int(blocking), owner)
    return function, state


def address_of(handle: Handle) -> int:
    """Return a handle's address."""
    return int(_ffi.cast("uintptr_t", handle))


def adopt_pending(address: int) -> Handle:
    """Take over a tracked launch that the native core began."""
    return _ffi.gc(_ffi.cast("wb_pending *", address), _lib.wb_pending_free)


# ---- streams ---------------------------------------------------------------------------------------------------------


def stream_new(device: int) -> int:
    """Make a stream on the device with this index."""
    out = _ffi.new("uint64_t *")
    _check(_lib.wb_stream_new(device, out))
    return int(out[0])


def stream_free(device: int, stream: int) -> None:
    """Release a stream made by `stream_new`."""
    _check(_lib.wb_stream_free(device, stream))


def stream_wait(device: int, stream: int, limit_s: float) -> bool:
    """Wait without the GIL; True when all work queued on the stream is done."""
    done = _ffi.new("int32_t *")
    _check(_lib.wb_stream_wait(device, stream, limit_s, done))
    return bool(done[0])


def stream_is_capturing(device: int, stream: int) -> bool:
    """Return whether the stream is being captured into a graph."""
    capturing = _ffi.new("int32_t *")
    _check(_lib.wb_stream_is_capturing(device, stream, capturing))
    return bool(capturing[0])


def stream_position(device: int, stream: int) -> tuple[int, int] | None:
    """Return how many jobs were ever queued on the stream, and how many are done; None on a device without a count."""
    numbers, counted = _ffi.new("uint64_t[2]"), _ffi.new("int32_t *")
    _check(_lib.wb_stream_position(device, stream, numbers, numbers + 1, counted))
    return (int(numbers[0]), int(numbers[1])) if counted[0] else None


def stream_order(device: int, earlier: int, later: int) -> None:
    """Make the stream `later` wait for the work queued on `earlier` so far."""
    _check(_lib.wb_stream_order(device, earlier, later))


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory_new(device: int, nbytes: int, pinned: bool) -> tuple[Handle, int]:
    """Allocate memory on a device; return its handle and its address."""
    out, address = _ffi.new("wb_memory **"), _ffi.new("uint64_t *")
    _check(_lib.wb_memory_new(device, nbytes, int(pinned), out))
    memory = _ffi.gc(out[0], _lib.wb_memory_free)
    _check(_lib.wb_memory_address(memory, address))
    return memory, int(address[0])


def memory_export(memory: Handle, buffer: Buffer, flags: int, versioned: bool) -> int:
    """Return the address of a new DLPack tensor that owns a share of the memory; its deleter must be called once."""
    keep: list[Any] = []
    out = _ffi.new("void **")
    _check(_lib.wb_memory_export(memory, _tensor(buffer, keep), flags, int(versioned), out))
    del keep
    return int(_ffi.cast("uintptr_t", out[0]))


def memory_copy(device: int, to: int, source: int, nbytes: int, stream: int) -> None:
    """Copy bytes behind what is queued on the stream, and wait for it."""
    _check(_lib.wb_memory_copy(device, to, source, nbytes, stream))
