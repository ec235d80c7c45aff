//! A decoded module: instructions, constants, tables, module variables. Made by `decode/`, read by everything here.

use super::block::Block;
use super::inst::{Inst, IN_POOL};
use super::matrix::product::Mma;
use super::matrix::wgmma::Wgmma;
use super::matrix::wmma::{Tile, Wmma};

/// Where an instruction stands in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub line: u32,
    pub start: u32,
    pub end: u32,
    /// `.loc`: file number and line; line 0 for none.
    pub source: (u32, u32),
}

/// A function or entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub name: String,
    pub start: u32,
    /// Registers of one frame, for a whole warp.
    pub frame_bytes: u32,
    /// Local memory of one frame, per lane: `.local` variables, parameters and results.
    pub local_bytes: u32,
    /// Whether there is a body.
    pub defined: bool,
}

/// One end of a parameter's way into or out of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A register slot (or pool constant) and its bytes per lane.
    Register(u32, u32),
    /// Offset in the frame's local memory.
    Local(u32),
}

/// A parameter or result: from, to, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub from: End,
    pub to: End,
    pub bytes: u32,
}

/// Who is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callee {
    Function(u32),
    /// A 64-bit register with the function's address.
    Register(u32),
    Print,
    /// `malloc`.
    Allocate,
    /// `free`.
    Release,
    AssertFail,
}

/// One call instruction.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub callee: Callee,
    pub arguments: Vec<Move>,
    pub results: Vec<Move>,
}

/// A register that an instruction names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub slot: u32,
    pub write: bool,
    /// Its name: where it stands in the text, and how long it is.
    pub name: (u32, u32),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Program {
    pub text: String,
    pub code: Vec<Inst>,
    pub places: Vec<Place>,
    /// What instructions read and write, less their guards; by instruction, the range of the list.
    pub uses: Vec<Use>,
    pub used: Vec<(u32, u32)>,
    /// Constants, 32 lanes each.
    pub pool: Block,
    pub functions: Vec<Code>,
    pub calls: Vec<Call>,
    /// Operand lists that do not fit an instruction, and branch tables.
    pub lists: Vec<Vec<u32>>,
    /// Matrix instructions.
    pub products: Vec<Mma>,
    pub tiles: Vec<Tile>,
    pub fragments: Vec<Wmma>,
    pub wgmmas: Vec<Wgmma>,
    /// Instructions and the slots of the registers they name, in modules with `wgmma`.
    pub named: Vec<(u32, u32)>,
    pub sources: Vec<(u32, String)>,
    /// `.global` variables: one block each, so that running off an end is seen.
    pub globals: Vec<(String, Block, u64)>,
    /// `.const` variables.
    pub constants: Block,
    pub constant_bytes: u32,
    /// Compiled without optimisation (`.target sm_90, debug`).
    pub is_debug: bool,
}

impl Program {
    pub(crate) fn place(&self, pc: u32) -> Place {
        self.places.get(pc as usize).copied().unwrap_or_default()
    }

    /// The value of an operand of 64 bits in the constant pool.
    pub(crate) fn constant(&self, operand: u32) -> Option<u64> {
        let at = (operand & !IN_POOL) as usize;
        let bytes = self
            .pool
            .as_slice()
            .get(at..at + 8)
            .filter(|_| operand & IN_POOL != 0)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    /// As written, with blanks squeezed.
    pub(crate) fn instruction_text(&self, pc: u32) -> String {
        let place = self.place(pc);
        let text = self.text.get(place.start as usize..place.end as usize).unwrap_or("");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// `file:line` of the `.loc` in force.
    pub(crate) fn source(&self, place: Place) -> Option<String> {
        let (file, line) = place.source;
        if line == 0 {
            return None;
        }
        let name = self.sources.iter().find(|s| s.0 == file).map_or("?", |s| s.1.as_str());
        Some(format!("{name}:{line}"))
    }
}
