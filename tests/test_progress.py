"""`progress=True` of a blocking call: with tqdm, without it, and where the kernel does not reach its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import warpbridge as wb
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture
def steps() -> Kernel:
    return wb.load(DATA / "steps.ptx").kernels["steps"]


def test_without_tqdm_lines_on_stderr_say_how_far_it_is(
    steps: Kernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr("warpbridge.progress._LINE_EVERY_S", 0.02)
    y = np.zeros(300, np.int32)
    assert steps(y, 20_000, progress=True) is None
    np.testing.assert_array_equal(y, np.arange(300))
    lines = capsys.readouterr().err.splitlines()
    shares = [int(line.removeprefix("steps: ").removesuffix("%")) for line in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert any(0 < share < 100 for share in shares)


def test_tqdm_gets_the_kernels_name_and_ends_full(steps: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Any] = []

    class Recorder:
        def __init__(self, **options: Any) -> None:
            self.options, self.done, self.closed = options, 0, 0
            bars.append(self)

        def update(self, steps: int) -> None:
            assert steps >= 0
            self.done += steps

        def close(self) -> None:
            self.closed += 1

    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=Recorder))
    for _ in range(2):
        steps(np.zeros(200, np.int32), 20_000, progress=True)
    assert [(bar.options["desc"], bar.options["total"], bar.done, bar.closed) for bar in bars] == [
        ("steps", 1000, 1000, 1),
        ("steps", 1000, 1000, 1),
    ]


def test_a_timeout_closes_the_display(
    steps: Kernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(wb.LaunchTimeout):
        steps(np.zeros(100_000, np.int32), 20_000, timeout=0.1, progress=True)
    assert capsys.readouterr().err.splitlines()[-1] == "steps: stopped"


def test_progress_is_an_option_of_blocking_calls_only(steps: Kernel) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        steps.launch(np.zeros(4, np.int32), progress=True)
    assert str(caught.value) == "steps: progress= is given, expected only out, dtype, arch, stream in this call style"
    wb.device("cpu").synchronize()


RETREAT = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry retreat(.param .u64 y, .param .u64 control)
{
    .reg .pred %p;
    .reg .b32 %r<3>;
    .reg .b64 %y, %c;
    ld.param.u64 %y, [y];
    ld.param.u64 %c, [control];
    mov.u32 %r0, 4;
    st.volatile.global.u32 [%c+12], %r0;
    mov.u32 %r0, 3;
    st.volatile.global.u32 [%c+8], %r0;
    mov.u32 %r2, 0;
WAIT: // a loop that changes nothing would be a deadlock
    add.u32 %r2, %r2, 1;
    st.volatile.global.u32 [%y+8], %r2;
    ld.volatile.global.u32 %r1, [%y];
    setp.eq.u32 %p, %r1, 0;
    @%p bra WAIT;
    mov.u32 %r0, 1;
    st.volatile.global.u32 [%c+8], %r0;
    st.volatile.global.u32 [%y+4], %r0;
STAY:
    add.u32 %r2, %r2, 1;
    st.volatile.global.u32 [%y+8], %r2;
    ld.volatile.global.u32 %r1, [%c];
    setp.eq.u32 %p, %r1, 0;
    @%p bra STAY;
    st.volatile.global.u32 [%c+4], %r0;
    ret;
}
"""


def test_progress_never_falls_although_a_block_says_less_than_another_said() -> None:
    y = {"name": "y", "kind": "array", "intent": "inout", "dtype": "int32", "shape": [3]}
    manifest = {
        "manifest": 1,
        "name": "retreat",
        "summary": "says 3 of 4, then, when y[0] is set, 1 of 4",
        "variants": [{"ptx": "retreat.ptx", "arch": "sm_80", "entry": "retreat"}],
        "launch": {"block": [1], "grid": [1]},
        "args": [y, {"name": "control", "kind": "control"}],
    }
    words = np.zeros(3, np.int32)
    pending = wb.load(RETREAT, manifest=manifest).kernels["retreat"].submit(words)
    until(lambda: pending.progress > 0.0)
    assert pending.progress == 0.75
    words[0] = 1
    until(lambda: words[1])
    assert pending.progress == 0.75
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(60.0)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline, "60 s, and nothing has happened"
        time.sleep(0.001)
