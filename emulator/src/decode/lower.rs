//! One function being decoded: names to slots, operands to offsets, instructions to the program's code.
//! Which handler an instruction gets is decided by the builders in `build/`, through the table in `table`.

use std::collections::HashMap;

use super::layout::{Layout, Symbol};
use super::pool::Pool;
use crate::exec::access::frame_address;
use crate::exec::inst::{Handler, Inst, NO_GUARD};
use crate::exec::lanes::{compare, pred2};
use crate::exec::matrix::product::Mma;
use crate::exec::matrix::wmma::{Tile, Wmma};
use crate::exec::program::{Call, Place};
use crate::exec::special::{special, SPECIALS};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Literal, Name, Operand, OperandKind, Pos, Signature, VarSpace, Variable};
use crate::ptx::types::{Class, Ty};

pub(crate) type Lowered<T> = Result<T, LoadError>;

/// A register: slot and declared type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    pub slot: u32,
    pub ty: Ty,
}

/// What a name in a function can mean.
#[derive(Clone, Debug)]
pub(crate) enum Local<'t> {
    Register(Register),
    /// `.v2`/`.v4` register: its components.
    Vector(Vec<Register>),
    /// A variable in the frame's local memory: `.local`, `.param`.
    Frame {
        offset: u32,
    },
    /// A parameter of the entry.
    Param {
        offset: u32,
    },
    /// A `.shared` variable or a module variable declared inside the function.
    Symbol(Symbol),
    Targets(Vec<Name<'t>>),
    Prototype(Signature<'t>),
}

/// `%r<n>`.
#[derive(Clone, Debug)]
struct Family {
    count: u64,
    ty: Ty,
}

#[derive(Clone, Debug, Default)]
struct Scope<'t> {
    names: HashMap<&'t str, Local<'t>>,
    families: HashMap<&'t str, Family>,
    number: u32,
}

/// A branch whose label is not yet known.
struct Fixup<'t> {
    inst: usize,
    label: &'t str,
    pos: Pos,
    scopes: Vec<u32>,
    /// For a table: list and entry.
    entry: Option<(usize, usize)>,
}

/// What the functions of a module share while they are decoded.
pub(crate) struct Output {
    pub code: Vec<Inst>,
    pub places: Vec<Place>,
    pub pool: Pool,
    pub calls: Vec<Call>,
    pub lists: Vec<Vec<u32>>,
    pub products: Vec<Mma>,
    pub tiles: Vec<Tile>,
    pub fragments: Vec<Wmma>,
}

/// See the module.
pub(crate) struct Lower<'m, 't> {
    pub out: &'m mut Output,
    pub layout: &'m Layout<'t>,
    pub is_entry: bool,
    /// Of the entry.
    pub param_bytes: u32,
    /// Offset of dynamic shared memory in this function.
    pub dynamic_shared: u32,
    scopes: Vec<Scope<'t>>,
    next_scope: u32,
    labels: HashMap<(u32, &'t str), u32>,
    fixups: Vec<Fixup<'t>>,
    pub frame_bytes: u32,
    pub local_bytes: u32,
    guard: u32,
    place: Place,
    pub source: (u32, u32),
    sink: Option<u32>,
}

/// Largest register file of one function: far beyond any compiler, small enough for 31-bit offsets.
const MAX_FRAME: u32 = 1 << 28;

impl<'m, 't> Lower<'m, 't> {
    pub(crate) fn new(out: &'m mut Output, layout: &'m Layout<'t>, is_entry: bool, dynamic_shared: u32) -> Self {
        Self {
            out,
            layout,
            is_entry,
            param_bytes: 0,
            dynamic_shared,
            scopes: vec![Scope::default()],
            next_scope: 1,
            labels: HashMap::new(),
            fixups: Vec::new(),
            frame_bytes: 0,
            local_bytes: 0,
            guard: NO_GUARD,
            place: Place::default(),
            source: (0, 0),
            sink: None,
        }
    }

    pub(crate) fn open(&mut self) {
        let number = self.next_scope;
        self.next_scope += 1;
        self.scopes.push(Scope {
            number,
            ..Scope::default()
        });
    }

    pub(crate) fn close(&mut self) {
        self.scopes.pop();
    }

