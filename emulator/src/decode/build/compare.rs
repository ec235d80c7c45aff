//! Comparison and selection (ISA 9.7.5, 9.7.6, 9.7.7).

// The unordered comparisons are the negated ordered ones: that is how they hold for NaN.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::{has, operands, ternary, ty, typed, types, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::{Handler, Inst, NO_GUARD};
use crate::exec::lanes::{compare, compare_set, compare_with, select, tri};
use crate::num::float::flush;
use crate::num::half::{bf16_to_f32, f16_to_f32, flush16};
use crate::ptx::tree::{Instruction, OperandKind};
use crate::ptx::types::{Class, Ty};

/// A comparison on integers, as a handler of the given shape.
macro_rules! integers {
    ($shape:ident, $op:expr, $t:ty) => {
        match $op {
            "eq" => $shape(|a: $t, b: $t| a == b),
            "ne" => $shape(|a: $t, b: $t| a != b),
            "lt" | "lo" => $shape(|a: $t, b: $t| a < b),
            "le" | "ls" => $shape(|a: $t, b: $t| a <= b),
            "gt" | "hi" => $shape(|a: $t, b: $t| a > b),
            _ => $shape(|a: $t, b: $t| a >= b),
        }
    };
}

/// A comparison on floats; the `u` forms hold for NaN.
macro_rules! floats {
    ($shape:ident, $op:expr, $t:ty, $x:ident => $value:expr) => {
        match $op {
            "eq" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) == f(b)
            }),
            "ne" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) < f(b) || f(a) > f(b)
            }),
            "lt" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) < f(b)
            }),
            "le" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) <= f(b)
            }),
            "gt" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) > f(b)
            }),
            "ge" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) >= f(b)
            }),
            "equ" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !(f(a) < f(b) || f(a) > f(b))
            }),
            "neu" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a) != f(b)
            }),
            "ltu" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !(f(a) >= f(b))
            }),
            "leu" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !(f(a) > f(b))
            }),
            "gtu" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !(f(a) <= f(b))
            }),
            "geu" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !(f(a) < f(b))
            }),
            "num" => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                !f(a).is_nan() && !f(b).is_nan()
            }),
            _ => $shape(|a: $t, b: $t| {
                let f = |$x: $t| $value;
                f(a).is_nan() || f(b).is_nan()
            }),
        }
    };
}

macro_rules! comparison {
    ($shape:ident, $i:expr, $op:expr, $ty:expr, $ftz:expr) => {
        match $ty {
            Ty::U16 | Ty::B16 => integers!($shape, $op, u16),
            Ty::U32 | Ty::B32 => integers!($shape, $op, u32),
            Ty::U64 | Ty::B64 => integers!($shape, $op, u64),
            Ty::S16 => integers!($shape, $op, i16),
            Ty::S32 => integers!($shape, $op, i32),
            Ty::S64 => integers!($shape, $op, i64),
            Ty::F16 if $ftz => floats!($shape, $op, u16, x => f16_to_f32(flush16::<true>(x))),
            Ty::F16 => floats!($shape, $op, u16, x => f16_to_f32(x)),
            Ty::Bf16 => floats!($shape, $op, u16, x => bf16_to_f32(x)),
            Ty::F32 if $ftz => floats!($shape, $op, f32, x => flush::<true>(x)),
            Ty::F32 => floats!($shape, $op, f32, x => x),
            Ty::F64 => floats!($shape, $op, f64, x => x),
            _ => return Err(unsupported($i)),
        }
    };
}

const OPERATORS: &str = "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan";

/// The operator, checked against the type's class.
pub(super) fn operator<'t>(i: &Instruction<'t>, t: Ty) -> Lowered<&'t str> {
    let found = i.modifiers.iter().find(|m| OPERATORS.split(' ').any(|o| o == **m));
    let op = found.ok_or_else(|| unsupported(i))?;
    let allowed = match t.class() {
        Class::Bits => matches!(*op, "eq" | "ne"),
        Class::Unsigned => matches!(*op, "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "lo" | "ls" | "hi" | "hs"),
        Class::Signed => matches!(*op, "eq" | "ne" | "lt" | "le" | "gt" | "ge"),
        _ => !matches!(*op, "lo" | "ls" | "hi" | "hs"),
    };
    if allowed {
        Ok(op)
    } else {
        Err(unsupported(i))
    }
}

