"""The few CUDA driver calls that the recorder needs, through ctypes: no GPU library for Python is required.

Used by `worker.py` only. Every call is checked; a failure is a `DriverError` with the driver's own name for it.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p

import numpy as np

from .form import TensorMap

LIBRARIES = ("libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1")
LOG_BYTES = 16384
ELEMENTS = {"u8": 0, "u16": 1, "u32": 2, "s32": 3, "u64": 4, "s64": 5, "f16": 6, "f32": 7, "f64": 8, "bf16": 9}
"""CUtensorMapDataType."""

INFO_LOG, INFO_SIZE, ERROR_LOG, ERROR_SIZE = 3, 4, 5, 6
"""CUjit_option."""

SIGNATURES = {
    "cuInit": [c_uint],
    "cuDriverGetVersion": [POINTER(c_int)],
    "cuDeviceGet": [POINTER(c_int), c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDevicePrimaryCtxRetain": [POINTER(c_void_p), c_int],
    "cuCtxSetCurrent": [c_void_p],
    "cuCtxSynchronize": [],
    "cuModuleLoadDataEx": [POINTER(c_void_p), c_char_p, c_uint, POINTER(c_int), POINTER(c_void_p)],
    "cuModuleUnload": [c_void_p],
    "cuModuleGetFunction": [POINTER(c_void_p), c_void_p, c_char_p],
    "cuMemAlloc_v2": [POINTER(c_uint64), c_size_t],
    "cuMemcpyHtoD_v2": [c_uint64, c_void_p, c_size_t],
    "cuMemcpyDtoH_v2": [c_void_p, c_uint64, c_size_t],
    "cuMemsetD8_v2": [c_uint64, ctypes.c_ubyte, c_size_t],
    "cuLaunchKernel": [c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    "cuTensorMapEncodeTiled": [
        c_void_p, c_int, c_uint, c_uint64, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint), POINTER(c_uint),
        c_int, c_int, c_int, c_int,
    ],
}  # fmt: skip


class DriverError(Exception):
    """A driver call failed; `log` is the JIT's log where there is one."""

    def __init__(self, call: str, name: str, log: str = "") -> None:
        super().__init__(f"{call}: {name}")
        self.log = log


class Driver:
    """The driver with device 0's context current."""

    def __init__(self) -> None:
        self.lib = self._library()
        for name, types in SIGNATURES.items():
            function = getattr(self.lib, name)
            function.argtypes, function.restype = types, c_int
        self.call("cuInit", 0)
        device, context = c_int(), c_void_p()
        self.call("cuDeviceGet", byref(device), 0)
        self.device = device.value
        self.call("cuDevicePrimaryCtxRetain", byref(context), device)
        self.call("cuCtxSetCurrent", context)

    @staticmethod
    def _library() -> ctypes.CDLL:
        for name in LIBRARIES:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
        raise OSError(f"found none of {', '.join(LIBRARIES)}; expected the CUDA driver of a GPU machine")

    def call(self, name: str, *arguments: object) -> None:
        """Call the driver; raise on any status but success."""
        code = getattr(self.lib, name)(*arguments)
        if code:
            raise DriverError(name, self._error_name(code))

    def _error_name(self, code: int) -> str:
        text = c_char_p()
        self.lib.cuGetErrorName(c_int(code), byref(text))
        return (text.value or b"").decode() or f"error {code}"

    def describe(self) -> dict[str, str]:
        """Return the device's name and the driver's CUDA version."""
        name, version = ctypes.create_string_buffer(128), c_int()
        self.call("cuDeviceGetName", name, 128, self.device)
        self.call("cuDriverGetVersion", byref(version))
        return {"device": name.value.decode(), "cuda": f"{version.value // 1000}.{version.value % 1000 // 10}"}

    def load(self, ptx: str) -> c_void_p:
        """JIT a module; the error of a refusal carries the log."""
        info, error = ctypes.create_string_buffer(LOG_BYTES), ctypes.create_string_buffer(LOG_BYTES)
        options = (c_int * 4)(INFO_LOG, INFO_SIZE, ERROR_LOG, ERROR_SIZE)
        values = (c_void_p * 4)(ctypes.addressof(info), LOG_BYTES, ctypes.addressof(error), LOG_BYTES)
        module = c_void_p()
        try:
            self.call("cuModuleLoadDataEx", byref(module), ptx.encode(), 4, options, values)
        except DriverError as failure:
            failure.log = error.value.decode(errors="replace")
            raise
        return module

    def function(self, module: c_void_p, name: str) -> c_void_p:
        """Return an entry."""
        found = c_void_p()
        self.call("cuModuleGetFunction", byref(found), module, name.encode())
        return found

    def launch(self, function: c_void_p, grid: int, block: int, arguments: list[object]) -> None:
        """Launch and wait; `arguments` are ctypes objects or buffers."""
        pointers = (c_void_p * len(arguments))(*(ctypes.addressof(a) for a in arguments))  # type: ignore[arg-type]
        self.call("cuLaunchKernel", function, grid, 1, 1, block, 1, 1, 0, None, pointers, None)
        self.call("cuCtxSynchronize")

    def encode(self, spec: TensorMap, address: int) -> ctypes.Array[ctypes.c_char]:
        """Return the 128 bytes of a tensor map, 64-byte aligned."""
        raw = ctypes.create_string_buffer(128 + 64)
        offset = -ctypes.addressof(raw) % 64
        aligned = (ctypes.c_char * 128).from_buffer(raw, offset)
        rank = len(spec.sizes)
        self.call(
            "cuTensorMapEncodeTiled",
            ctypes.addressof(aligned),
            ELEMENTS[spec.element],
            rank,
            address,
            (c_uint64 * rank)(*spec.sizes),
            (c_uint64 * max(rank - 1, 1))(*spec.strides),
            (c_uint * rank)(*spec.box),
            (c_uint * rank)(*spec.element_strides),
            spec.interleave,
            spec.swizzle,
            0,
            int(spec.fill_nan),
        )
        return aligned


def pointer_of(array: np.ndarray) -> int:
    """Return the address of a contiguous array."""
    return int(array.ctypes.data)
