//! `mov` in all its forms, and address conversions (ISA 9.7.9.3, 9.7.9.15 to .18).

use super::{has, operands, ty, unary, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::access::{from_generic, is_space, map_address, to_generic};
use crate::exec::inst::{Handler, Inst};
use crate::exec::lanes::{pred2, un};
use crate::exec::memory::window;
use crate::exec::rank::rank_of;
use crate::exec::simple::{pack, unpack};
use crate::ptx::tree::{Instruction, OperandKind};
use crate::ptx::types::Ty;

/// A copy of one register.
pub(crate) fn copy_handler(ty: Ty) -> Handler {
    match ty.lane_bytes() {
        2 => un(|a: u16| a),
        4 => un(|a: u32| a),
        8 => un(|a: u64| a),
        _ => un(|a: u128| a),
    }
}

pub(crate) fn mov<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 2, 2)?;
    if t == Ty::Pred {
        let a = l.src_pred(&o[1])?;
        let dst = l.dst_pred(&o[0])?;
        let run = pred2(|a, _| a);
        l.emit(Inst {
            dst,
            a,
            b: a,
            ..blank(run)
        });
        return Ok(());
    }
    match (&o[0].kind, &o[1].kind) {
        (OperandKind::Vector(parts), OperandKind::Vector(values)) if parts.len() == values.len() => {
            // `mov.v2 {a, b}, {c, d}` is rare and element-wise.
            for (d, a) in parts.iter().zip(values) {
                let (a, dst) = (l.src(a, t)?, l.dst(d, t)?);
                l.emit(Inst {
                    dst,
                    a,
                    ..blank(copy_handler(t))
                });
            }
            Ok(())
        }
        (OperandKind::Vector(parts), _) => {
            let element = element_type(i, t, parts.len())?;
            let a = l.src(&o[1], t)?;
            let slots = parts.iter().map(|p| l.dst(p, element)).collect::<Lowered<Vec<_>>>()?;
            let extra = l.list(slots);
            l.emit(Inst {
                a,
                d: t.bytes(),
                imm: u64::from(element.bytes()),
                extra,
                ..blank(unpack)
            });
            Ok(())
        }
        (_, OperandKind::Vector(parts)) => {
            let element = element_type(i, t, parts.len())?;
            let slots = parts.iter().map(|p| l.src(p, element)).collect::<Lowered<Vec<_>>>()?;
            let dst = l.dst(&o[0], t)?;
            let extra = l.list(slots);
            l.emit(Inst {
                dst,
                d: t.bytes(),
                imm: u64::from(element.bytes()),
                extra,
                ..blank(pack)
            });
            Ok(())
        }
        _ => unary(l, i, copy_handler(t), t, t),
    }
}

fn element_type(i: &Instruction<'_>, t: Ty, parts: usize) -> Lowered<Ty> {
    match (t.bytes() as usize).checked_div(parts) {
        Some(1) => Ok(Ty::B8),
        Some(2) => Ok(Ty::B16),
        Some(4) => Ok(Ty::B32),
        Some(8) => Ok(Ty::B64),
        _ => Err(unsupported(i)),
    }
}

fn window_of(i: &Instruction<'_>) -> Option<u64> {
    let windows = [
        ("global", 0),
        ("shared", window::SHARED),
        ("shared::cta", window::SHARED),
        ("shared::cluster", window::SHARED),
        ("local", window::LOCAL),
        ("const", window::CONST),
        ("param", window::PARAM),
        ("param::entry", window::PARAM),
    ];
    windows.iter().find(|w| has(i, w.0)).map(|w| w.1)
}

pub(crate) fn cvta<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let Some(mut window) = window_of(i).filter(|_| t == Ty::U64) else {
        return Err(unsupported(i));
    };
    // Parameters of functions live in local memory.
    if window == window::PARAM && !l.is_entry {
        window = window::LOCAL;
    }
    let o = operands(i, 2, 2)?;
    let a = l.src(&o[1], t)?;
    let dst = l.dst(&o[0], t)?;
    let run: Handler = match (window, has(i, "to")) {
        (0, _) => copy_handler(t),
        (_, true) => from_generic,
        (_, false) => to_generic,
    };
    l.emit(Inst {
        dst,
        a,
        imm: window,
        ..blank(run)
    });
    Ok(())
}

pub(crate) fn isspacep<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let window = window_of(i).ok_or_else(|| unsupported(i))?;
    let o = operands(i, 2, 2)?;
    let a = l.src(&o[1], Ty::U64)?;
    let dst = l.dst_pred(&o[0])?;
    let extra = u32::from(has(i, "shared") || has(i, "shared::cta"));
    l.emit(Inst {
        dst,
        a,
        imm: window,
        extra,
        ..blank(is_space)
    });
    Ok(())
}

pub(crate) fn ctarank<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 2, 2)?;
    let a = l.src(&o[1], t)?;
    let dst = l.dst(&o[0], Ty::U32)?;
    l.emit(Inst {
        dst,
        a,
        extra: u32::from(t == Ty::U32),
        ..blank(rank_of)
    });
    Ok(())
}

pub(crate) fn mapa<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let t = ty(i)?;
    let o = operands(i, 3, 3)?;
    let (a, b) = (l.src(&o[1], t)?, l.src(&o[2], Ty::U32)?);
    let dst = l.dst(&o[0], t)?;
    l.emit(Inst {
        dst,
        a,
        b,
        extra: u32::from(t == Ty::U32),
        ..blank(map_address)
    });
    Ok(())
}
