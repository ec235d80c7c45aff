"""Kernels whose blocks take a few tiles and end: what they say to the control block, what a cancel leaves undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from until import until

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
VARIANTS = ["sm_80", "sm_90"]
TILE = 8192 // 4  # numbers
BLOCK, SHARED = 160, 4 * (8192 + 128 + 16)
CANCEL, STATUS, PROGRESS, TOTAL, MIRROR = 0, 1, 2, 3, 10  # words of docs/control-block.md
STOPPED = 1


def control_words(cancel: int = 0, mirrored: bool = False) -> np.ndarray:
    """Return a control block, with its mirror behind it."""
    raw = np.zeros(128 + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    words = raw[skip : skip + 128].view(np.uint32)
    words[CANCEL] = cancel
    if mirrored:
        words[MIRROR : MIRROR + 2].view(np.uint64)[0] = words.ctypes.data + 64
    return words


def run(arch: str, x: np.ndarray, grid: int, control: np.ndarray) -> np.ndarray:
    """Launch `scale` by hand: 2*x + 1, or 0 where it did nothing."""
    y = np.zeros_like(x)
    entry = wb.load(KERNELS / "ptx" / f"scale.{arch}.ptx").entries["scale_f32"]
    entry(grid, BLOCK, [x, y, x.size, 2.0, 1.0, control], shared_bytes=SHARED, timeout=60.0)
    return y


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("grid", [1, 2, 3, 5, 16, 17, 40])
def test_any_grid_does_all_tiles(arch: str, grid: int) -> None:
    x = np.arange(16 * TILE + 5, dtype=np.float32)
    np.testing.assert_array_equal(run(arch, x, grid, control_words()), 2 * x + 1)


@pytest.mark.parametrize("mirrored", [False, True], ids=["alone", "mirrored"])
@pytest.mark.parametrize(("tiles", "grid", "last"), [(1, 1, 0), (9, 3, 6), (2100, 1050, 2096), (2100, 2100, 2096)])
def test_progress_is_the_tiles_before_the_last_block_that_reports(
    tiles: int, grid: int, last: int, mirrored: bool
) -> None:
    control = control_words(mirrored=mirrored)
    with wb.cpu(threads=1):  # one block after the other
        run("sm_90", np.zeros(tiles * TILE, np.float32), grid, control)
    words, others = (control[16:], control[:16]) if mirrored else (control[:16], control[16:])
    assert (words[PROGRESS], words[TOTAL], words[STATUS]) == (last, tiles, 0)
    assert (others[PROGRESS], others[TOTAL]) == (0, 0)


@pytest.mark.parametrize("mirrored", [False, True], ids=["alone", "mirrored"])
@pytest.mark.parametrize("arch", VARIANTS)
def test_blocks_that_begin_after_a_cancel_do_nothing_and_say_so(arch: str, mirrored: bool) -> None:
    control = control_words(cancel=1, mirrored=mirrored)
    y = run(arch, np.ones(100 * TILE, np.float32), 25, control)
    assert not y.any()
    assert control[STATUS] == STOPPED
    assert control[16 + STATUS] == (STOPPED if mirrored else 0)


def test_a_fault_that_was_reported_stays_when_blocks_stop() -> None:
    control, fault = control_words(cancel=1), 2
    control[STATUS] = fault
    assert not run("sm_90", np.ones(8 * TILE, np.float32), 2, control).any()
    assert control[STATUS] == fault


@pytest.mark.parametrize("arch", VARIANTS)
def test_cancel_leaves_the_rest_undone_and_progress_only_grows(arch: str) -> None:
    x, y = np.zeros(1 << 28, np.float32), np.zeros(1 << 28, np.float32)  # memory is touched as far as the launch comes
    pending = wb.kernels.scale.submit(x, 2.0, 1.0, out=y, arch=arch)
    seen = [0.0]

    def moves() -> bool:
        seen.append(pending.progress)
        return len(set(seen)) > 3

    assert until(moves, 120.0, collect=False)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(60.0)
    assert seen == sorted(seen)
    assert 0.0 < seen[-1] < 1.0
    assert y[0] == 1.0
    assert y[-1] == 0.0
