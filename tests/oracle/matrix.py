"""Warp-level matrices: mma.sync (dense, sparse), wmma, ldmatrix, stmatrix, movmatrix (PTX ISA 9.7.14).

Each float form runs twice: on small integers, whose sums are exact in any order (`_exact`, compared bit for bit), and
on reals in (-1, 1) (`_real`, compared within a bound, as the ISA leaves order and inner precision open).
"""

from __future__ import annotations

from itertools import product

from .form import Form, Input, Output, Result, elementwise, entry_name, parameter_list
from .rules import EXACT, Rule
from .samples import bits_of

REAL = {
    "f32": Rule("f32", absolute=2.0**-14),
    "f16": Rule("f16", absolute=2.0**-6),
    "f64": Rule("f64", absolute=2.0**-48),
}
"""Bounds for sums of up to 64 products of reals in (-1, 1), added to an accumulator in (-1, 1)."""

REAL_FP8 = Rule("f32", absolute=2.0**-9)
"""FP8 products are summed with fewer bits than f32 has."""

PACKED = {"f16": "f16x2", "bf16": "bf16x2", "tf32": "tf32", "f64": "f64", "e4m3": "e4m3x4", "e5m2": "e5m2x4"}
ELEMENT = {
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "f64": 64,
    "e4m3": 8,
    "e5m2": 8,
    "u8": 8,
    "s8": 8,
    "u4": 4,
    "s4": 4,
    "b1": 1,
}

HALF_SHAPES = (("m16n8k8", 2, 1), ("m16n8k16", 4, 2))
DOUBLE_SHAPES = (("m8n8k4", 1, 1, 2), ("m16n8k4", 2, 1, 4), ("m16n8k8", 4, 2, 4), ("m16n8k16", 8, 4, 4))
BYTE_SHAPES = (("m8n8k16", 1, 1, 2), ("m16n8k16", 2, 1, 4), ("m16n8k32", 4, 2, 4))
NIBBLE_SHAPES = (("m8n8k32", 1, 1, 2), ("m16n8k32", 2, 1, 4), ("m16n8k64", 4, 2, 4))
BIT_SHAPES = (("m8n8k128", 1, 1, 2), ("m16n8k128", 2, 1, 4), ("m16n8k256", 4, 2, 4))


def bound(d: str, a: str) -> Rule:
    """Return how far two sums of reals may lie apart."""
    return REAL_FP8 if d == "f32" and a in {"e4m3", "e5m2"} else REAL[d]


def _group(prefix: str, first: int, count: int) -> str:
    return "{" + ", ".join(f"%{prefix}{first + i}" for i in range(count)) + "}"


def _kind(style: str, t: str, accumulator: bool = False) -> str:
    """Return the sample kind of one fragment register of element type t."""
    if t in {"u8", "s8", "u4", "s4", "b1", "s32"}:
        return "b32"
    return f"{style}_{'f32' if accumulator and t == 'f32' else PACKED[t]}"


def _mma(
    spelled: str,
    types: tuple[str, str, str, str],
    registers: tuple[int, int, int],
    style: str,
    meta: int = 0,
    selector: int = 0,
) -> Form:
    """Return one form; `types` are d, a, b, c; `registers` are those of a, b, and of c and d."""
    d, a, b, c = types
    na, nb, nc = registers
    nd = nc * (2 if d == "f32" and c == "f16" else 1)
    nc = nc * (2 if c == "f32" and d == "f16" else 1)
    kinds = [_kind(style, a)] * na + [_kind(style, b)] * nb + [_kind(style, c, accumulator=True)] * nc
    stored = {"f16": "f16x2", "f32": "f32", "f64": "f64", "s32": "s32"}[d]
    rule = bound(d, a) if style == "unit" else EXACT
    parts = [_group("d", 0, nd), _group("a", 0, na), _group("a", na, nb), _group("a", na + nb, nc)]
    body = f"{spelled} {', '.join(parts)};"
    if meta:
        body = f"mov.b32 %word, {meta:#x};\n{spelled} {', '.join(parts)}, %word, {selector};"
    suffix = {"int": "_exact", "unit": "_real"}[style] if d != "s32" else ""
    name = entry_name(spelled) + (f"_{meta:x}_{selector}" if meta else "") + suffix
    results = [Result(stored, rule)] * nd
    return elementwise("mma", spelled, " ".join(kinds), results, body, name=name, count=128, crossed=False)


def _both(
    spelled: str, types: tuple[str, str, str, str], registers: tuple[int, int, int], meta: int = 0, selector: int = 0
) -> list[Form]:
    return [_mma(spelled, types, registers, style, meta, selector) for style in ("int", "unit")]


