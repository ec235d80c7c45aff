"""Every instruction form of the oracle, collected from the family files, and how they are batched into modules."""

from __future__ import annotations

from itertools import groupby

from . import (
    atomics,
    cluster,
    control,
    conversions,
    copies,
    floats,
    integer,
    logic,
    matrix,
    memory,
    parameters,
    remaining,
    tensor,
    warp,
    wgmma,
)
from .form import Form

BATCH = 128
"""Entries per module: few enough for one JIT to stay short, many enough for few modules."""


def _collect() -> dict[str, Form]:
    found: dict[str, Form] = {}
    for family in (
        integer,
        logic,
        floats,
        conversions,
        control,
        warp,
        atomics,
        memory,
        matrix,
        wgmma,
        copies,
        cluster,
        tensor,
        parameters,
        remaining,
    ):
        for form in family.rows():
            if form.name in found:
                raise ValueError(f"two rows are named {form.name}")
            found[form.name] = form
    return found


FORMS = _collect()


def batches(forms: dict[str, Form]) -> list[list[Form]]:
    """Return the forms in modules: one family and one target each, at most BATCH entries."""
    out = []
    for _, group in groupby(forms.values(), key=lambda form: (form.family, form.target)):
        members = list(group)
        out += [members[i : i + BATCH] for i in range(0, len(members), BATCH)]
    return out
