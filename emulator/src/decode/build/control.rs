//! Branches, calls, returns (ISA 9.7.12), and what has no effect here.

use super::warp::literal;
use super::{has, operands, unsupported};
use crate::decode::layout::{ends, Symbol};
use crate::decode::lower::{blank, Local, Lower, Lowered};
use crate::exec::control;
use crate::exec::inst::Inst;
use crate::exec::memory::window;
use crate::exec::program::{Call, Callee, End, Move};
use crate::exec::registers;
use crate::exec::simple;
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Operand, OperandKind, Signature};
use crate::ptx::types::Ty;

/// Most entries of the jump tables of a module: each `brx.idx` has its own.
const MAX_TABLES: usize = 1 << 23;

fn label<'t>(operand: &Operand<'t>) -> Lowered<&'t str> {
    match operand.kind {
        OperandKind::Name(name) => Ok(name),
        _ => Err(LoadError::at(operand.pos, "found no label, expected one".into())),
    }
}

pub(crate) fn bra<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    l.refer(label(&o[0])?, o[0].pos, None);
    l.emit(blank(control::branch));
    Ok(())
}

pub(crate) fn brx<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 2, 2)?;
    let a = l.src(&o[0], Ty::U32)?;
    let name = label(&o[1])?;
    let Some(Local::Targets(targets)) = l.lookup(name)? else {
        return Err(LoadError::at(o[1].pos, format!("\"{name}\" is no .branchtargets list")));
    };
    l.out.table_entries += targets.len();
    if l.out.table_entries > MAX_TABLES {
        let text = format!("found tables and lists of more than {MAX_TABLES} entries, expected less in a module");
        return Err(LoadError::at(o[1].pos, text).certain());
    }
    let list = l.list(vec![0; targets.len()]);
    for (entry, target) in targets.iter().enumerate() {
        l.refer(target.text, target.pos, Some((list as usize, entry)));
    }
    l.emit(Inst {
        a,
        extra: list,
        ..blank(control::branch_table)
    });
    Ok(())
}

/// `exit`, `ret`, `trap`, `brkpt` and the hints.
pub(crate) fn plain<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match i.opcode {
        "exit" => control::exit,
        "ret" => control::ret,
        "trap" => control::trap,
        "nanosleep" => simple::sleep,
        "membar" | "fence" => simple::memory_fence,
        _ => simple::nothing,
    };
    l.emit(blank(run));
    Ok(())
}

/// Hints that give a register a value: `createpolicy`.
pub(crate) fn policy<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 5)?;
    let dst = l.dst(&o[0], Ty::B64)?;
    let a = l.number(0, Ty::B64)?;
    l.emit(Inst {
        dst,
        a,
        ..blank(super::data::copy_handler(Ty::B64))
    });
    Ok(())
}

/// Results, callee, arguments, prototype of a call.
struct Parts<'a, 't> {
    results: &'a [Operand<'t>],
    callee: &'a Operand<'t>,
    arguments: &'a [Operand<'t>],
    prototype: Option<&'a Operand<'t>>,
}

fn parts<'a, 't>(i: &'a Instruction<'t>) -> Lowered<Parts<'a, 't>> {
    let mut rest = i.operands.iter().peekable();
    let list = |rest: &mut std::iter::Peekable<std::slice::Iter<'a, Operand<'t>>>| {
        let found: Option<&'a Operand<'t>> = rest.next_if(|o| matches!(o.kind, OperandKind::List(_)));
        match found.map(|o| &o.kind) {
            Some(OperandKind::List(list)) => list.as_slice(),
            _ => &[],
        }
    };
    let results = list(&mut rest);
    let callee = rest.next().ok_or_else(|| unsupported(i))?;
    let arguments = list(&mut rest);
    let prototype = rest.next();
    if rest.next().is_some() {
        return Err(unsupported(i));
    }
    Ok(Parts {
        results,
        callee,
        arguments,
        prototype,
    })
}

