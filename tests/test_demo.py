"""The demo as a user runs it: in a process of its own, with no compiler on the path, judged by what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from warpbridge.demo.pictures import gather, scene
from warpbridge.demo.reference import image_prep, worst_ulp

if TYPE_CHECKING:
    from pathlib import Path


def run_demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PATH"} | {"PATH": str(tmp_path / "empty")}
    return subprocess.run(
        [sys.executable, "-m", "warpbridge", "demo", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("demo")
    return run_demo(folder, "--device", "cpu"), folder


def test_demo_runs_in_all_three_styles_without_a_compiler(finished: tuple) -> None:
    process, _ = finished
    assert process.returncode == 0, process.stdout + process.stderr
    for style in ("blocking", "callback", "stream-ordered"):
        assert re.search(
            rf"^{style} +[\d.]+ ms +[\d,]+ pictures/s   right: at most 0\.\d\d ulp off NumPy$", process.stdout, re.M
        )
    assert process.stdout.endswith("\nall results agree with NumPy\n")


def test_demo_names_the_deadlock_and_goes_on(finished: tuple) -> None:
    process, _ = finished
    assert "DeadlockError after" in process.stdout
    for role in ("producer", "consumer"):
        assert f"role {role}" in process.stdout
    assert "the device is free again" in process.stdout


def test_demo_draws_inputs_and_outputs(finished: tuple) -> None:
    _, folder = finished
    with Image.open(folder / "demo-sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[0] > 400
    assert pixels.shape[1] > 1000
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000


def test_demo_takes_the_photographs_it_is_given(tmp_path: Path) -> None:
    for name, seed in (("first.png", 1), ("second.jpg", 2)):
        Image.fromarray(scene(300, 280, seed)).save(tmp_path / name)
    process = run_demo(tmp_path, "first.png", "second.jpg", "--device", "cpu", "--output", "sheet.png")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "2 given: first.png, second.jpg" in process.stdout
    assert (tmp_path / "sheet.png").is_file()


def test_demo_says_which_file_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "not-a-picture.png").write_text("hello")
    process = run_demo(tmp_path, "not-a-picture.png", "--device", "cpu")
    assert process.returncode == 2
    assert process.stderr == "warpbridge demo: cannot identify image file 'not-a-picture.png'\n"


def test_gather_falls_back_to_a_scene_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warpbridge.demo.pictures.SAMPLES", (("no_such_library", "x.png"),))
    pictures = gather([], count=3, height=40, width=60)
    assert pictures.batch.shape == (3, 40, 60, 3)
    assert pictures.origin == "a generated scene (no file given, no installed library with a sample photograph)"


def test_reference_mirrors_and_crops() -> None:
    x = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    y = image_prep(
        x, (0.0, 0.5, 0.0), (1.0, 1.0, 0.5), np.array([[1, 2], [0, 0]], np.int32), np.array([0, 1], np.uint8), (2, 2)
    )
    assert y[0, 0, 0, 0] == x[0, 1, 2, 0] / 255
    assert y[1, 1, 1, 0] == x[1, 1, 1, 1] / 255 - 0.5
    assert y[1, 2, 0, 1] == x[1, 0, 0, 2] / 255 * 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_worst_ulp_counts_units_and_rejects_nan(dtype: type) -> None:
    exact = np.array([1.0, -3.25, 100.0])
    assert worst_ulp(exact.astype(dtype), exact) == 0.0
    assert worst_ulp(np.nextafter(exact.astype(dtype), dtype(np.inf)), exact) == pytest.approx(1.0, abs=0.01)
    assert worst_ulp(np.array([np.nan, 0, 0], dtype), exact) == np.inf
