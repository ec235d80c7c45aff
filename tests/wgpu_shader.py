"""One compute shader over one buffer, for the tests. Imports no wgpu: with which layer it comes is for its caller."""

from __future__ import annotations

from typing import Any


def submit_shader(device: Any, buffer: Any, code: str) -> None:
    """Submit `code` for every 4 bytes of a buffer, 64 threads per workgroup, and do not wait."""
    pipeline = device.create_compute_pipeline(
        layout="auto", compute={"module": device.create_shader_module(code=code), "entry_point": "main"}
    )
    entries = [{"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": buffer.size}}]
    group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(-(-buffer.size // 256))
    work.end()
    device.queue.submit([encoder.finish()])
