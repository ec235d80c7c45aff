//! Logic and shifts (ISA 9.7.8), on registers and predicates.

use super::{binary, has, operands, ternary, ty, typed, unary, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Handler, Inst};
use crate::exec::lanes::{bin, handler, pred2, tri, un, wide};
use crate::module::LoadError;
use crate::num::bits;
use crate::ptx::tree::{Instruction, Literal, OperandKind};
use crate::ptx::types::Ty;

pub(crate) fn logic<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    if t == Ty::Pred {
        return predicates(l, i);
    }
    let run = match i.opcode {
        "and" => typed!(i, t, T in [B16: u16, B32: u32, B64: u64] bin(|a: T, b: T| a & b)),
        "or" => typed!(i, t, T in [B16: u16, B32: u32, B64: u64] bin(|a: T, b: T| a | b)),
        _ => typed!(i, t, T in [B16: u16, B32: u32, B64: u64] bin(|a: T, b: T| a ^ b)),
    };
    binary(l, i, run, (t, t, t))
}

fn predicates<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match i.opcode {
        "and" => pred2(|a, b| a & b),
        "or" => pred2(|a, b| a | b),
        _ => pred2(|a, b| a ^ b),
    };
    let o = operands(i, 3, 3)?;
    let (a, b) = (l.src_pred(&o[1])?, l.src_pred(&o[2])?);
    let dst = l.dst_pred(&o[0])?;
    l.emit(Inst {
        dst,
        a,
        b,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn not<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    if t == Ty::Pred {
        let o = operands(i, 2, 2)?;
        let a = l.src_pred(&o[1])?;
        let dst = l.dst_pred(&o[0])?;
        let run = pred2(|a, _| !a);
        l.emit(Inst {
            dst,
            a,
            b: a,
            ..blank(run)
        });
        return Ok(());
    }
    let run = typed!(i, t, T in [B16: u16, B32: u32, B64: u64] un(|a: T| !a));
    unary(l, i, run, t, t)
}

/// `cnot`: 1 for 0, else 0.
pub(crate) fn cnot<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = typed!(i, t, T in [B16: u16, B32: u32, B64: u64] un(|a: T| T::from(a == 0)));
    unary(l, i, run, t, t)
}

/// Shifts beyond the width give zeros or the sign (ISA 9.7.8.7).
pub(crate) fn shift<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let run = match i.opcode {
        "shl" => typed!(i, t, T in [B16: u16, B32: u32, B64: u64]
            bin(|a: T, b: u32| if b < T::BITS { a << b } else { 0 })),
        _ => {
            typed!(i, t, T in [B16: u16, B32: u32, B64: u64, U16: u16, U32: u32, U64: u64, S16: i16, S32: i32, S64: i64]
            bin(|a: T, b: u32| a >> b.min(T::BITS - 1) & if b < T::BITS || T::MIN != 0 { !0 } else { 0 }))
        }
    };
    binary(l, i, run, (t, t, Ty::U32))
}

handler! {
    /// `lop3`: the truth table is in `imm`.
    lop3_lanes<[], F: Fn(u32) -> u32>(x, i, mask) {
        let (a, b, c) = (x.lanes::<u32>(i.a), x.lanes::<u32>(i.b), x.lanes::<u32>(i.c));
        let table = i.imm as u32;
        let mut out = [0u32; 32];
        for l in 0..32 {
            out[l] = bits::lop3(a[l], b[l], c[l], table);
        }
        x.put(i.dst, &out, mask);
        Flow::Next
    }
}

pub(crate) fn lop3<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 5, 5)?;
    let OperandKind::Literal(Literal::Int(table @ 0..=255)) = o[4].kind else {
        return Err(LoadError::at(
            o[4].pos,
            "found no truth table, expected a number from 0 to 255".into(),
        ));
    };
    let run: Handler = match table {
        0xc0 => tri(|a: u32, b: u32, _c: u32| a & b),
        0x3c => tri(|a: u32, b: u32, _c: u32| a ^ b),
        0xfc => tri(|a: u32, b: u32, _c: u32| a | b),
        0x80 => tri(|a: u32, b: u32, c: u32| a & b & c),
        0x96 => tri(|a: u32, b: u32, c: u32| a ^ b ^ c),
        0xfe => tri(|a: u32, b: u32, c: u32| a | b | c),
        0xf8 => tri(|a: u32, b: u32, c: u32| a | (b & c)),
        0xea => tri(|a: u32, b: u32, c: u32| (a & b) | c),
        0xca => tri(|a: u32, b: u32, c: u32| (a & b) | (!a & c)),
        _ => lop3_lanes(|a| a),
    };
    let (a, b, c) = (l.src(&o[1], Ty::B32)?, l.src(&o[2], Ty::B32)?, l.src(&o[3], Ty::B32)?);
    let dst = l.dst(&o[0], Ty::B32)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm: table,
        ..blank(run)
    });
    Ok(())
}

/// `shf`: a 64-bit funnel {b, a}.
pub(crate) fn funnel<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match (has(i, "l"), has(i, "clamp")) {
        (true, false) => tri(|a: u32, b: u32, c: u32| ((u64::from(b) << 32 | u64::from(a)) << (c & 31) >> 32) as u32),
        (true, true) => tri(|a: u32, b: u32, c: u32| ((u64::from(b) << 32 | u64::from(a)) << c.min(32) >> 32) as u32),
        (false, false) => tri(|a: u32, b: u32, c: u32| ((u64::from(b) << 32 | u64::from(a)) >> (c & 31)) as u32),
        (false, true) => tri(|a: u32, b: u32, c: u32| ((u64::from(b) << 32 | u64::from(a)) >> c.min(32)) as u32),
    };
    ternary(l, i, run, (Ty::B32, Ty::B32, Ty::B32, Ty::U32))
}

pub(crate) fn prmt<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match i.modifiers.get(1).copied() {
        None => tri(bits::prmt),
        Some("f4e") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("f4e", c))),
        Some("b4e") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("b4e", c))),
        Some("rc8") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("rc8", c))),
        Some("ecl") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("ecl", c))),
        Some("ecr") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("ecr", c))),
        Some("rc16") => tri(|a, b, c| bits::prmt(a, b, bits::prmt_mode("rc16", c))),
        _ => return Err(unsupported(i)),
    };
    ternary(l, i, run, (Ty::B32, Ty::B32, Ty::B32, Ty::B32))
}
