"""cvt between all types, packed and FP8 conversions, cvt.pack (PTX ISA 9.7.9.21, 9.7.9.22)."""

from __future__ import annotations

from itertools import product

from .form import Form, Result, elementwise
from .rules import EXACT, Rule

INTEGERS = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
FLOATS = ("bf16", "f16", "f32", "f64")
WIDTH = {"bf16": 16, "f16": 16, "f32": 32, "f64": 64}
REAL_ROUNDINGS = (".rn", ".rz", ".rm", ".rp")
INTEGER_ROUNDINGS = (".rni", ".rzi", ".rmi", ".rpi")
TAILS = {"f32": ("", ".ftz", ".sat", ".ftz.sat"), "bf16": ("",)}
"""Modifiers of float to integer; bf16 takes none."""
EIGHT = ("e4m3x2", "e5m2x2")


def _row(instruction: str, operands: str, result: str, body: str = "", name: str = "") -> Form:
    rule = Rule("f64", any_nan=True) if result == "f64" else EXACT
    stored = "b32" if result in {"u8", "s8"} else result  # an 8-bit result is extended to its register: compare it all
    return elementwise("conversions", instruction, operands, [Result(stored, rule)], body, name=name)


def _brain_bytes(instruction: str, d: str, a: str) -> Form:
    """Return a row of bf16 and an 8-bit integer: the only conversions that demand an 8-bit register."""
    if d == "bf16":
        body = f"cvt.{a}.{a[0]}32 %n, %a0;\n{instruction} %d0, %n;"
        return elementwise("conversions", instruction, a, "bf16", body, registers=".reg .b8 %n;")
    body = f"{instruction} %n, %a0;\ncvt.{d[0]}32.{d} %d0, %n;"
    return elementwise("conversions", instruction, f"bound_{a}", "b32", body, registers=".reg .b8 %n;")


def integers() -> list[Form]:
    """Return integer to integer, plain and saturating."""
    rows = []
    for d, a in product(INTEGERS, INTEGERS):
        rows.append(_row(f"cvt.{d}.{a}", a, d))
        if not _holds(d, a):
            rows.append(_row(f"cvt.sat.{d}.{a}", a, d))
    return rows


def _holds(d: str, a: str) -> bool:
    """Return whether every value of `a` is one of `d`; .sat is then refused."""
    room = int(d[1:]) - int(a[1:])
    return room >= 0 if d[0] == a[0] else d[0] == "s" and room > 0


def from_integers() -> list[Form]:
    """Return integer to float in every rounding."""
    rows = []
    for d, a, rnd in product(FLOATS, INTEGERS, REAL_ROUNDINGS):
        special = d == "bf16" and a[1:] == "8"
        rows.append(_brain_bytes(f"cvt{rnd}.{d}.{a}", d, a) if special else _row(f"cvt{rnd}.{d}.{a}", a, d))
    return rows


def to_integers() -> list[Form]:
    """Return float to integer in every rounding, flushed and saturating."""
    rows = []
    for d, a, rnd in product(INTEGERS, FLOATS, INTEGER_ROUNDINGS):
        if a == "bf16" and d[1:] == "8":
            rows.append(_brain_bytes(f"cvt{rnd}.{d}.{a}", d, a))
            continue
        tails = TAILS.get(a, ("", ".sat"))
        rows += [_row(f"cvt{rnd}{tail}.{d}.{a}", f"bound_{a}", d) for tail in tails]
    return rows


def reals() -> list[Form]:
    """Return float to float: narrowing, widening, rounding to integers."""
    rows = []
    for d, a in product(FLOATS, FLOATS):
        flushes = ("", ".ftz") if "f32" in {d, a} else ("",)
        if d == a:
            modes: tuple[str, ...] = ("", *INTEGER_ROUNDINGS)
        elif WIDTH[d] > WIDTH[a]:
            modes = ("",)
        else:
            modes = REAL_ROUNDINGS
        saturating = ("",) if "bf16" in {d, a} else ("", ".sat")
        for rnd, ftz, sat in product(modes, flushes, saturating):
            rows.append(_row(f"cvt{rnd}{ftz}{sat}.{d}.{a}", f"bound_{a}" if d == a else a, d))
    return rows


def packed() -> list[Form]:
    """Return conversions to and from packed and narrow types."""
    rows = []
    for d, rnd, relu, sat in product(("f16x2", "bf16x2"), (".rn", ".rz"), ("", ".relu"), ("", ".satfinite")):
        rows.append(_row(f"cvt{rnd}{relu}{sat}.{d}.f32", "f32 f32", d))
    for d, rnd, relu, sat in product(("f16", "bf16"), (".rn", ".rz"), ("", ".relu"), ("", ".satfinite")):
        if relu or sat:
            rows.append(_row(f"cvt{rnd}{relu}{sat}.{d}.f32", "f32", d))
    rows += [
        _row(f"cvt{m}.tf32.f32", "f32", "tf32")
        for m in (".rna", ".rn", ".rz", ".rn.relu", ".rz.relu", ".rna.satfinite")
    ]
    for d, relu in product(EIGHT, ("", ".relu")):
        rows.append(_row(f"cvt.rn.satfinite{relu}.{d}.f32", "f32 f32", d))
        rows.append(_row(f"cvt.rn.satfinite{relu}.{d}.f16x2", "f16x2", d))
        rows.append(_row(f"cvt.rn{relu}.f16x2.{d}", d, "f16x2"))
    rows += [_row(f"cvt.pack.sat.{d}.s32", "s32 s32", "b32") for d in ("u16", "s16")]
    rows += [_row(f"cvt.pack.sat.{d}.s32.b32", "s32 s32 b32", "b32") for d in ("u8", "s8", "u4", "s4", "u2", "s2")]
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*integers(), *from_integers(), *to_integers(), *reals(), *packed()]
