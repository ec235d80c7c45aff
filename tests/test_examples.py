"""Every example runs in a process of its own and prints what it promises."""

from __future__ import annotations

import itertools
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
REFERENCES = Path(__file__).parent / "kernels" / "references.py"
LIMIT_S = 300  # several interpreters, on a machine that may be busy
PROMISES = {
    "own_ptx.py": ["saxpy(x, y, a", "largest error: ", "refused: saxpy: argument 1 (x) is float64, expected float32"],
    "three_styles.py": ["blocking:", "progress 1.0", "stream-ordered:"],
    "dask_blocks.py": [
        "dask.array<scale, shape=(1000000,)",
        "threads: 7.0",
        "processes: 7.0",
        "cluster: 7.0",
    ],
    "deadlock.py": ["role producer", "role consumer", "-> "],
    "spectrogram.py": [
        "pu: 255 rows of 1024, -15.3 dB at most, the sweep is off by 1.0 bins",
        "spectrogram.png: 1024 x 255",
    ],
    "wgpu_simulation.py": [
        "cpu computes",
        "transport: shared; bytes copied between compute and render: 0",
        "by a texture: the same colours: True",
        "wgpu_simulation.png: 8 frames",
    ],
}


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_example_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    for promise in PROMISES[name]:
        assert promise in process.stdout


def test_wgpu_simulation_draws_what_the_references_compute(tmp_path: Path) -> None:
    output = tmp_path / "frames.png"
    command = [sys.executable, str(EXAMPLES / "wgpu_simulation.py"), "--output", str(output)]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=LIMIT_S, check=True)
    program, references = runpy.run_path(str(EXAMPLES / "wgpu_simulation.py")), runpy.run_path(str(REFERENCES))
    scale, gap, height, width = (program[name] for name in ("SCALE", "GAP", "HEIGHT", "WIDTH"))
    sheet, heat, columns_of_mass = np.asarray(Image.open(output)), program["words"](), []
    for frame in range(program["FRAMES"]):
        if frame:
            heat = references["stencil3d"](heat, program["weights"](), program["STEPS"], 1)
        field = heat[program["DEPTH"] // 2]
        row, column = divmod(frame, program["COLUMNS"])
        top, left = row * (height * scale + gap), column * (width * scale + gap)
        picture = sheet[top : top + height * scale, left : left + width * scale]
        drawn = picture[1::scale, 1::scale]  # the pixels that are one number's colour; those between are mixed
        assert (drawn == references["field_to_rgba"](field, program["palette"](), 0.0, 1.0)).all()
        mass = picture[..., 0].sum(axis=0, dtype=float)
        columns_of_mass.append((mass * np.arange(len(mass))).sum() / mass.sum())
    assert all(later > earlier + 1 for earlier, later in itertools.pairwise(columns_of_mass)), "no wind to the right"


def test_every_example_is_run() -> None:
    by_hand = {"pygfx_field.py"}  # needs pygfx, which CI has no other use for
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROMISES) | by_hand
