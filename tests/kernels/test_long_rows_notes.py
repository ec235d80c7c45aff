"""Rows that many thread blocks share: what their notes say together does not depend on who brings them together, or how
many do; nor on who looks for blocks that have not come to run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
KERNELS = Path(__file__).resolve().parents[2] / "kernels"
NAMES = ["softmax_long", "rms_norm_long", "layer_norm_long"]
LAUNCHES = {"sm_90": (608, 27), "sm_80": (512, 12)}
"""Threads and stages."""
STATUS, PROGRESS, TOTAL = 1, 2, 3  # words of docs/control-block.md


def values(shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(shape[-1]).standard_normal(shape) * 2 + 0.5).astype(np.float32)


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=4e-6, atol=1e-5)


def with_sizes(name: str, folder: Path, sizes: dict[str, int]) -> Any:
    """The bundled kernel, given other sizes."""
    (folder / "ptx").mkdir(parents=True)
    for arch in VARIANTS:
        shutil.copy(KERNELS / "ptx" / f"{name}.{arch}.ptx", folder / "ptx")
    text = (KERNELS / f"{name}.toml").read_text()
    for size, value in sizes.items():
        place = "^crowd = " if size == "crowd" else rf'name = "{size}"\nkind = "size"\ndtype = "uint32"\nvalue = '
        text, times = re.subn(rf'({place})"[^"]*"', rf'\1"{value}"', text, flags=re.MULTILINE)
        assert times == 1
    (folder / f"{name}.toml").write_text(text)
    return wb.load(folder / "ptx" / f"{name}.sm_90.ptx", folder / f"{name}.toml").kernels[name]


@pytest.mark.parametrize("judges", [1, 2])
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES[:3])
@pytest.mark.parametrize("name", NAMES)
def test_one_judge_or_two(tmp_path: Path, name: str, schedule: str, seed: int, arch: str, judges: int) -> None:
    """37 rows of four pieces: blocks have up to three rows each, so that a second judge has one."""
    kernel = with_sizes(name, tmp_path, {"judges": judges})
    x = values((37, 8000))
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        y = kernel(x, arch=arch)
    near(y, getattr(references, name.removesuffix("_long"))(x))
    np.testing.assert_array_equal(getattr(wb.kernels, name)(x, arch=arch), y)


@pytest.mark.parametrize("patience", [1000, 0])
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("name", NAMES)
def test_blocks_bring_their_own_notes_together_first(
    tmp_path: Path, name: str, schedule: str, seed: int, arch: str, patience: int
) -> None:
    kernel = with_sizes(name, tmp_path, {"crowd": 0, "patience": patience})
    x = values((5, 20_001))
    expected = kernel(x, arch=arch)
    near(expected, getattr(references, name.removesuffix("_long"))(x))
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        y = kernel(x.copy(), arch=arch)
        in_place = x.copy()
        kernel(in_place, out=in_place, arch=arch)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(in_place, expected)


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_rows_of_many_pieces_on_many_multiprocessors(name: str, arch: str) -> None:
    """80 blocks: `layer_norm_long` has two pieces in each, and two judges."""
    x = values((5, 80 * 2048))
    with wb.cpu(threads=64):
        near(getattr(wb.kernels, name)(x, arch=arch), getattr(references, name.removesuffix("_long"))(x))


@pytest.mark.parametrize("patience", [1000, 0])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_more_pieces_than_a_warp_reads_at_a_time(tmp_path: Path, name: str, patience: int) -> None:
    """One host thread stands for 17 blocks: each has 142 of 2400 pieces, which go by twice, brought together first."""
    kernel = with_sizes(name, tmp_path, {"patience": patience})
    x = values((2, 2400 * 2048 - 3))
    with wb.cpu(threads=1):
        near(kernel(x), getattr(references, name.removesuffix("_long"))(x))


@pytest.mark.parametrize("judges", [1, 2])
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_progress_comes_to_all_rows(rows: int, arch: str, judges: int) -> None:
    """One block, which has all pieces of all rows; the words of its control block when all is done."""
    x, y, raw = values((rows, 3000)), np.zeros((rows, 3000), np.float32), np.zeros(128, np.uint8)
    skip = -raw.ctypes.data % 64
    control, notes = raw[skip : skip + 64].view(np.uint32), np.zeros(rows * 3 + 1, np.uint64)
    entry = wb.load(KERNELS / "ptx" / f"softmax_long.{arch}.ptx").entries["softmax_long_f32"]
    each, lookers, patience, crowd = 2, 6, 1000, 128
    arguments = [x, y, notes, rows, 3000, each, lookers, patience, crowd, judges, control]
    block, stages = LAUNCHES[arch]
    entry(1, block, arguments, shared_bytes=stages * (8192 + 128 + 24) + 64, timeout=60.0)
    near(y, references.softmax(x))
    assert (control[STATUS], control[PROGRESS], control[TOTAL]) == (0, rows, rows)
