"""Forms that the grids of the other files leave out: `oracle.asked` finds such, `unasked.txt` names what is left."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from . import copies
from .atomics import SCRATCH
from .form import Form, elementwise
from .integer import _video as video
from .matrix import WMMA_FLOATS
from .matrix import _both as both
from .matrix import _mma as one
from .matrix import _wmma as wmma
from .samples import bits_of


def _row(instruction: str, operands: str, results: str, body: str = "", name: str = "", **more: str) -> Form:
    return elementwise("remaining", instruction, operands, results, body, name=name, **more)  # type: ignore[arg-type]


def simd_video() -> list[Form]:
    """Return the video instructions on halves and bytes."""
    rows = []
    for op, lanes, t, tail in product(
        ("vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax"),
        "24",
        ("u32.u32.u32", "s32.s32.s32"),
        ("", ".sat", ".add"),
    ):
        rows.append(video(f"{op}{lanes}.{t}{tail}", 3))
    for op, t in product(("vadd2", "vsub4", "vmax2", "vabsdiff4", "vavrg4"), ("s32.u32.s32", "u32.s32.u32")):
        rows.append(video(f"{op}.{t}", 3))
    for lanes, t, cmp, tail in product(
        "24", ("u32.u32", "s32.s32"), ("eq", "ne", "lt", "le", "gt", "ge"), ("", ".add")
    ):
        rows.append(video(f"vset{lanes}.{t}.{cmp}{tail}", 3))
    return rows


def comparisons() -> list[Form]:
    """Return the unsigned names of the order in `set`."""
    cases = product(("lo", "ls", "hi", "hs"), ("u32", "f32"), ("u16", "u32", "u64"))
    return [_row(f"set.{cmp}.{d}.{t}", f"{t} {t}", d) for cmp, d, t in cases]


def vector_atomics() -> list[Form]:
    """Return vectors of `atom` and `red` with the modifiers in the ISA's order, each thread on its own cell."""
    shapes = [("add", "f32", n) for n in (2, 4)]
    shapes += [(f"{op}.noftz", t, n) for op, t, n in (("add", "f16", 2), ("min", "bf16", 4), ("max", "f16", 8))]
    shapes += [(f"{op}.noftz", t, n) for op, t, n in (("add", "bf16x2", 4), ("max", "f16x2", 2))]
    rows = []
    for (op, t, n), red in product(shapes, (False, True)):
        b, step = f"b{bits_of(t)}", bits_of(t) // 8
        spelled = f"{'red.release' if red else 'atom.acq_rel'}.gpu.global.{op}.v{n}.{t}"
        old = "{" + ", ".join(f"%d{n + i}" for i in range(n)) + "}, "
        new = "{" + ", ".join(f"%a{n + i}" for i in range(n)) + "}"
        body = f"mov.u64 %addr, oracle_scratch;\nmad.wide.u32 %addr, %index, {n * step}, %addr;\n"
        body += "".join(f"st.global.{b} [%addr+{i * step}], %a{i};\n" for i in range(n))
        body += f"{spelled} {'' if red else old}[%addr], {new};\n"
        body += "\n".join(f"ld.volatile.global.{b} %d{i}, [%addr+{i * step}];" for i in range(n))
        results = " ".join([t] * (n if red else 2 * n))
        rows.append(
            elementwise("remaining", spelled, " ".join([t] * (2 * n)), results, body, count=128, prelude=SCRATCH)
        )
    return rows


def matrices() -> list[Form]:
    """Return sparse products with half sums, and of 4-bit numbers."""
    rows = []
    for shape, count in (("m16n8k16", 2), ("m16n8k32", 4)):
        for meta, selector in ((0x44444444, 0), (0xEE4444EE, 1)):
            spelled = f"mma.sp::ordered_metadata.sync.aligned.{shape}.row.col.f16.f16.f16.f16"
            rows += both(spelled, ("f16",) * 4, (count, count, 2), meta, selector)
    for (shape, count), a, sat in product((("m16n8k64", 2), ("m16n8k128", 4)), ("u4", "s4"), ("", ".satfinite")):
        spelled = f"mma.sp::ordered_metadata.sync.aligned.{shape}.row.col{sat}.s32.{a}.{a}.s32"
        rows.append(one(spelled, ("s32", a, a, "s32"), (count, count, 4), "int", 0xE4E4E4E4))
    return rows


def wmma_mixed() -> list[Form]:
    """Return f16 products whose sums change their type; the ISA leaves fragments open, so by way of memory."""
    rows = []
    for shape, style in product(("m16n16k16", "m8n32k16", "m32n8k16"), ("int", "unit")):
        sizes, registers = WMMA_FLOATS[shape]
        for c, d in (("f16", "f32"), ("f32", "f16")):
            rows.append(wmma(shape, sizes, ("f16", c, d), registers["f16"], ("row", "col"), style))
    return rows


BARRIERS = """and.b32 %word, %index, 127;
mov.u64 %addr, cells;
mad.wide.u32 %addr, %word, 4, %addr;
setp.ge.u32 %q0, %word, 64;
@%q0 bra CONSUMER;
st.shared.b32 [%addr], %a0;
{arrive}
mov.b32 %d0, %a0;
bra DONE;
CONSUMER:
{sync}
ld.shared.b32 %d0, [%addr+-256];
DONE:"""

