"""Clusters of two blocks: distributed shared memory, remote barriers, multicast, cluster registers."""

from __future__ import annotations

from itertools import product

from .copies import PAIR, block_of, own, registers
from .copies import WAIT as BLOCK_WAIT
from .form import Form, elementwise, entry_name

REMOTE = ("add.u32", "add.s32", "add.u64", "min.u32", "max.s32", "inc.u32", "dec.u32", "and.b32", "or.b32", "xor.b32")
"""Operations of red.async."""

SYNC = "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
REGISTERS = registers(8) + "\n.reg .b32 %rank, %peer, %remote, %remote_barrier, %local;"
WAIT = BLOCK_WAIT.replace("try_wait.parity", "try_wait.parity.acquire.cluster")
PEER = "mov.u32 %rank, %cluster_ctarank;\nxor.b32 %peer, %rank, 1;\nmov.u32 %me, %tid.x;\nsetp.eq.u32 %first, %me, 0;\n"


def _row(instruction: str, operands: str, results: str, body: str, name: str = "") -> Form:
    name = name or f"peer_{entry_name(instruction)}"
    return elementwise(
        "cluster", instruction, operands, results, body, name=name, registers=REGISTERS, directives=PAIR, count=256
    )


def _remote(area: str, size: int) -> str:
    """Return code that leaves the peer's cell of this thread in %remote."""
    peer = f"mov.u32 %local, {area};\nmapa.shared::cluster.u32 %remote, %local, %peer;\n"
    return peer + f"mad.lo.u32 %remote, %me, {size}, %remote;\n"


def shared() -> list[Form]:
    """Return loads, stores and atomics on the other block's shared memory."""
    rows = []
    for t in ("b32", "b64"):
        size = int(t[1:]) // 8
        keep = PEER + own("cells", size) + f"st.shared.{t} [%own], %a0;\n"
        body = keep + SYNC + _remote("cells", size) + f"ld.shared::cluster.{t} %d0, [%remote];\n" + SYNC
        rows.append(_row(f"ld.shared::cluster.{t}", t, t, body))
        body = PEER + SYNC + _remote("cells", size) + f"st.shared::cluster.{t} [%remote], %a0;\n" + SYNC
        rows.append(_row(f"st.shared::cluster.{t}", t, t, body + own("cells", size) + f"ld.shared.{t} %d0, [%own];"))
    keep = PEER + own("cells", 4) + "st.shared.b32 [%own], %a0;\n" + SYNC
    for op, kind in product(("atom", "red"), ("add.u32", "min.s32", "xor.b32", "add.f32")):
        t = kind.split(".")[1]
        call = f"{op}.shared::cluster.{kind} {'%d1, ' if op == 'atom' else ''}[%remote], %a1;\n"
        body = keep + _remote("cells", 4) + call + SYNC + "ld.shared.b32 %d0, [%own];"
        rows.append(_row(f"{op}.shared::cluster.{kind}", f"{t} {t}", f"{t} {t}" if op == "atom" else t, body))
    generic = "mov.u64 %addr, cells;\ncvta.shared.u64 %addr, %addr;\nmapa.u64 %addr, %addr, %peer;\n"
    generic += "mad.wide.u32 %addr, %me, 4, %addr;\n"
    rows.append(_row("mapa.u64", "b32", "b32", keep + generic + "ld.b32 %d0, [%addr];\n" + SYNC))
    for space in ("shared::cta", "shared::cluster"):
        check = f"isspacep.{space} %d1, %addr;\nisspacep.{space} %d2, %to;\n"
        body = keep + generic + "mov.u64 %to, cells;\ncvta.shared.u64 %to, %to;\nmov.b32 %d0, %a0;\n" + check + SYNC
        rows.append(
            _row(f"isspacep.{space}", "b32", "b32 pred pred", body, f"isspacep_peer_{space.replace('::', '_')}")
        )
    body = PEER + _remote("cells", 4) + "getctarank.shared::cluster.u32 %d0, %remote;\n" + SYNC
    rows.append(_row("getctarank.shared::cluster.u32", "b32", "b32", body))
    return rows


