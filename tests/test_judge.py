"""Findings of `checks="all"` reach Python as exceptions with fields; `emulator/tests/judge.rs` has a case for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb

FOLDER = Path(__file__).parents[1] / "emulator" / "tests" / "ptx" / "judge"


def run(name: str, entry: str, checks: str = "all") -> None:
    with wb.cpu(checks=checks):
        wb.load(FOLDER / f"{name}.ptx").entries[entry]((1,), (64,), [np.zeros(1024, np.float32)])


def test_race_names_both_accesses() -> None:
    with pytest.raises(wb.RaceError) as caught:
        run("barrier_missing", "bug")
    error = caught.value
    assert str(error) == (
        'bug: race in "bug" on shared+0 of thread block (0, 0, 0): a read and a write that nothing orders\n'
        "  warp 1, lane 0, thread block (0, 0, 0), line 21: ld.shared.u32 %r3, [buf]\n"
        "  warp 0, lane 0, thread block (0, 0, 0), line 17: st.shared.u32 [buf], 7\n"
        "  expected a barrier, or an arrive and a wait on an mbarrier, between the two"
    )
    assert (error.what, error.offset, error.line) == ("unordered", 0, 17)
    assert [(side["access"], side["warp"], side["line"]) for side in error.accesses] == [
        ("read", 1, 21),
        ("write", 0, 17),
    ]


def test_misuse_is_a_kernel_fault_with_both_places() -> None:
    with pytest.raises(wb.KernelFault) as caught:
        run("double_init", "bug")
    error = caught.value
    assert error.fields["what"] == "double init"
    assert (error.line, error.fields["other"]["line"]) == (15, 14)


GLOBAL = pytest.mark.parametrize("name", ["global_flag_too_early", "global_store_not_waited", "global_sum_not_atomic"])


def run_two_blocks(name: str, entry: str, **settings: object) -> None:
    """Launch on one host thread: several meet in no certain order."""
    with wb.cpu(threads=1, **settings):
        wb.load(FOLDER / f"{name}.ptx").entries[entry]((2,), (64,), [np.zeros(1024, np.float32)], timeout=20.0)


@GLOBAL
def test_race_in_global_memory_names_the_array(name: str) -> None:
    with pytest.raises(wb.RaceError) as caught:
        run_two_blocks(name, "bug", global_races=True)
    expected = (FOLDER / f"{name}.txt").read_text().rstrip()
    assert str(caught.value) == f"bug: {expected}"
    assert caught.value.array == "data"


@GLOBAL
def test_race_in_global_memory_is_not_looked_for_without_being_asked(name: str) -> None:
    run_two_blocks(name, "bug", checks="all")
    run_two_blocks(name, "twin", global_races=True)


@pytest.mark.parametrize("checks", ["none", "memory"])
def test_race_is_not_looked_for_without_being_asked(checks: str) -> None:
    run("barrier_missing", "bug", checks)


@pytest.mark.parametrize("name", ["barrier_missing", "double_init"])
def test_twin_passes(name: str) -> None:
    run(name, "twin")
