"""What the programs of test_vulkan.py begin with: the layer asked for before wgpu's first instance, and a device."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from warpbridge import _vulkan
from wgpu_shader import submit_shader

if os.environ.get("WARPBRIDGE_TESTS_LAYER") != "0":  # in front of layers that a test has asked for
    for variable, value in (("VK_ADD_LAYER_PATH", _vulkan.layer_folder()), ("VK_INSTANCE_LAYERS", _vulkan.LAYER)):
        asked = [other for other in os.environ.get(variable, "").split(":") if other not in ("", value)]
        os.environ[variable] = ":".join([value, *asked])

import wgpu

USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


def new_device() -> wgpu.GPUDevice:
    return wgpu.gpu.request_adapter_sync(power_preference="high-performance").request_device_sync()


def clear(device: wgpu.GPUDevice, buffer: wgpu.GPUBuffer) -> None:
    """Let wgpu do now what it does at a buffer's first use: fill it with zeros."""
    encoder = device.create_command_encoder()
    encoder.clear_buffer(buffer)
    device.queue.submit([encoder.finish()])
    device._poll_wait()


def shared(device: wgpu.GPUDevice, nbytes: int) -> tuple[wgpu.GPUBuffer, _vulkan.Shared, int, Any]:
    """A wgpu buffer in host memory: the buffer, the record, the address, the memory's handle."""
    memory, address = _vulkan.host_memory(nbytes)
    _vulkan.begin_import(memory, nbytes)
    try:
        buffer = device.create_buffer(size=nbytes, usage=USAGE)
    finally:
        record = _vulkan.end()
    clear(device, buffer)
    return buffer, record, address, memory


def read(address: int, nbytes: int) -> bytes:
    return ctypes.string_at(address, nbytes)


def write(address: int, data: bytes) -> None:
    ctypes.memmove(address, data, len(data))


def add_one(device: wgpu.GPUDevice, buffer: wgpu.GPUBuffer) -> None:
    """Submit a shader that adds 1 to every uint32."""
    source = """
    @group(0) @binding(0) var<storage, read_write> data: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) at: vec3<u32>) {
        if (at.x < arrayLength(&data)) { data[at.x] += 1u; }
    }"""
    submit_shader(device, buffer, source)