def barriers() -> list[Form]:
    """Return remote arrivals, st.async, red.async, bulk copies to the peer, multicast."""
    rows = []
    init = (
        PEER
        + "@%first mbarrier.init.shared::cta.b64 [barrier], COUNT;\n@%first fence.mbarrier_init.release.cluster;\n"
        + SYNC
    )
    remote = "mov.u32 %local, barrier;\nmapa.shared::cluster.u32 %remote_barrier, %local, %peer;\n"
    for q in ("", ".release.cluster"):
        body = init.replace("COUNT", "128") + remote + f"mbarrier.arrive{q}.shared::cluster.b64 _, [%remote_barrier];\n"
        body += WAIT + "selp.b32 %d0, 1, 0, %q1;\n" + SYNC
        rows.append(_row(f"mbarrier.arrive{q}.shared::cluster.b64", "b32", "b32", body))
    expect = "@%first mbarrier.arrive.expect_tx.shared::cta.b64 %addr, [barrier], BYTES;\n"
    for shape, size in (("b32", 4), ("b64", 8), ("v2.b32", 8)):
        spelled = f"st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.{shape}"
        value = "{%a0, %a0}" if shape[0] == "v" else "%a0"
        t = shape.rsplit(".", maxsplit=1)[-1]
        body = init.replace("COUNT", "1") + expect.replace("BYTES", str(128 * size)) + remote + _remote("cells", size)
        body += f"{spelled} [%remote], {value}, [%remote_barrier];\n" + WAIT + own("cells", size)
        body += f"ld.shared.{t} %d0, [%own{'+4' if shape[0] == 'v' else ''}];\n" + SYNC
        rows.append(_row(spelled, t, t, body))
    for kind in REMOTE:
        t = kind.split(".")[1]
        size = int(t[1:]) // 8
        spelled = f"red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.{kind}"
        body = (
            own("cells", size)
            + f"st.shared.b{8 * size} [%own], %a0;\n"
            + init.replace("COUNT", "1")
            + expect.replace("BYTES", str(128 * size))
        )
        body += remote + _remote("cells", size) + f"{spelled} [%remote], %a1, [%remote_barrier];\n" + WAIT
        body += own("cells", size) + f"ld.shared.b{8 * size} %d0, [%own];\n" + SYNC
        rows.append(_row(spelled, f"{t} {t}", t, body))
    spelled = "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes"
    body = (
        own("more", 4)
        + "st.shared.b32 [%own], %a0;\nfence.proxy.async.shared::cta;\n"
        + init.replace("COUNT", "1")
        + expect.replace("BYTES", "512")
    )
    body += remote + "mov.u32 %local, cells;\nmapa.shared::cluster.u32 %remote, %local, %peer;\n"
    body += (
        f"@%first {spelled} [%remote], [more], 512, [%remote_barrier];\n"
        + WAIT
        + own("cells", 4)
        + "ld.shared.b32 %d0, [%own];\n"
        + SYNC
    )
    rows.append(_row(spelled, "b32", "b32", body, "cp_async_bulk_to_peer"))
    spelled = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
    body = own("cells", 4) + init.replace("COUNT", "1") + expect.replace("BYTES", "512") + block_of(0, 4, "%from")
    body += "setp.eq.u32 %q0, %rank, 0;\nand.pred %q0, %q0, %first;\nmov.u16 %both, 3;\n"
    body += f"@%q0 {spelled} [cells], [%from], 512, [barrier], %both;\n" + WAIT + "ld.shared.b32 %d0, [%own];\n" + SYNC
    rows.append(
        elementwise(
            "cluster",
            spelled,
            "b32",
            "b32",
            body,
            registers=REGISTERS + "\n.reg .b16 %both;",
            directives=PAIR,
            count=256,
        )
    )
    return rows


def special() -> list[Form]:
    """Return the cluster registers inside a cluster, and the forms of barrier.cluster."""
    names = [f"{r}.x" for r in ("clusterid", "nclusterid", "cluster_ctaid", "cluster_nctaid")] + [
        "cluster_ctarank",
        "cluster_nctarank",
    ]
    rows = [_row(f"mov.u32 %{n}", "b32", "u32", f"mov.u32 %d0, %{n};", f"in_pair_{n.replace('.', '_')}") for n in names]
    rows.append(
        _row(
            "mov.pred %is_explicit_cluster",
            "b32",
            "pred",
            "mov.pred %d0, %is_explicit_cluster;",
            "in_pair_is_explicit_cluster",
        )
    )
    for arrive, wait in ((".release", ".acquire"), (".relaxed", ""), (".release.aligned", ".acquire.aligned")):
        fence = "fence.acq_rel.cluster;\n" if arrive == ".relaxed" else ""
        sync = f"{fence}barrier.cluster.arrive{arrive};\nbarrier.cluster.wait{wait};\n"
        body = (
            PEER
            + own("cells", 4)
            + "st.shared.b32 [%own], %a0;\n"
            + sync
            + _remote("cells", 4)
            + "ld.shared::cluster.b32 %d0, [%remote];\n"
            + sync
        )
        rows.append(_row(f"barrier.cluster.arrive{arrive}", "b32", "b32", body))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*shared(), *barriers(), *special()]
