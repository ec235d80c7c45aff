//! `alloca`, `stacksave`, `stackrestore` (ISA 9.7.17).

use super::warp::literal;
use super::{operands, ty};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::stack;
use crate::module::LoadError;
use crate::ptx::tree::Instruction;

/// Where none is written (ISA 9.7.17.3).
const DEFAULT_ALIGN: u64 = 8;
/// The most that the ISA allows.
const MOST_ALIGN: u64 = 1 << 23;

pub(crate) fn allocate<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 2, 3)?;
    let imm = match o.get(2) {
        None => DEFAULT_ALIGN,
        Some(align) => {
            let found = literal(align).filter(|n| n.is_power_of_two() && *n <= MOST_ALIGN);
            found.ok_or_else(|| {
                let text = format!("found no alignment, expected a power of two up to {MOST_ALIGN}");
                LoadError::at(align.pos, text)
            })?
        }
    };
    let a = l.src(&o[1], t)?;
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        a,
        imm,
        extra: t.bytes(),
        ..blank(stack::allocate)
    });
    Ok(())
}

pub(crate) fn save<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 1, 1)?;
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        extra: t.bytes(),
        ..blank(stack::save)
    });
    Ok(())
}

pub(crate) fn restore<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 1, 1)?;
    let a = l.src(&o[0], t)?;
    l.emit(Inst {
        a,
        extra: t.bytes(),
        ..blank(stack::restore)
    });
    Ok(())
}
