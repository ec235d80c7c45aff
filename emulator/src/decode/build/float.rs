//! f32 and f64 arithmetic (ISA 9.7.3).

use super::{binary, float_modes, has, rounding, ternary, ty, unary, unsupported};
use crate::decode::lower::{Lower, Lowered};
use crate::exec::inst::Handler;
use crate::exec::lanes::{bin, tri, un};
use crate::num::approx;
use crate::num::float::{
    add32, add64, canonical, div32, div64, flush, fma32, fma64, max32, max64, min32, min64, mul32, mul64, rcp32, rcp64,
    sqrt32, sqrt64, sub32, sub64, NAN32,
};
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

/// A handler of a function with const parameter `<R>`.
macro_rules! rounded {
    ($shape:ident, $f:ident, $r:expr) => {
        match $r {
            0 => $shape($f::<0>),
            1 => $shape($f::<1>),
            2 => $shape($f::<2>),
            _ => $shape($f::<3>),
        }
    };
}

/// A handler of a function with const parameter `<FTZ>`.
macro_rules! flushed {
    ($shape:ident, $f:path, $ftz:expr) => {
        if $ftz {
            $shape({
                use $f as f;
                f::<true>
            })
        } else {
            $shape({
                use $f as f;
                f::<false>
            })
        }
    };
}

struct Mode {
    round: u8,
    ftz: bool,
    sat: bool,
    double: bool,
}

fn mode(i: &Instruction<'_>) -> Lowered<(Ty, Mode)> {
    let t = ty(i)?;
    let mode = Mode {
        round: rounding(i),
        ftz: has(i, "ftz"),
        sat: has(i, "sat"),
        double: t == Ty::F64,
    };
    Ok((t, mode))
}

pub(crate) fn arithmetic<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (t, m) = mode(i)?;
    let run = match (i.opcode, m.double) {
        ("add", false) => float_modes!(bin, add32, m.round, m.ftz, m.sat),
        ("sub", false) => float_modes!(bin, sub32, m.round, m.ftz, m.sat),
        ("mul", false) => float_modes!(bin, mul32, m.round, m.ftz, m.sat),
        ("div", false) => float_modes!(bin, div32, m.round, m.ftz, m.sat),
        ("add", true) => rounded!(bin, add64, m.round),
        ("sub", true) => rounded!(bin, sub64, m.round),
        ("mul", true) => rounded!(bin, mul64, m.round),
        (_, true) => rounded!(bin, div64, m.round),
        _ => return Err(unsupported(i)),
    };
    binary(l, i, run, (t, t, t))
}

/// `fma`, and `mad` on floats, which is the same for every target that we accept.
pub(crate) fn fma<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (t, m) = mode(i)?;
    let run = if m.double {
        rounded!(tri, fma64, m.round)
    } else {
        float_modes!(tri, fma32, m.round, m.ftz, m.sat)
    };
    ternary(l, i, run, (t, t, t, t))
}

/// `rcp` and `sqrt` with a rounding mode.
pub(crate) fn exact_unary<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (t, m) = mode(i)?;
    let run = match (i.opcode, m.double) {
        ("rcp", false) => float_modes!(un, rcp32, m.round, m.ftz, m.sat),
        ("rcp", true) => rounded!(un, rcp64, m.round),
        (_, false) => float_modes!(un, sqrt32, m.round, m.ftz, m.sat),
        (_, true) => rounded!(un, sqrt64, m.round),
    };
    unary(l, i, run, t, t)
}

pub(crate) fn approximate<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let ftz = has(i, "ftz");
    let run: Handler = match i.opcode {
        "sin" => flushed!(un, approx::sin, ftz),
        "cos" => flushed!(un, approx::cos, ftz),
        "ex2" => flushed!(un, approx::ex2, ftz),
        "lg2" => flushed!(un, approx::lg2, ftz),
        "tanh" => flushed!(un, approx::tanh, ftz),
        "rsqrt" => flushed!(un, approx::rsqrt, ftz),
        "rcp" => flushed!(un, approx::rcp, ftz),
        "sqrt" => flushed!(un, approx::sqrt, ftz),
        _ => return Err(unsupported(i)),
    };
    unary(l, i, run, Ty::F32, Ty::F32)
}

/// `rcp.approx.ftz.f64`, `rsqrt.approx{.ftz}.f64`.
pub(crate) fn approximate64<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = if i.opcode == "rcp" {
        un(approx::rcp64)
    } else if has(i, "ftz") {
        un(approx::rsqrt64)
    } else {
        un(|a: f64| 1.0 / a.sqrt())
    };
    unary(l, i, run, Ty::F64, Ty::F64)
}

pub(crate) fn approximate_div<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match (has(i, "full"), has(i, "ftz")) {
        (true, false) => bin(approx::div::<false, true>),
        (true, true) => bin(approx::div::<true, true>),
        (false, false) => bin(approx::div::<false, false>),
        (false, true) => bin(approx::div::<true, false>),
    };
    binary(l, i, run, (Ty::F32, Ty::F32, Ty::F32))
}

