"""All cases: each runs on the CPU device and on a GPU."""

from __future__ import annotations

from . import arithmetic_cases, cuda_cases, rust_cases, triton_cases

SOURCES = (cuda_cases, arithmetic_cases, triton_cases, rust_cases)
CASES = {case.name: case for source in SOURCES for case in source.CASES}
