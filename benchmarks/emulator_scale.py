"""How the CPU device's cost grows: time per thread launched, memory per thread block. ``emulator.py`` prints it.

Runs in a process of its own, as the peak of a process's memory never goes down.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from emulator_kernels import HEADER, VECTOR_ADD, inputs

THREADS = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22)
BLOCKS = 512
BLOCK = 128
SHARED_BYTES = 8192

MEETING = (
    HEADER
    + f"""
.visible .entry meet(.param .u64 counter)
{{
    .reg .pred %p<3>; .reg .b32 %r<32>; .reg .b64 %rd<2>;
    .shared .align 16 .b8 tile[{SHARED_BYTES}];
    ld.param.u64 %rd1, [counter]; mov.u32 %r1, %tid.x; mov.u32 %r2, %nctaid.x; mov.u32 %r4, tile;
    shl.b32 %r5, %r1, 6; add.u32 %r4, %r4, %r5; st.shared.u32 [%r4], %r1;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra WAIT;
    atom.global.add.u32 %r3, [%rd1], 1;
WAIT:
    ld.acquire.gpu.global.u32 %r3, [%rd1];
    setp.lt.u32 %p2, %r3, %r2;
    @%p2 bra WAIT;
    ret;
}}
"""
)
"""Blocks that all wait for each other: every one of them is alive at once."""


def cost_per_thread() -> list[tuple[int, float]]:
    """Threads launched, and nanoseconds for each of them, of the vector add in blocks of 256 on one host thread."""
    import warpbridge as wb

    rows = []
    with wb.cpu(checks="none", threads=1):
        add = wb.load(VECTOR_ADD).entries["add"]
        for n in THREADS:
            a, b, c = inputs(n)
            best = float("inf")
            for _ in range(max(5, min(200, (1 << 20) // n))):
                start = time.perf_counter()
                add(n // 256, 256, [a, b, c, n])
                best = min(best, time.perf_counter() - start)
            np.testing.assert_array_equal(c, a + b)
            rows.append((n, best / n * 1e9))
    return rows


def bytes_per_block() -> float:
    """Peak memory of the process that a block adds, from a launch of one and of many blocks that live at once."""
    import warpbridge as wb

    unit = 1 if sys.platform == "darwin" else 1024
    peaks = []
    with wb.cpu(checks="none", threads=1):
        meet = wb.load(MEETING).entries["meet"]
        for blocks in (1, BLOCKS):
            counter = np.zeros(1, np.uint32)
            meet(blocks, BLOCK, [counter])
            assert counter[0] == blocks
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return (peaks[1] - peaks[0]) / (BLOCKS - 1)


def measure() -> dict[str, object]:
    """Return both, ready for JSON."""
    memory = bytes_per_block()
    return {"threads": cost_per_thread(), "bytes": memory}


def text(found: dict[str, object]) -> str:
    """Render `measure()` as Markdown."""
    rows: list[tuple[int, float]] = found["threads"]  # type: ignore[assignment]
    lines = [
        "## Cost per thread\n",
        'Vector add, `checks="none"`, one host thread, best of several runs; a launch itself takes 10 to 100 µs.\n',
        "| threads launched | ns per thread | M threads/s |\n|---|---|---|",
        *(f"| {n:,} | {cost:.2f} | {1e3 / cost:.4g} |" for n, cost in rows),
        "\n## Memory per thread block\n",
        f"{found['bytes']:,.0f} bytes for each block of {BLOCK} threads with {SHARED_BYTES} bytes of shared memory, by",
        f"the process's peak with {BLOCKS} blocks that wait for each other. Blocks that do not wait for others are run",
        "one after the other in the memory of one block per host thread.",
    ]
    return "\n".join(lines) + "\n"
