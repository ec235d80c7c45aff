//! Video instructions (ISA 9.7.14, 9.7.15): `vadd`, `vsub`, `vabsdiff`, `vmin`, `vmax`, `vshl`, `vshr`, `vmad`, `vset`, and
//! those on all bytes or halves, with `vavrg`, as far as they select no lanes.

use super::{has, operands, types, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::inst::Inst;
use crate::exec::video::{simd, video, First, Part, Second, Video};
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
    Ok(match i.opcode.trim_end_matches(['2', '4']) {
        "vadd" => First::Add,
        "vsub" => First::Sub,
        "vabsdiff" => First::AbsDiff,
        "vmin" => First::Min,
        "vmax" => First::Max,
        "vshl" => First::ShiftLeft,
        "vshr" => First::ShiftRight,
        "vmad" => First::Mad,
        "vavrg" => First::Average,
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

/// Of d, a and b. `vset` gives a truth value and has no type for it.
fn signedness(i: &Instruction<'_>) -> Lowered<[bool; 3]> {
    let signed: Vec<bool> = types(i).iter().map(|t| t.is_signed()).collect();
    match signed[..] {
        [a, b] => Ok([false, a, b]),
        [d, a, b] => Ok([d, a, b]),
        _ => Err(unsupported(i)),
    }
}

/// `%r1.h10`, `%r1.b3210`: a register whose lanes are chosen, or masked.
fn selects_lanes(operand: &Operand<'_>) -> bool {
    match operand.kind {
        OperandKind::Name(name) => name.rsplit_once('.').is_some_and(|(_, lanes)| {
            let digits = lanes.strip_prefix(['h', 'b']).unwrap_or("");
            !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
        }),
        _ => false,
    }
}

/// `vadd2`, `vadd4` and the like.
pub(crate) fn lanes<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let bits = if i.opcode.ends_with('2') { 16 } else { 8 };
    let list = Video {
        first: first(i)?,
        second: if has(i, "add") { Second::Add } else { Second::None },
        signed: signedness(i)?,
        parts: [Part { shift: 0, bits }; 3],
        saturate: has(i, "sat"),
        wrap: false,
        scale: 0,
        plus_one: false,
    };
    let o = operands(i, 4, 4)?;
    if o.iter().any(selects_lanes) {
        return Err(unsupported(i));
    }
    let (a, b, c) = (l.src(&o[1], Ty::B32)?, l.src(&o[2], Ty::B32)?, l.src(&o[3], Ty::B32)?);
    let dst = l.dst(&o[0], Ty::B32)?;
    let extra = l.list(list.pack());
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        extra,
        ..blank(simd)
    });
    Ok(())
}

pub(crate) fn scalar<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let first = first(i)?;
    let o = operands(i, 3, 4)?;
    let ((d, d_part), (a, a_part), (b, b_part)) = (part(&o[0]), part(&o[1]), part(&o[2]));
    let second = second(i, d_part == Part::WHOLE)?;
    let third = first == First::Mad || second != Second::None;
    operands(i, 3 + usize::from(third), 3 + usize::from(third))?;
    let signed = signedness(i)?;
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
