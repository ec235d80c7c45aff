"""What nvcc, Triton and rustc emit runs unmodified and agrees with NumPy, on the CPU device and on the GPU alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import warpbridge as wb

from .build import JOBS
from .case import PTX, Case, TensorMap, largest_error
from .cases import CASES

SCHEDULES = ["eager", "latest", "seeded"]
TIMEOUT_S = 60.0


def launch(case: Case, place: Callable[[np.ndarray], Any], fetch: Callable[[Any], np.ndarray]) -> float:
    """Launch `case` on copies made by `place` and return the largest error of what `fetch` brings back."""
    work = case.work()
    described = [arg.array if isinstance(arg, TensorMap) else arg for arg in work.args]
    arrays = [place(arg) if isinstance(arg, np.ndarray) else arg for arg in described]
    args = [
        wb.tensor_map(array, box=arg.box, swizzle=f"{arg.swizzle}B" if arg.swizzle else None)
        if isinstance(arg, TensorMap)
        else array
        for arg, array in zip(work.args, arrays, strict=True)
    ]
    entry = wb.load(case.path).entries[case.entry]
    entry(case.grid, case.block, args, shared_bytes=case.shared_bytes, cluster=case.cluster, timeout=TIMEOUT_S)
    return largest_error(work, {at: fetch(arrays[at]) for at in work.expected})


def on_host(case: Case) -> float:
    """Launch on the CPU device."""
    return launch(case, lambda array: array, lambda array: array)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernel_agrees_with_numpy_under_every_schedule(name: str, schedule: str) -> None:
    with wb.cpu(schedule=schedule, seed=3, checks="all"):
        assert on_host(CASES[name]) <= CASES[name].tolerance


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernel_agrees_with_numpy_on_the_gpu(name: str) -> None:
    import cupy

    assert launch(CASES[name], cupy.asarray, cupy.asnumpy) <= CASES[name].tolerance


def test_every_committed_ptx_comes_from_a_job_and_has_a_case() -> None:
    committed = {path.stem for path in PTX.glob("*.ptx")}
    assert committed == {job.stem for job in JOBS}
    assert committed == {case.stem for case in CASES.values()}
    for stem in committed:
        entries = {
            line.split()[2].split("(")[0] for line in (PTX / f"{stem}.ptx").read_text().splitlines() if ".entry" in line
        }
        assert entries == {case.entry for case in CASES.values() if case.stem == stem}
