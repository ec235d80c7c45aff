"""Every example runs in a process of its own and prints what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
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
}


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_example_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    for promise in PROMISES[name]:
        assert promise in process.stdout


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROMISES)
