//! f16, f16x2, bf16 and bf16x2 arithmetic (ISA 9.7.4).

use super::{binary, has, ternary, ty, unary};
use crate::decode::lower::{Lower, Lowered};
use crate::exec::inst::Handler;
use crate::exec::lanes::{bin, tri, un};
use crate::num::float::canonical;
use crate::num::half::{
    abs, add, both1, both2, both3, f16_to_f32, f32_to_f16, fma, fma_oob, max, min, mul, neg, signed, sub, Bf16, Half,
    F16,
};
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

/// A two-operand function on 16-bit values, on the scalar or on both halves.
macro_rules! two {
    ($packed:expr, $f:expr) => {
        if $packed {
            bin(|a: u32, b: u32| both2(a, b, $f))
        } else {
            bin(|a: u16, b: u16| $f(a, b))
        }
    };
}

fn is_packed(t: Ty) -> bool {
    matches!(t, Ty::F16x2 | Ty::Bf16x2)
}

fn is_brain(t: Ty) -> bool {
    matches!(t, Ty::Bf16 | Ty::Bf16x2)
}

/// `add`, `sub`, `mul`.
pub(crate) fn arithmetic<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let packed = is_packed(t);
    macro_rules! modes {
        ($f:ident) => {
            match (is_brain(t), has(i, "ftz"), has(i, "sat")) {
                (true, _, _) => two!(packed, $f::<Bf16, false, false>),
                (_, false, false) => two!(packed, $f::<F16, false, false>),
                (_, true, false) => two!(packed, $f::<F16, true, false>),
                (_, false, true) => two!(packed, $f::<F16, false, true>),
                (_, true, true) => two!(packed, $f::<F16, true, true>),
            }
        };
    }
    let run = match i.opcode {
        "add" => modes!(add),
        "sub" => modes!(sub),
        _ => modes!(mul),
    };
    binary(l, i, run, (t, t, t))
}

pub(crate) fn fused<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    macro_rules! three {
        ($f:expr) => {
            if is_packed(t) {
                tri(|a: u32, b: u32, c: u32| both3(a, b, c, $f))
            } else {
                tri(|a: u16, b: u16, c: u16| $f(a, b, c))
            }
        };
    }
    if has(i, "oob") {
        let run = match (is_brain(t), has(i, "relu")) {
            (true, false) => three!(fma_oob::<Bf16, false>),
            (true, true) => three!(fma_oob::<Bf16, true>),
            (false, false) => three!(fma_oob::<F16, false>),
            (false, true) => three!(fma_oob::<F16, true>),
        };
        return ternary(l, i, run, (t, t, t, t));
    }
    let run: Handler = match (is_brain(t), has(i, "ftz"), has(i, "sat"), has(i, "relu")) {
        (true, _, _, false) => three!(fma::<Bf16, false, false, false>),
        (true, _, _, true) => three!(fma::<Bf16, false, false, true>),
        (_, false, false, false) => three!(fma::<F16, false, false, false>),
        (_, true, false, false) => three!(fma::<F16, true, false, false>),
        (_, false, true, _) => three!(fma::<F16, false, true, false>),
        (_, true, true, _) => three!(fma::<F16, true, true, false>),
        (_, false, false, true) => three!(fma::<F16, false, false, true>),
        (_, true, false, true) => three!(fma::<F16, true, false, true>),
    };
    ternary(l, i, run, (t, t, t, t))
}

pub(crate) fn min_max<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let packed = is_packed(t);
    if has(i, "xorsign") {
        return signed_extremum(l, i, t);
    }
    macro_rules! modes {
        ($f:ident) => {
            match (is_brain(t), has(i, "ftz"), has(i, "NaN")) {
                (true, _, false) => two!(packed, $f::<Bf16, false, false>),
                (true, _, true) => two!(packed, $f::<Bf16, false, true>),
                (_, false, false) => two!(packed, $f::<F16, false, false>),
                (_, true, false) => two!(packed, $f::<F16, true, false>),
                (_, false, true) => two!(packed, $f::<F16, false, true>),
                (_, true, true) => two!(packed, $f::<F16, true, true>),
            }
        };
    }
    let run = if i.opcode == "min" { modes!(min) } else { modes!(max) };
    binary(l, i, run, (t, t, t))
}

/// `min.xorsign.abs`, `max.xorsign.abs`.
fn signed_extremum<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, t: Ty) -> Lowered<()> {
    let packed = is_packed(t);
    macro_rules! modes {
        ($least:literal) => {
            match (is_brain(t), has(i, "ftz"), has(i, "NaN")) {
                (true, _, false) => two!(packed, signed::<Bf16, false, false, $least>),
                (true, _, true) => two!(packed, signed::<Bf16, false, true, $least>),
                (_, false, false) => two!(packed, signed::<F16, false, false, $least>),
                (_, true, false) => two!(packed, signed::<F16, true, false, $least>),
                (_, false, true) => two!(packed, signed::<F16, false, true, $least>),
                (_, true, true) => two!(packed, signed::<F16, true, true, $least>),
            }
        };
    }
    let run = if i.opcode == "min" { modes!(true) } else { modes!(false) };
    binary(l, i, run, (t, t, t))
}

/// `abs`, `neg`: the sign bit changes, and a NaN becomes the canonical one.
pub(crate) fn abs_neg<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    macro_rules! modes {
        ($f:ident) => {
            match (is_brain(t), is_packed(t), has(i, "ftz")) {
                (true, false, _) => un($f::<Bf16, false>),
                (true, true, _) => un(|a: u32| both1(a, $f::<Bf16, false>)),
                (_, false, false) => un($f::<F16, false>),
                (_, false, true) => un($f::<F16, true>),
                (_, true, false) => un(|a: u32| both1(a, $f::<F16, false>)),
                (_, true, true) => un(|a: u32| both1(a, $f::<F16, true>)),
            }
        };
    }
    let run = if i.opcode == "abs" { modes!(abs) } else { modes!(neg) };
    unary(l, i, run, t, t)
}

/// `ex2.approx`, `tanh.approx` on 16-bit values: through f64, rounded once.
pub(crate) fn approximate<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    fn one<H: Half, const TANH: bool>(a: u16) -> u16 {
        let x = f64::from(H::wide(a));
        H::narrow64(if TANH { x.tanh() } else { x.exp2() })
    }
    let run = match (i.opcode == "tanh", is_brain(t), is_packed(t)) {
        (true, false, false) => un(one::<F16, true>),
        (true, false, true) => un(|a: u32| both1(a, one::<F16, true>)),
        (true, true, false) => un(one::<Bf16, true>),
        (true, true, true) => un(|a: u32| both1(a, one::<Bf16, true>)),
        (false, false, false) => un(one::<F16, false>),
        (false, false, true) => un(|a: u32| both1(a, one::<F16, false>)),
        (false, true, false) => un(one::<Bf16, false>),
        (false, true, true) => un(|a: u32| both1(a, one::<Bf16, false>)),
    };
    unary(l, i, run, t, t)
}

/// Conversions that need no rounding mode from the general path: the fast pair f16 and f32.
pub(crate) fn narrow_f16() -> Handler {
    un(f32_to_f16)
}

pub(crate) fn widen_f16() -> Handler {
    un(|a: u16| canonical(f16_to_f32(a)))
}
