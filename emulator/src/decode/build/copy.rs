//! `cp.async` and `cp.async.bulk` (ISA 9.7.9.25).

use super::memory::{flags, space_code};
use super::warp::literal;
use super::{has, operands, ty, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::copies::{self, way};
use crate::exec::inst::{Handler, Inst};
use crate::exec::mbarrier::flag;
use crate::exec::memory::space;
use crate::exec::reduce::REDUCTIONS;
use crate::exec::remote;
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, OperandKind};
use crate::ptx::types::Ty;

pub(crate) fn lane_copy<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 3, 5)?;
    let (target, source) = (l.address(&o[0])?, l.address(&o[1])?);
    let bytes = literal(&o[2]).filter(|b| {
        if has(i, "cg") {
            *b == 16
        } else {
            matches!(b, 4 | 8 | 16)
        }
    });
    let Some(bytes) = bytes else {
        let expected = if has(i, "cg") { "16" } else { "4, 8 or 16" };
        return Err(LoadError::at(
            o[2].pos,
            format!("found no copy size, expected {expected}"),
        ));
    };
    let mut flag = u32::from(!target.narrow);
    let mut c = 0;
    // A fifth operand, or a fourth with a cache hint, is a policy.
    let last = o.len() - usize::from(has(i, "L2::cache_hint"));
    if let Some(extra) = o[..last].get(3) {
        if is_predicate(l, extra) {
            c = l.src_pred(extra)?;
            flag |= 4;
        } else {
            c = l.src(extra, Ty::U32)?;
            flag |= 2;
        }
    }
    let code = flags(space::GLOBAL, &source);
    l.emit(Inst {
        dst: flag,
        a: source.slot,
        b: target.slot,
        c,
        d: target.offset as u32,
        imm: source.offset,
        extra: code | (bytes as u32) << space::COUNT_SHIFT,
        ..blank(copies::copy_async)
    });
    Ok(())
}

fn is_predicate<'t>(l: &mut Lower<'_, 't>, operand: &crate::ptx::tree::Operand<'t>) -> bool {
    match operand.kind {
        OperandKind::Not(_) => true,
        OperandKind::Name(_) => l.register(operand).is_ok_and(|r| r.ty == Ty::Pred),
        _ => false,
    }
}

/// `commit_group`, `wait_group`, `wait_all`, for both kinds of group.
pub(crate) fn group<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (is_bulk, all) = (has(i, "bulk"), has(i, "wait_all"));
    if has(i, "commit_group") {
        operands(i, 0, 0)?;
        let run: Handler = if is_bulk {
            copies::commit_bulk
        } else {
            copies::commit_group
        };
        l.emit(blank(run));
        return Ok(());
    }
    let o = operands(i, usize::from(!all), usize::from(!all))?;
    let imm = match o.first() {
        None => 0,
        Some(operand) => literal(operand)
            .filter(|n| *n <= u64::from(u32::MAX))
            .ok_or_else(|| LoadError::at(operand.pos, "found no group count, expected a number".into()))?,
    };
    let run: Handler = if is_bulk { copies::wait_bulk } else { copies::wait_group };
    l.emit(Inst {
        c: u32::from(has(i, "read")),
        imm,
        extra: u32::from(all),
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn arrive<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    let address = l.address(&o[0])?;
    l.emit(Inst {
        a: address.slot,
        c: if has(i, "noinc") { flag::NO_INCREMENT } else { 0 },
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address),
        ..blank(copies::arrive_after_copies)
    });
    Ok(())
}

/// The operation of `cp.reduce.async.bulk` and `red.async`, as `exec::reduce` counts them.
fn operation(i: &Instruction<'_>) -> Lowered<u32> {
    let t = ty(i)?;
    let found = REDUCTIONS.iter().position(|row| has(i, row.0) && row.1 == t);
    let number = found.ok_or_else(|| unsupported(i))? as u32 + 1;
    // Sums of 16-bit floats must say that they keep subnormal numbers.
    let half = matches!(t, Ty::F16 | Ty::Bf16) && has(i, "add");
    if half == has(i, "noftz") {
        Ok(number)
    } else {
        Err(unsupported(i))
    }
}

/// `cp.async.bulk` and `cp.reduce.async.bulk`.
pub(crate) fn bulk_copy<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let reduces = has(i, "reduce");
    let spaces = &i.modifiers[2 + usize::from(reduces)..];
    let direction = match (spaces.first().copied(), spaces.get(1).copied()) {
        (Some("global"), _) => way::STORE,
        (_, Some("global")) => way::LOAD,
        _ => way::PEER,
    };
    let (signals, multicast) = (direction != way::STORE, has(i, "multicast::cluster"));
    let hint = usize::from(has(i, "L2::cache_hint"));
    let count = 3 + usize::from(signals) + usize::from(multicast) + hint;
    let o = operands(i, count, count)?;
    let (target, source) = (l.address(&o[0])?, l.address(&o[1])?);
    let c = l.src(&o[2], Ty::U32)?;
    let mut extra = direction;
    extra |= if target.narrow { way::NARROW_TARGET } else { 0 };
    extra |= if source.narrow { way::NARROW_SOURCE } else { 0 };
    let mut offsets = vec![target.offset as u32, source.offset as u32];
    let mut d = 0;
    if signals {
        let barrier = l.address(&o[3])?;
        extra |= if barrier.narrow { way::NARROW_BARRIER } else { 0 };
        offsets.push(barrier.offset as u32);
        d = barrier.slot;
    }
    if multicast {
        extra |= way::MULTICAST;
        offsets.push(l.src(&o[4], Ty::U16)?);
    }
    let dst = if reduces { operation(i)? } else { 0 };
    let imm = u64::from(l.list(offsets));
    l.emit(Inst {
        dst,
        a: target.slot,
        b: source.slot,
        c,
        d,
        imm,
        extra,
        ..blank(copies::copy_bulk)
    });
    Ok(())
}

/// `st.async`, `red.async`.
pub(crate) fn store_async<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 3, 3)?;
    let (target, barrier) = (l.address(&o[0])?, l.address(&o[2])?);
    let mut list = vec![flags(space::SHARED, &target), barrier.offset as u32, t.bytes()];
    match (&o[1].kind, has(i, "v2"), has(i, "v4")) {
        (OperandKind::Vector(values), two, four) if values.len() == if two { 2 } else { 4 } && (two || four) => {
            for value in values {
                list.push(l.src(value, t)?);
            }
        }
        (OperandKind::Vector(_), ..) | (_, true, _) | (_, _, true) => return Err(unsupported(i)),
        _ => list.push(l.src(&o[1], t)?),
    }
    let dst = if i.opcode == "red" { operation(i)? } else { 0 };
    let extra = l.list(list);
    l.emit(Inst {
        dst,
        a: target.slot,
        b: barrier.slot,
        d: u32::from(!barrier.narrow),
        imm: target.offset,
        extra,
        ..blank(remote::store_async)
    });
    Ok(())
}
