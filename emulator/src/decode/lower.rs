//! One function being decoded: scopes, names to slots, labels, the program's code. Operands are read in `operands`.
//! Which handler an instruction gets is decided by the builders in `build/`, through the table in `table`.

mod operands;

use std::collections::HashMap;

use super::layout::{Layout, Symbol};
use super::pool::Pool;
use crate::exec::inst::{Handler, Inst, NO_GUARD};
use crate::exec::matrix::product::Mma;
use crate::exec::matrix::wgmma::Wgmma;
use crate::exec::matrix::wmma::{Tile, Wmma};
use crate::exec::program::{Call, Place, Use};
use crate::module::LoadError;
use crate::ptx::tree::{Instruction, Name, Pos, Signature, Variable};
use crate::ptx::types::{Class, Ty};

pub(crate) use operands::Address;

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
    pub uses: Vec<Use>,
    pub used: Vec<(u32, u32)>,
    /// Where the text begins in memory: names are slices of it.
    pub text: usize,
    pub pool: Pool,
    pub calls: Vec<Call>,
    pub lists: Vec<Vec<u32>>,
    /// Of jump tables so far.
    pub table_entries: usize,
    pub products: Vec<Mma>,
    pub tiles: Vec<Tile>,
    pub fragments: Vec<Wmma>,
    pub wgmmas: Vec<Wgmma>,
    /// See [`Program::named`](crate::exec::program::Program::named); `None` where nobody asks.
    pub named: Option<Vec<(u32, u32)>>,
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
    /// The first of the running instruction's uses.
    first_use: u32,
    pub source: (u32, u32),
    sink: Option<u32>,
    /// Registers that the running instruction has named so far.
    named: Vec<u32>,
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
            first_use: 0,
            source: (0, 0),
            sink: None,
            named: Vec::new(),
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
        let found = self.meaning(name)?;
        if let (Some(Local::Register(register)), true) = (&found, self.out.named.is_some()) {
            self.named.push(register.slot);
        }
        Ok(found)
    }

    fn meaning(&mut self, name: &'t str) -> Lowered<Option<Local<'t>>> {
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
        self.first_use = self.out.uses.len() as u32;
        self.named.clear();
        if let Some((name, negated)) = instruction.guard {
            let slot = self.predicate_named(name.text, name.pos)?;
            self.guard = slot | u32::from(negated);
        }
        Ok(())
    }

    /// Starts an instruction that no text stands for.
    pub(crate) fn begin_implicit(&mut self) {
        self.first_use = self.out.uses.len() as u32;
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
        if let Some(uses) = &mut self.out.named {
            let pc = self.out.code.len() as u32;
            uses.extend(self.named.drain(..).map(|slot| (pc, slot)));
        }
        self.out.code.push(Inst {
            guard: self.guard,
            ..inst
        });
        self.out.places.push(self.place);
        self.out.used.push((self.first_use, self.out.uses.len() as u32));
    }

    /// The running instruction reads or writes a register.
    fn note(&mut self, slot: u32, name: &'t str, write: bool) {
        let at = (name.as_ptr() as usize).wrapping_sub(self.out.text) as u32;
        let name = (at, name.len() as u32);
        self.out.uses.push(Use { slot, write, name });
    }

    /// Appends a step that computes an operand: without guard, as it has no effect of its own.
    fn emit_hidden(&mut self, inst: Inst) {
        self.out.code.push(inst);
        self.out.places.push(self.place);
        self.out.used.push((0, 0));
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
