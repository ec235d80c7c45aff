"""What ``emulator.py`` measures: our kernels in PTX, and how each executor runs its own.

Each ``measure_*`` runs in a process of its own and returns ``{case: work per second}``; results are compared with NumPy
before anything is timed. Kernels of the others are in ``emulator_triton.py`` and
``emulator_numba.py``. Nothing here prints.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"

VECTOR_ADD = (
    HEADER
    + """
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
    .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<11>; .reg .f32 %f<4>;
    ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; ld.param.u32 %r2, [n];
    mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x;
    mad.lo.s32 %r1, %r3, %r4, %r5;
    setp.ge.s32 %p1, %r1, %r2;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd4, %rd1; mul.wide.s32 %rd5, %r1, 4; add.s64 %rd6, %rd4, %rd5;
    cvta.to.global.u64 %rd7, %rd2; add.s64 %rd8, %rd7, %rd5;
    ld.global.f32 %f1, [%rd8]; ld.global.f32 %f2, [%rd6];
    add.f32 %f3, %f2, %f1;
    cvta.to.global.u64 %rd9, %rd3; add.s64 %rd10, %rd9, %rd5;
    st.global.f32 [%rd10], %f3;
DONE:
    ret;
}
"""
)

NAIVE_MATMUL = (
    HEADER
    + """
.visible .entry matmul(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
    .reg .pred %p; .reg .b32 %r<12>; .reg .f32 %f<4>; .reg .b64 %rd<10>;
    mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.s32 %r3, %r0, %r1, %r2;
    mov.u32 %r4, %ctaid.y;
    ld.param.u32 %r5, [n]; ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [b]; ld.param.u64 %rd2, [c];
    mul.lo.u32 %r6, %r4, %r5; mul.wide.u32 %rd3, %r6, 4; add.u64 %rd4, %rd0, %rd3;
    mul.wide.u32 %rd5, %r3, 4; add.u64 %rd6, %rd1, %rd5; mul.wide.u32 %rd7, %r5, 4;
    mov.f32 %f0, 0f00000000; mov.u32 %r7, 0;
L:  ld.global.f32 %f1, [%rd4]; ld.global.f32 %f2, [%rd6]; fma.rn.f32 %f0, %f1, %f2, %f0;
    add.u64 %rd4, %rd4, 4; add.u64 %rd6, %rd6, %rd7; add.u32 %r7, %r7, 1; setp.lt.u32 %p, %r7, %r5; @%p bra L;
    add.u64 %rd8, %rd2, %rd3; add.u64 %rd8, %rd8, %rd5; st.global.f32 [%rd8], %f0; ret;
}
"""
)


def tile_matmul() -> str:
    """PTX of c = a @ b.T by tiles of 64 x 64 x 32: float16 of shape (n, n) into float32; four warps of 16 rows."""
    tiles = range(8)
    sums = [[f"%f{4 * t + k}" for k in range(4)] for t in tiles]
    lines = [
        ".visible .entry tile(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)",
        "{",
        " .reg .pred %p; .reg .b32 %r<64>; .reg .b64 %rd<24>; .reg .f32 %f<32>;",
        " .shared .align 128 .b8 tiles[8192];",
        " ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [b]; ld.param.u64 %rd2, [c]; ld.param.u32 %r0, [n];",
        " mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ctaid.y; mov.u32 %r4, tiles;",
        " and.b32 %r5, %r1, 31; shr.u32 %r6, %r1, 5;",
        # Copies: thread t moves 32 bytes, half of row t / 2, of each input.
        " shr.u32 %r7, %r1, 1; and.b32 %r8, %r1, 1; shl.b32 %r9, %r8, 4;",
        " mad.lo.u32 %r10, %r3, 64, %r7; mad.lo.u32 %r11, %r10, %r0, %r9; mad.wide.u32 %rd3, %r11, 2, %rd0;",
        " mad.lo.u32 %r12, %r2, 64, %r7; mad.lo.u32 %r13, %r12, %r0, %r9; mad.wide.u32 %rd4, %r13, 2, %rd1;",
        " mad.lo.u32 %r14, %r1, 32, %r4;",
        # ldmatrix: lane l gives the address of row l % 8 of matrix l / 8.
        " and.b32 %r15, %r5, 15; shr.u32 %r16, %r5, 4; mad.lo.u32 %r17, %r6, 16, %r15;",
        " mad.lo.u32 %r18, %r17, 64, %r4; mad.lo.u32 %r19, %r16, 16, %r18;",
        " and.b32 %r20, %r5, 7; shr.u32 %r21, %r5, 4; mad.lo.u32 %r22, %r21, 8, %r20; shr.u32 %r23, %r5, 3;",
        " and.b32 %r24, %r23, 1; mad.lo.u32 %r25, %r22, 64, %r4; mad.lo.u32 %r26, %r24, 16, %r25;",
        " mov.u32 %r27, 0;",
    ]
    lines += [f" mov.f32 {x}, 0f00000000;" for row in sums for x in row]
    lines += [
        "L:",
        " ld.global.v4.u32 {%r30, %r31, %r32, %r33}, [%rd3]; ld.global.v4.u32 {%r34, %r35, %r36, %r37}, [%rd3+16];",
        " ld.global.v4.u32 {%r38, %r39, %r40, %r41}, [%rd4]; ld.global.v4.u32 {%r42, %r43, %r44, %r45}, [%rd4+16];",
        " bar.sync 0;",
        " st.shared.v4.u32 [%r14], {%r30, %r31, %r32, %r33}; st.shared.v4.u32 [%r14+16], {%r34, %r35, %r36, %r37};",
        " st.shared.v4.u32 [%r14+4096], {%r38, %r39, %r40, %r41};",
        " st.shared.v4.u32 [%r14+4112], {%r42, %r43, %r44, %r45};",
        " bar.sync 0;",
    ]
    for k in (0, 32):
        lines.append(f" ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r46, %r47, %r48, %r49}}, [%r19+{k}];")
        for pair in range(4):
            at = 4096 + pair * 16 * 64 + k
            lines.append(f" ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r50, %r51, %r52, %r53}}, [%r26+{at}];")
            for half in range(2):
                d = "{" + ", ".join(sums[2 * pair + half]) + "}"
                b = f"{{%r{50 + 2 * half}, %r{51 + 2 * half}}}"
                lines.append(
                    f" mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d}, {{%r46, %r47, %r48, %r49}}, {b}, {d};"
                )
    lines += [
        " add.u64 %rd3, %rd3, 64; add.u64 %rd4, %rd4, 64; add.u32 %r27, %r27, 32;",
        " setp.lt.u32 %p, %r27, %r0; @%p bra L;",
        # Fragment: row lane / 4, and 8 below; columns 2 (lane % 4) and the next.
        " shr.u32 %r54, %r5, 2; and.b32 %r55, %r5, 3; mad.lo.u32 %r56, %r3, 64, %r54; mad.lo.u32 %r56, %r6, 16, %r56;",
        " mul.lo.u32 %r57, %r2, 64; mad.lo.u32 %r57, %r55, 2, %r57; mad.lo.u32 %r58, %r56, %r0, %r57;",
        " mad.wide.u32 %rd5, %r58, 4, %rd2; mul.wide.u32 %rd6, %r0, 32; add.u64 %rd7, %rd5, %rd6;",
    ]
    for t in tiles:
        f0, f1, f2, f3 = sums[t]
        lines.append(
            f" st.global.v2.f32 [%rd5+{32 * t}], {{{f0}, {f1}}}; st.global.v2.f32 [%rd7+{32 * t}], {{{f2}, {f3}}};"
        )
    return HEADER + "\n".join([*lines, " ret;", "}"]) + "\n"


def inputs(shape: int | tuple[int, int], dtype: type = np.float32) -> tuple[Any, Any, Any]:
    """Two random arrays and a float32 one full of NaN."""
    generator = np.random.default_rng(7)
    a, b = (generator.random(shape, dtype=np.float32).astype(dtype) for _ in range(2))
    return a, b, np.full(shape, np.nan, dtype=np.float32)


def rate(work: float, run: Callable[[], Any], rounds: int) -> float:
    """Median work per second; the first run, which compiles, is not counted by the callers."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return work / statistics.median(times)


