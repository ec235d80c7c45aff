"""Asynchronous copies without tensor maps, and the mbarriers they complete on (PTX ISA 9.7.9.25, 9.7.13.15).

In the bulk forms each block moves its own 128 elements in one copy. Waits give up after a while: a lost completion
shows as a wrong answer, not as a hang.
"""

from __future__ import annotations

from itertools import product

from .form import Form, Result, elementwise, entry_name
from .rules import EXACT, Rule
from .samples import bits_of

PAIR = ".explicitcluster\n.reqnctapercluster 2, 1, 1\n"
"""Copies from shared to shared memory, even a block's own, fault on an H200 outside a cluster launch."""

ORDERED = ("u32", "s32", "u64", "s64")

BARRIER = """setp.eq.u32 %first, %me, 0;
@%first mbarrier.init.shared::cta.b64 [barrier], 1;
@%first fence.mbarrier_init.release.cluster;
fence.proxy.async.shared::cta;
bar.sync 0;
"""

WAIT = """mov.u32 %tries, 0;
WAIT:
mbarrier.try_wait.parity.shared::cta.b64 %q1, [barrier], 0;
@%q1 bra READY;
add.u32 %tries, %tries, 1;
setp.lt.u32 %q2, %tries, 2000;
@%q2 bra WAIT;
READY:
"""


def registers(cell_bytes: int) -> str:
    """Return declarations: `cells` and `more` hold a block's elements, `barrier` is an mbarrier."""
    return (
        ".reg .b32 %me, %tries;\n.reg .pred %first;\n.reg .b64 %from, %to, %own;\n"
        f".shared .align 128 .b8 cells[{128 * cell_bytes}];\n.shared .align 128 .b8 more[{128 * cell_bytes}];\n"
        ".shared .align 8 .b64 barrier;"
    )


def own(area: str, size: int) -> str:
    """Return code that leaves this thread's cell of a shared area in %own."""
    return f"mov.u32 %me, %tid.x;\nmov.u64 %own, {area};\nmad.wide.u32 %own, %me, {size}, %own;\n"


def block_of(pointer: int, size: int, register: str) -> str:
    """Return code that leaves the first address of this block's elements in `register`."""
    return f"mad.wide.u32 {register}, %block, {128 * size}, %ptr{pointer};\n"


def cp_async() -> list[Form]:
    """Return cp.async: sizes, cache operators, zero fill by source size and by predicate."""
    rows = []
    cells = ".shared .align 16 .b8 cells[2048];\n.reg .b64 %from;\n.reg .b32 %to, %size;"
    head = "mov.u32 %word, %tid.x;\nmov.u32 %to, cells;\nmad.lo.u32 %to, %word, 16, %to;\nmov.u32 %word, -1;\n"
    head += "st.shared.v4.b32 [%to], {%word, %word, %word, %word};\n"
    tail = "cp.async.commit_group;\ncp.async.wait_group 0;\nld.shared.v4.b32 {%d0, %d1, %d2, %d3}, [%to];"
    cases = [(".ca", n, q) for n, q in product((4, 8, 16), ("", ".L2::128B"))] + [
        (".cg", 16, q) for q in ("", ".L2::64B", ".L2::256B")
    ]
    for cache, n, q in cases:
        source = f"and.b32 %word, %index, {-n // 4};\nmad.wide.u32 %from, %word, 4, %ptr0;\n"
        for kind, last in (("", ""), ("size", ", %size"), ("ignore", ", %q0")):
            if q and kind:
                continue
            limit = f"and.b32 %size, %a1, {n - 1};\nsetp.gt.s32 %q0, %a1, 2;\n"
            spelled = f"cp.async{cache}.shared.global{q}"
            body = head + source + limit + f"{spelled} [%to], [%from], {n}{last};\n" + tail
            name = entry_name(f"{spelled}_{n}{'_' + kind if kind else ''}")
            rows.append(
                elementwise("copies", spelled, "b32 shift", "b32 b32 b32 b32", body, name=name, registers=cells)
            )
    all_ = (
        head
        + "mad.wide.u32 %from, %index, 4, %ptr0;\ncp.async.ca.shared.global [%to], [%from], 4;\ncp.async.wait_all;\n"
    )
    load = "ld.shared.v4.b32 {%d0, %d1, %d2, %d3}, [%to];"
    rows.append(elementwise("copies", "cp.async.wait_all", "b32", "b32 b32 b32 b32", all_ + load, registers=cells))
    for noinc in ("", ".noinc"):
        spelled = f"cp.async.mbarrier.arrive{noinc}.shared::cta.b64"
        count = 128 if noinc else 1
        body = (
            own("cells", 4)
            + f"setp.eq.u32 %first, %me, 0;\n@%first mbarrier.init.shared::cta.b64 [barrier], {count};\nbar.sync 0;\n"
        )
        body += (
            "mad.wide.u32 %from, %index, 4, %ptr0;\ncp.async.ca.shared.global [%own], [%from], 4;\n"
            + f"{spelled} [barrier];\n"
        )
        body += (
            ("" if noinc else "bar.sync 0;\n@%first mbarrier.arrive.shared::cta.b64 %addr, [barrier];\n")
            + WAIT
            + "ld.shared.b32 %d0, [%own];"
        )
        rows.append(elementwise("copies", spelled, "b32", "b32", body, registers=registers(4)))
    return rows


