//! Operands of instructions: registers, numbers, special registers, addresses and predicates, as slots.
//! What cannot be read in place is computed by a step in front of the instruction.

use super::{blank, Local, Lower, Lowered, Register};
use crate::decode::layout::Symbol;
use crate::exec::access::frame_address;
use crate::exec::inst::{Inst, NO_GUARD};
use crate::exec::lanes::{compare, pred2};
use crate::exec::special::{special, SPECIALS};
use crate::module::LoadError;
use crate::ptx::tree::{Literal, Operand, OperandKind, Pos, VarSpace};
use crate::ptx::types::Ty;

/// Where a variable is: at a fixed address of its space, or in the running frame's local memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Where {
    Fixed(u64, VarSpace),
    Frame(u32),
}

/// A decoded address operand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub slot: u32,
    pub narrow: bool,
    pub offset: u64,
    /// A variable: its space and the whole address.
    pub fixed: Option<(VarSpace, u64)>,
    /// In the running frame's local memory.
    pub frame: bool,
}

impl Address {
    fn wide(slot: u32, offset: u64, fixed: Option<(VarSpace, u64)>) -> Self {
        Self {
            slot,
            narrow: false,
            offset,
            fixed,
            frame: false,
        }
    }
}

/// The error for a name that nothing declares: certain for registers, unless one of the ISA's special registers that are
/// not known here may be meant (PTX ISA, special registers).
fn undeclared(name: &str, pos: Pos, text: String) -> LoadError {
    const MAYBE: [&str; 5] = ["%pm", "%current_graph_exec", "%clusterid", "%nclusterid", "%cluster_"];
    let error = LoadError::at(pos, text);
    if name.starts_with('%') && !MAYBE.iter().any(|special| name.starts_with(special)) {
        return error.certain();
    }
    error
}

