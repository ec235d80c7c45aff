"""`progress=True` of a blocking call: with tqdm, without it, and where the kernel does not reach its end."""

from __future__ import annotations

import sys
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
