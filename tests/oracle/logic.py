"""Logic, byte permutation, comparison, selection and register packing (PTX ISA 9.7.6 to 9.7.8, mov)."""

from __future__ import annotations

from itertools import product

from .form import Form, elementwise, entry_name

ORDER = ("eq", "ne", "lt", "le", "gt", "ge")
UNORDERED = ("equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
FLOATS = ("f16", "bf16", "f32", "f64")
COMPARED = {
    **{f"b{w}": ORDER[:2] for w in (16, 32, 64)},
    **{f"s{w}": ORDER for w in (16, 32, 64)},
    **{f"u{w}": (*ORDER, "lo", "ls", "hi", "hs") for w in (16, 32, 64)},
    **dict.fromkeys(FLOATS, (*ORDER, *UNORDERED)),
}


def _row(instruction: str, operands: str, results: str, body: str = "", name: str = "", registers: str = "") -> Form:
    return elementwise("logic", instruction, operands, results, body, name=name, registers=registers)


def boolean() -> list[Form]:
    """Return and, or, xor, not, cnot, lop3."""
    rows = [_row(f"{op}.b{w}", f"b{w} b{w}", f"b{w}") for op, w in product(("and", "or", "xor"), (16, 32, 64))]
    rows += [_row(f"{op}.b{w}", f"b{w}", f"b{w}") for op, w in product(("not", "cnot"), (16, 32, 64))]
    rows += [_row(f"{op}.pred", "pred pred", "pred", name=f"{op}_pred") for op in ("and", "or", "xor")]
    rows.append(_row("not.pred", "pred", "pred"))
    for table in (0x00, 0x01, 0x17, 0x1E, 0x2D, 0x57, 0x6A, 0x80, 0x96, 0xAC, 0xB8, 0xCA, 0xE8, 0xF8, 0xFE, 0xFF):
        body = f"lop3.b32 %d0, %a0, %a1, %a2, {table:#x};"
        rows.append(_row("lop3.b32", "b32 b32 b32", "b32", body, f"lop3_b32_{table:02x}"))
    for op, table in product(("and", "or"), (0x80, 0x96)):
        body = f"lop3.{op}.b32 %d0|%d1, %a0, %a1, %a2, {table:#x}, %a3;"
        rows.append(_row(f"lop3.{op}.b32", "b32 b32 b32 pred", "b32 pred", body, f"lop3_{op}_b32_{table:02x}"))
    return rows


def permute() -> list[Form]:
    """Return prmt in all modes and mov between scalars and vectors."""
    rows = [
        _row("prmt.b32", "b32 b32 selector", "b32"),
        _row("prmt.b32", "b32 b32 u32", "b32", name="prmt_b32_any_selector"),
    ]
    rows += [_row(f"prmt.b32.{mode}", "b32 b32 u32", "b32") for mode in ("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")]
    moves = {
        "mov_b32_v2_b16": ("b16 b16", "b32", "mov.b32 %d0, {%a0, %a1};"),
        "mov_b64_v2_b32": ("b32 b32", "b64", "mov.b64 %d0, {%a0, %a1};"),
        "mov_b64_v4_b16": ("b16 b16 b16 b16", "b64", "mov.b64 %d0, {%a0, %a1, %a2, %a3};"),
        "mov_v2_b16_b32": ("b32", "b16 b16", "mov.b32 {%d0, %d1}, %a0;"),
        "mov_v2_b32_b64": ("b64", "b32 b32", "mov.b64 {%d0, %d1}, %a0;"),
        "mov_v4_b16_b64": ("b64", "b16 b16 b16 b16", "mov.b64 {%d0, %d1, %d2, %d3}, %a0;"),
        "mov_sink_b64": ("b64", "b32", "mov.b64 {_, %d0}, %a0;"),
    }
    rows += [_row("mov", ins, outs, body, name) for name, (ins, outs, body) in moves.items()]
    bytes4 = "cvt.u8.u32 %b0, %a0;\ncvt.u8.u32 %b1, %a1;\nmov.b32 %d0, {%b0, %b1, %b0, %b1};"
    rows.append(_row("mov.b32", "b32 b32", "b32", bytes4, "mov_b32_v4_b8", ".reg .b8 %b<2>;"))
    wide = "mov.b128 %w, {%a0, %a1};\nmov.b128 {%d0, %d1}, %w;"
    rows.append(_row("mov.b128", "b64 b64", "b64 b64", wide, registers=".reg .b128 %w;"))
    return rows


def _setp(instruction: str, t: str, operands: str, suffix: str = "") -> Form:
    """Return a setp row; scalar half precision has one destination, everything else `p|q`."""
    two = t not in {"f16", "bf16"}
    body = f"{instruction} {'%d0|%d1' if two else '%d0'}, {operands};"
    kinds = f"{t} {t}{' pred' if '%a2' in operands else ''}"
    return _row(instruction, kinds, "pred pred" if two else "pred", body, entry_name(instruction) + suffix)


def setp() -> list[Form]:
    """Return setp: every comparison, both destinations, boolean combination."""
    rows = []
    for t, comparisons in COMPARED.items():
        flushes = ("", ".ftz") if t in {"f16", "f32"} else ("",)
        for cmp, ftz in product(comparisons, flushes):
            rows.append(_setp(f"setp.{cmp}{ftz}.{t}", t, "%a0, %a1"))
    for t, op, inverted in product(("u32", "f32", "s64", "f16"), ("and", "or", "xor"), ("", "!")):
        rows.append(_setp(f"setp.lt.{op}.{t}", t, f"%a0, %a1, {inverted}%a2", "_not" if inverted else ""))
    for t, cmp in product(("f16x2", "bf16x2"), ("eq", "ne", "lt", "ge", "ltu", "geu", "num", "nan")):
        for ftz in ("", ".ftz") if t == "f16x2" else ("",):
            rows.append(_setp(f"setp.{cmp}{ftz}.{t}", t, "%a0, %a1"))
        rows.append(_setp(f"setp.{cmp}.and.{t}", t, "%a0, %a1, %a2"))
    return rows


def set_() -> list[Form]:
    """Return set: masks and ones, in integer and float destinations."""
    rows = []
    for d, t in product(("u32", "s32", "f32"), ("b32", "u16", "s32", "u64", "s64", "f32", "f64")):
        for cmp in ("eq", "ne") if t[0] == "b" else ("lt", "ge") if t[0] != "f" else ("lt", "geu", "num", "nan", "ne"):
            rows.append(_row(f"set.{cmp}.{d}.{t}", f"{t} {t}", d))
    for d, op in product(("u32", "f32"), ("and", "or", "xor")):
        body = f"set.gt.{op}.ftz.{d}.f32 %d0, %a0, %a1, %a2;"
        rows.append(_row(f"set.gt.{op}.ftz.{d}.f32", "f32 f32 pred", d, body))
    for half, cmp in product(("f16", "bf16"), ("eq", "lt", "leu", "nan")):
        for d in (half, "u16", "s16", "u32", "s32"):
            rows.append(_row(f"set.{cmp}.{d}.{half}", f"{half} {half}", d))
        rows.append(_row(f"set.{cmp}.{half}x2.{half}x2", f"{half}x2 {half}x2", f"{half}x2"))
    for t in ("b16", "u16", "s32", "u64", "f32", "f64"):
        rows.append(_row(f"set.ne.f16.{t}", f"{t} {t}", "f16"))
        rows.append(_row(f"set.ne.bf16.{t}", f"{t} {t}", "bf16"))
    rows.append(_row("set.lt.ftz.f16.f16", "f16 f16", "f16"))
    rows.append(_row("set.lt.ftz.f16x2.f16x2", "f16x2 f16x2", "f16x2"))
    return rows


def select() -> list[Form]:
    """Return selp and slct."""
    rows = []
    for t in ("b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"):
        rows.append(_row(f"selp.{t}", f"{t} {t} pred", t))
        rows.append(_row(f"slct.{t}.s32", f"{t} {t} s32", t))
        rows += [_row(f"slct{ftz}.{t}.f32", f"{t} {t} f32", t) for ftz in ("", ".ftz")]
    return rows


def copysign() -> list[Form]:
    """Return copysign and testp."""
    rows = [_row(f"copysign.{t}", f"{t} {t}", t) for t in ("f32", "f64")]
    kinds = ("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    return rows + [
        _row(f"testp.{k}.{t}", t, "pred", name=entry_name(f"testp.{k}.{t}")) for k, t in product(kinds, ("f32", "f64"))
    ]


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*boolean(), *permute(), *setp(), *set_(), *select(), *copysign()]
