//! Copies through tensor maps (ISA 9.7.9.27) and the instructions that change a map (ISA 9.7.13.17).

use super::memory::{flags, space_code};
use super::warp::literal;
use super::{has, operands, unsupported};
use crate::decode::lower::{blank, Address, Lower, Lowered};
use crate::exec::copies::way;
use crate::exec::inst::Inst;
use crate::exec::memory::{space, window};
use crate::exec::tensor::replace::FIELDS;
use crate::exec::tensor::{self, at, OPERATIONS};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand, OperandKind, VarSpace};
use crate::ptx::types::Ty;

/// The map's generic address and the slots of the coordinates of `[map, {x, y}]`.
fn map_operand<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, o: &Operand<'t>) -> Lowered<(Address, Vec<u32>)> {
    let rank = (1..=5)
        .find(|n| has(i, ["1d", "2d", "3d", "4d", "5d"][n - 1]))
        .unwrap_or(0);
    let expected = |what: &str| LoadError::at(o.pos, format!("found {what}, expected [map, {{{rank} coordinates}}]"));
    let OperandKind::Tensor(parts) = &o.kind else {
        return Err(expected("no tensor operand"));
    };
    let [base, Operand {
        kind: OperandKind::Vector(list),
        ..
    }] = parts.as_slice()
    else {
        return Err(expected("no coordinates in braces"));
    };
    if list.len() != rank {
        return Err(expected(&format!("{} coordinates", list.len())));
    }
    let coordinates = list.iter().map(|c| l.src(c, Ty::S32)).collect::<Lowered<_>>()?;
    Ok((generic(l, base)?, coordinates))
}

/// An address operand as a generic address, also where it names a variable.
fn generic<'t>(l: &mut Lower<'_, 't>, o: &Operand<'t>) -> Lowered<Address> {
    let address = l.address(o)?;
    let Some((variable, place)) = address.fixed else {
        return Ok(address);
    };
    let window = match variable {
        VarSpace::Global => 0,
        VarSpace::Const => window::CONST,
        VarSpace::Shared => window::SHARED,
        VarSpace::Local => window::LOCAL,
        VarSpace::Param => window::PARAM,
    };
    let slot = l.number(place | window, Ty::U64)?;
    Ok(Address {
        slot,
        narrow: false,
        offset: 0,
        ..address
    })
}

/// `cp.async.bulk.tensor` and `cp.reduce.async.bulk.tensor`.
pub(crate) fn copy<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (loads, multicast) = (!has(i, "bulk_group"), has(i, "multicast::cluster"));
    let hint = usize::from(has(i, "L2::cache_hint"));
    let count = if loads { 3 } else { 2 } + usize::from(multicast) + hint;
    let o = operands(i, count, count)?;
    let (map_at, shared_at) = if loads { (1, 0) } else { (0, 1) };
    let (map, coordinates) = map_operand(l, i, &o[map_at])?;
    let shared = l.address(&o[shared_at])?;
    let mut extra = if loads { way::LOAD } else { way::STORE };
    extra |= if shared.narrow { way::NARROW_TARGET } else { 0 };
    extra |= if map.narrow { way::NARROW_SOURCE } else { 0 };
    let mut list = vec![0; at::COORDINATES];
    list[at::MAP_OFFSET] = map.offset as u32;
    list[at::SHARED_OFFSET] = shared.offset as u32;
    let mut d = 0;
    if loads {
        let barrier = l.address(&o[2])?;
        extra |= if barrier.narrow { way::NARROW_BARRIER } else { 0 };
        list[at::BARRIER_OFFSET] = barrier.offset as u32;
        d = barrier.slot;
    }
    if multicast {
        extra |= way::MULTICAST;
        list[at::RANKS] = l.src(&o[3], Ty::U16)?;
    }
    list.extend(coordinates);
    let operation = OPERATIONS.iter().position(|op| has(i, "reduce") && has(i, op));
    let imm = u64::from(l.list(list));
    l.emit(Inst {
        dst: operation.map_or(0, |number| number as u32 + 1),
        a: map.slot,
        b: shared.slot,
        d,
        imm,
        extra,
        ..blank(tensor::copy_tensor)
    });
    Ok(())
}

/// `cp.async.bulk.prefetch.tensor`.
pub(crate) fn prefetch<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let count = 1 + usize::from(has(i, "L2::cache_hint"));
    let o = operands(i, count, count)?;
    let (map, coordinates) = map_operand(l, i, &o[0])?;
    let mut list = vec![0; at::COORDINATES];
    list[at::MAP_OFFSET] = map.offset as u32;
    list.extend(coordinates);
    let imm = u64::from(l.list(list));
    l.emit(Inst {
        a: map.slot,
        imm,
        extra: way::LOAD | if map.narrow { way::NARROW_SOURCE } else { 0 },
        ..blank(tensor::prefetch_tensor)
    });
    Ok(())
}

/// `tensormap.replace`.
pub(crate) fn replace<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let field = FIELDS.iter().position(|row| has(i, row.0));
    let number = field.ok_or_else(|| unsupported(i))?;
    let ordinals = FIELDS[number].1;
    let count = 2 + usize::from(ordinals > 0);
    let o = operands(i, count, count)?;
    let address = l.address(&o[0])?;
    let ordinal = match ordinals {
        0 => 0,
        _ => literal(&o[1])
            .filter(|n| *n < u64::from(ordinals))
            .ok_or_else(|| LoadError::at(o[1].pos, format!("found no ordinal, expected 0 to {}", ordinals - 1)))?,
    };
    let wide = has(i, "b64");
    let b = l.src(&o[count - 1], if wide { Ty::B64 } else { Ty::B32 })?;
    l.emit(Inst {
        dst: u32::from(wide),
        a: address.slot,
        b,
        c: number as u32,
        d: ordinal as u32,
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address),
        ..blank(tensor::replace::replace)
    });
    Ok(())
}

/// `tensormap.cp_fenceproxy`.
pub(crate) fn copy_fenced<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 3, 3)?;
    if literal(&o[2]) != Some(128) {
        return Err(LoadError::at(o[2].pos, "found another size, expected 128".into()));
    }
    let (target, source) = (l.address(&o[0])?, l.address(&o[1])?);
    l.emit(Inst {
        dst: u32::from(!source.narrow),
        a: target.slot,
        b: source.slot,
        d: source.offset as u32,
        imm: target.offset,
        extra: flags(space::GLOBAL, &target),
        ..blank(tensor::replace::copy_fenced)
    });
    Ok(())
}
