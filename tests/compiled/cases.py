"""All cases, and those that the CPU device cannot run yet, with the reason."""

from __future__ import annotations

from . import cuda_cases, rust_cases, triton_cases

CASES = {case.name: case for case in [*cuda_cases.CASES, *triton_cases.CASES, *rust_cases.CASES]}

# A test asserts that each of these still fails on the CPU device: whoever makes one work takes it off the list.
WAITING: dict[str, str] = {}
