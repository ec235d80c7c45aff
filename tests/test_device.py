"""Devices: the CPU device is always there; a missing one is an error that says what there is and why."""

from __future__ import annotations

import pytest
import warpbridge as wb


def test_the_cpu_device_is_always_the_first() -> None:
    cpu = wb.devices()[0]
    assert cpu is wb.device("cpu")
    assert (str(cpu), repr(cpu), cpu.kind, cpu.ordinal) == ("cpu", "Device('cpu')", "cpu", 0)
    assert cpu.arch.startswith("sm_")
    assert cpu.memory_bytes > 2**20
    assert cpu.sm_count >= 1


def test_device_that_is_not_there() -> None:
    names = [str(device) for device in wb.devices()]
    with pytest.raises(wb.DeviceError) as caught:
        wb.device("tpu:0")
    assert str(caught.value) == f"device 'tpu:0' is not here, expected one of: {', '.join(names)}"
    assert (caught.value.device, caught.value.available) == ("tpu:0", names)


def test_device_returns_a_device_as_it_is() -> None:
    cpu = wb.device("cpu")
    assert wb.device(cpu) is cpu


@pytest.mark.parametrize(("name", "found"), [(0, "an int"), (None, "None"), (["cpu"], "a list")], ids=repr)
def test_device_refuses_what_is_no_name(name: object, found: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.device(name)
    assert str(caught.value) == f"device: name is {found}, expected 'cpu', 'cuda:0', ... or a Device"


NO_DRIVER = """
import sys
import warpbridge as wb
print(wb.devices())
try:
    wb.device("cuda:0")
except wb.DeviceError as error:
    print(error)
"""


def test_no_gpu_says_why(run_python) -> None:
    found = run_python(NO_DRIVER, WARPBRIDGE_LIBCUDA="/nowhere/libcuda.so.1")
    assert found.stdout == (
        "(Device('cpu'),)\ndevice 'cuda:0' is not here, expected one of: cpu; there is no CUDA device: "
        "no CUDA driver library found, tried /nowhere/libcuda.so.1 (cannot open shared object file: No such file or "
        "directory); expected an NVIDIA driver to be installed, or WARPBRIDGE_LIBCUDA to name its libcuda.so.1\n"
    ), found.stderr
