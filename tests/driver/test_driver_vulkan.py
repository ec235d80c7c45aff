"""A Vulkan device and a GPU that are not the same: lavapipe, and the stand-in for the CUDA driver."""

from __future__ import annotations

from pathlib import Path

TESTS = str(Path(__file__).parent.parent)

HEAD = f"""
sys.path.insert(0, {TESTS!r})
from warpbridge.adapters import wgpu as wbgpu
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


# lavapipe and a GPU of the same UUID: lavapipe's own semaphores, lent to the stand-in.
SAME_GPU = (
    HEAD
    + """
os.environ["DRIVER_UUID"] = _vulkan.status()["devices"][0]["uuid"]
driver.external_count.argtypes = [ctypes.c_char_p]
lent = lambda what: driver.external_count(what.encode())
view = wbgpu.share(device, shape=16, dtype="float32", usage=USAGE, on="cuda:0", require="shared")
entries = wb.load(ptx("fine illegal")).entries
def queue_is_free():
    device.queue.write_buffer(view.buffer, 0, b"word" * 16)
    return bytes(device.queue.read_buffer(view.buffer)) == b"word" * 16
"""
)


def test_semaphores_order_where_the_gpu_is_the_same(on_driver, lending) -> None:
    program = (
        SAME_GPU
        + """
for turn in range(3):
    entries["fine"].launch(1, 1, [view])
    assert queue_is_free()
with view:
    entries["fine"].launch(1, 1, [view], stream=wb.device("cuda:0").stream())
assert queue_is_free()
print(view.transport, view.device, lent("signals"), lent("semaphores"), lent("memories"))
"""
    )
    assert on_driver(program, **lending) == "shared cuda:0 4 2 1\n"


def test_kernel_that_loses_the_context_does_not_hold_up_vulkan(on_driver, lending) -> None:
    program = (
        SAME_GPU
        + """
entries["fine"].launch(1, 1, [view])
entries["illegal"].launch(1, 1, [view])
assert lent("signals") == 1, "the second one cannot come"
assert queue_is_free(), "and the host has given it"
error = caught(lambda: entries["fine"].launch(1, 1, [view]))
print(type(error).__name__, error.device_usable)
assert queue_is_free()
device.destroy()
print("ends")
"""
    )
    assert on_driver(program, **lending) == "DeviceError False\nends\n"
