"""Triton's side of `launch.py`, in a file of its own because Triton reads its kernels' source."""

import triton.language as tl


def adder(a, b, y, n, BLOCK: tl.constexpr):  # noqa: N803 - Triton's constants are written so
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < n
    tl.store(y + place, tl.load(a + place, mask=inside) + tl.load(b + place, mask=inside), mask=inside)