def measure_warpbridge(checks: str, rounds: int = 7) -> dict[str, float]:
    import warpbridge as wb

    rates = {}
    with wb.cpu(checks=checks):  # type: ignore[arg-type]
        n = 1 << 22
        a, b, c = inputs(n)
        add = wb.load(VECTOR_ADD).entries["add"]
        add(n // 256, 256, [a, b, c, n])
        np.testing.assert_array_equal(c, a + b)
        rates["vector add"] = rate(n, lambda: add(n // 256, 256, [a, b, c, n]), rounds)

        n = 512
        a, b, c = inputs((n, n))
        naive = wb.load(NAIVE_MATMUL).entries["matmul"]
        naive((n // 128, n), 128, [a, b, c, n])
        np.testing.assert_allclose(c, a @ b, rtol=1e-4)
        rates["naive matmul"] = rate(n**3, lambda: naive((n // 128, n), 128, [a, b, c, n]), rounds)

        a, b, c = inputs((n, n), np.float16)
        tile = wb.load(tile_matmul()).entries["tile"]
        tile((n // 64, n // 64), 128, [a, b, c, n])
        np.testing.assert_allclose(c, a.astype(np.float32) @ b.T.astype(np.float32), rtol=1e-4)
        rates["tile matmul"] = rate(n**3, lambda: tile((n // 64, n // 64), 128, [a, b, c, n]), rounds)
    return rates


def measure_triton(rounds: int = 3) -> dict[str, float]:
    """Needs TRITON_INTERPRET=1 in the environment."""
    import emulator_triton as kernels

    rates = {}
    n = 1 << 20
    a, b, c = inputs(n)
    kernels.add(a, b, c)
    np.testing.assert_array_equal(c, a + b)
    rates["vector add"] = rate(n, lambda: kernels.add(a, b, c), rounds)

    n = 128
    a, b, c = inputs((n, n))
    kernels.naive(a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4)
    rates["naive matmul"] = rate(n**3, lambda: kernels.naive(a, b, c), rounds)

    n = 256
    a, b, c = inputs((n, n), np.float16)
    kernels.tile(a, b, c)
    np.testing.assert_allclose(c, a.astype(np.float32) @ b.T.astype(np.float32), rtol=1e-3)
    rates["tile matmul"] = rate(n**3, lambda: kernels.tile(a, b, c), rounds)
    return rates


def measure_numba(rounds: int = 3) -> dict[str, float]:
    """Needs NUMBA_ENABLE_CUDASIM=1 in the environment. There are no tensor cores in it."""
    import emulator_numba as kernels

    rates = {}
    n = 1 << 12
    a, b, c = inputs(n)
    kernels.add[n // 256, 256](a, b, c)
    np.testing.assert_array_equal(c, a + b)
    rates["vector add"] = rate(n, lambda: kernels.add[n // 256, 256](a, b, c), rounds)

    n = 32
    a, b, c = inputs((n, n))
    kernels.naive[(1, n), n](a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4)
    rates["naive matmul"] = rate(n**3, lambda: kernels.naive[(1, n), n](a, b, c), rounds)
    return rates
