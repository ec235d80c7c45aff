"""Faults on the CPU device: the launch is named in fields, the device goes on, `WARPBRIDGE_SYNC=1` raises at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

FAULTS = [("illegal", wb.MemoryFault), ("misaligned", wb.MemoryFault), ("trapped", wb.KernelFault)]


def fault_of(how: str, entry: wb.Entry, x: np.ndarray) -> wb.WarpbridgeError:
    calls = {
        "blocking": lambda: entry(1, 1, [x]),
        "submit": lambda: entry.submit(1, 1, [x]).result(timeout=60),
        "launch": lambda: (entry.launch(1, 1, [x]), wb.device("cpu").synchronize()),
    }
    with pytest.raises(wb.KernelFault) as caught:
        calls[how]()
    return caught.value


@pytest.mark.parametrize("how", ["blocking", "submit", "launch"])
@pytest.mark.parametrize(("name", "kind"), FAULTS)
def test_fault_names_its_launch_and_the_device_goes_on(data: Path, how: str, name: str, kind: type) -> None:
    module, x = wb.load(data / "faults.ptx"), np.zeros(8, np.float32)
    error = fault_of(how, module.entries[name], x)
    assert type(error) is kind
    assert str(error).startswith(f"{name}: ")
    assert (error.kernel, error.arguments, error.device, error.device_usable) == (name, "x float32 (8,)", "cpu", True)
    assert error.stream in (0, 1)
    module.entries["fine"](1, 1, [x])


PROGRAM = """
import numpy as np, warpbridge as wb
module, x = wb.load(PATH), np.zeros(8, np.float32)
stream = wb.device("cpu").stream()
try:
    module.entries["fine"].launch(1, 1, [x], stream=stream)
    module.entries["illegal"].launch(1, 1, [x], stream=stream)
    print("queued")
    stream.synchronize()
except wb.MemoryFault as error:
    print(error.kernel, error.stream == stream.handle, error.device_usable)
stream.synchronize()
pending = module.entries["fine"].submit(1, 1, [x])
print(pending.result(timeout=60))
"""


@pytest.mark.parametrize(("value", "printed"), [("1", ""), ("0", "queued\n"), ("", "queued\n")])
def test_sync_mode_raises_from_the_launch_itself(data: Path, run_python, value: str, printed: str) -> None:
    program = PROGRAM.replace("PATH", repr(str(data / "faults.ptx")))
    process = run_python(program, WARPBRIDGE_SYNC=value)
    assert (process.stdout, process.stderr) == (f"{printed}illegal True True\nNone\n", "")