pub(crate) fn call<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let parts = parts(i)?;
    let (callee, signature) = target(l, i, &parts)?;
    let (formal_params, formal_results) = ends(&signature);
    let count = (parts.arguments.len(), parts.results.len());
    if count != (formal_params.len(), formal_results.len()) {
        let text = format!(
            "the call has {} arguments and {} results, expected {} and {}",
            count.0,
            count.1,
            formal_params.len(),
            formal_results.len()
        );
        return Err(LoadError::at(i.pos, text));
    }
    let mut arguments = Vec::new();
    for ((operand, (to, ty)), formal) in parts.arguments.iter().zip(formal_params).zip(&signature.params) {
        arguments.push(Move {
            from: actual(l, operand, ty)?,
            to,
            bytes: formal.bytes as u32,
        });
    }
    let mut results = Vec::new();
    for ((operand, (from, ty)), formal) in parts.results.iter().zip(formal_results).zip(&signature.results) {
        results.push(Move {
            from,
            to: actual(l, operand, ty)?,
            bytes: formal.bytes as u32,
        });
    }
    l.out.calls.push(Call {
        callee,
        arguments,
        results,
    });
    l.emit(Inst {
        extra: l.out.calls.len() as u32 - 1,
        ..blank(control::call)
    });
    Ok(())
}

fn target<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>, parts: &Parts<'_, 't>) -> Lowered<(Callee, Signature<'t>)> {
    let name = label(parts.callee)?;
    if let Some(Local::Register(register)) = l.lookup(name)? {
        let Some(prototype) = parts.prototype else {
            return Err(unsupported(i));
        };
        let signature = match l.lookup(label(prototype)?)? {
            Some(Local::Prototype(signature)) => signature,
            // `.calltargets`: every function listed has the same signature.
            Some(Local::Targets(targets)) => {
                let first = targets.first().and_then(|t| l.layout.signature(t.text));
                first.cloned().ok_or_else(|| unsupported(i))?
            }
            _ => {
                return Err(LoadError::at(
                    prototype.pos,
                    "found no .callprototype or .calltargets of that name".into(),
                ))
            }
        };
        return Ok((Callee::Register(register.slot), signature));
    }
    let callee = match name {
        "vprintf" => Callee::Print,
        "malloc" if !l.layout.has_body(name) => Callee::Allocate,
        "free" if !l.layout.has_body(name) => Callee::Release,
        "__assertfail" => Callee::AssertFail,
        _ => match l.layout.symbol(name) {
            Some(Symbol::At(address, _)) if address & window::TAG == window::FUNCTION => {
                let number = (address ^ window::FUNCTION) as u32;
                if !l.layout.is_defined(number) {
                    let text = format!("function \"{name}\" is called but has no body in this module");
                    return Err(LoadError::at(parts.callee.pos, text));
                }
                Callee::Function(number)
            }
            _ => {
                return Err(LoadError::at(
                    parts.callee.pos,
                    format!("function \"{name}\" is not declared"),
                ))
            }
        },
    };
    let signature = l.layout.signature(name).cloned().unwrap_or_default();
    Ok((callee, signature))
}

/// What stands in a call for a parameter: a register, a number, or a `.param` variable of the caller.
fn actual<'t>(l: &mut Lower<'_, 't>, operand: &Operand<'t>, ty: Ty) -> Lowered<End> {
    if let OperandKind::Name(name) = operand.kind {
        if let Some(Local::Frame { offset }) = l.lookup(name)? {
            return Ok(End::Local(offset));
        }
    }
    if matches!(operand.kind, OperandKind::Sink) {
        return Ok(End::Register(l.sink()?, ty.lane_bytes()));
    }
    let register = l.src_any(operand, ty)?;
    Ok(End::Register(register.slot, register.ty.lane_bytes()))
}

/// `setmaxnreg`: the count is part of the instruction.
pub(crate) fn registers<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let o = operands(i, 1, 1)?;
    let count = match literal(&o[0]) {
        Some(count) if (24..=256).contains(&count) && count % 8 == 0 => count,
        Some(count) => {
            let text = format!("setmaxnreg is given {count} registers, expected a multiple of 8 from 24 to 256");
            return Err(LoadError::at(o[0].pos, text).certain());
        }
        None => {
            let text = "setmaxnreg is given no constant, expected a multiple of 8 from 24 to 256".into();
            return Err(LoadError::at(o[0].pos, text).certain());
        }
    };
    l.emit(Inst {
        imm: count,
        d: u32::from(has(i, "inc")),
        ..blank(registers::set_max)
    });
    Ok(())
}

/// `prefetch` and others are accepted and do nothing. So does `griddepcontrol`: a launch here begins when those before it in
/// its stream are over, so `.wait` has nothing to wait for and `.launch_dependents` nobody to let start.
pub(crate) fn hint<'t>(l: &mut Lower<'_, 't>, _i: &Instruction<'t>) -> Lowered<()> {
    l.emit(blank(simple::nothing));
    Ok(())
}
