"""Several GPUs, other libraries' current context, and modules that go with their last user."""

from __future__ import annotations

import pytest

TWO = """
module = wb.load(ptx("fine illegal_store hungry_kernel"))
fine = module.entries["fine"]
y = Producer(host, device=(2, 1))
"""


def test_data_decides_the_device_and_each_has_its_module(on_driver) -> None:
    program = (
        TWO
        + """
bound = fine.bind(1, 1, [x]), fine.bind(1, 1, [y])
print([str(b.device) for b in bound], count("modules"))
for b in bound: b(), b.launch(), b.submit().result(60)
print(count("launches"), count("depth"))
"""
    )
    assert on_driver(program, DRIVER_DEVICES="2") == "['cuda:0', 'cuda:1'] 2\n6 0\n"


def test_arrays_of_two_gpus_are_refused_with_both_names(on_driver) -> None:
    program = TWO + "print(caught(lambda: wb.kernels.scale(x, 2.0, out=y)))"
    assert on_driver(program, DRIVER_DEVICES="2") == (
        "scale: out (y) is on cuda:1, expected cuda:0, where argument 1 (x) is; move one of them first\n"
    )


def test_fault_of_one_gpu_leaves_the_other_alone(on_driver) -> None:
    program = (
        TWO
        + """
print(type(caught(lambda: module.entries["illegal_store"](1, 1, [x]))).__name__)
print(type(caught(lambda: fine(1, 1, [x]))).__name__)
fine(1, 1, [y])
fine.launch(1, 1, [y])
wb.device("cuda:1").synchronize()
print(count("launches"))
"""
    )
    assert on_driver(program, DRIVER_DEVICES="2") == "MemoryFault\nDeviceError\n3\n"


@pytest.mark.parametrize("device", [0, 1])
def test_current_context_is_left_as_found_also_by_errors(on_driver, device: int) -> None:
    program = (
        TWO
        + f"""
context, current = ctypes.c_void_p(), ctypes.c_void_p()
driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), {device})
driver.cuCtxPushCurrent_v2(context)
gpu = wb.device("cuda:0")
stream = gpu.stream()
works = [
    lambda: fine(1, 1, [x]),
    lambda: fine.launch(1, 1, [x]),
    lambda: fine.launch(1, 1, [plain]),
    lambda: fine.launch(1, 1, [x], stream=stream),
    lambda: fine.submit(1, 1, [x]).result(60),
    lambda: stream.synchronize(),
    lambda: stream.wait(gpu.stream()),
    lambda: gpu.synchronize(),
    lambda: wb.tensor_map(Producer(np.ones((8, 8), np.float32), device=(2, 0)), (4, 4)),
    lambda: module.entries["hungry_kernel"](1, 1, [x]),
    lambda: module.entries["hungry_kernel"].launch(1, 1, [x]),
    lambda: wb.load(ptx("fine") + "// JIT_REFUSES").entries["fine"](1, 1, [x]),
    lambda: wb.load(ptx("fine") + "// NO_MEMORY").entries["fine"](1, 1, [x]),
    lambda: module.entries["illegal_store"](1, 1, [x]),
    lambda: fine(1, 1, [x]),
    lambda: fine.launch(1, 1, [x]),
    lambda: gpu.stream(),
]
failed = 0
for number, work in enumerate(works):
    try:
        work()
    except wb.WarpbridgeError:
        failed += 1
    driver.cuCtxGetCurrent(ctypes.byref(current))
    assert current.value == context.value, number
    assert (count("depth"), count("capture mode")) == (1, 0), number
print(failed)
"""
    )
    assert on_driver(program, DRIVER_DEVICES="2") == "9\n"


def test_module_is_unloaded_with_its_last_user(on_driver) -> None:
    program = """
import time
def settles_at(modules):  # the dispatcher lets go of the last launch
    limit = time.monotonic() + 60
    while count("modules") != modules and time.monotonic() < limit: time.sleep(0.01)
    return count("modules") == modules
for _ in range(20):
    module = wb.load(ptx("fine"))
    entry = module.entries["fine"]
    del module
    entry(1, 1, [x])
    bound = entry.bind(1, 1, [x])
    del entry
    gc.collect()
    bound()
    assert settles_at(1)
    bound.submit().result(60)
    del bound
    wb.load(ptx("fine")).entries["fine"]  # another, never launched
gc.collect()
print(settles_at(0), count("depth"))
"""
    assert on_driver(program) == "True 0\n"


def test_module_that_was_launched_in_stream_order_stays(on_driver) -> None:
    program = """
wb.load(ptx("fine")).entries["fine"].launch(1, 1, [plain])
gc.collect()
print(count("modules"))
"""
    assert on_driver(program) == "1\n"


def test_streams_are_freed(on_driver) -> None:
    program = """
gpu = wb.device("cuda:0")
for _ in range(50): gpu.stream().synchronize()
gc.collect()
keep = gpu.stream()
print(count("streams"))
"""
    assert on_driver(program) == "1\n"


def test_exit_with_launches_in_flight_is_clean(on_driver) -> None:
    program = """
entry = wb.load(ptx("fine")).entries["fine"]
pendings = [entry.submit(1, 1, [x]) for _ in range(50)]
entry.launch(1, 1, [x])
print("leaving")
"""
    assert on_driver(program) == "leaving\n"


def test_much_shared_memory_leaves_no_preference_to_later_launches(on_driver) -> None:
    program = """
fine = wb.load(ptx("fine")).entries["fine"]
fine(1, 1, [x], 200_000)
fine(1, 1, [x], 1000)
print(count("launches"))
"""
    assert on_driver(program) == "2\n"
