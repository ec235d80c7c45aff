//! `wgmma` (ISA 9.7.15): shapes, types and operand lists, which differ from type to type, are checked here, once.

use super::matrix::{element_types, shape, sources, sparsity, targets};
use super::warp::literal;
use super::{has, operands, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::{Handler, Inst};
use crate::exec::matrix::element::Element;
use crate::exec::matrix::wgmma::{self, Source, Wgmma};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand, OperandKind};
use crate::ptx::types::Ty;

/// Bytes of B along K; the sparse form has twice as many.
const K_BYTES: u32 = 32;

/// Whether `wgmma` has these types in this shape.
fn allows(d: Element, a: Element, b: Element, shape: (u32, u32, u32), sparse: bool) -> bool {
    use Element as E;
    let (m, n, k) = shape;
    let sums = match a {
        E::F16 | E::E4m3 | E::E5m2 => matches!(d, E::F16 | E::F32),
        E::Bf16 | E::Tf32 => d == E::F32,
        E::S8 | E::U8 | E::B1 => d == E::S32,
        _ => false,
    };
    let same = a == b
        || matches!((a, b), (E::U8 | E::S8, E::U8 | E::S8))
        || matches!((a, b), (E::E4m3 | E::E5m2, E::E4m3 | E::E5m2));
    // Integers have every second N only, but for 24.
    let columns = n % 8 == 0 && (8..=256).contains(&n) && (a.is_float() || n % 16 == 0 || n == 8 || n == 24);
    let bytes = if sparse { 2 * K_BYTES } else { K_BYTES };
    sums && same && columns && m == 64 && k * a.bits() == bytes * 8 && !(sparse && a == E::B1)
}

/// An immediate that must be one of two.
fn choice(operand: &Operand<'_>, yes: i64, no: i64) -> Lowered<bool> {
    match literal(operand).map(|value| value as i64) {
        Some(value) if value == yes => Ok(true),
        Some(value) if value == no => Ok(false),
        _ => Err(LoadError::at(
            operand.pos,
            format!("found no number, expected {yes} or {no}"),
        )),
    }
}

/// Scales and orders behind the predicate, as A and B have them.
fn immediates(i: &Instruction<'_>, a: Element, in_registers: bool, list: &[Operand<'_>]) -> Lowered<[(bool, bool); 2]> {
    let scales = if a.is_float() { 2 } else { 0 };
    let orders = match a {
        Element::F16 | Element::Bf16 if in_registers => 1,
        Element::F16 | Element::Bf16 => 2,
        _ => 0,
    };
    if list.len() != scales + orders {
        let expected = scales + orders;
        let text = format!("found {} numbers behind the predicate, expected {expected}", list.len());
        return Err(LoadError::at(i.pos, text));
    }
    let negated = match scales {
        0 => (false, false),
        _ => (choice(&list[0], -1, 1)?, choice(&list[1], -1, 1)?),
    };
    let transposed = match orders {
        0 => (false, false),
        1 => (false, choice(&list[2], 1, 0)?),
        _ => (choice(&list[2], 1, 0)?, choice(&list[3], 1, 0)?),
    };
    Ok([negated, transposed])
}

/// `wgmma.mma_async`.
pub(crate) fn mma<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let types = element_types(i);
    let (Some(shape), &[d, a, b]) = (shape(i), types.as_slice()) else {
        return Err(unsupported(i));
    };
    let bits = has(i, "and") && has(i, "popc");
    let sparse = has(i, "sp");
    if !allows(d, a, b, shape, sparse) || bits != (a == Element::B1) || has(i, "satfinite") && (a.is_float() || bits) {
        return Err(unsupported(i));
    }
    // Metadata and selector stand between B and the predicate.
    let scale = if sparse { 5 } else { 3 };
    let o = operands(i, scale + 1, scale + 5)?;
    let (_, n, k) = shape;
    let in_registers = matches!(o[1].kind, OperandKind::Vector(_));
    let [negated, transposed] = immediates(i, a, in_registers, &o[scale + 1..])?;
    let op = Wgmma {
        n,
        k,
        d,
        a,
        b,
        source: if in_registers {
            Source::Registers(sources(l, &o[1], a, 4)?)
        } else {
            Source::Shared(l.src(&o[1], Ty::B64)?)
        },
        b_slot: l.src(&o[2], Ty::B64)?,
        d_slots: targets(l, &o[0], d, if d == Element::F16 { n / 4 } else { n / 2 })?,
        accumulate: l.src_pred(&o[scale])?,
        negated,
        transposed,
        saturate: has(i, "satfinite"),
        sparsity: if sparse {
            Some(sparsity(l, &o[3..5], a, k)?)
        } else {
            None
        },
    };
    l.out.wgmmas.push(op);
    let extra = l.out.wgmmas.len() as u32 - 1;
    l.emit(Inst {
        extra,
        ..blank(wgmma::issue)
    });
    Ok(())
}

/// `wgmma.fence`, `wgmma.commit_group`, `wgmma.wait_group`.
pub(crate) fn group<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let waits = has(i, "wait_group");
    let o = operands(i, usize::from(waits), usize::from(waits))?;
    let imm = match o.first() {
        None => 0,
        Some(operand) => literal(operand)
            .filter(|n| *n <= u64::from(u32::MAX))
            .ok_or_else(|| LoadError::at(operand.pos, "found no group count, expected a number".into()))?,
    };
    let run: Handler = match (waits, has(i, "fence")) {
        (true, _) => wgmma::wait,
        (_, true) => wgmma::fence,
        _ => wgmma::commit,
    };
    l.emit(Inst { imm, ..blank(run) });
    Ok(())
}
