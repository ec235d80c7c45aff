"""Floating point: f32 and f64 (PTX ISA 9.7.3), f16 and bf16 with their packed types (9.7.4).

NaN results: single and half precision return the canonical NaN, so bits are compared; for double precision the ISA does
not fix the payload. Bounds of the approximations are those of the ISA's sections on each instruction.
"""

from __future__ import annotations

from itertools import product

from .form import Form, Result, elementwise
from .rules import EXACT, Rule

ROUNDINGS = (".rn", ".rz", ".rm", ".rp")
ANY_NAN_F64 = Rule("f64", any_nan=True)


def _row(instruction: str, t: str, arity: int, rule: Rule = EXACT, kinds: str = "", name: str = "") -> Form:
    if t == "f64" and rule is EXACT:
        rule = ANY_NAN_F64
    return elementwise("floats", instruction, kinds or " ".join([t] * arity), [Result(t, rule)], name=name)


def single() -> list[Form]:
    """Return f32: arithmetic in every rounding, flush and saturation mode."""
    rows = []
    for op, rnd, ftz, sat in product(("add", "sub", "mul"), ("", *ROUNDINGS), ("", ".ftz"), ("", ".sat")):
        rows.append(_row(f"{op}{rnd}{ftz}{sat}.f32", "f32", 2))
    for op, rnd, ftz, sat in product(("fma", "mad"), ROUNDINGS, ("", ".ftz"), ("", ".sat")):
        rows.append(_row(f"{op}{rnd}{ftz}{sat}.f32", "f32", 3))
    for rnd, ftz in product(ROUNDINGS, ("", ".ftz")):
        rows.append(_row(f"div{rnd}{ftz}.f32", "f32", 2))
        rows += [_row(f"{op}{rnd}{ftz}.f32", "f32", 1, kinds="bound_f32") for op in ("rcp", "sqrt")]
    for op, ftz in product(("abs", "neg"), ("", ".ftz")):
        rows.append(_row(f"{op}{ftz}.f32", "f32", 1))
    for op, ftz, nan, xor in product(("min", "max"), ("", ".ftz"), ("", ".NaN"), ("", ".xorsign.abs")):
        rows.append(_row(f"{op}{ftz}{nan}{xor}.f32", "f32", 2))
    return rows


def double() -> list[Form]:
    """Return f64: arithmetic in every rounding."""
    rows = []
    for op, rnd in product(("add", "sub", "mul"), ("", *ROUNDINGS)):
        rows.append(_row(f"{op}{rnd}.f64", "f64", 2))
    for rnd in ROUNDINGS:
        rows += [_row(f"{op}{rnd}.f64", "f64", 3) for op in ("fma", "mad")]
        rows.append(_row(f"div{rnd}.f64", "f64", 2))
        rows += [_row(f"{op}{rnd}.f64", "f64", 1) for op in ("rcp", "sqrt")]
    rows += [_row(f"{op}.f64", "f64", 1) for op in ("abs", "neg")]
    rows += [_row(f"{op}.f64", "f64", 2) for op in ("min", "max")]
    return rows


def approximate() -> list[Form]:
    """Return the approximations, with the ISA's bounds."""
    rows = []
    ulp1, ulp2 = Rule("f32", ulp=1), Rule("f32", ulp=2)
    for ftz in ("", ".ftz"):
        rows.append(_row(f"div.approx{ftz}.f32", "f32", 2, ulp2))
        rows.append(_row(f"div.full{ftz}.f32", "f32", 2, ulp2))
        rows.append(_row(f"rcp.approx{ftz}.f32", "f32", 1, ulp1))
        rows.append(_row(f"sqrt.approx{ftz}.f32", "f32", 1, Rule("f32", ulp=1, relative=2.0**-23)))
        rows.append(_row(f"rsqrt.approx{ftz}.f32", "f32", 1, Rule("f32", ulp=1, relative=2.0**-22.9)))
        for op in ("sin", "cos"):
            rows.append(_row(f"{op}.approx{ftz}.f32", "f32", 1, Rule("f32", absolute=2.0**-20.5), "angle"))
        lg2 = Rule("f32", absolute=2.0**-22, relative=2.0**-22)
        rows.append(_row(f"lg2.approx{ftz}.f32", "f32", 1, lg2))
        rows.append(_row(f"lg2.approx{ftz}.f32", "f32", 1, lg2, "posf32", f"lg2_approx{ftz[1:]}_f32_positive"))
        rows.append(_row(f"ex2.approx{ftz}.f32", "f32", 1, ulp2))
    rows.append(_row("tanh.approx.f32", "f32", 1, Rule("f32", relative=2.0**-11)))
    coarse = Rule("f64", any_nan=True, relative=2.0**-20)
    rows += [_row(f"{op}.approx.ftz.f64", "f64", 1, coarse) for op in ("rcp", "rsqrt")]
    rows.append(_row("rsqrt.approx.f64", "f64", 1, Rule("f64", any_nan=True, ulp=2)))
    return rows


def half() -> list[Form]:
    """Return f16 and f16x2."""
    rows = []
    for t in ("f16", "f16x2"):
        for op, rnd, ftz, sat in product(("add", "sub", "mul"), ("", ".rn"), ("", ".ftz"), ("", ".sat")):
            rows.append(_row(f"{op}{rnd}{ftz}{sat}.{t}", t, 2))
        for ftz, tail in product(("", ".ftz"), ("", ".sat", ".relu")):
            rows.append(_row(f"fma.rn{ftz}{tail}.{t}", t, 3))
        for op, ftz in product(("abs", "neg"), ("", ".ftz")):
            rows.append(_row(f"{op}{ftz}.{t}", t, 1))
        for op, ftz, nan, xor in product(("min", "max"), ("", ".ftz"), ("", ".NaN"), ("", ".xorsign.abs")):
            rows.append(_row(f"{op}{ftz}{nan}{xor}.{t}", t, 2))
        rows.append(_row(f"tanh.approx.{t}", t, 1, Rule("f16", absolute=2.0**-10.987)))
        rows.append(_row(f"ex2.approx.{t}", t, 1, Rule("f16", relative=2.0**-9.9, ulp=1)))
        rows += [_row(f"fma.rn.oob{relu}.{t}", t, 3) for relu in ("", ".relu")]
    return rows


def brain() -> list[Form]:
    """Return bf16 and bf16x2."""
    rows = []
    for t in ("bf16", "bf16x2"):
        rows += [_row(f"{op}{rnd}.{t}", t, 2) for op, rnd in product(("add", "sub", "mul"), ("", ".rn"))]
        rows += [_row(f"fma.rn{tail}.{t}", t, 3) for tail in ("", ".relu", ".oob", ".oob.relu")]
        rows += [_row(f"{op}.{t}", t, 1) for op in ("abs", "neg")]
        for op, nan, xor in product(("min", "max"), ("", ".NaN"), ("", ".xorsign.abs")):
            rows.append(_row(f"{op}{nan}{xor}.{t}", t, 2))
        rows.append(_row(f"tanh.approx.{t}", t, 1, Rule("bf16", absolute=2.0**-8, relative=2.0**-8)))
        rows.append(_row(f"ex2.approx.ftz.{t}", t, 1, Rule("bf16", relative=2.0**-7)))
    return rows


def rows() -> list[Form]:
    """Return all rows of this file."""
    return [*single(), *double(), *approximate(), *half(), *brain()]
