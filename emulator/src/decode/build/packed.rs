//! Comparisons of f16x2 and bf16x2 (ISA 9.7.7), `set` with 16-bit results, and `lop3` with a truth value.

use super::compare::{combination, operator};
use super::{has, operands, ty, types, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Handler, Inst, NO_GUARD};
use crate::exec::lanes::{compare_with, handler, select, wide};
use crate::num::half::{bf16_to_f32, f16_to_f32, flush16};
use crate::ptx::tree::{Instruction, OperandKind};
use crate::ptx::types::Ty;

/// How two values compare, one bit each.
const LESS: u64 = 1;
const EQUAL: u64 = 2;
const GREATER: u64 = 4;
const UNORDERED: u64 = 8;

/// The relations for which an operator holds.
fn accepted(operator: &str) -> u64 {
    match operator {
        "eq" => EQUAL,
        "ne" => LESS | GREATER,
        "lt" => LESS,
        "le" => LESS | EQUAL,
        "gt" => GREATER,
        "ge" => GREATER | EQUAL,
        "equ" => EQUAL | UNORDERED,
        "neu" => LESS | GREATER | UNORDERED,
        "ltu" => LESS | UNORDERED,
        "leu" => LESS | EQUAL | UNORDERED,
        "gtu" => GREATER | UNORDERED,
        "geu" => GREATER | EQUAL | UNORDERED,
        "num" => LESS | EQUAL | GREATER,
        _ => UNORDERED,
    }
}

#[inline(always)]
fn relation(a: f32, b: f32) -> u64 {
    if a < b {
        LESS
    } else if a == b {
        EQUAL
    } else if a > b {
        GREATER
    } else {
        UNORDERED
    }
}

/// `Inst::imm` of the handlers: the accepted relations, from bit 8 on the combination with the predicate in `c`, from
/// bit 32 on what `set` gives in each half where it holds.
const WITH_SHIFT: u32 = 8;
const YES_SHIFT: u32 = 32;

/// The lanes for which both the low and the high halves compare as asked.
#[inline(always)]
fn hits(x: &Ctx<'_>, i: &Inst, widen: impl Fn(u16) -> f32) -> (u32, u32) {
    let (a, b) = (x.lanes::<u32>(i.a), x.lanes::<u32>(i.b));
    let (mut low, mut high) = (0u32, 0u32);
    for l in 0..32 {
        let down = relation(widen(a[l] as u16), widen(b[l] as u16)) & i.imm != 0;
        let up = relation(widen((a[l] >> 16) as u16), widen((b[l] >> 16) as u16)) & i.imm != 0;
        low |= u32::from(down) << l;
        high |= u32::from(up) << l;
    }
    let combine = |hits: u32| match i.imm >> WITH_SHIFT & 3 {
        1 => hits & x.pred(i.c),
        2 => hits | x.pred(i.c),
        3 => hits ^ x.pred(i.c),
        _ => hits,
    };
    (combine(low), combine(high))
}

handler! {
    /// `setp p|q`: p of the low halves, q (slot `extra`) of the high ones.
    setp_halves<[], F: Fn(u16) -> f32>(x, i, mask) {
        let (low, high) = hits(x, i, crate::exec::lanes::operation::<F>());
        x.put_pred(i.dst, low, mask);
        if i.extra != NO_GUARD {
            x.put_pred(i.extra, high, mask);
        }
        Flow::Next
    }
}

handler! {
    /// `set`: 1.0 in each half that compares as asked.
    set_halves<[], F: Fn(u16) -> f32>(x, i, mask) {
        let (low, high) = hits(x, i, crate::exec::lanes::operation::<F>());
        let yes = (i.imm >> YES_SHIFT) as u32;
        let mut out = [0u32; 32];
        for l in 0..32 {
            out[l] = (low >> l & 1) * yes | (high >> l & 1) * (yes << 16);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

macro_rules! widening {
    ($shape:ident, $i:expr, $t:expr) => {
        match ($t, has($i, "ftz")) {
            (Ty::F16x2, false) => $shape(f16_to_f32),
            (Ty::F16x2, true) => $shape(|a: u16| f16_to_f32(flush16::<true>(a))),
            (Ty::Bf16x2, false) => $shape(bf16_to_f32),
            _ => return Err(unsupported($i)),
        }
    };
}

/// Operands of both: a, b, the predicate or 0, and `imm`.
fn compared<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, t: Ty) -> Lowered<(u32, u32, u32, u64)> {
    let with = combination(i);
    let count = 3 + usize::from(with != 0);
    let o = operands(i, count, count)?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let c = if with == 0 { 0 } else { l.src_pred(&o[3])? };
    Ok((a, b, c, accepted(operator(i, t)?) | with << WITH_SHIFT))
}

pub(crate) fn setp<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run: Handler = widening!(setp_halves, i, t);
    let (a, b, c, imm) = compared(l, i, t)?;
    let (dst, extra) = match &i.operands[0].kind {
        OperandKind::Pair(p, q) => (l.dst_pred(p)?, l.dst_pred(q)?),
        _ => (l.dst_pred(&i.operands[0])?, NO_GUARD),
    };
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm,
        extra,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn set<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    let [d, t] = list[..] else { return Err(unsupported(i)) };
    let yes: u64 = if d == Ty::F16x2 { 0x3c00 } else { 0x3f80 };
    if d != t {
        return Err(unsupported(i));
    }
    let run: Handler = widening!(set_halves, i, t);
    let (a, b, c, imm) = compared(l, i, t)?;
    let dst = l.dst(&i.operands[0], d)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: imm | yes << YES_SHIFT,
        ..blank(run)
    });
    Ok(())
}

/// `set` with a 16-bit result: a comparison into a predicate of its own, then a selection.
pub(crate) fn set_narrow<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    let [d, _] = list[..] else { return Err(unsupported(i)) };
    let yes = match d {
        Ty::F16 => 0x3c00,
        Ty::Bf16 => 0x3f80,
        _ => 0xffff,
    };
    let c = super::compare::to_predicate(l, i)?;
    let (a, b) = (l.number(yes, Ty::U16)?, l.number(0, Ty::U16)?);
    let dst = l.dst(&i.operands[0], d)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        ..blank(select(|a: u16| a))
    });
    Ok(())
}

/// `lop3.and.b32 d|p, a, b, c, table, q`: p = (d != 0) and q.
pub(crate) fn lop3_test<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 6, 6)?;
    let OperandKind::Pair(d, p) = &o[0].kind else {
        return Err(unsupported(i));
    };
    let whole = Instruction {
        operands: std::iter::once((**d).clone()).chain(o[1..5].iter().cloned()).collect(),
        ..i.clone()
    };
    super::logic::lop3(l, &whole)?;
    let (a, b) = (l.dst(d, Ty::B32)?, l.number(0, Ty::B32)?);
    let c = l.src_pred(&o[5])?;
    let dst = l.dst_pred(p)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: combination(i),
        extra: NO_GUARD,
        ..blank(compare_with(|a: u32, b: u32| a != b))
    });
    Ok(())
}