impl<'t> Lower<'_, 't> {
    /// A slot for results that nobody wants.
    pub(crate) fn sink(&mut self) -> Lowered<u32> {
        match self.sink {
            Some(slot) => Ok(slot),
            None => {
                let slot = self.new_slot(Ty::B128)?;
                self.sink = Some(slot);
                Ok(slot)
            }
        }
    }

    /// The register that an operand names, as a destination.
    pub(crate) fn register(&mut self, operand: &Operand<'t>) -> Lowered<Register> {
        let register = self.named(operand)?;
        if let OperandKind::Name(name) = operand.kind {
            self.note(register.slot, name, true);
        }
        Ok(register)
    }

    fn named(&mut self, operand: &Operand<'t>) -> Lowered<Register> {
        let OperandKind::Name(name) = operand.kind else {
            return Err(LoadError::at(operand.pos, "found no register, expected one".into()));
        };
        match self.lookup(name)? {
            Some(Local::Register(register)) => Ok(register),
            Some(_) => Err(LoadError::at(operand.pos, format!("\"{name}\" is not a register"))),
            None => self.component(name, operand.pos),
        }
    }

    /// `%v.x`.
    fn component(&mut self, name: &'t str, pos: Pos) -> Lowered<Register> {
        let undeclared = || undeclared(name, pos, format!("register \"{name}\" is not declared"));
        let (base, part) = name.rsplit_once('.').ok_or_else(undeclared)?;
        let number = match part {
            "x" | "r" => 0,
            "y" | "g" => 1,
            "z" | "b" => 2,
            "w" | "a" => 3,
            _ => return Err(undeclared()),
        };
        match self.lookup(base)? {
            Some(Local::Vector(list)) => list.get(number).copied().ok_or_else(undeclared),
            _ => Err(undeclared()),
        }
    }

    fn check(&self, register: Register, ty: Ty, operand: &Operand<'t>) -> Lowered<u32> {
        let fits = register.ty.lane_bytes() == ty.lane_bytes() && (register.ty == Ty::Pred) == (ty == Ty::Pred);
        if fits {
            return Ok(register.slot);
        }
        let name = match operand.kind {
            OperandKind::Name(name) => name,
            _ => "the operand",
        };
        let text = format!(
            "\"{name}\" is a .{} register, expected one of the size of .{}",
            register.ty.name(),
            ty.name()
        );
        Err(LoadError::at(operand.pos, text))
    }

    /// A destination of exactly the size of `ty`; `_` is a place that nobody reads.
    pub(crate) fn dst(&mut self, operand: &Operand<'t>, ty: Ty) -> Lowered<u32> {
        if matches!(operand.kind, OperandKind::Sink) {
            return self.sink();
        }
        let register = self.register(operand)?;
        self.check(register, ty, operand)
    }

    /// A source of exactly the size of `ty`: register, number, special register, address of a variable or function.
    pub(crate) fn src(&mut self, operand: &Operand<'t>, ty: Ty) -> Lowered<u32> {
        match operand.kind {
            OperandKind::Literal(literal) => self.constant(literal, ty),
            OperandKind::Name("WARP_SZ") => self.constant(Literal::Int(32), ty),
            OperandKind::Name(name) => match self.lookup(name)? {
                Some(Local::Register(register)) => {
                    self.note(register.slot, name, false);
                    self.check(register, ty, operand)
                }
                Some(_) => self.address_of(name, 0, ty, operand.pos),
                None if name.starts_with('%') => match SPECIALS.iter().find(|row| row.0 == name) {
                    Some(row) => self.read_special(row.1 as u64, ty),
                    None => {
                        let register = self.named(operand)?;
                        self.note(register.slot, name, false);
                        self.check(register, ty, operand)
                    }
                },
                None => match self.component(name, operand.pos) {
                    Ok(register) => {
                        self.note(register.slot, name, false);
                        self.check(register, ty, operand)
                    }
                    Err(_) => self.address_of(name, 0, ty, operand.pos),
                },
            },
            OperandKind::Offset(name, offset) => self.address_of(name, offset, ty, operand.pos),
            _ => Err(LoadError::at(
                operand.pos,
                format!("found no .{} value, expected a register or a number", ty.name()),
            )),
        }
    }

    /// A source whose register may have another size than the instruction's type; numbers are made in the type.
    pub(crate) fn src_any(&mut self, operand: &Operand<'t>, ty: Ty) -> Lowered<Register> {
        if let OperandKind::Name(name) = operand.kind {
            let known = match self.lookup(name)? {
                Some(Local::Register(register)) => Some(register),
                _ => self.component(name, operand.pos).ok(),
            };
            if let Some(register) = known {
                self.note(register.slot, name, false);
                return Ok(register);
            }
        }
        let slot = self.src(operand, ty)?;
        Ok(Register { slot, ty })
    }

    /// A constant in the pool.
    pub(crate) fn constant(&mut self, literal: Literal, ty: Ty) -> Lowered<u32> {
        let bits = match (literal, ty) {
            (Literal::Int(value), Ty::F32) => u128::from((value as i64 as f32).to_bits()),
            (Literal::Int(value), Ty::F64) => u128::from((value as i64 as f64).to_bits()),
            (Literal::Int(value), _) => u128::from(value),
            (Literal::Single(value), _) if ty.bytes() == 8 => u128::from(f64::from(value).to_bits()),
            (Literal::Single(value), _) => u128::from(value.to_bits()),
            (Literal::Double(value), _) if ty.bytes() == 4 => u128::from((value as f32).to_bits()),
            (Literal::Double(value), _) => u128::from(value.to_bits()),
        };
        self.out.pool.slot(bits, ty.lane_bytes())
    }

    /// A constant number in the pool.
    pub(crate) fn number(&mut self, value: u64, ty: Ty) -> Lowered<u32> {
        self.out.pool.slot(u128::from(value), ty.lane_bytes())
    }

    fn read_special(&mut self, code: u64, ty: Ty) -> Lowered<u32> {
        let slot = self.new_slot(ty)?;
        self.emit_hidden(Inst {
            dst: slot,
            imm: code,
            extra: ty.lane_bytes(),
            ..blank(special)
        });
        Ok(slot)
    }

    fn address_of(&mut self, name: &'t str, offset: i64, ty: Ty, pos: Pos) -> Lowered<u32> {
        let place = self.place_of(name, pos)?;
        match place {
            Where::Fixed(base, _) => self.number(base.wrapping_add(offset as u64), ty),
            Where::Frame(base) if ty.bytes() == 8 => self.frame_address(u64::from(base).wrapping_add(offset as u64)),
            Where::Frame(_) => Err(LoadError::at(
                pos,
                format!("the address of \"{name}\" needs a 64-bit register"),
            )),
        }
    }

    fn frame_address(&mut self, offset: u64) -> Lowered<u32> {
        let slot = self.new_slot(Ty::U64)?;
        self.emit_hidden(Inst {
            dst: slot,
            imm: offset,
            ..blank(frame_address)
        });
        Ok(slot)
    }

    /// Where a variable is.
    pub(crate) fn place_of(&mut self, name: &'t str, pos: Pos) -> Lowered<Where> {
        let symbol = match self.lookup(name)? {
            Some(Local::Frame { offset }) => return Ok(Where::Frame(offset)),
            Some(Local::Param { offset }) => return Ok(Where::Fixed(u64::from(offset), VarSpace::Param)),
            Some(Local::Symbol(symbol)) => Some(symbol),
            Some(_) => None,
            None => self.layout.symbol(name),
        };
        match symbol {
            Some(Symbol::DynamicShared) => Ok(Where::Fixed(u64::from(self.dynamic_shared), VarSpace::Shared)),
            Some(Symbol::At(address, space)) => Ok(Where::Fixed(address, space)),
            None => Err(undeclared(name, pos, format!("\"{name}\" is not declared"))),
        }
    }

    /// The address operand of a memory instruction: slot, whether it has 32 bits, offset.
    pub(crate) fn address(&mut self, operand: &Operand<'t>) -> Lowered<Address> {
        let (base, offset) = match &operand.kind {
            OperandKind::Address(base, offset) => (*base, *offset),
            _ => {
                return Err(LoadError::at(
                    operand.pos,
                    "found no address, expected one in brackets".into(),
                ))
            }
        };
        let Some(name) = base else {
            let slot = self.number(offset as u64, Ty::U64)?;
            return Ok(Address::wide(slot, 0, None));
        };
        let register = match self.lookup(name)? {
            Some(Local::Register(register)) => Some(register),
            _ => self.component(name, operand.pos).ok(),
        };
        if let Some(register) = register {
            self.note(register.slot, name, false);
            return match register.ty.bytes() {
                4 if register.ty != Ty::Pred => Ok(Address {
                    narrow: true,
                    ..Address::wide(register.slot, offset as u64, None)
                }),
                8 => Ok(Address::wide(register.slot, offset as u64, None)),
                _ => Err(LoadError::at(
                    operand.pos,
                    format!(
                        "\"{name}\" is a .{} register, expected an address of 32 or 64 bits",
                        register.ty.name()
                    ),
                )),
            };
        }
        match self.place_of(name, operand.pos)? {
            Where::Fixed(base, space) => {
                let slot = self.number(base.wrapping_add(offset as u64), Ty::U64)?;
                let fixed = Some((space, base.wrapping_add(offset as u64)));
                Ok(Address::wide(slot, 0, fixed))
            }
            Where::Frame(base) => {
                let slot = self.frame_address(u64::from(base).wrapping_add(offset as u64))?;
                let mut address = Address::wide(slot, 0, None);
                address.frame = true;
                Ok(address)
            }
        }
    }

    /// A predicate destination.
    pub(crate) fn dst_pred(&mut self, operand: &Operand<'t>) -> Lowered<u32> {
        match operand.kind {
            OperandKind::Sink => self.sink(),
            OperandKind::Name(name) => {
                let slot = self.predicate_named(name, operand.pos)?;
                self.note(slot, name, true);
                Ok(slot)
            }
            _ => Err(LoadError::at(
                operand.pos,
                "found no predicate register, expected one".into(),
            )),
        }
    }

    /// A predicate source; `!p` is computed in front of the instruction.
    pub(crate) fn src_pred(&mut self, operand: &Operand<'t>) -> Lowered<u32> {
        match operand.kind {
            OperandKind::Name("%is_explicit_cluster") => {
                let (a, b) = (self.src(operand, Ty::U32)?, self.number(0, Ty::U32)?);
                let dst = self.new_slot(Ty::Pred)?;
                self.emit_hidden(Inst {
                    dst,
                    a,
                    b,
                    extra: NO_GUARD,
                    ..blank(compare(|a: u32, b: u32| a != b))
                });
                Ok(dst)
            }
            OperandKind::Name(name) => {
                let slot = self.predicate_named(name, operand.pos)?;
                self.note(slot, name, false);
                Ok(slot)
            }
            OperandKind::Not(name) => {
                let slot = self.predicate_named(name, operand.pos)?;
                self.note(slot, name, false);
                let inverted = self.new_slot(Ty::Pred)?;
                self.emit_hidden(Inst {
                    dst: inverted,
                    a: slot,
                    b: slot,
                    ..blank(pred2(|a, _| !a))
                });
                Ok(inverted)
            }
            OperandKind::Literal(Literal::Int(value)) => {
                let bits = if value & 1 != 0 { u64::from(u32::MAX) } else { 0 };
                self.number(bits, Ty::U32)
            }
            _ => Err(LoadError::at(
                operand.pos,
                "found no predicate, expected a register or its negation".into(),
            )),
        }
    }

    /// The guard of the running instruction, for builders that make predicates of it.
    pub(crate) fn list(&mut self, list: Vec<u32>) -> u32 {
        self.out.lists.push(list);
        self.out.lists.len() as u32 - 1
    }
}