/// How the result combines with a predicate: none, and, or, xor.
pub(super) fn combination(i: &Instruction<'_>) -> u64 {
    ["and", "or", "xor"]
        .iter()
        .position(|b| has(i, b))
        .map_or(0, |n| n as u64 + 1)
}

pub(crate) fn setp<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    if matches!(t, Ty::F16x2 | Ty::Bf16x2) {
        return Err(unsupported(i));
    }
    let op = operator(i, t)?;
    let with = combination(i);
    let o = operands(i, if with == 0 { 3 } else { 4 }, if with == 0 { 3 } else { 4 })?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let c = if with == 0 { 0 } else { l.src_pred(&o[3])? };
    let (dst, extra) = match &o[0].kind {
        OperandKind::Pair(p, q) => (l.dst_pred(p)?, l.dst_pred(q)?),
        _ => (l.dst_pred(&o[0])?, NO_GUARD),
    };
    let ftz = has(i, "ftz");
    let run: Handler = if with == 0 {
        comparison!(compare, i, op, t, ftz)
    } else {
        comparison!(compare_with, i, op, t, ftz)
    };
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: with,
        extra,
        ..blank(run)
    });
    Ok(())
}

/// The comparison of a `set`, into a predicate of its own.
pub(super) fn to_predicate<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<u32> {
    let t = ty(i)?;
    let op = operator(i, t)?;
    let with = combination(i);
    let count = 3 + usize::from(with != 0);
    let o = operands(i, count, count)?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let c = if with == 0 { 0 } else { l.src_pred(&o[3])? };
    let dst = l.new_slot(Ty::Pred)?;
    let run: Handler = comparison!(compare_with, i, op, t, has(i, "ftz"));
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: with,
        extra: NO_GUARD,
        ..blank(run)
    });
    Ok(dst)
}

pub(crate) fn set<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    let [d, t] = list[..] else { return Err(unsupported(i)) };
    if !matches!(d, Ty::U32 | Ty::S32 | Ty::F32) {
        return Err(unsupported(i));
    }
    let op = operator(i, t)?;
    let with = combination(i);
    let o = operands(i, if with == 0 { 3 } else { 4 }, if with == 0 { 3 } else { 4 })?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let c = if with == 0 { 0 } else { l.src_pred(&o[3])? };
    let dst = l.dst(&o[0], d)?;
    let ftz = has(i, "ftz");
    let run: Handler = comparison!(compare_set, i, op, t, ftz);
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: with | u64::from(d == Ty::F32) << 8,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn selp<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match t.bytes() {
        2 => select(|a: u16| a),
        4 => select(|a: u32| a),
        8 => select(|a: u64| a),
        _ => return Err(unsupported(i)),
    };
    let o = operands(i, 4, 4)?;
    let (a, b, c) = (l.src(&o[1], t)?, l.src(&o[2], t)?, l.src_pred(&o[3])?);
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        ..blank(run)
    });
    Ok(())
}

/// `slct`: c >= 0 ? a : b.
pub(crate) fn slct<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    let [t, c] = list[..] else { return Err(unsupported(i)) };
    let bits = crate::decode::lower::bits_of(t);
    let run = if c == Ty::S32 {
        typed!(i, bits, T in [B16: u16, B32: u32, B64: u64] tri(|a: T, b: T, c: i32| if c >= 0 { a } else { b }))
    } else if has(i, "ftz") {
        typed!(i, bits, T in [B16: u16, B32: u32, B64: u64]
            tri(|a: T, b: T, c: f32| if flush::<true>(c) >= 0.0 { a } else { b }))
    } else {
        typed!(i, bits, T in [B16: u16, B32: u32, B64: u64] tri(|a: T, b: T, c: f32| if c >= 0.0 { a } else { b }))
    };
    ternary(l, i, run, (t, t, t, c))
}
