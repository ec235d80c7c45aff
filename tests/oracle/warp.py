"""Instructions of a whole warp or block: shuffle, vote, match, redux, elect, bar.red, special registers.

Each warp of the elementwise entry is one sample; block and grid are fixed there (128 threads).
"""

from __future__ import annotations

from itertools import product

from .form import Form, elementwise

FULL = "0xffffffff"
LOW20 = "0x000fffff"
LANE = "mov.u32 %lane, %laneid;\n"
REGISTERS = ".reg .b32 %lane, %warp;\n.reg .pred %part;"


def _row(instruction: str, operands: str, results: str, body: str, name: str = "") -> Form:
    return elementwise("warp", instruction, operands, results, body, name=name, registers=REGISTERS)


def _part(body: str, mask: str) -> str:
    """Return a body that only the lanes of `mask` execute; the others keep what the results were set to before."""
    if mask == FULL:
        return body
    return f"{LANE}setp.ge.u32 %part, %lane, 20;\n@%part bra DONE;\n{body}\nDONE:"


def _uneven(source: str) -> str:
    """Make predicate `source` true for all of warp 0, for none of warp 1, and leave it as it is elsewhere."""
    return (
        "shr.u32 %warp, %index, 5;\nand.b32 %warp, %warp, 3;\nsetp.eq.u32 %q0, %warp, 0;\nsetp.ne.u32 %q1, %warp, 1;\n"
        f"or.pred {source}, {source}, %q0;\nand.pred {source}, {source}, %q1;\n"
    )


def shuffles() -> list[Form]:
    """Return shfl.sync: modes, segment widths, source predicates."""
    rows = []
    for mode, width in product(("up", "down", "bfly", "idx"), (32, 16, 4)):
        clamp = (0 if mode == "up" else 31) | (32 - width) << 8
        body = f"shfl.sync.{mode}.b32 %d0|%d1, %a0, %a1, {clamp}, {FULL};"
        rows.append(_row(f"shfl.sync.{mode}.b32", "b32 lane", "b32 pred", body, f"shfl_sync_{mode}_b32_width{width}"))
    for mode, clamp in product(("up", "down", "bfly", "idx"), (0x1F, 0x0F, 0x1807)):
        body = f"shfl.sync.{mode}.b32 %d0|%d1, %a0, %a1, {clamp}, {FULL};"
        rows.append(_row(f"shfl.sync.{mode}.b32", "b32 small", "b32 pred", body, f"shfl_sync_{mode}_b32_c{clamp:x}"))
    body = "mov.b32 %d0, 0;\n" + _part(f"and.b32 %a1, %a1, 15;\nshfl.sync.idx.b32 %d0, %a0, %a1, 31, {LOW20};", LOW20)
    rows.append(_row("shfl.sync.idx.b32", "b32 lane", "b32", body, "shfl_sync_idx_b32_part"))
    return rows


