"""The runtime's `Storer`, by `gather_rows`: stages stored by bulk copies, and what a missing wait is said to be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
SCHEDULES = pytest.mark.parametrize(
    ("schedule", "seed"), [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
)
ROWS = 4000  # of 256 bytes: more than a ring holds, for each of the two blocks


def kernel(without: str = "") -> Any:
    """Return gather_rows for `sm_90` with two blocks, less the statement that is named."""
    text = (KERNELS / "ptx" / "gather_rows.sm_90.ptx").read_text(encoding="utf-8")
    assert without in text
    manifest = tomllib.loads((KERNELS / "gather_rows.toml").read_text(encoding="utf-8"))
    manifest["variants"] = [variant for variant in manifest["variants"] if variant["arch"] == "sm_90"]
    manifest["launch"]["grid"] = ["2"]
    return wb.load(text.replace(without, ""), manifest=manifest).kernels["gather_rows"]


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.standard_normal((64, 64), dtype=np.float32), rng.integers(0, 64, ROWS)


@SCHEDULES
def test_stages_go_round(schedule: str, seed: int) -> None:
    src, idx = arrays()
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        assert (kernel()(src, idx) == src[idx]).all()


@SCHEDULES
def test_a_stage_given_back_before_it_was_read_is_a_race(schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"), pytest.raises(wb.RaceError) as caught:
        kernel(without="cp.async.bulk.wait_group.read 1;")(*arrays())
    lines = [re.sub(r"line \d+: (\S+) .*", r"\1", line) for line in str(caught.value).splitlines()]
    assert lines == [
        'gather_rows: race in "gather_rows_f32" on shared+0 of thread block (0, 0, 0): a copy from it and a copy into '
        "it without a wait for the copy",
        "  role compute (warp 1), lane 0, thread block (0, 0, 0), cp.async.bulk.global.shared::cta.bulk_group",
        "  role loader (warp 0), lane 0, thread block (0, 0, 0), "
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes",
        "  expected a wait on the copy's mbarrier, or for its group and then a barrier, between the two",
    ]


@SCHEDULES
def test_a_block_that_leaves_before_its_stages_were_read_is_a_fault(schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"), pytest.raises(wb.KernelFault) as caught:
        kernel(without="cp.async.bulk.wait_group.read 0;")(*arrays())
    assert "the last thread of the thread block leaves and has not waited for a copy" in str(caught.value)
    assert caught.value.fields["what"] == "exit in flight"