pub(crate) fn abs_neg<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (i.opcode, t, has(i, "ftz")) {
        ("abs", Ty::F64, _) => un(|a: f64| a.abs()),
        ("neg", Ty::F64, _) => un(|a: u64| a ^ 1 << 63),
        ("abs", _, false) => un(|a: f32| canonical(a.abs())),
        ("abs", _, true) => un(|a: f32| canonical(flush::<true>(a.abs()))),
        (_, _, false) => un(|a: f32| canonical(-a)),
        (_, _, true) => un(|a: f32| canonical(flush::<true>(-a))),
    };
    unary(l, i, run, t, t)
}

pub(crate) fn min_max<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let (least, nan, ftz) = (i.opcode == "min", has(i, "NaN"), has(i, "ftz"));
    if i.operands.len() == 4 {
        return Err(unsupported(i));
    }
    if has(i, "xorsign") {
        macro_rules! signed {
            ($f:expr, $ftz:literal) => {
                bin(|a: f32, b: f32| {
                    let (a, b) = (flush::<$ftz>(a), flush::<$ftz>(b));
                    xor_sign($f(a.abs(), b.abs()), a, b)
                })
            };
        }
        let run = match (least, nan, ftz) {
            (true, false, false) => signed!(min32::<false>, false),
            (true, true, false) => signed!(min32::<true>, false),
            (false, false, false) => signed!(max32::<false>, false),
            (false, true, false) => signed!(max32::<true>, false),
            (true, false, true) => signed!(min32::<false>, true),
            (true, true, true) => signed!(min32::<true>, true),
            (false, false, true) => signed!(max32::<false>, true),
            (false, true, true) => signed!(max32::<true>, true),
        };
        return binary(l, i, run, (t, t, t));
    }
    let run = match (t, least, nan, ftz) {
        (Ty::F64, true, _, _) => bin(min64::<false>),
        (Ty::F64, false, _, _) => bin(max64::<false>),
        (_, true, false, false) => bin(|a, b| canonical(min32::<false>(a, b))),
        (_, true, true, false) => bin(|a, b| canonical(min32::<true>(a, b))),
        (_, false, false, false) => bin(|a, b| canonical(max32::<false>(a, b))),
        (_, false, true, false) => bin(|a, b| canonical(max32::<true>(a, b))),
        (_, true, false, true) => bin(|a, b| canonical(min32::<false>(flush::<true>(a), flush::<true>(b)))),
        (_, true, true, true) => bin(|a, b| canonical(min32::<true>(flush::<true>(a), flush::<true>(b)))),
        (_, false, false, true) => bin(|a, b| canonical(max32::<false>(flush::<true>(a), flush::<true>(b)))),
        (_, false, true, true) => bin(|a, b| canonical(max32::<true>(flush::<true>(a), flush::<true>(b)))),
    };
    binary(l, i, run, (t, t, t))
}

#[inline(always)]
fn xor_sign(magnitude: f32, a: f32, b: f32) -> f32 {
    if magnitude.is_nan() {
        return f32::from_bits(NAN32);
    }
    f32::from_bits(magnitude.to_bits() | ((a.to_bits() ^ b.to_bits()) & 0x8000_0000))
}

pub(crate) fn copysign<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = if t == Ty::F64 {
        bin(|a: f64, b: f64| b.copysign(a))
    } else {
        bin(|a: f32, b: f32| b.copysign(a))
    };
    binary(l, i, run, (t, t, t))
}

/// `testp`.
pub(crate) fn testp<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    use crate::exec::lanes::compare;
    let t = ty(i)?;
    macro_rules! tests {
        ($f:ty) => {
            match i.modifiers[0] {
                "finite" => compare(|a: $f, _: $f| a.is_finite()),
                "infinite" => compare(|a: $f, _: $f| a.is_infinite()),
                "number" => compare(|a: $f, _: $f| !a.is_nan()),
                "notanumber" => compare(|a: $f, _: $f| a.is_nan()),
                // Zero counts as normal: what is not subnormal, infinite or NaN.
                "normal" => compare(|a: $f, _: $f| a.is_normal() || a == 0.0),
                _ => compare(|a: $f, _: $f| a.is_subnormal()),
            }
        };
    }
    let run = if t == Ty::F64 { tests!(f64) } else { tests!(f32) };
    let o = super::operands(i, 2, 2)?;
    let a = l.src(&o[1], t)?;
    let dst = l.dst_pred(&o[0])?;
    l.emit(crate::exec::inst::Inst {
        dst,
        a,
        b: a,
        extra: crate::exec::inst::NO_GUARD,
        ..crate::decode::lower::blank(run)
    });
    Ok(())
}
