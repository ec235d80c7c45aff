"""Buffers of Vulkan that kernels share: the brackets, what came of them, and their order against streams."""

from __future__ import annotations

from typing import Any

from .native import Handle, check, ffi, lib, read_json


def vulkan_report() -> dict[str, Any]:
    """Return what the Vulkan layer knows of itself and of its devices."""
    report: dict[str, Any] = read_json(lib.wb_vulkan_json)
    return report


def vulkan_memory_new(device: int, nbytes: int, pinned: bool) -> tuple[Handle, int]:
    """Allocate host memory that a Vulkan buffer can live in; return its handle and its address."""
    out = ffi.new("wb_memory **")
    check(lib.wb_vulkan_memory_new(device, nbytes, int(pinned), out))
    return _memory(out)


def vulkan_begin_export(nbytes: int) -> None:
    """Open this thread's bracket for a buffer with exportable memory."""
    check(lib.wb_vulkan_begin_export(nbytes))


def vulkan_begin_import(nbytes: int, memory: Handle) -> None:
    """Open this thread's bracket for a buffer that lives in host memory."""
    check(lib.wb_vulkan_begin_import(nbytes, memory))


def vulkan_end() -> Handle:
    """Close this thread's bracket; return the buffer made in it."""
    out = ffi.new("wb_vulkan_buffer **")
    check(lib.wb_vulkan_end(out))
    return ffi.gc(out[0], lib.wb_vulkan_buffer_free)


def vulkan_buffer_info(buffer: Handle) -> dict[str, Any]:
    """Return what is known of a buffer."""
    info: dict[str, Any] = read_json(lib.wb_vulkan_buffer_json, buffer)
    return info


def vulkan_buffer_memory(buffer: Handle, device: int) -> tuple[Handle, int]:
    """Return the buffer's bytes as memory of a device: its handle and its address."""
    out = ffi.new("wb_memory **")
    check(lib.wb_vulkan_buffer_memory(buffer, device, out))
    return _memory(out)


def vulkan_to_stream(buffer: Handle, device: int, stream: int, limit_s: float) -> int:
    """Order a stream behind Vulkan; 0 not within the limit, 1 the host waited, 2 a semaphore does it."""
    how = ffi.new("int32_t *")
    check(lib.wb_vulkan_to_stream(buffer, device, stream, limit_s, how))
    return int(how[0])


def vulkan_from_stream(buffer: Handle, device: int, stream: int, limit_s: float) -> int:
    """Order Vulkan behind a stream; as `vulkan_to_stream`."""
    how = ffi.new("int32_t *")
    check(lib.wb_vulkan_from_stream(buffer, device, stream, limit_s, how))
    return int(how[0])


def _memory(out: Any) -> tuple[Handle, int]:
    memory = ffi.gc(out[0], lib.wb_memory_free)
    address = ffi.new("uint64_t *")
    check(lib.wb_memory_address(memory, address))
    return memory, int(address[0])