STATE = """and.b32 %word, %index, 127;
setp.eq.u32 %q0, %word, 0;
@%q0 mbarrier.init.shared::cta.b64 [barrier], 128;
bar.sync 0;
mbarrier.arrive.shared::cta.b64 %state, [barrier];
AGAIN:
mbarrier.try_wait.shared::cta.b64 %q1, [barrier], %state, 1000;
@!%q1 bra AGAIN;
mbarrier.pending_count.b64 %d0, %state;
bar.sync 0;
mbarrier.test_wait.shared::cta.b64 %q2, [barrier], %state;
selp.u32 %word, 1024, 0, %q2;
and.b32 %d0, %d0, 0;
or.b32 %d0, %d0, %word;"""


def synchronisation() -> list[Form]:
    """Return producers that arrive and consumers that wait; a wait by state; fences that change nothing."""
    cells = ".shared .align 4 .b8 cells[512];"
    rows = [
        _row(arrive.split()[0], "b32", "b32", BARRIERS.format(arrive=arrive, sync=sync), name, registers=cells)
        for name, arrive, sync in (
            ("bar_arrive", "bar.arrive 1, 128;", "bar.sync 1, 128;"),
            ("barrier_arrive", "barrier.arrive 2, 128;", "barrier.sync 2, 128;"),
            ("barrier_cta_arrive", "barrier.cta.arrive.aligned 3, 128;", "barrier.cta.sync.aligned 3, 128;"),
        )
    ]
    declared = ".shared .align 8 .b64 barrier;\n.reg .b64 %state;"
    rows.append(_row("mbarrier.try_wait.shared::cta.b64", "b32", "b32", STATE, "try_wait_state", registers=declared))
    fences = ["membar.proxy.alias", "pmevent 1", "pmevent.mask 0x3"]
    fences += [f"fence.proxy.tensormap::generic.release.{scope}" for scope in ("cta", "cluster", "gpu", "sys")]
    fences += ["fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster"]
    fences += ["fence.proxy.async::generic.release.sync_restrict::shared::cta.cluster"]
    rows += [_row(f, "b32", "b32", f"{f};\nmov.b32 %d0, %a0;") for f in fences]
    return rows


def memory() -> list[Form]:
    """Return 128-bit accesses, `ldu` of vectors, parameters of functions by full name, a policy from bits."""
    element = "mad.wide.u32 %addr, %index, {size}, %ptr{pointer};\n"
    rows = []
    for load in ("ldu.global",):
        body = "and.b32 %word, %index, 0xfffffffe;\n" + element.format(size=8, pointer=0).replace("%index", "%word")
        body += f"{load}.b128 %wide, [%addr];\nmov.u64 %addr, oracle_scratch;\n"
        body += "mad.wide.u32 %addr, %index, 16, %addr;\nst.global.b128 [%addr], %wide;\n"
        body += "ld.volatile.global.v2.b64 {%d0, %d1}, [%addr];"
        name = f"{load.replace('.', '_')}_b128"
        rows.append(_row(f"{load}.b128", "b64", "b64 b64", body, name, registers=".reg .b128 %wide;", prelude=SCRATCH))
    body = "and.b32 %word, %index, 0xfffffffc;\n" + element.format(size=4, pointer=0).replace("%index", "%word")
    rows.append(
        _row("ldu.global.v4.b32", "b32", "b32 b32 b32 b32", body + "ldu.global.v4.b32 {%d0, %d1, %d2, %d3}, [%addr];")
    )
    inner = "{\n.param .b32 given;\n.param .b32 got;\nst.param::func.b32 [given], %a0;\n"
    inner += "call.uni (got), oracle_increment, (given);\nld.param::func.b32 %d0, [got];\n}"
    function = ".func (.param .b32 out) oracle_increment(.param .b32 in) {\n    .reg .b32 %n;\n"
    function += (
        "    ld.param::func.b32 %n, [in];\n    add.u32 %n, %n, 1;\n    st.param::func.b32 [out], %n;\n    ret;\n}"
    )
    rows.append(_row("ld.param::func.b32", "b32", "b32", inner, prelude=function))
    plain = "call.uni oracle_nothing;\nmov.u64 %callee, oracle_nothing;\nNOTHING: .callprototype _ ();\n"
    plain += "call.uni %callee, NOTHING;\nmov.b32 %d0, %a0;"
    nothing = ".func oracle_nothing() {\n    ret;\n}"
    rows.append(_row("call", "b32", "b32", plain, "call_nothing", registers=".reg .b64 %callee;", prelude=nothing))
    policy = "createpolicy.cvt.L2.b64 %policy, 0x10f0000000000000;\n" + element.format(size=4, pointer=0)
    policy += "ld.global.L2::cache_hint.b32 %d0, [%addr], %policy;"
    rows.append(_row("createpolicy.cvt.L2.b64", "b32", "b32", policy, registers=".reg .b64 %policy;"))
    rows += [_row(f"mov.{t}", t, t, name=f"mov_{t}_registers") for t in ("f32", "f64")]
    rows.append(_row("mov.u32", "b32", "u32", "mov.u32 %d0, %dynamic_smem_size;", "dynamic_smem_size"))
    return rows


def bulk_into_own() -> list[Form]:
    """Return the bulk loads of `copies` with the thread block's own shared memory as their target (PTX 8.6)."""
    rows = []
    for form in copies.rows():
        if form.name.startswith("cp_async_bulk_shared_cluster_global_mbarrier"):
            old, new = form.name, form.name.replace("shared_cluster", "shared_cta")
            spelled = form.instruction.replace("shared::cluster", "shared::cta")
            text = form.text.replace(old, new).replace(form.instruction, spelled)
            rows.append(replace(form, name=new, instruction=spelled, text=text, family="remaining"))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [
        *simd_video(),
        *comparisons(),
        *vector_atomics(),
        *matrices(),
        *wmma_mixed(),
        *synchronisation(),
        *memory(),
        *bulk_into_own(),
    ]
