//! A parsed and resolved PTX module: what callers may ask of it. The text is read in `ptx/`.

use std::fmt;

use crate::decode;
use crate::exec::program::Program;
use crate::ptx::tree::Pos;

/// PTX that cannot be loaded: where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// From 1; 0 where no line is to blame.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// Found, then expected.
    pub message: String,
    /// Wrong for every device, so that nothing is gained by going on; see [`Module::unsupported`].
    pub(crate) certain: bool,
}

impl LoadError {
    pub(crate) fn at(pos: Pos, message: String) -> Self {
        let Pos { line, column } = pos;
        Self {
            line,
            column,
            message,
            certain: false,
        }
    }

    /// The same, but never put off.
    pub(crate) fn certain(self) -> Self {
        Self { certain: true, ..self }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for LoadError {}

/// One `.param` of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// As written.
    pub name: String,
    /// `u64`, `f32`, `b8` ... (the element type for arrays).
    pub type_name: String,
    /// Total size in bytes.
    pub bytes: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// Offset in the parameter space.
    pub offset: usize,
}

/// One `.entry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub name: String,
    /// In order.
    pub params: Vec<Param>,
    /// Size of the parameter space.
    pub param_bytes: usize,
    /// `.reqntid`, where given.
    pub required_block: Option<[u32; 3]>,
    /// `.maxntid`, where given.
    pub max_block: Option<[u32; 3]>,
    /// Registers per thread that a launch begins with, where the text says: the start of `setmaxnreg`'s pool.
    pub launch_registers: Option<u32>,
    /// `.reqnctapercluster`, where given.
    pub required_cluster: Option<[u32; 3]>,
    /// Bytes of static shared memory.
    pub static_shared_bytes: u32,
}

/// A parsed and resolved module; immutable, shared between threads.
#[derive(Debug)]
pub struct Module {
    entries: Vec<Entry>,
    /// For each entry, its function in the program.
    functions: Vec<u32>,
    /// For each entry, the first error in it or in a function it names.
    unsupported: Vec<Option<LoadError>>,
    /// The first of all functions.
    first_unsupported: Option<LoadError>,
    program: Program,
    version: (u32, u32),
    target: String,
}

impl Module {
    /// Reads PTX text. What is wrong with the text, its declarations or its names fails here; an instruction that is not
    /// executed here, which a GPU may well know, is kept for [`Module::unsupported`].
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        let decoded = decode::module(text)?;
        Ok(Self {
            entries: decoded.entries,
            functions: decoded.functions,
            unsupported: decoded.unsupported,
            first_unsupported: decoded.first_unsupported,
            program: decoded.program,
            version: decoded.version,
            target: decoded.target,
        })
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// An entry and its function in the program.
    pub(crate) fn resolved(&self, name: &str) -> Option<(&Entry, u32)> {
        let number = self.entries.iter().position(|e| e.name == name)?;
        Some((&self.entries[number], self.functions[number]))
    }

    /// The first instruction of the module that cannot be executed here, by name, with its line.
    #[must_use]
    pub fn unsupported(&self) -> Option<&LoadError> {
        self.first_unsupported.as_ref()
    }

    /// The same for one entry and the functions that it names, directly or through others.
    #[must_use]
    pub fn unsupported_in(&self, entry: &str) -> Option<&LoadError> {
        let number = self.entries.iter().position(|e| e.name == entry)?;
        self.unsupported[number].as_ref()
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// One entry by name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }
    /// `.version`.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.version
    }
    /// `.target`, its first word: `sm_90`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}
