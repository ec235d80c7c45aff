"""Where a control block lies, by the manifest's word, and that a cancel reaches the kernel which looks at it."""

from __future__ import annotations

import pytest

PROGRAM = """
import time
text = (".version 8.0\\n.target sm_80\\n.address_size 64\\n"
        ".visible .entry watchful(.param .u64 x, .param .u64 control) { ret; }\\n")
array = dict(name="x", kind="array", intent="in", dtype="float32", shape=["n"], summary="numbers")
variant = dict(ptx="watchful.ptx", arch="sm_80", entry="watchful")
args = [array, dict(name="control", kind="control", **MEMORY)]
launch = dict(block=1, grid=1)
manifest = dict(manifest=1, name="watchful", summary="waits", variants=[variant], launch=launch, args=args)
kernel = wb.load(text, manifest=manifest).kernels["watchful"]
for _ in range(3):  # each time in the block of the launch before
    pending = kernel.submit(x)
    time.sleep(0.02)
    print(pending.done(), pending.cancel(), type(pending.exception(10)).__name__)
print(type(caught(lambda: kernel(x, timeout=0.05))).__name__)
"""


@pytest.mark.parametrize("memory", [{}, {"memory": "host"}, {"memory": "device"}], ids=["unsaid", "host", "device"])
def test_cancel_and_deadline_reach_a_kernel_and_only_that_launch(on_driver, memory: dict[str, str]) -> None:
    stopped = "False True LaunchCancelled\n"
    assert on_driver(PROGRAM.replace("MEMORY", repr(memory))) == 3 * stopped + "LaunchTimeout\n"