def dense_floats() -> list[Form]:
    """Return mma on f16, bf16, tf32, f64 and FP8."""
    rows = []
    for d, c, la, lb in product(("f16", "f32"), ("f16", "f32"), ("row", "col"), ("row", "col")):
        if d == "f16" and c == "f32":
            continue
        n = 8 if c == "f32" else 4
        rows += _both(f"mma.sync.aligned.m8n8k4.{la}.{lb}.{d}.f16.f16.{c}", (d, "f16", "f16", c), (2, 2, n))
    for (shape, na, nb), d, c in product(HALF_SHAPES, ("f16", "f32"), ("f16", "f32")):
        if d == c:
            rows += _both(
                f"mma.sync.aligned.{shape}.row.col.{d}.f16.f16.{c}",
                (d, "f16", "f16", c),
                (na, nb, 4 if c == "f32" else 2),
            )
    for shape, na, nb in HALF_SHAPES:
        rows += _both(
            f"mma.sync.aligned.{shape}.row.col.f32.bf16.bf16.f32", ("f32", "bf16", "bf16", "f32"), (na, nb, 4)
        )
    for shape, na, nb in (("m16n8k4", 2, 1), ("m16n8k8", 4, 2)):
        rows += _both(
            f"mma.sync.aligned.{shape}.row.col.f32.tf32.tf32.f32", ("f32", "tf32", "tf32", "f32"), (na, nb, 4)
        )
    for (shape, na, nb, nc), rnd in product(DOUBLE_SHAPES, ("", ".rn", ".rz")):
        rows += _both(f"mma.sync.aligned.{shape}.row.col{rnd}.f64.f64.f64.f64", ("f64",) * 4, (na, nb, nc))
    for a, b in product(("e4m3", "e5m2"), repeat=2):
        rows += _both(f"mma.sync.aligned.m16n8k32.row.col.f32.{a}.{b}.f32", ("f32", a, b, "f32"), (4, 2, 4))
    return rows


def dense_integers() -> list[Form]:
    """Return mma on 8-bit, 4-bit and single-bit elements."""
    rows = []
    for shapes, wide in ((BYTE_SHAPES, "8"), (NIBBLE_SHAPES, "4")):
        for (shape, na, nb, nc), a, b, sat in product(shapes, "us", "us", ("", ".satfinite")):
            spelled = f"mma.sync.aligned.{shape}.row.col{sat}.s32.{a}{wide}.{b}{wide}.s32"
            rows.append(_mma(spelled, ("s32", f"{a}{wide}", f"{b}{wide}", "s32"), (na, nb, nc), "int"))
    for (shape, na, nb, nc), op in product(BIT_SHAPES, ("xor", "and")):
        spelled = f"mma.sync.aligned.{shape}.row.col.s32.b1.b1.s32.{op}.popc"
        rows.append(_mma(spelled, ("s32", "b1", "b1", "s32"), (na, nb, nc), "int"))
    return rows


def sparse() -> list[Form]:
    """Return mma.sp with fixed, legal metadata: pairs of indices in ascending order."""
    rows = []
    floats = (
        ("m16n8k16", "f16", 2, 2),
        ("m16n8k32", "f16", 4, 4),
        ("m16n8k16", "bf16", 2, 2),
        ("m16n8k32", "bf16", 4, 4),
    )
    for shape, t, na, nb in floats:
        for meta, selector in ((0x44444444, 0), (0xEE4444EE, 1)):
            spelled = f"mma.sp::ordered_metadata.sync.aligned.{shape}.row.col.f32.{t}.{t}.f32"
            rows += _both(spelled, ("f32", t, t, "f32"), (na, nb, 4), meta, selector)
    for shape, na, nb in (("m16n8k8", 2, 2), ("m16n8k16", 4, 4)):
        spelled = f"mma.sp::ordered_metadata.sync.aligned.{shape}.row.col.f32.tf32.tf32.f32"
        rows += _both(spelled, ("f32", "tf32", "tf32", "f32"), (na, nb, 4), 0x4E4E4E4E)
    for (shape, na, nb), a in product((("m16n8k32", 2, 2), ("m16n8k64", 4, 4)), ("u8", "s8")):
        spelled = f"mma.sp::ordered_metadata.sync.aligned.{shape}.row.col.s32.{a}.{a}.s32"
        rows.append(_mma(spelled, ("s32", a, a, "s32"), (na, nb, 4), "int", 0xE4E4E4E4))
    for a in ("e4m3", "e5m2"):
        spelled = f"mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.f32.{a}.{a}.f32"
        rows += _both(spelled, ("f32", a, a, "f32"), (4, 4, 4), 0x4E4E4E4E)
    return rows


