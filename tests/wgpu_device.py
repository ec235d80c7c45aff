"""A wgpu device for the tests, what they do with its buffers by wgpu's own means, and views by each transport.

Whoever imports this has the Vulkan layer: it must be enabled before wgpu's first instance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import wgpu
from warpbridge.adapters import wgpu as wbgpu
from wgpu_shader import submit_shader

wbgpu.enable()
TRANSPORTS = ("staged", "pinned", "shared")

USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST

DOUBLE = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&x)) { x[id.x] = 2.0 * x[id.x]; }
}
"""


def new_device() -> wgpu.GPUDevice:
    """A device of the best adapter; without a Vulkan driver this fails, which is right: CI must have one."""
    return wgpu.gpu.request_adapter_sync(power_preference="high-performance").request_device_sync()


def new_buffer(device: wgpu.GPUDevice, data: np.ndarray | int, usage: int = USAGE, label: str = "x") -> wgpu.GPUBuffer:
    """A buffer with these bytes, or of this size."""
    size = data if isinstance(data, int) else data.nbytes
    buffer = device.create_buffer(label=label, size=size, usage=usage)
    if not isinstance(data, int):
        device.queue.write_buffer(buffer, 0, data)
    return buffer


def read(buffer: wgpu.GPUBuffer, dtype: Any = np.float32) -> np.ndarray:
    """What wgpu says is in a buffer."""
    return np.frombuffer(buffer._device.queue.read_buffer(buffer), dtype)


def double(buffer: wgpu.GPUBuffer) -> None:
    """Submit a shader that doubles the float32 values, and do not wait."""
    submit_shader(buffer._device, buffer, DOUBLE)


class Views:
    """Views by one transport, on the CPU device unless `on` says otherwise."""

    def __init__(self, transport: str, device: wgpu.GPUDevice, on: str = "cpu") -> None:
        self.transport = transport
        self.device = device
        self._on = on

    def __call__(self, data: np.ndarray | int, dtype: Any = "float32", usage: int = USAGE, **options: Any) -> Any:
        """A view of a new buffer with these bytes, or of this size."""
        options = {"dtype": dtype, "on": self._on, "require": self.transport, **options}
        if self.transport != "shared":
            return wbgpu.view(new_buffer(self.device, data, usage), **options)
        offset = options.pop("offset", 0)
        size = data if isinstance(data, int) else data.nbytes
        made = wbgpu.share(
            self.device, size=size, usage=usage, label="x", **{**options, "shape": None, "dtype": "uint8"}
        )
        if not isinstance(data, int):
            self.device.queue.write_buffer(made.buffer, 0, data)
        return wbgpu.view(made.buffer, offset=offset, **options)

    def copied(self, nbytes: int) -> int:
        """What moving so many bytes counts as."""
        return 0 if self.transport == "shared" else nbytes
