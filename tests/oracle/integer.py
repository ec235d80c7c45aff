"""Integer arithmetic, extended precision, bit fields and dot products (PTX ISA 9.7.1, 9.7.2), scalar video (9.7.17)."""

from __future__ import annotations

from itertools import product

from .form import Form, Result, elementwise
from .rules import EXACT

TYPES = ("u16", "s16", "u32", "s32", "u64", "s64")
WORDS = ("u32", "s32", "u64", "s64")


def _wide(kind: str) -> str:
    return f"{kind[0]}{2 * int(kind[1:])}"


def _row(instruction: str, operands: str, results: str, body: str = "", name: str = "", registers: str = "") -> Form:
    return elementwise("integer", instruction, operands, results, body, name=name, registers=registers)


def arithmetic() -> list[Form]:
    """Return add to abs, for every type."""
    rows = []
    for op, t in product(("add", "sub", "mul.lo", "mul.hi", "min", "max"), TYPES):
        rows.append(_row(f"{op}.{t}", f"{t} {t}", t))
    for op, t in product(("mad.lo", "mad.hi", "sad"), TYPES):
        rows.append(_row(f"{op}.{t}", f"{t} {t} {t}", t))
    for op, t in product(("div", "rem"), TYPES):
        rows.append(_row(f"{op}.{t}", f"{t} {t}nz", t))
    for op, t in product(("abs", "neg"), ("s16", "s32", "s64")):
        rows.append(_row(f"{op}.{t}", t, t))
    for t in ("u16", "s16", "u32", "s32"):
        rows.append(_row(f"mul.wide.{t}", f"{t} {t}", _wide(t)))
        rows.append(_row(f"mad.wide.{t}", f"{t} {t} {_wide(t)}", _wide(t)))
    for op, t in product(("mul24.lo", "mul24.hi"), ("u32", "s32")):
        rows.append(_row(f"{op}.{t}", f"{t} {t}", t))
        rows.append(_row(f"{op.replace('mul', 'mad')}.{t}", f"{t} {t} {t}", t))
    rows += [_row(f"{op}.s32", "s32 s32", "s32") for op in ("add.sat", "sub.sat", "min.relu", "max.relu")]
    rows += [_row(f"{op}.s32", "s32 s32 s32", "s32") for op in ("mad.hi.sat", "mad24.hi.sat")]
    rows += [_row(f"{op}.{t}", f"{t} {t}", t) for op, t in product(("add", "min", "max"), ("u16x2", "s16x2"))]
    rows += [_row(f"{op}.relu.s16x2", "s16x2 s16x2", "s16x2") for op in ("min", "max")]
    return rows


def extended() -> list[Form]:
    """Return carry chains: each stores every word and the carry that is left over."""
    rows = []
    for op, t in product(("add", "sub"), WORDS):
        body = f"{op}.cc.{t} %d0, %a0, %a2;\n{op}c.cc.{t} %d1, %a1, %a3;\n{op}c.{t} %d2, 0, 0;"
        rows.append(_row(f"{op}.cc.{t}", f"{t} {t} {t} {t}", f"{t} {t} {t}", body, f"{op}_cc_chain_{t}"))
    for half, t in product(("lo", "hi"), WORDS):
        body = f"mad.{half}.cc.{t} %d0, %a0, %a1, %a2;\nmadc.{half}.cc.{t} %d1, %a1, %a3, %a0;\n"
        body += f"madc.{half}.{t} %d2, %a2, %a3, %a1;"
        rows.append(_row(f"mad.{half}.cc.{t}", f"{t} {t} {t} {t}", f"{t} {t} {t}", body, f"mad_{half}_cc_chain_{t}"))
    body = "mad.lo.cc.u32 %d0, %a0, %a1, %a2;\nmadc.hi.cc.u32 %d1, %a0, %a1, %a3;\naddc.u32 %d2, 0, 0;"
    rows.append(_row("madc.hi.cc.u32", "u32 u32 u32 u32", "u32 u32 u32", body, "mad_lo_madc_hi_u32"))
    body = "sub.cc.u32 %d0, %a0, %a1;\naddc.cc.u32 %d1, %a0, %a1;\nsubc.u32 %d2, %a0, %a1;"
    rows.append(_row("sub.cc.u32", "u32 u32", "u32 u32 u32", body, "borrow_read_as_carry_u32"))
    return rows