def _tile(name: str, spelled: str, body: str, registers: str, inputs: tuple[Input, ...], output: Output) -> Form:
    """Return a form of one warp: inputs %ptr0..., output %ptrN; the body gets the lane in %lane."""
    n = len(inputs) + 1
    loads = "".join(
        f"    ld.param.u64 %ptr{i}, [{name}_{i}];\n    cvta.to.global.u64 %ptr{i}, %ptr{i};\n" for i in range(n)
    )
    lines = "".join(f"    {line.strip()}\n" for line in body.splitlines())
    text = f".visible .entry {name}(\n{parameter_list(name, n)}\n)\n{{\n    .reg .b64 %addr, %ptr<{n}>;\n"
    text += "    .reg .b32 %lane, %row, %word;\n"
    text += "".join(f"    {line.strip()}\n" for line in registers.splitlines())
    text += f"{loads}    mov.u32 %lane, %tid.x;\n{lines}    ret;\n}}\n"
    return Form(name, spelled, text, inputs, (output,), 1, 32, "mma")


FILL = """mad.wide.u32 %addr, %lane, 32, %ptr0;
ld.global.v4.b32 {%w0, %w1, %w2, %w3}, [%addr];
ld.global.v4.b32 {%w4, %w5, %w6, %w7}, [%addr+16];
mov.u32 %row, tile;
mad.lo.u32 %row, %lane, 32, %row;
st.shared.v4.b32 [%row], {%w0, %w1, %w2, %w3};
st.shared.v4.b32 [%row+16], {%w4, %w5, %w6, %w7};
bar.warp.sync 0xffffffff;
mov.u32 %row, tile;
"""
TILE = ".shared .align 128 .b8 tile[1024];\n.reg .b32 %w<8>;\n.reg .b32 %d<4>;"


def moves() -> list[Form]:
    """Return ldmatrix and stmatrix (row addresses scattered over 1 KiB), movmatrix."""
    rows = []
    for n, trans in product((1, 2, 4), ("", ".trans")):
        regs = _group("d", 0, n)
        scatter = "mul.lo.u32 %word, %lane, 11;\nand.b32 %word, %word, 63;\nmad.lo.u32 %row, %word, 16, %row;\n"
        clear = "".join(f"mov.b32 %d{i}, 0;\n" for i in range(4))
        save = "mad.wide.u32 %addr, %lane, 16, %ptr1;\nst.global.v4.b32 [%addr], {%d0, %d1, %d2, %d3};"
        spelled = f"ldmatrix.sync.aligned.m8n8.x{n}{trans}.shared.b16"
        body = FILL + clear + scatter + f"{spelled} {regs}, [%row];\n" + save
        rows.append(_tile(spelled.replace(".", "_"), spelled, body, TILE, (Input("b32", 256),), Output(32, 128)))
        spelled = f"stmatrix.sync.aligned.m8n8.x{n}{trans}.shared.b16"
        load = "mad.wide.u32 %addr, %lane, 16, %ptr0;\nld.global.v4.b32 {%d0, %d1, %d2, %d3}, [%addr];\n"
        dump = "bar.warp.sync 0xffffffff;\nmov.u32 %row, tile;\nmad.lo.u32 %row, %lane, 32, %row;\n"
        dump += "ld.shared.v4.b32 {%w0, %w1, %w2, %w3}, [%row];\nld.shared.v4.b32 {%w4, %w5, %w6, %w7}, [%row+16];\n"
        dump += "mad.wide.u32 %addr, %lane, 32, %ptr1;\nst.global.v4.b32 [%addr], {%w0, %w1, %w2, %w3};\n"
        dump += "st.global.v4.b32 [%addr+16], {%w4, %w5, %w6, %w7};"
        body = FILL + load + scatter + f"{spelled} [%row], {regs};\n" + dump
        rows.append(_tile(spelled.replace(".", "_"), spelled, body, TILE, (Input("b32", 256),), Output(32, 256)))
    rows.append(elementwise("mma", "movmatrix.sync.aligned.m8n8.trans.b16", "b32", "b32"))
    return rows