def bulk() -> list[Form]:
    """Return cp.async.bulk in each direction inside one block."""
    rows = []
    load = own("cells", 4) + BARRIER + block_of(0, 4, "%from")
    for q in ("", ".L2::cache_hint"):
        spelled = f"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes{q}"
        policy = "createpolicy.fractional.L2::evict_first.b64 %to, 1.0;\n" if q else ""
        body = (
            load + policy + "@!%first bra COPIED;\nmbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], 512;\n"
        )
        body += (
            f"{spelled} [cells], [%from], 512, [barrier]{', %to' if q else ''};\nCOPIED:\n"
            + WAIT
            + "ld.shared.b32 %d0, [%own];"
        )
        rows.append(elementwise("copies", spelled, "b32", "b32", body, registers=registers(4)))
    spelled = "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes"
    body = own("more", 4) + "st.shared.b32 [%own], %a0;\n" + BARRIER + "@!%first bra COPIED;\n"
    body += (
        "mbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], 512;\n"
        + f"{spelled} [cells], [more], 512, [barrier];\nCOPIED:\n"
    )
    rows.append(
        elementwise(
            "copies",
            spelled,
            "b32",
            "b32",
            body + WAIT + own("cells", 4) + "ld.shared.b32 %d0, [%own];",
            directives=PAIR,
            count=256,
            registers=registers(4),
        )
    )
    for wait in ("", ".read"):
        spelled = "cp.async.bulk.global.shared::cta.bulk_group"
        body = own("cells", 4) + "st.shared.b32 [%own], %a0;\n" + BARRIER + block_of(1, 4, "%to")
        body += f"@!%first bra COPIED;\n{spelled} [%to], [cells], 512;\ncp.async.bulk.commit_group;\n"
        body += f"cp.async.bulk.wait_group{wait} 0;\n"
        body += ("cp.async.bulk.wait_group 0;\n" if wait else "") + "COPIED:\nbar.sync 0;\n"
        body += "mad.wide.u32 %addr, %index, 4, %ptr1;\nld.volatile.global.b32 %d0, [%addr];"
        rows.append(
            elementwise("copies", spelled, "b32", "b32", body, name=entry_name(spelled + wait), registers=registers(4))
        )
    body = block_of(0, 4, "%from") + "cp.async.bulk.prefetch.L2.global [%from], 512;\nmov.b32 %d0, %a0;"
    rows.append(elementwise("copies", "cp.async.bulk.prefetch.L2.global", "b32", "b32", body, registers=registers(4)))
    return rows


def bulk_reductions() -> list[Form]:
    """Return cp.reduce.async.bulk into global memory and into shared memory."""
    operations = [("add", t) for t in ("u32", "s32", "u64", "f32", "f64")] + [("inc", "u32"), ("dec", "u32")]
    operations += [(op, t) for op, t in product(("min", "max"), (*ORDERED, "f16", "bf16"))]
    operations += [("add.noftz", t) for t in ("f16", "bf16")]
    operations += [(op, t) for op, t in product(("and", "or", "xor"), ("b32", "b64"))]
    rows = [_bulk_reduce_global(op, t) for op, t in operations]
    shared = [("add", t) for t in ("u32", "s32", "u64")] + [("inc", "u32"), ("dec", "u32")]
    shared += [(op, t) for op, t in product(("min", "max"), ("u32", "s32"))] + [
        (op, "b32") for op in ("and", "or", "xor")
    ]
    return rows + [_bulk_reduce_shared(op, t) for op, t in shared]


def _bulk_reduce_global(op: str, t: str) -> Form:
    size, b = bits_of(t) // 8, f"b{bits_of(t)}"
    spelled = f"cp.reduce.async.bulk.global.shared::cta.bulk_group.{op}.{t}"
    body = (
        own("cells", size)
        + f"st.shared.{b} [%own], %a1;\nmad.wide.u32 %addr, %index, {size}, %ptr2;\nst.global.{b} [%addr], %a0;\n"
    )
    body += "fence.proxy.async;\n" + BARRIER + block_of(2, size, "%to")
    body += f"@!%first bra COPIED;\n{spelled} [%to], [cells], {128 * size};\ncp.async.bulk.commit_group;\n"
    body += "cp.async.bulk.wait_group 0;\nCOPIED:\n"
    body += f"bar.sync 0;\nmad.wide.u32 %addr, %index, {size}, %ptr2;\nld.volatile.global.{b} %d0, [%addr];"
    rule = Rule("f64", any_nan=True) if t == "f64" else EXACT
    return elementwise("copies", spelled, f"{t} {t}", [Result(t, rule)], body, registers=registers(size))


