"""Faults on a GPU, each sticky one in a process of its own; several GPUs; modules that are unloaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

pytestmark = pytest.mark.gpu
FAULTS = Path(__file__).parent.parent / "data" / "faults.ptx"

PROGRAM = """
import importlib, sys, warpbridge as wb
cupy = importlib.import_module("cupy")
x = cupy.zeros(8, "f4")
module = wb.load(PATH)
module.entries["fine"](1, 1, [x])

def caught(work):
    try:
        work()
    except wb.WarpbridgeError as error:
        fields = error.fields
        print(type(error).__name__, error.device_usable, fields.get("kernel"), fields.get("arguments"), sep="|")
        return str(error)
    sys.exit("no error")

first = caught(lambda: WORK)
later = caught(lambda: module.entries["fine"](1, 1, [x]))
print(later.startswith("fine: the CUDA context of cuda:0 is lost since CUDA_ERROR"), "NAME(x float32 (8,))" in later)
sys.stdout.flush()
importlib.import_module("os")._exit(0)  # CuPy's own clean-up fails in a lost context
"""
BLOCKING = "module.entries['NAME'](1, 1, [x])"
SUBMIT = "module.entries['NAME'].submit(1, 1, [x]).result(timeout=20)"
LAUNCH = "module.entries['NAME'].launch(1, 1, [x])"


def run(run_python, name: str, work: str, **environment: str) -> list[str]:
    program = PROGRAM.replace("PATH", repr(str(FAULTS))).replace("WORK", work).replace("NAME", name)
    process = run_python(program, **environment)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout.splitlines()


@pytest.mark.parametrize(
    ("work", "environment"),
    [(BLOCKING, {}), (SUBMIT, {}), (LAUNCH, {"WARPBRIDGE_SYNC": "1"})],
    ids=["blocking", "submit", "launch in sync mode"],
)
@pytest.mark.parametrize(
    ("name", "kind"), [("illegal", "MemoryFault"), ("misaligned", "MemoryFault"), ("trapped", "KernelFault")]
)
def test_sticky_fault_names_its_launch(
    run_python, name: str, kind: str, work: str, environment: dict[str, str]
) -> None:
    lines = run(run_python, name, work, **environment)
    assert lines == [f"{kind}|False|{name}|x float32 (8,)", "DeviceError|False|None|None", "True True"]


def test_sticky_fault_in_stream_order_names_it_among_the_suspects(run_python) -> None:
    lines = run(run_python, "illegal", f"({LAUNCH}, wb.device('cuda:0').synchronize())")
    assert lines[0].startswith("MemoryFault|False|")
    assert lines[-1] == "True True"


def test_module_is_unloaded_with_its_last_user() -> None:
    cupy = importlib.import_module("cupy")
    x, text = cupy.zeros(8, "f4"), FAULTS.read_text()
    for number in range(200):
        wb.load(f"{text}\n// {number}\n").entries["fine"](1, 1, [x])
    np.testing.assert_array_equal(cupy.asnumpy(wb.kernels.scale(x, 2.0)), np.zeros(8))


@pytest.mark.gpus(2)
def test_two_gpus_run_at_once_and_leave_the_current_device() -> None:
    cupy = importlib.import_module("cupy")
    host = np.arange(100_003, dtype=np.float32)
    arrays = []
    for ordinal in (0, 1):
        with cupy.cuda.Device(ordinal):
            arrays.append(cupy.asarray(host + ordinal))
    for current in (0, 1):
        with cupy.cuda.Device(current):
            pendings = [wb.kernels.scale.submit(x, 2.0) for x in arrays]
            for ordinal, pending in enumerate(pendings):
                y = pending.result(timeout=20)
                assert y.device.id == ordinal
                np.testing.assert_array_equal(y.get(), 2 * (host + ordinal))
                with pytest.raises(wb.ArgumentError):
                    wb.kernels.scale(arrays[ordinal], 2.0, out=arrays[1 - ordinal])
                assert cupy.cuda.runtime.getDevice() == current


@pytest.mark.gpus(2)
def test_two_gpus_in_one_call_are_refused_with_both_names() -> None:
    cupy = importlib.import_module("cupy")
    x = cupy.zeros(8, "f4")
    with cupy.cuda.Device(1):
        y = cupy.zeros(8, "f4")
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.scale(x, 2.0, out=y)
    assert str(caught.value) == (
        "scale: out (y) is on cuda:1, expected cuda:0, where argument 1 (x) is; move one of them first"
    )