WMMA_FLOATS = {
    # shape: m, n, k, and registers of a and b by type
    "m16n16k16": ((16, 16, 16), {"f16": (8, 8), "bf16": (4, 4), "s8": (2, 2), "u8": (2, 2)}),
    "m32n8k16": ((32, 8, 16), {"f16": (8, 8), "bf16": (8, 2), "s8": (4, 1), "u8": (4, 1)}),
    "m8n32k16": ((8, 32, 16), {"f16": (8, 8), "bf16": (2, 8), "s8": (1, 4), "u8": (1, 4)}),
    "m16n16k8": ((16, 16, 8), {"tf32": (4, 4)}),
    "m8n8k4": ((8, 8, 4), {"f64": (1, 1)}),
    "m8n8k32": ((8, 8, 32), {"s4": (1, 1), "u4": (1, 1)}),
    "m8n8k128": ((8, 8, 128), {"b1": (1, 1)}),
}
ACCUMULATORS = {"f16": ("f16", "f32"), "bf16": ("f32",), "tf32": ("f32",), "f64": ("f64",)}


def wmma() -> list[Form]:
    """Return wmma.load, wmma.mma and wmma.store of every shape, layout and type, each as one product."""
    rows = []
    for shape, (sizes, registers) in WMMA_FLOATS.items():
        for t, (na, nb) in registers.items():
            layouts = product(("row", "col"), repeat=2) if ELEMENT[t] >= 8 else [("row", "col")]
            for la, lb in layouts:
                for c in ACCUMULATORS.get(t, ("s32",)):
                    styles = ("int", "unit") if c[0] == "f" else ("int",)
                    rows += [_wmma(shape, sizes, (t, c, c), (na, nb), (la, lb), style) for style in styles]
    return rows


def _wmma(
    shape: str,
    sizes: tuple[int, int, int],
    types: tuple[str, str, str],
    counts: tuple[int, int],
    layouts: tuple[str, str],
    style: str,
) -> Form:
    t, c, d = types
    m, n, k = sizes
    na, nb = counts
    registers = {"f16": 4, "f32": 8, "s32": m * n // 32, "f64": 2}
    nc, nd = registers[c], registers[d]
    la, lb = layouts
    store = "row" if la == lb else "col"
    op = ".xor.popc" if t == "b1" else ""
    kinds = f"{d}.{c}" if t == "f16" else f"{c}.{t}.{t}.{c}"
    spelled = f"wmma.mma{op}.sync.aligned.{la}.{lb}.{shape}.{kinds}"
    name = (
        f"wmma_{shape}_{la}_{lb}_{t}_{c}"
        + (f"_{d}" if c != d else "")
        + ({"int": "_exact", "unit": "_real"}[style] if c[0] == "f" else "")
    )
    a, b, acc, out = _group("a", 0, na), _group("b", 0, nb), _group("c", 0, nc), _group("d", 0, nd)
    leading = {"a": k if la == "row" else m, "b": n if lb == "row" else k, "c": n if store == "row" else m}
    body = f"wmma.load.a.sync.aligned.{la}.{shape}.global.{t} {a}, [%ptr0], {leading['a']};\n"
    body += f"wmma.load.b.sync.aligned.{lb}.{shape}.global.{t} {b}, [%ptr1], {leading['b']};\n"
    body += f"wmma.load.c.sync.aligned.{store}.{shape}.global.{c} {acc}, [%ptr2], {leading['c']};\n"
    body += f"{spelled} {out}, {a}, {b}, {acc};\n"
    body += f"wmma.store.d.sync.aligned.{store}.{shape}.global.{d} [%ptr3], {out}, {leading['c']};"
    ra = "f64" if t == "f64" else "b32"
    kind = {"f16": "b32", "f32": "f32", "s32": "b32", "f64": "f64"}
    rc, rd = kind[c], kind[d]
    regs = f".reg .{ra} %a<{na}>;\n.reg .{ra} %b<{nb}>;\n.reg .{rc} %c<{nc}>;\n.reg .{rd} %d<{nd}>;"
    ka, kc = _kind(style, t), _kind(style, c, accumulator=True)
    inputs = (Input(ka, m * k * ELEMENT[t] // bits_of(ka), 0), Input(ka, n * k * ELEMENT[t] // bits_of(ka), 1),
              Input(kc, m * n * (16 if c == "f16" else bits_of(kc)) // bits_of(kc), 2))  # fmt: skip
    width = {"f16": 16, "f32": 32, "s32": 32, "f64": 64}[d]
    rule = REAL[d] if style == "unit" else EXACT
    return _tile(name, spelled, body, regs, inputs, Output(width, m * n, rule))


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*dense_floats(), *dense_integers(), *sparse(), *moves(), *wmma()]