def _bulk_reduce_shared(op: str, t: str) -> Form:
    size, b = bits_of(t) // 8, f"b{bits_of(t)}"
    spelled = f"cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.{op}.{t}"
    body = (
        own("more", size)
        + f"st.shared.{b} [%own], %a1;\n"
        + own("cells", size)
        + f"st.shared.{b} [%own], %a0;\n"
        + BARRIER
    )
    body += f"@!%first bra COPIED;\nmbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], {128 * size};\n"
    body += f"{spelled} [cells], [more], {128 * size}, [barrier];\nCOPIED:\n" + WAIT + f"ld.shared.{b} %d0, [%own];"
    return elementwise("copies", spelled, f"{t} {t}", t, body, registers=registers(size), directives=PAIR, count=256)


def mbarriers() -> list[Form]:
    """Return scripts on one mbarrier per thread: what the waits say after each step."""
    declared = ".shared .align 8 .b64 cells[128];\n.reg .b32 %me, %count, %times, %tx;\n.reg .b64 %own, %state, %old;"
    start = own("cells", 8) + "and.b32 %count, %a0, 3;\nadd.u32 %count, %count, 1;\nand.b32 %times, %a1, 7;\n"
    start += "mbarrier.init.shared::cta.b64 [%own], %count;\nmov.u64 %old, 0;\n"
    look = "mbarrier.test_wait.parity.shared::cta.b64 %d0, [%own], 0;\n"
    look += "mbarrier.test_wait.parity.shared::cta.b64 %d1, [%own], 1;"
    steps = {
        "arrive": "mbarrier.arrive.shared::cta.b64 %state, [%own];",
        "arrive_release_cta": "mbarrier.arrive.release.cta.shared::cta.b64 %state, [%own];",
        "arrive_count": "mbarrier.arrive.shared::cta.b64 %state, [%own], 1;",
        "arrive_drop": "mbarrier.arrive_drop.shared::cta.b64 %state, [%own];\n"
        "add.u32 %times, %times, 1;\nmin.u32 %times, %times, 1;",
        "arrive_no_complete": "setp.lt.u32 %q1, %count, 2;\n@%q1 bra DONE;\n"
        "mbarrier.arrive.noComplete.shared::cta.b64 %state, [%own], 1;\n"
        "sub.u32 %count, %count, 1;",
        "arrive_expect_tx": "mbarrier.arrive.expect_tx.shared::cta.b64 %state, [%own], 16;\n"
        "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%own], 16;",
        "complete_before_expect": "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%own], 8;\n"
        "mbarrier.arrive.expect_tx.relaxed.cta.shared::cta.b64 %state, [%own], 8;",
        "expect_tx_pending": "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%own], 4;\n"
        "mbarrier.arrive.shared::cta.b64 %state, [%own];",
    }  # fmt: skip
    rows = []
    for name, step in steps.items():
        loop = (
            "LOOP:\nsetp.eq.u32 %q0, %times, 0;\n@%q0 bra DONE;\n"
            + step
            + "\nsub.u32 %times, %times, 1;\nbra LOOP;\nDONE:\n"
        )
        begin = start.replace("%count, 1;", "%count, 2;") if name == "arrive_drop" else start
        if name == "expect_tx_pending":  # the phase never completes: it takes no more arrivals than it expects
            begin += "min.u32 %times, %times, %count;\n"
        rows.append(
            elementwise(
                "copies",
                f"mbarrier: {name}",
                "b32 b32",
                "pred pred",
                begin + loop + look,
                name=f"mbarrier_{name}",
                registers=declared,
            )
        )
    body = (
        start.replace("mov.u64 %old, 0;\n", "")
        + "mbarrier.arrive.shared::cta.b64 %state, [%own];\nmbarrier.pending_count.b64 %d0, %state;\n"
    )
    body += "mbarrier.test_wait.shared::cta.b64 %d1, [%own], %state;\nmbarrier.inval.shared::cta.b64 [%own];"
    rows.append(elementwise("copies", "mbarrier.pending_count.b64", "b32 b32", "b32 pred", body, registers=declared))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*cp_async(), *bulk(), *bulk_reductions(), *mbarriers()]
