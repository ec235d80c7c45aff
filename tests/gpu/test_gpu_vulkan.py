"""A wgpu buffer and a GPU's kernels: one memory, ordered by timeline semaphores; needs NVIDIA's Vulkan driver and wgpu.

Each program runs in an interpreter of its own, as the layer must be asked for before a process's first Vulkan instance.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

TESTS = str(Path(__file__).parent.parent)

HEAD = f"""
import sys; sys.path.insert(0, {TESTS!r})
from vulkan_layer import *
from vulkan_layer import _vulkan
import cupy as cp
from warpbridge import _ffi

CUDA = 1
SLOW = cp.RawKernel('''extern "C" __global__ void slow(unsigned *x, long n) {{
    for (long long start = clock64(); clock64() - start < 400000;);
    long step = gridDim.x * (long)blockDim.x;
    for (long i = blockIdx.x * (long)blockDim.x + threadIdx.x; i < n; i += step) x[i] = x[i] * 3 + 7;
}}''', "slow")

def exported(device, nbytes):
    _vulkan.begin_export(nbytes)
    try:
        buffer = device.create_buffer(size=nbytes, usage=USAGE)
    finally:
        record = _vulkan.end()
    clear(device, buffer)
    handle, address = _vulkan.open_memory(record, CUDA)
    owned = cp.cuda.UnownedMemory(address, nbytes, handle, 0)
    return buffer, record, cp.ndarray((nbytes // 4,), cp.uint32, cp.cuda.MemoryPointer(owned, 0))

def slow(x, stream):
    with stream:
        SLOW((264,), (256,), (x, x.size))
"""


@pytest.fixture
def run(run_python):
    """Run a program behind the head; it ends well and prints what it is to print."""

    def run(program: str, prints: str) -> None:
        done = run_python(f"{HEAD}\n{program}")
        assert done.returncode == 0, done.stderr
        assert done.stdout == prints, done.stderr

    return run


def test_wgpu_and_cuda_see_the_same_bytes(run) -> None:
    run(
        """
device = new_device()
for nbytes in (4, 252, 4100, 1 << 20, 64 << 20):
    buffer, record, x = exported(device, nbytes)
    assert not x.any(), "wgpu's zeros"
    x[:] = cp.arange(x.size, dtype=cp.uint32)
    cp.cuda.Device().synchronize()
    assert bytes(device.queue.read_buffer(buffer)) == x.get().tobytes(), nbytes
    device.queue.write_buffer(buffer, 0, (x * 5).get())
    device.queue.submit([])
    assert _vulkan.to_kernels(record, CUDA, 0) is True
    assert (x == cp.arange(x.size, dtype=cp.uint32) * 5).all(), nbytes
print("same")
""",
        "same\n",
    )


def test_semaphores_order_streams_and_wgpu_without_a_wait(run) -> None:
    run(
        """
device = new_device()
buffer, record, x = exported(device, 4 << 20)
streams = [cp.cuda.Stream(non_blocking=True) for _ in range(3)]
spin = cp.RawKernel(
    '''extern "C" __global__ void spin(long long n) { for (long long start = clock64(); clock64() - start < n;); }''',
    "spin",
)

def turn(stream):
    assert _vulkan.to_kernels(record, CUDA, stream.ptr) is True
    slow(x, stream)
    assert _vulkan.to_vulkan(record, CUDA, stream.ptr) is True
    add_one(device, buffer)

turn(streams[0])  # everything is compiled
with streams[0]:
    spin((1,), (1,), (4_000_000_000,))  # two seconds, which nothing below may wait for
    first = cp.cuda.Event()
    first.record(streams[0])
for number in range(30):
    turn(streams[number % 3])
assert not first.done, "the host has waited"
_vulkan.to_kernels(record, CUDA, 0)
cp.cuda.Device().synchronize()
expected = cp.zeros_like(x)
for number in range(31):
    expected = expected * cp.uint32(3) + cp.uint32(8)
assert (x == expected).all()
print("in order")
""",
        "in order\n",
    )


def test_pinned_memory_is_a_buffer_of_wgpu(run) -> None:
    run(
        """
import numpy as np
device = new_device()
memory, address = _vulkan.host_memory(4 << 20, pinned=True, device=CUDA)
_vulkan.begin_import(memory, 4 << 20)
buffer = device.create_buffer(size=4 << 20, usage=USAGE)
record = _vulkan.end()
clear(device, buffer)
host = np.ctypeslib.as_array((ctypes.c_uint32 * (1 << 20)).from_address(address))
host[:] = np.arange(1 << 20, dtype=np.uint32)
add_one(device, buffer)
_vulkan.to_kernels(record, 0, 0)
assert (host == np.arange(1, (1 << 20) + 1, dtype=np.uint32)).all()
assert _vulkan.open_memory(record, CUDA)[1] == address
print("pinned")
""",
        "pinned\n",
    )


def test_thousands_of_buffers_leave_nothing_behind_and_memory_outlives_wgpus(run) -> None:
    run(
        """
import os
device = new_device()
def state():
    device._poll_wait()
    return len(os.listdir("/proc/self/fd")), cp.cuda.runtime.memGetInfo()[0]
def cycles(count):
    for cycle in range(count):
        buffer, record, x = exported(device, 1 << 20)
        buffer.destroy()
        if cycle % 50 == 0:
            x[:] = cycle
            assert (x == cycle).all(), "its memory outlives the buffer"
cycles(100)
files, free = state()
cycles(1500)
assert state()[0] <= files
assert free - state()[1] < 64 << 20, (free, state())  # 1500 buffers would be 1.5 GiB
print("nothing")
""",
        "nothing\n",
    )


def test_capture_into_a_graph_is_refused(run) -> None:
    run(
        """
device = new_device()
buffer, record, x = exported(device, 4096)
stream = cp.cuda.Stream(non_blocking=True)
with stream:
    stream.begin_capture()
    try:
        _vulkan.to_kernels(record, CUDA, stream.ptr)
    except Exception as error:
        print(type(error).__name__, error)
    stream.end_capture()
""",
        "LaunchError ordering a stream of cuda:0 with Vulkan: it is being captured into a graph, expected it not "
        "to be; a graph would repeat one value of a semaphore\n",
    )


def test_kernel_that_loses_the_context_does_not_hold_up_vulkan(run) -> None:
    run(
        """
import os
device = new_device()
buffer, record, x = exported(device, 4096)
late = cp.RawKernel('''extern "C" __global__ void late() {
    for (long long start = clock64(); clock64() - start < 2000000000;);
    asm volatile("trap;");
}''', "late")
late((1,), (1,), ())
assert _vulkan.to_vulkan(record, CUDA, 0) is True, "the signal is queued behind the kernel, which never ends well"
device.queue.write_buffer(buffer, 0, b"word" * 1024)
assert bytes(device.queue.read_buffer(buffer)) == b"word" * 1024
try:
    _vulkan.to_kernels(record, CUDA, 0)
except Exception as error:
    print(type(error).__name__, error.device_usable, flush=True)
os._exit(0)  # CuPy would tell of the lost context for everything that it frees
""",
        "DeviceError False\n",
    )
