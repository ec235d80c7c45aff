"""The Vulkan layer as wgpu's unmodified wheel meets it, on lavapipe: wgpu and the CPU device use the same bytes.

Each program runs in an interpreter of its own, as the layer must be asked for before a process's first Vulkan instance.
The layer itself is tested in adapters/vulkan-layer/tests. Without wgpu, a Vulkan loader or lavapipe these tests fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from warpbridge import _vulkan
from warpbridge.errors import DeviceError

HERE = str(Path(__file__).parent)


@pytest.fixture
def run(run_python):
    """Run a program behind the prelude; it ends well and prints what it is to print."""

    def run(program: str, prints: str = "", **environment: str) -> None:
        head = "from vulkan_layer import *\nfrom vulkan_layer import _vulkan\n"
        done = run_python(f"import sys; sys.path.insert(0, {HERE!r})\n{head}{program}", **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout == prints, done.stderr

    return run


def test_wgpu_and_the_cpu_device_see_the_same_bytes_without_a_copy(run) -> None:
    run(
        """
device = new_device()
for nbytes in (4, 8, 252, 4096, 4100, 1 << 20, (64 << 20) + 4):
    buffer, record, address, memory = shared(device, nbytes)
    assert read(address, nbytes) == bytes(nbytes), "wgpu's zeros"
    pattern = (bytes(range(1, 252)) * (nbytes // 251 + 1))[:nbytes]
    write(address, pattern)
    assert bytes(device.queue.read_buffer(buffer)) == pattern, nbytes
    device.queue.write_buffer(buffer, 0, pattern[::-1])
    device.queue.submit([])
    assert _vulkan.to_kernels(record, 0, 0) is False, "the host waits"
    assert read(address, nbytes) == pattern[::-1], nbytes
    assert _vulkan.open_memory(record, 0)[1] == address
    buffer.destroy()
print("same")
""",
        "same\n",
    )


def test_a_shader_and_a_kernel_take_turns(run) -> None:
    run(
        """
import numpy as np
import warpbridge as wb
device = new_device()
buffer, record, address, memory = shared(device, 4 * 1000)
numbers = np.ctypeslib.as_array((ctypes.c_float * 1000).from_address(address))
for turn in range(5):
    wb.kernels.scale(numbers, 1.0, 1.0, out=numbers)
    assert _vulkan.to_vulkan(record, 0, 0) is False
    words = np.frombuffer(device.queue.read_buffer(buffer), np.uint32)
    add_one(device, buffer)
    _vulkan.to_kernels(record, 0, 0)
    assert (numbers.view(np.uint32) == words + 1).all()
    numbers[:] = turn + 1
print("turns")
""",
        "turns\n",
    )


def test_memory_lives_while_wgpu_or_a_kernel_has_it(run) -> None:
    run(
        """
device = new_device()
buffer, record, address, memory = shared(device, 1 << 16)
again, same = _vulkan.open_memory(record, 0)
del record, memory
device.queue.write_buffer(buffer, 0, b"here" * (1 << 14))
device.queue.submit([])
device._poll_wait()
buffer.destroy()
del buffer
device._poll_wait()
assert same == address and read(address, 1 << 16) == b"here" * (1 << 14)
buffer, record, address, memory = shared(device, 1 << 16)
del record, memory
device.queue.write_buffer(buffer, 0, b"also" * (1 << 14))
assert bytes(device.queue.read_buffer(buffer)) == b"also" * (1 << 14), "wgpu's buffer keeps the memory"
print("lives")
""",
        "lives\n",
    )


def test_thousand_buffers_on_two_devices_and_eight_threads_leave_nothing_behind(run) -> None:
    run(
        """
import os, threading
devices = [new_device(), new_device()]
assert len({found["id"] for found in _vulkan.status()["devices"]}) == 2
def cycles(number, count):
    device = devices[number % 2]
    for cycle in range(count):
        buffer, record, address, memory = shared(device, 1 << 16)
        word = bytes([number, cycle % 251, 1, 2])
        device.queue.write_buffer(buffer, 0, word * (1 << 14))
        device.queue.submit([])
        _vulkan.to_kernels(record, 0, 0)
        assert read(address, 1 << 16) == word * (1 << 14)
        buffer.destroy()
def all_threads(count):
    failures = []
    def work(number):
        try:
            cycles(number, count)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failures, failures
def state():
    for device in devices: device._poll_wait()
    pages = int(open("/proc/self/statm").read().split()[1])
    return len(os.listdir("/proc/self/fd")), pages
all_threads(30)
files, pages = state()
all_threads(125)
assert state()[0] <= files, (files, state())
assert state()[1] - pages < 32 << 8, (pages, state())  # 1000 buffers of 64 KiB would be 64 MiB; this is 32
print("nothing")
""",
        "nothing\n",
    )


def test_status_says_what_lavapipe_can(run) -> None:
    run(
        """
assert _vulkan.status() == {"layer": _vulkan.LAYER, "live": False, "instances": 0, "devices": []}
device = new_device()
status = _vulkan.status()
(found,) = status["devices"]
assert status["live"] and status["instances"] == 1
assert found["name"].startswith("llvmpipe") and len(found["uuid"]) == 32
assert found["import"] and found["export"] and found["timeline"] and found["import_alignment"] == 4096
assert {ability: reason is None for ability, reason in found["why"].items()} == {
    ability: found[ability] for ability in ("export", "import", "timeline", "timeline_export")
}
print("all but semaphores' descriptors, which only newer ones have")
""",
        "all but semaphores' descriptors, which only newer ones have\n",
    )


def test_exported_memory_is_refused_on_the_cpu_device(run) -> None:
    run(
        """
device = new_device()
_vulkan.begin_export(256)
buffer = device.create_buffer(size=256, usage=USAGE)
record = _vulkan.end()
assert record.kind == "export" and record.nbytes >= 256
try:
    _vulkan.open_memory(record, 0)
except Exception as error:
    print(type(error).__name__, str(error).replace(record.name, "NAME"))
""",
        "DeviceError the buffer is in memory of the Vulkan device NAME, which cpu does not reach, expected a buffer in "
        "host memory\n",
    )


def test_buffer_of_another_size_is_an_ordinary_one(run) -> None:
    run(
        """
device = new_device()
_vulkan.begin_export(256)
buffer = device.create_buffer(size=4096, usage=USAGE)
try:
    _vulkan.end()
except Exception as error:
    print(type(error).__name__, error)
device.queue.write_buffer(buffer, 0, b"abcd" * 1024)
assert bytes(device.queue.read_buffer(buffer)) == b"abcd" * 1024
""",
        "DeviceError a buffer of 4096 bytes was made, expected one of 256 bytes\n",
    )


def test_layer_that_is_not_asked_for_is_not_loaded(run) -> None:
    run(
        """
device = new_device()
_vulkan.begin_export(256)
buffer = device.create_buffer(size=256, usage=USAGE)
try:
    _vulkan.end()
except Exception as error:
    print(type(error).__name__, error)
""",
        "DeviceError the Vulkan layer VK_LAYER_WARPBRIDGE_share is not loaded, expected it to be enabled before the "
        "first Vulkan instance of the process\n",
        WARPBRIDGE_TESTS_LAYER="0",
        VK_INSTANCE_LAYERS="",  # other tests of this run may have asked for it
    )


def test_end_without_begin_is_an_error() -> None:
    with pytest.raises(DeviceError) as caught:
        _vulkan.end()
    assert str(caught.value) == "no bracket is open on this thread, expected one to be begun first"


def test_host_memory_is_whole_pages_with_room_for_padding() -> None:
    kept = [_vulkan.host_memory(nbytes) for nbytes in (1, 4096, 1 << 20)]
    assert all(address % 4096 == 0 for _, address in kept)


def test_manifest_is_in_the_package() -> None:
    folder = Path(_vulkan.layer_folder())
    text = (folder / "VkLayer_warpbridge_share.json").read_text(encoding="utf-8")
    assert f'"{_vulkan.LAYER}"' in text
    library = folder / text.split('"library_path": "')[1].split('"')[0]
    assert library.resolve().is_file()
