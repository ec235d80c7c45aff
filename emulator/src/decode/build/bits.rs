//! Integer instructions that look at bits and bytes (ISA 9.7.1.12 to .24).

use super::{binary, has, operands, ternary, ty, unary};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::lanes::{bin, quad, tri, un};
use crate::num::bits;
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

/// `popc`, `clz`, `brev`.
pub(crate) fn count<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let wide = t.bytes() == 8;
    let run = match (i.opcode, wide) {
        ("popc", false) => un(|a: u32| a.count_ones()),
        ("popc", true) => un(|a: u64| a.count_ones()),
        ("clz", false) => un(|a: u32| a.leading_zeros()),
        ("clz", true) => un(|a: u64| a.leading_zeros()),
        ("brev", false) => return unary(l, i, un(|a: u32| a.reverse_bits()), t, t),
        _ => return unary(l, i, un(|a: u64| a.reverse_bits()), t, t),
    };
    unary(l, i, run, Ty::U32, t)
}

pub(crate) fn bfind<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (t, has(i, "shiftamt")) {
        (Ty::U32, false) => un(|a: u32| bits::bfind::<32, false>(u64::from(a))),
        (Ty::U32, true) => un(|a: u32| bits::bfind::<32, true>(u64::from(a))),
        (Ty::S32, false) => un(|a: i32| bits::bfind::<32, false>((a ^ (a >> 31)) as u32 as u64)),
        (Ty::S32, true) => un(|a: i32| bits::bfind::<32, true>((a ^ (a >> 31)) as u32 as u64)),
        (Ty::U64, false) => un(bits::bfind::<64, false>),
        (Ty::U64, true) => un(bits::bfind::<64, true>),
        (_, false) => un(|a: i64| bits::bfind::<64, false>((a ^ (a >> 63)) as u64)),
        (_, true) => un(|a: i64| bits::bfind::<64, true>((a ^ (a >> 63)) as u64)),
    };
    unary(l, i, run, Ty::U32, t)
}

pub(crate) fn fns<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    ternary(l, i, tri(bits::fns), (Ty::B32, Ty::B32, Ty::B32, Ty::S32))
}

pub(crate) fn bfe<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match t {
        Ty::U32 => tri(|a: u32, b: u32, c: u32| bits::bfe::<32, false>(u64::from(a), b, c) as u32),
        Ty::S32 => tri(|a: u32, b: u32, c: u32| bits::bfe::<32, true>(u64::from(a), b, c) as u32),
        Ty::U64 => tri(bits::bfe::<64, false>),
        _ => tri(bits::bfe::<64, true>),
    };
    ternary(l, i, run, (t, t, Ty::U32, Ty::U32))
}

pub(crate) fn bfi<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match t {
        Ty::B32 => quad(|a: u32, b: u32, c: u32, d: u32| bits::bfi::<32>(u64::from(a), u64::from(b), c, d) as u32),
        _ => quad(bits::bfi::<64>),
    };
    let o = operands(i, 5, 5)?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], t)?);
    let (c, d) = (l.src(&o[3], Ty::U32)?, l.src(&o[4], Ty::U32)?);
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        d,
        ..blank(run)
    });
    Ok(())
}

/// `bmsk`: a mask of c bits from a on.
pub(crate) fn bmsk<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let mask = |start: u32, length: u32| {
        let ones = if length >= 32 { u32::MAX } else { (1 << length) - 1 };
        if start >= 32 {
            0
        } else {
            ones << start
        }
    };
    let run = if has(i, "clamp") {
        bin(move |a: u32, b: u32| mask(a, b))
    } else {
        bin(move |a: u32, b: u32| mask(a & 31, b & 31))
    };
    binary(l, i, run, (Ty::B32, Ty::U32, Ty::U32))
}

/// `szext`: zero or sign extension from bit b on.
pub(crate) fn szext<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match (t.is_signed(), has(i, "clamp")) {
        (false, true) => bin(|a: u32, b: u32| if b >= 32 { a } else { a & ((1 << b) - 1) }),
        (false, false) => bin(|a: u32, b: u32| a & ((1 << (b & 31)) - 1)),
        (true, clamp) => {
            let clamped = bin(|a: u32, b: u32| sign_extend(a, b.min(32)));
            let wrapped = bin(|a: u32, b: u32| sign_extend(a, b & 31));
            if clamp {
                clamped
            } else {
                wrapped
            }
        }
    };
    binary(l, i, run, (t, t, Ty::U32))
}

fn sign_extend(a: u32, bits: u32) -> u32 {
    match bits {
        0 => 0,
        bits => ((a << (32 - bits)) as i32 >> (32 - bits)) as u32,
    }
}

pub(crate) fn dp4a<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let signed = super::types(i);
    let (a, b) = (signed[0].is_signed(), signed[1].is_signed());
    let run = match (i.opcode, has(i, "hi"), a, b) {
        ("dp4a", _, false, false) => tri(bits::dp4a::<false, false>),
        ("dp4a", _, false, true) => tri(bits::dp4a::<false, true>),
        ("dp4a", _, true, false) => tri(bits::dp4a::<true, false>),
        ("dp4a", _, true, true) => tri(bits::dp4a::<true, true>),
        (_, false, false, false) => tri(bits::dp2a::<false, false, false>),
        (_, false, false, true) => tri(bits::dp2a::<false, true, false>),
        (_, false, true, false) => tri(bits::dp2a::<true, false, false>),
        (_, false, true, true) => tri(bits::dp2a::<true, true, false>),
        (_, true, false, false) => tri(bits::dp2a::<false, false, true>),
        (_, true, false, true) => tri(bits::dp2a::<false, true, true>),
        (_, true, true, false) => tri(bits::dp2a::<true, false, true>),
        (_, true, true, true) => tri(bits::dp2a::<true, true, true>),
    };
    ternary(l, i, run, (Ty::B32, Ty::B32, Ty::B32, Ty::B32))
}
