//! Operations between lanes (ISA 9.7.9.6, 9.7.13.9 to .14).

use super::{has, operands, ty, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::{Handler, Inst, NO_GUARD};
use crate::exec::warp_ops;
use crate::ptx::tree::{Instruction, Literal, Operand, OperandKind};
use crate::ptx::types::Ty;

/// `d` or `d|p`.
fn pair<'t>(l: &mut Lower<'_, 't>, operand: &Operand<'t>, t: Ty) -> Lowered<(u32, u32)> {
    match &operand.kind {
        OperandKind::Pair(d, p) => Ok((l.dst(d, t)?, l.dst_pred(p)?)),
        _ => Ok((l.dst(operand, t)?, NO_GUARD)),
    }
}

pub(crate) fn shfl<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let sync = has(i, "sync");
    let o = operands(i, if sync { 5 } else { 4 }, if sync { 5 } else { 4 })?;
    let (a, b) = (l.src(&o[1], Ty::B32)?, l.src(&o[2], Ty::U32)?);
    let c = l.src(&o[3], Ty::U32)?;
    let d = if sync {
        l.src(&o[4], Ty::U32)?
    } else {
        l.number(0, Ty::U32)?
    };
    let (dst, extra) = pair(l, &o[0], Ty::B32)?;
    let modes = ["up", "down", "bfly", "idx"];
    let imm = modes.iter().position(|m| has(i, m)).ok_or_else(|| unsupported(i))? as u64;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        d,
        imm,
        extra,
        ..blank(warp_ops::shuffle)
    });
    Ok(())
}

pub(crate) fn vote<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let sync = has(i, "sync");
    let o = operands(i, if sync { 3 } else { 2 }, if sync { 3 } else { 2 })?;
    let a = l.src_pred(&o[1])?;
    let d = if sync {
        l.src(&o[2], Ty::U32)?
    } else {
        l.number(0, Ty::U32)?
    };
    let ballot = has(i, "ballot");
    let dst = if ballot {
        l.dst(&o[0], Ty::B32)?
    } else {
        l.dst_pred(&o[0])?
    };
    let modes = ["all", "any", "uni", "ballot"];
    let imm = modes.iter().position(|m| has(i, m)).ok_or_else(|| unsupported(i))? as u64;
    l.emit(Inst {
        dst,
        a,
        d,
        imm,
        ..blank(warp_ops::vote)
    });
    Ok(())
}

pub(crate) fn matching<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 3, 3)?;
    let (a, d) = (l.src(&o[1], t)?, l.src(&o[2], Ty::U32)?);
    let (dst, extra) = pair(l, &o[0], Ty::B32)?;
    let run = if t.bytes() == 8 {
        warp_ops::match_lanes::<u64>()
    } else {
        warp_ops::match_lanes::<u32>()
    };
    l.emit(Inst {
        dst,
        a,
        d,
        imm: u64::from(has(i, "all")),
        extra,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn redux<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let operation = i.modifiers.get(1).copied().unwrap_or("");
    let run: Handler = match (operation, t) {
        ("add", Ty::U32 | Ty::S32) => warp_ops::redux(u32::wrapping_add),
        ("min", Ty::U32) => warp_ops::redux(|a, b| a.min(b)),
        ("max", Ty::U32) => warp_ops::redux(|a, b| a.max(b)),
        ("min", Ty::S32) => warp_ops::redux(|a, b| (a as i32).min(b as i32) as u32),
        ("max", Ty::S32) => warp_ops::redux(|a, b| (a as i32).max(b as i32) as u32),
        ("and", Ty::B32) => warp_ops::redux(|a, b| a & b),
        ("or", Ty::B32) => warp_ops::redux(|a, b| a | b),
        ("xor", Ty::B32) => warp_ops::redux(|a, b| a ^ b),
        _ => return Err(unsupported(i)),
    };
    let o = operands(i, 3, 3)?;
    let (a, d) = (l.src(&o[1], t)?, l.src(&o[2], Ty::U32)?);
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        a,
        d,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn active_mask<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    let dst = l.dst(&o[0], Ty::B32)?;
    l.emit(Inst {
        dst,
        ..blank(warp_ops::active_mask)
    });
    Ok(())
}

pub(crate) fn elect<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let OperandKind::Pair(register, predicate) = &o[0].kind else {
        return Err(unsupported(i));
    };
    let d = l.src(&o[1], Ty::U32)?;
    let (dst, extra) = (l.dst(register, Ty::B32)?, l.dst_pred(predicate)?);
    l.emit(Inst {
        dst,
        d,
        extra,
        ..blank(warp_ops::elect)
    });
    Ok(())
}

pub(crate) fn warp_sync<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    let d = l.src(&o[0], Ty::U32)?;
    l.emit(Inst {
        d,
        ..blank(warp_ops::warp_sync)
    });
    Ok(())
}

/// A number that an operand must be.
pub(super) fn literal(operand: &Operand<'_>) -> Option<u64> {
    match operand.kind {
        OperandKind::Literal(Literal::Int(value)) => Some(value),
        _ => None,
    }
}