    fn scope(&mut self) -> &mut Scope<'t> {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Room for 32 lanes of `ty`.
    pub(crate) fn new_slot(&mut self, ty: Ty) -> Lowered<u32> {
        let bytes = if ty == Ty::Pred { 4 } else { ty.lane_bytes() * 32 };
        let align = bytes.min(64);
        let slot = self.frame_bytes.next_multiple_of(align);
        self.frame_bytes = slot + bytes;
        if self.frame_bytes > MAX_FRAME {
            let text = format!("found registers of more than {MAX_FRAME} bytes per warp in one function");
            return Err(LoadError::at(Pos::default(), text).certain());
        }
        Ok(slot)
    }

    pub(crate) fn declare(&mut self, name: Name<'t>, meaning: Local<'t>) -> Lowered<()> {
        if self.scope().names.insert(name.text, meaning).is_some() {
            return Err(LoadError::at(name.pos, format!("\"{}\" is declared twice", name.text)));
        }
        Ok(())
    }

    pub(crate) fn declare_register(&mut self, name: Name<'t>, ty: Ty, vector: u32) -> Lowered<Vec<Register>> {
        let mut list = Vec::new();
        for _ in 0..vector {
            let slot = self.new_slot(ty)?;
            list.push(Register { slot, ty });
        }
        let meaning = match list[..] {
            [only] => Local::Register(only),
            _ => Local::Vector(list.clone()),
        };
        self.declare(name, meaning)?;
        Ok(list)
    }

    pub(crate) fn declare_family(&mut self, prefix: &'t str, count: u64, ty: Ty) {
        self.scope().families.insert(prefix, Family { count, ty });
    }

    /// A variable in the frame's local memory.
    pub(crate) fn declare_frame(&mut self, variable: &Variable<'t>) -> Lowered<u32> {
        let at = variable.name.pos;
        let room = u32::try_from(variable.bytes).ok().filter(|b| *b <= 512 << 10);
        let Some(bytes) = room else {
            let text = format!(
                "\"{}\" has {} bytes, expected at most 524288 of local memory",
                variable.name.text, variable.bytes
            );
            return Err(LoadError::at(at, text));
        };
        let offset = self.local_bytes.next_multiple_of(variable.align.max(1));
        self.local_bytes = offset + bytes;
        if self.local_bytes > 512 << 10 {
            let text = format!(
                "local memory grows to {} bytes, expected at most 524288",
                self.local_bytes
            );
            return Err(LoadError::at(at, text));
        }
        self.declare(variable.name, Local::Frame { offset })?;
        Ok(offset)
    }

