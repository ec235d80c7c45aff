//! `atom` and `red` on vectors (ISA 9.7.13.5): each element is updated atomically, the vector as a whole is not.

use super::atomics::arithmetic;
use super::data::copy_handler;
use super::memory::{flags, ordering, space_code};
use super::{has, operands, ty, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::memory::space;
use crate::ptx::tree::{Instruction, Operand, OperandKind};

/// The registers of a vector operand, as many as the instruction says.
fn elements<'a, 't>(i: &Instruction<'t>, operand: &'a Operand<'t>) -> Lowered<&'a [Operand<'t>]> {
    let counts = [("v2", 2), ("v4", 4), ("v8", 8)];
    let count = counts.iter().find(|c| has(i, c.0)).map(|c| c.1);
    match &operand.kind {
        OperandKind::Vector(list) if Some(list.len()) == count => Ok(list),
        _ => Err(unsupported(i)),
    }
}

pub(crate) fn atom<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let operation = ["add", "min", "max"].into_iter().find(|o| has(i, o));
    let operation = operation.filter(|_| t.is_float()).ok_or_else(|| unsupported(i))?;
    let run = arithmetic(i, operation, t)?;
    let is_red = i.opcode == "red";
    let first = usize::from(!is_red);
    let o = operands(i, first + 2, first + 2 + usize::from(has(i, "L2::cache_hint")))?;
    let address = l.address(&o[first])?;
    let values = elements(i, &o[first + 1])?
        .iter()
        .map(|value| l.src(value, t))
        .collect::<Lowered<Vec<_>>>()?;
    let red = if is_red { space::RED } else { 0 };
    let mut old = Vec::new();
    for (k, b) in values.into_iter().enumerate() {
        // Results go through slots of their own: a register may be both a result and a later element's operand.
        let dst = if is_red { 0 } else { l.new_slot(t)? };
        old.push(dst);
        l.emit(Inst {
            dst,
            a: address.slot,
            b,
            c: b,
            imm: address.offset.wrapping_add(k as u64 * u64::from(t.bytes())),
            extra: flags(space_code(i, l.is_entry), &address) | ordering(i) | red,
            ..blank(run)
        });
    }
    if is_red {
        return Ok(());
    }
    for (result, a) in elements(i, &o[0])?.iter().zip(old) {
        let dst = l.dst(result, t)?;
        l.emit(Inst {
            dst,
            a,
            ..blank(copy_handler(t))
        });
    }
    Ok(())
}
