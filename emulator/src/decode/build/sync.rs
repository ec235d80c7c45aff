//! Barriers (ISA 9.7.13.1, .15): `bar`, `barrier`, `mbarrier`.

use super::memory::{flags, space_code};
use super::{has, operands, unsupported};
use crate::decode::lower::{blank, Lower, Lowered};
use crate::exec::barrier::{self, form};
use crate::exec::inst::{Handler, Inst};
use crate::exec::mbarrier::{self, flag};
use crate::ptx::tree::{Instruction, Operand, OperandKind};
use crate::ptx::types::Ty;

/// `bar` is `barrier` with `.aligned`.
pub(crate) fn barrier<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let kind = match (has(i, "arrive"), has(i, "red")) {
        (true, _) => form::ARRIVE,
        (_, true) => match (has(i, "popc"), has(i, "and")) {
            (true, _) => form::POPC,
            (_, true) => form::AND,
            _ => form::OR,
        },
        _ => form::SYNC,
    };
    let aligned = i.opcode == "bar" || has(i, "aligned");
    let reduces = kind >= form::POPC;
    let (first, last) = (usize::from(reduces), usize::from(reduces));
    let o = operands(i, 1 + first + last, 2 + first + last)?;
    let a = l.src(&o[first], Ty::U32)?;
    let counted = o.len() == 2 + first + last;
    let b = if counted { l.src(&o[first + 1], Ty::U32)? } else { 0 };
    let (c, dst) = match (reduces, kind) {
        (false, _) => (0, 0),
        (_, form::POPC) => (l.src_pred(&o[o.len() - 1])?, l.dst(&o[0], Ty::U32)?),
        _ => (l.src_pred(&o[o.len() - 1])?, l.dst_pred(&o[0])?),
    };
    if kind == form::ARRIVE && !counted {
        return Err(unsupported(i));
    }
    let imm = kind | if aligned { form::ALIGNED } else { 0 } | if counted { form::COUNTED } else { 0 };
    l.emit(Inst {
        dst,
        a,
        b,
        c,
        imm,
        ..blank(barrier::barrier)
    });
    Ok(())
}

pub(crate) fn cluster_barrier<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    operands(i, 0, 0)?;
    let run: Handler = if has(i, "arrive") {
        barrier::cluster_arrive
    } else {
        barrier::cluster_wait
    };
    let imm = if has(i, "aligned") { form::ALIGNED } else { 0 };
    l.emit(Inst { imm, ..blank(run) });
    Ok(())
}

/// An instruction on the mbarrier at `operand`.
fn on_barrier<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, operand: &Operand<'t>, run: Handler) -> Lowered<Inst> {
    let address = l.address(operand)?;
    Ok(Inst {
        a: address.slot,
        imm: address.offset,
        extra: flags(space_code(i, l.is_entry), &address),
        ..blank(run)
    })
}

pub(crate) fn init<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let b = l.src(&o[1], Ty::U32)?;
    let inst = on_barrier(l, i, &o[0], mbarrier::init)?;
    l.emit(Inst { b, ..inst });
    Ok(())
}

pub(crate) fn inval<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    let inst = on_barrier(l, i, &o[0], mbarrier::inval)?;
    l.emit(inst);
    Ok(())
}

/// `mbarrier.expect_tx`, `mbarrier.complete_tx`.
pub(crate) fn transaction<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let b = l.src(&o[1], Ty::U32)?;
    let inst = on_barrier(l, i, &o[0], mbarrier::transaction)?;
    let d = u32::from(i.modifiers.first() == Some(&"complete_tx"));
    l.emit(Inst { b, d, ..inst });
    Ok(())
}

/// `mbarrier.arrive`, `mbarrier.arrive_drop`, each with `.expect_tx` or `.noComplete`.
pub(crate) fn arrive<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 3)?;
    // Without a state the address comes first.
    let first = usize::from(!matches!(o[0].kind, OperandKind::Address(..)));
    let expects = has(i, "expect_tx");
    let Some(operand) = o.get(first) else {
        return Err(unsupported(i));
    };
    let b = match o.get(first + 1) {
        Some(count) => l.src(count, Ty::U32)?,
        None if expects => return Err(unsupported(i)),
        None => l.number(1, Ty::U32)?,
    };
    let sink = first == 0 || matches!(o[0].kind, OperandKind::Sink);
    let dst = if sink { 0 } else { l.dst(&o[0], Ty::B64)? };
    let drop = i.modifiers.first() == Some(&"arrive_drop");
    let c = [(drop, flag::DROP), (expects, flag::EXPECT), (sink, flag::SINK)];
    let c = c.iter().filter(|f| f.0).fold(0, |all, f| all | f.1);
    let inst = on_barrier(l, i, operand, mbarrier::arrive)?;
    l.emit(Inst { dst, b, c, ..inst });
    Ok(())
}

/// `mbarrier.test_wait`, `mbarrier.try_wait`; a time hint is accepted.
pub(crate) fn wait<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let blocking = i.modifiers.first() == Some(&"try_wait");
    let o = operands(i, 3, if blocking { 4 } else { 3 })?;
    let parity = has(i, "parity");
    let b = l.src(&o[2], if parity { Ty::U32 } else { Ty::B64 })?;
    if let Some(hint) = o.get(3) {
        l.src(hint, Ty::U32)?;
    }
    let dst = l.dst_pred(&o[0])?;
    let c = (if parity { flag::PARITY } else { 0 }) | (if blocking { flag::BLOCKING } else { 0 });
    let inst = on_barrier(l, i, &o[1], mbarrier::wait)?;
    l.emit(Inst { dst, b, c, ..inst });
    Ok(())
}

pub(crate) fn pending_count<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    super::unary(l, i, mbarrier::pending_count, Ty::U32, Ty::B64)
}
