//! Builders: one function per group of instruction forms, which picks the handler and resolves the operands.
//! `table` in the parent lists which form goes to which builder.

pub(super) mod atomics;
pub(super) mod bits;
pub(super) mod compare;
pub(super) mod control;
pub(super) mod convert;
pub(super) mod copy;
pub(super) mod data;
pub(super) mod float;
pub(super) mod half;
pub(super) mod integer;
pub(super) mod logic;
pub(super) mod matrix;
pub(super) mod memory;
pub(super) mod narrow;
pub(super) mod packed;
pub(super) mod stack;
pub(super) mod sync;
pub(super) mod tensor;
pub(super) mod vector_atomics;
pub(super) mod video;
pub(super) mod warp;
pub(super) mod wgmma;

use super::lower::{blank, Lower, Lowered};
use crate::exec::inst::{Handler, Inst};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand};
use crate::ptx::types::Ty;

/// Adds one instruction to the function.
pub(crate) type Build = for<'m, 't> fn(&mut Lower<'m, 't>, &Instruction<'t>) -> Lowered<()>;

/// The opcode with its modifiers.
pub(crate) fn written(i: &Instruction<'_>) -> String {
    let mut text = i.opcode.to_owned();
    for modifier in &i.modifiers {
        text.push('.');
        text.push_str(modifier);
    }
    // The modifier to blame may stand last: the ISA's longest spelling fits.
    crate::ptx::cut(&text, 160)
}

/// The error for forms outside the table, or with operands that the form does not have.
pub(crate) fn unsupported(i: &Instruction<'_>) -> LoadError {
    LoadError::at(i.pos, format!("instruction \"{}\" is not supported", written(i)))
}

pub(crate) fn has(i: &Instruction<'_>, modifier: &str) -> bool {
    i.modifiers.contains(&modifier)
}

/// The types among the modifiers, in order.
pub(crate) fn types(i: &Instruction<'_>) -> Vec<Ty> {
    i.modifiers.iter().filter_map(|m| Ty::parse(m)).collect()
}

/// The last type: the one that most instructions have only.
pub(crate) fn ty(i: &Instruction<'_>) -> Lowered<Ty> {
    types(i).last().copied().ok_or_else(|| unsupported(i))
}

/// The operands, when their number is right.
pub(crate) fn operands<'a, 't>(i: &'a Instruction<'t>, least: usize, most: usize) -> Lowered<&'a [Operand<'t>]> {
    let found = i.operands.len();
    if found >= least && found <= most {
        return Ok(&i.operands);
    }
    let expected = if least == most {
        format!("{least}")
    } else {
        format!("{least} to {most}")
    };
    Err(LoadError::at(
        i.pos,
        format!("\"{}\" has {found} operands, expected {expected}", written(i)),
    ))
}

/// Rounding mode as `num::float` counts them; 0 where none is given.
pub(crate) fn rounding(i: &Instruction<'_>) -> u8 {
    let modes = [("rz", 1), ("rm", 2), ("rp", 3), ("rzi", 1), ("rmi", 2), ("rpi", 3)];
    modes.iter().find(|m| has(i, m.0)).map_or(0, |m| m.1)
}

/// d = f(a), types given.
pub(crate) fn unary<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, run: Handler, d: Ty, a: Ty) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let a = l.src(&o[1], a)?;
    let dst = l.dst(&o[0], d)?;
    l.emit(Inst { dst, a, ..blank(run) });
    Ok(())
}

/// d = f(a, b), types given as (d, a, b).
pub(crate) fn binary<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, run: Handler, t: (Ty, Ty, Ty)) -> Lowered<()> {
    let o = operands(i, 3, 3)?;
    let (a, b) = (l.src(&o[1], t.1)?, l.src(&o[2], t.2)?);
    let dst = l.dst(&o[0], t.0)?;
    l.emit(Inst {
        dst,
        a,
        b,
        ..blank(run)
    });
    Ok(())
}

/// d = f(a, b, c), types given as (d, a, b, c).
pub(crate) fn ternary<'t>(
    l: &mut Lower<'_, 't>,
    i: &Instruction<'t>,
    run: Handler,
    t: (Ty, Ty, Ty, Ty),
) -> Lowered<()> {
    let o = operands(i, 4, 4)?;
    let (a, b, c) = (l.src(&o[1], t.1)?, l.src(&o[2], t.2)?, l.src(&o[3], t.3)?);
    let dst = l.dst(&o[0], t.0)?;
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        ..blank(run)
    });
    Ok(())
}

/// Runs an expression with `$T` standing for the Rust type of a PTX type; other types are unsupported.
macro_rules! typed {
    ($i:expr, $ty:expr, $T:ident in [$($name:ident: $rust:ty),* $(,)?] $e:expr) => {
        match $ty {
            $($crate::ptx::types::Ty::$name => { type $T = $rust; $e })*
            _ => return Err($crate::decode::build::unsupported($i)),
        }
    };
}
pub(crate) use typed;

/// A handler of a function with const parameters `<R, FTZ, SAT>`, all combinations made.
macro_rules! float_modes {
    ($shape:ident, $f:ident, $r:expr, $ftz:expr, $sat:expr) => {
        match ($r, $ftz, $sat) {
            (0, false, false) => $shape($f::<0, false, false>),
            (1, false, false) => $shape($f::<1, false, false>),
            (2, false, false) => $shape($f::<2, false, false>),
            (_, false, false) => $shape($f::<3, false, false>),
            (0, true, false) => $shape($f::<0, true, false>),
            (1, true, false) => $shape($f::<1, true, false>),
            (2, true, false) => $shape($f::<2, true, false>),
            (_, true, false) => $shape($f::<3, true, false>),
            (0, false, true) => $shape($f::<0, false, true>),
            (1, false, true) => $shape($f::<1, false, true>),
            (2, false, true) => $shape($f::<2, false, true>),
            (_, false, true) => $shape($f::<3, false, true>),
            (0, true, true) => $shape($f::<0, true, true>),
            (1, true, true) => $shape($f::<1, true, true>),
            (2, true, true) => $shape($f::<2, true, true>),
            (_, true, true) => $shape($f::<3, true, true>),
        }
    };
}
pub(crate) use float_modes;