def votes() -> list[Form]:
    """Return vote.sync, match.sync, activemask and elect.sync."""
    rows = []
    for mode, sign, mask in product(("all", "any", "uni"), ("", "!"), (FULL, LOW20)):
        body = (
            "setp.ne.u32 %d0, 0, 0;\n" + _uneven("%a0") + _part(f"vote.sync.{mode}.pred %d0, {sign}%a0, {mask};", mask)
        )
        tail = ("_not" if sign else "") + ("_part" if mask != FULL else "")
        rows.append(_row(f"vote.sync.{mode}.pred", "pred", "pred", body, f"vote_sync_{mode}{tail}"))
    for sign, mask in product(("", "!"), (FULL, LOW20)):
        body = "mov.b32 %d0, 0;\n" + _part(f"vote.sync.ballot.b32 %d0, {sign}%a0, {mask};", mask)
        tail = ("_not" if sign else "") + ("_part" if mask != FULL else "")
        rows.append(_row("vote.sync.ballot.b32", "pred", "b32", body, f"vote_sync_ballot{tail}"))
    for t, mask in product(("b32", "b64"), (FULL, LOW20)):
        wide = "" if t == "b32" else "cvt.u64.u32 %addr, %a0;\nshl.b64 %addr, %addr, 33;\n"
        value = "%a0" if t == "b32" else "%addr"
        tail = "_part" if mask != FULL else ""
        body = "mov.b32 %d0, 0;\n" + wide + _part(f"match.any.sync.{t} %d0, {value}, {mask};", mask)
        rows.append(_row(f"match.any.sync.{t}", "tiny", "b32", body, f"match_any_sync_{t}{tail}"))
        same = "shr.u32 %warp, %index, 5;\nand.b32 %warp, %warp, 1;\nmul.lo.u32 %a0, %a0, %warp;\n"
        body = "mov.b32 %d0, 0;\nsetp.ne.u32 %d1, 0, 0;\n" + same + wide
        body += _part(f"match.all.sync.{t} %d0|%d1, {value}, {mask};", mask)
        rows.append(_row(f"match.all.sync.{t}", "tiny", "b32 pred", body, f"match_all_sync_{t}{tail}"))
    rows.append(_row("activemask.b32", "b32", "b32", "activemask.b32 %d0;"))
    for mask in (FULL, LOW20):
        body = "mov.b32 %d0, 99;\nsetp.ne.u32 %d1, 0, 0;\n" + _part(f"elect.sync %d0|%d1, {mask};", mask)
        rows.append(_row("elect.sync", "b32", "b32 pred", body, f"elect_sync{'' if mask == FULL else '_part'}"))
    return rows


def reductions() -> list[Form]:
    """Return redux.sync and bar.red / barrier.red."""
    rows = []
    operations = [(op, t) for op, t in product(("add", "min", "max"), ("u32", "s32"))]
    operations += [(op, "b32") for op in ("and", "or", "xor")]
    for (op, t), mask in product(operations, (FULL, LOW20)):
        body = "mov.b32 %d0, 0;\n" + _part(f"redux.sync.{op}.{t} %d0, %a0, {mask};", mask)
        rows.append(_row(f"redux.sync.{op}.{t}", t, t, body, f"redux_sync_{op}_{t}{'' if mask == FULL else '_part'}"))
    for base, sign in product(("bar.red", "barrier.red", "barrier.cta.red.aligned"), ("", "!")):
        tail = base.replace(".", "_") + ("_not" if sign else "")
        rows.append(_row(f"{base}.popc.u32", "pred", "u32", f"{base}.popc.u32 %d0, 0, {sign}%a0;", f"{tail}_popc"))
        for op in ("and", "or"):
            body = f"setp.ge.u32 %q0, %index, 128;\nor.pred %a0, %a0, %q0;\n{base}.{op}.pred %d0, 1, 128, {sign}%a0;"
            rows.append(_row(f"{base}.{op}.pred", "pred", "pred", body, f"{tail}_{op}"))
    return rows


def special_registers() -> list[Form]:
    """Return the special registers whose value the launch fixes."""
    names = ["laneid", "lanemask_eq", "lanemask_le", "lanemask_lt", "lanemask_ge", "lanemask_gt"]
    names += [f"{r}.{axis}" for r, axis in product(("tid", "ntid", "ctaid", "nctaid"), "xyz")]
    names += [
        f"{r}.{axis}" for r, axis in product(("clusterid", "nclusterid", "cluster_ctaid", "cluster_nctaid"), "xyz")
    ]
    names += ["cluster_ctarank", "cluster_nctarank"]
    rows = [_row(f"mov.u32 %{n}", "b32", "u32", f"mov.u32 %d0, %{n};", f"mov_{n.replace('.', '_')}") for n in names]
    rows.append(
        _row(
            "mov.pred %is_explicit_cluster",
            "b32",
            "pred",
            "mov.pred %d0, %is_explicit_cluster;",
            "mov_is_explicit_cluster",
        )
    )
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*shuffles(), *votes(), *reductions(), *special_registers()]