def bits() -> list[Form]:
    """Return bit-field, shift and count instructions."""
    rows = []
    for t in WORDS:
        rows.append(_row(f"bfe.{t}", f"{t} shift shift", t))
        rows.append(_row(f"bfe.{t}", f"{t} u32 u32", t, name=f"bfe_{t}_any_field"))
        rows.append(_row(f"bfind.{t}", t, "u32"))
        rows.append(_row(f"bfind.shiftamt.{t}", t, "u32"))
    for t in ("b32", "b64"):
        rows.append(_row(f"bfi.{t}", f"{t} {t} shift shift", t))
        rows.append(_row(f"brev.{t}", t, t))
        rows.append(_row(f"clz.{t}", t, "u32"))
        rows.append(_row(f"popc.{t}", t, "u32"))
    rows.append(_row("fns.b32", "b32 lane fnsoff", "b32", "and.b32 %a1, %a1, 31;\nfns.b32 %d0, %a0, %a1, %a2;"))
    for mode, t in product(("clamp", "wrap"), ("u32", "s32")):
        rows.append(_row(f"szext.{mode}.{t}", f"{t} shift", t))
        rows.append(_row(f"szext.{mode}.{t}", f"{t} u32", t, name=f"szext_{mode}_{t}_any"))
    for mode in ("clamp", "wrap"):
        rows.append(_row(f"bmsk.{mode}.b32", "shift shift", "b32"))
        rows += [_row(f"shf.{way}.{mode}.b32", "b32 b32 shift", "b32") for way in ("l", "r")]
    for t in ("b16", "b32", "b64"):
        rows.append(_row(f"shl.{t}", f"{t} shift", t))
    for sort, width in product("bus", (16, 32, 64)):
        rows.append(_row(f"shr.{sort}{width}", f"{sort}{width} shift", f"{sort}{width}"))
    rows.append(_row("shl.b32", "b32 u32", "b32", name="shl_b32_any"))
    rows.append(_row("shr.s64", "s64 u32", "s64", name="shr_s64_any"))
    return rows


def dots() -> list[Form]:
    """Return dp4a and dp2a."""
    rows = [_row(f"dp4a.{a}.{b}", "b32 b32 b32", "b32") for a, b in product(("u32", "s32"), repeat=2)]
    for half, a, b in product(("lo", "hi"), ("u32", "s32"), ("u32", "s32")):
        rows.append(_row(f"dp2a.{half}.{a}.{b}", "b32 b32 b32", "b32"))
    return rows


def _video(instruction: str, operands: int, selectors: str = "", name: str = "") -> Form:
    parts = [f"%a{i}{s}" for i, s in enumerate(selectors.split() + [""] * (operands - len(selectors.split())))]
    parts = [p if p.endswith(("b0", "b1", "b2", "b3", "h0", "h1")) else p.removesuffix("-") for p in parts]
    body = f"{instruction} %d0, {', '.join(parts)};"
    return elementwise("video", instruction, " ".join(["b32"] * operands), [Result("b32", EXACT)], body, name=name)


def video() -> list[Form]:
    """Return the scalar video instructions: types, selectors, saturation, second operations."""
    rows = []
    for op, t, sat in product(
        ("vadd", "vsub", "vabsdiff", "vmin", "vmax"), product(("u32", "s32"), repeat=3), ("", ".sat")
    ):
        rows.append(_video(f"{op}.{'.'.join(t)}{sat}", 2))
    for op, (a, b) in product(("vadd", "vabsdiff", "vmin"), ((".b0", ".b3"), (".h1", ".b2"), (".h0", ".h1"))):
        rows.append(_video(f"{op}.s32.s32.u32.sat", 2, f"{a} {b}", f"{op}_{a[1:]}_{b[1:]}"))
    for op, second in product(("vadd", "vsub", "vmax"), ("add", "min", "max")):
        rows.append(_video(f"{op}.s32.u32.s32.{second}", 3))
        rows.append(_video(f"{op}.u32.u32.u32.sat.{second}", 3))
    for op, t, mode, sat in product(("vshl", "vshr"), ("u32", "s32"), ("clamp", "wrap"), ("", ".sat")):
        rows.append(_video(f"{op}.{t}.{t}.u32{sat}.{mode}", 2))
    for t, tail in product(("u32.u32.u32", "s32.s32.s32", "s32.u32.s32"), ("", ".sat", ".shr7", ".sat.shr15")):
        rows.append(_video(f"vmad.{t}{tail}", 3))
    rows.append(_video("vmad.u32.u32.u32.po", 3))
    for t, cmp in product(("u32.u32", "s32.s32", "u32.s32"), ("eq", "ne", "lt", "le", "gt", "ge")):
        rows.append(_video(f"vset.{t}.{cmp}", 2))
    for dest, sat in product(("b0", "b3", "h0", "h1"), ("", ".sat")):
        body = f"vadd.u32.u32.u32{sat} %d0.{dest}, %a0, %a1, %a2;"
        rows.append(
            elementwise(
                "video", f"vadd.u32.u32.u32{sat}", "b32 b32 b32", "b32", body, name=f"vadd_merge_{dest}{sat[1:]}"
            )
        )
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*arithmetic(), *extended(), *bits(), *dots(), *video()]
