"""A Vulkan device and a GPU that are not the same: lavapipe, and the stand-in for the CUDA driver."""

from __future__ import annotations

from pathlib import Path

TESTS = str(Path(__file__).parent.parent)

HEAD = f"""
sys.path.insert(0, {TESTS!r})
from vulkan_layer import *
from vulkan_layer import _vulkan
device = new_device()
"""


def test_exported_buffer_of_another_gpu_is_refused_with_both_names(on_driver, tmp_path: Path) -> None:
    program = (
        HEAD
        + """
_vulkan.begin_export(64)
buffer = device.create_buffer(size=64, usage=USAGE)
record = _vulkan.end()
before = len(os.listdir("/proc/self/fd"))
error = caught(lambda: _vulkan.open_memory(record, 1))
assert len(os.listdir("/proc/self/fd")) == before
assert (error.fields["vulkan_uuid"], error.fields["device_uuid"]) == (record.uuid, "0" * 32)
print(type(error).__name__, str(error).replace(record.name, "NAME").replace(record.uuid, "UUID"))
"""
    )
    assert on_driver(program, XDG_RUNTIME_DIR=str(tmp_path)) == (
        "DeviceError the buffer is on the Vulkan device NAME (UUID), expected it on the same GPU as cuda:0 "
        "(00000000000000000000000000000000)\n"
    )


def test_host_waits_where_the_gpus_differ(on_driver, tmp_path: Path) -> None:
    program = (
        HEAD
        + """
buffer, record, address, memory = shared(device, 4096)
stream = wb.device("cuda:0").stream()
device.queue.write_buffer(buffer, 0, b"word" * 1024)
device.queue.submit([])
print(_vulkan.to_kernels(record, 1, stream.handle), read(address, 4), _vulkan.to_vulkan(record, 1, stream.handle))
"""
    )
    assert on_driver(program, XDG_RUNTIME_DIR=str(tmp_path)) == "False b'word' False\n"