    /// What a name means, from the innermost scope outwards. Registers of a family get their slot at the first use.
    pub(crate) fn lookup(&mut self, name: &'t str) -> Lowered<Option<Local<'t>>> {
        for depth in (0..self.scopes.len()).rev() {
            if let Some(found) = self.scopes[depth].names.get(name) {
                return Ok(Some(found.clone()));
            }
            if let Some(ty) = self.family_member(depth, name) {
                let register = Register {
                    slot: self.new_slot(ty)?,
                    ty,
                };
                self.scopes[depth].names.insert(name, Local::Register(register));
                return Ok(Some(Local::Register(register)));
            }
        }
        Ok(None)
    }

    fn family_member(&self, depth: usize, name: &str) -> Option<Ty> {
        let families = &self.scopes[depth].families;
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count().min(19);
        for length in (1..=digits).rev() {
            let (prefix, number) = name.split_at(name.len() - length);
            if number.len() > 1 && number.starts_with('0') {
                continue;
            }
            let family = families.get(prefix);
            if let Some(family) = family.filter(|f| number.parse::<u64>().is_ok_and(|n| n < f.count)) {
                return Some(family.ty);
            }
        }
        None
    }

    /// Starts an instruction: its place and its guard.
    pub(crate) fn begin(&mut self, instruction: &Instruction<'t>) -> Lowered<()> {
        self.place = Place {
            line: instruction.pos.line,
            start: instruction.span.0 as u32,
            end: instruction.span.1 as u32,
            source: self.source,
        };
        self.guard = NO_GUARD;
        if let Some((name, negated)) = instruction.guard {
            let slot = self.predicate_named(name.text, name.pos)?;
            self.guard = slot | u32::from(negated);
        }
        Ok(())
    }

    /// Starts an instruction that no text stands for.
    pub(crate) fn begin_implicit(&mut self) {
        self.guard = NO_GUARD;
    }

    fn predicate_named(&mut self, name: &'t str, pos: Pos) -> Lowered<u32> {
        match self.lookup(name)? {
            Some(Local::Register(Register { slot, ty: Ty::Pred })) => Ok(slot),
            Some(Local::Register(other)) => {
                let text = format!("\"{name}\" is a .{} register, expected a predicate", other.ty.name());
                Err(LoadError::at(pos, text))
            }
            _ => {
                let text = format!("\"{name}\" is not declared, expected a predicate register");
                Err(LoadError::at(pos, text).certain())
            }
        }
    }

    /// Appends an instruction under the current guard.
    pub(crate) fn emit(&mut self, inst: Inst) {
        self.out.code.push(Inst {
            guard: self.guard,
            ..inst
        });
        self.out.places.push(self.place);
    }

    /// Appends a step that computes an operand: without guard, as it has no effect of its own.
    fn emit_hidden(&mut self, inst: Inst) {
        self.out.code.push(inst);
        self.out.places.push(self.place);
    }

    pub(crate) fn label(&mut self, name: Name<'t>) -> Lowered<()> {
        let scope = self.scope().number;
        let here = self.out.code.len() as u32;
        match self.labels.insert((scope, name.text), here) {
            None => Ok(()),
            Some(_) => Err(LoadError::at(name.pos, format!("label \"{}\" stands twice", name.text))),
        }
    }

    /// Remembers that the next instruction's `imm` (or a table's entry) is the place of a label.
    pub(crate) fn refer(&mut self, label: &'t str, pos: Pos, entry: Option<(usize, usize)>) {
        let scopes = self.scopes.iter().map(|s| s.number).collect();
        self.fixups.push(Fixup {
            inst: self.out.code.len(),
            label,
            pos,
            scopes,
            entry,
        });
    }

    /// Fills in all labels.
    pub(crate) fn finish(&mut self) -> Lowered<()> {
        for fixup in std::mem::take(&mut self.fixups) {
            let mut scopes = fixup.scopes.iter().rev();
            let target = scopes.find_map(|scope| self.labels.get(&(*scope, fixup.label)));
            let Some(target) = target else {
                let text = format!("label \"{}\" does not stand in this function", fixup.label);
                return Err(LoadError::at(fixup.pos, text));
            };
            match fixup.entry {
                Some((list, entry)) => self.out.lists[list][entry] = *target,
                None => self.out.code[fixup.inst].imm = u64::from(*target),
            }
        }
        Ok(())
    }

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

    /// The register that an operand names.
    pub(crate) fn register(&mut self, operand: &Operand<'t>) -> Lowered<Register> {
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
                Some(Local::Register(register)) => self.check(register, ty, operand),
                Some(_) => self.address_of(name, 0, ty, operand.pos),
                None if name.starts_with('%') => match SPECIALS.iter().find(|row| row.0 == name) {
                    Some(row) => self.read_special(row.1 as u64, ty),
                    None => {
                        let register = self.register(operand)?;
                        self.check(register, ty, operand)
                    }
                },
                None => match self.component(name, operand.pos) {
                    Ok(register) => self.check(register, ty, operand),
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
            if let Some(Local::Register(register)) = self.lookup(name)? {
                return Ok(register);
            }
            if let Ok(register) = self.component(name, operand.pos) {
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
            OperandKind::Name(name) => self.predicate_named(name, operand.pos),
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
            OperandKind::Name(name) => self.predicate_named(name, operand.pos),
            OperandKind::Not(name) => {
                let slot = self.predicate_named(name, operand.pos)?;
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
    const MAYBE: [&str; 6] = [
        "%pm",
        "%envreg",
        "%current_graph_exec",
        "%clusterid",
        "%nclusterid",
        "%cluster_",
    ];
    let error = LoadError::at(pos, text);
    if name.starts_with('%') && !MAYBE.iter().any(|special| name.starts_with(special)) {
        return error.certain();
    }
    error
}

/// An instruction without operands.
pub(crate) fn blank(run: Handler) -> Inst {
    Inst {
        run,
        guard: NO_GUARD,
        dst: 0,
        a: 0,
        b: 0,
        c: 0,
        d: 0,
        imm: 0,
        extra: 0,
    }
}

/// The type that holds the bits of another: what registers of this size look like.
pub(crate) fn bits_of(ty: Ty) -> Ty {
    match (ty.class(), ty.bytes()) {
        (Class::Pred, _) => Ty::Pred,
        (_, 1) => Ty::B8,
        (_, 2) => Ty::B16,
        (_, 4) => Ty::B32,
        (_, 8) => Ty::B64,
        _ => Ty::B128,
    }
}
