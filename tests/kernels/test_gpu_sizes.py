"""The kernels on the CPU device, with the grids and the shares of rows that a GPU gets (WARPBRIDGE_MULTIPROCESSORS).

With as many multiprocessors as a test machine has cores, blocks have other pieces of other rows than on a GPU, and
rings that go round less often: `layer_norm` of rows of 262 144 never ended on an H200 with its `sm_80` variant, and no
test on the CPU device had met the four stages that it had there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

# Blocks have four pieces of 8 KiB of several rows each; a row has 128. Where a wait does not suspend (sm_80), drawing
# every step takes minutes.
LONG_ROWS = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import numpy as np, warpbridge as wb
import test_long_rows

for schedule in {{schedules}}:
    with wb.cpu(schedule=schedule, seed=1, checks="all"):
        for check in test_long_rows.CHECKS:
            check(test_long_rows.values({{shape}}, np.float32), np.asarray, arch={{arch!r}})
print(wb.device("cpu").sm_count)
"""


@pytest.mark.parametrize(("arch", "schedules"), [("sm_80", ["eager"]), ("sm_90", ["eager", "seeded"])])
@pytest.mark.parametrize("multiprocessors", ["108", "132"])  # A100; H100 and H200
def test_rows_that_blocks_share(
    run_python: Callable[..., subprocess.CompletedProcess[str]], multiprocessors: str, arch: str, schedules: list[str]
) -> None:
    program = LONG_ROWS.format(arch=arch, schedules=schedules, shape=(12, 262_144))
    found = run_python(program, WARPBRIDGE_MULTIPROCESSORS=multiprocessors)
    assert (found.stdout, found.stderr, found.returncode) == (f"{multiprocessors}\n", "", 0)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_rows_whose_findings_each_block_brings_together_first(
    run_python: Callable[..., subprocess.CompletedProcess[str]], arch: str
) -> None:
    """513 pieces, which 129 blocks share: of more than 384 not everybody reads what each was found to hold."""
    program = LONG_ROWS.format(arch=arch, schedules=["eager"], shape=(1, 1_048_577))
    found = run_python(program, WARPBRIDGE_MULTIPROCESSORS="132")
    assert (found.stdout, found.stderr, found.returncode) == ("132\n", "", 0)


# The tests that compare what any shape gives with a reference.
SIZES = "any_shape or any_size or any_length or any_type or random_batches"


def test_all_references() -> None:
    files = [path.name for path in sorted(HERE.glob("test_*.py")) if path != Path(__file__)]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not gpu", "-k", SIZES, *files],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
        env={**os.environ, "WARPBRIDGE_MULTIPROCESSORS": "132"},
    )
    assert found.returncode == 0, found.stdout
    assert " passed" in found.stdout
