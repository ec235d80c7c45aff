//! Scalar video instructions (ISA 9.7.15): `vadd`, `vsub`, `vabsdiff`, `vmin`, `vmax`, `vshl`, `vshr`, `vmad`, `vset`.

use super::{has, operands, types, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::video::{video, First, Part, Second, Video};
use crate::ptx::tree::{Instruction, Operand, OperandKind};
use crate::ptx::types::Ty;

/// The part that an operand names, and the operand without it.
fn part<'t>(operand: &Operand<'t>) -> (Operand<'t>, Part) {
    match operand.kind {
        OperandKind::Name(name) => {
            let (base, part) = Part::of(name);
            let kind = OperandKind::Name(base);
            (Operand { kind, ..*operand }, part)
        }
        _ => (operand.clone(), Part::WHOLE),
    }
}

fn first(i: &Instruction<'_>) -> Lowered<First> {
    let comparisons = [
        ("eq", First::Equal),
        ("ne", First::NotEqual),
        ("lt", First::Less),
        ("le", First::LessEqual),
        ("gt", First::Greater),
        ("ge", First::GreaterEqual),
    ];
    Ok(match i.opcode {
        "vadd" => First::Add,
        "vsub" => First::Sub,
        "vabsdiff" => First::AbsDiff,
        "vmin" => First::Min,
        "vmax" => First::Max,
        "vshl" => First::ShiftLeft,
        "vshr" => First::ShiftRight,
        "vmad" => First::Mad,
        _ => comparisons
            .iter()
            .find(|c| has(i, c.0))
            .map(|c| c.1)
            .ok_or_else(|| unsupported(i))?,
    })
}

/// The second operation, by its modifier, or a merge where d names a part.
fn second(i: &Instruction<'_>, whole: bool) -> Lowered<Second> {
    let named = match i.modifiers.last().copied() {
        Some("add") => Second::Add,
        Some("min") => Second::Min,
        Some("max") => Second::Max,
        _ if whole => return Ok(Second::None),
        _ => return Ok(Second::Merge),
    };
    // The ISA has either a part of d or a second operation.
    if whole {
        Ok(named)
    } else {
        Err(unsupported(i))
    }
}

pub(crate) fn scalar<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let first = first(i)?;
    let o = operands(i, 3, 4)?;
    let ((d, d_part), (a, a_part), (b, b_part)) = (part(&o[0]), part(&o[1]), part(&o[2]));
    let second = second(i, d_part == Part::WHOLE)?;
    let third = first == First::Mad || second != Second::None;
    operands(i, 3 + usize::from(third), 3 + usize::from(third))?;
    let signed: Vec<bool> = types(i).iter().map(|t| t.is_signed()).collect();
    // `vset` gives a truth value and has no type for it.
    let signed = match signed[..] {
        [a, b] => [false, a, b],
        [d, a, b] => [d, a, b],
        _ => return Err(unsupported(i)),
    };
    let list = Video {
        first,
        second,
        signed,
        parts: [d_part, a_part, b_part],
        saturate: has(i, "sat"),
        wrap: has(i, "wrap"),
        scale: match (has(i, "shr7"), has(i, "shr15")) {
            (true, _) => 7,
            (_, true) => 15,
            _ => 0,
        },
        plus_one: has(i, "po"),
    };
    let (a, b) = (l.src(&a, Ty::B32)?, l.src(&b, Ty::B32)?);
    let c = if third { l.src(&o[3], Ty::B32)? } else { a };
    let dst = l.dst(&d, Ty::B32)?;
    let extra = l.list(list.pack());
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        extra,
        ..blank(video)
    });
    Ok(())
}
