"""All cases, and those that the CPU device cannot run yet, with the reason."""

from __future__ import annotations

from . import arithmetic_cases, cuda_cases, rust_cases, triton_cases

SOURCES = (cuda_cases, arithmetic_cases, triton_cases, rust_cases)
CASES = {case.name: case for source in SOURCES for case in source.CASES}

# A test asserts that each still fails on the CPU device: whoever makes one work takes it off the list.
WAITING: dict[str, str] = {
}
