//! The syntax tree: PTX as written, with positions. Names are slices of the text; nothing is resolved.

use super::types::Ty;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pos {
    pub line: u32,
    pub column: u32,
}

/// A name where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'t> {
    pub text: &'t str,
    pub pos: Pos,
}

/// State spaces that variables can be declared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarSpace {
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// One value of an initialiser.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Init<'t> {
    Value(Literal),
    /// The address of a variable or function, plus an offset.
    Address(Name<'t>, i64),
}

/// A declared variable or parameter.
#[derive(Clone, Debug)]
pub(crate) struct Variable<'t> {
    pub name: Name<'t>,
    pub space: VarSpace,
    pub ty: Ty,
    pub align: u32,
    /// In bytes; 0 for unsized arrays.
    pub bytes: u64,
    pub external: bool,
    pub init: Vec<Init<'t>>,
    /// A `.reg` parameter of a function.
    pub in_register: bool,
}

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal {
    /// Two's complement.
    Int(u64),
    Single(f32),
    Double(f64),
}

/// An instruction's operand.
#[derive(Clone, Debug)]
pub(crate) struct Operand<'t> {
    pub pos: Pos,
    pub kind: OperandKind<'t>,
}

/// See [`Operand`].
#[derive(Clone, Debug)]
pub(crate) enum OperandKind<'t> {
    /// A register, variable, function, label or special register (with its `.x`).
    Name(&'t str),
    /// `name + offset`, outside brackets.
    Offset(&'t str, i64),
    /// `!p`.
    Not(&'t str),
    Literal(Literal),
    /// `[base + offset]`; no base for an absolute address.
    Address(Option<&'t str>, i64),
    /// `[map, {x, y}]`: an address with further operands.
    Tensor(Vec<Operand<'t>>),
    /// `{a, b}`.
    Vector(Vec<Operand<'t>>),
    /// `(a, b)` of a call.
    List(Vec<Operand<'t>>),
    /// `d|p`.
    Pair(Box<Operand<'t>>, Box<Operand<'t>>),
    /// `_`.
    Sink,
}

/// One instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction<'t> {
    pub pos: Pos,
    /// Byte range in the text, without the semicolon.
    pub span: (usize, usize),
    /// Register and whether it is negated.
    pub guard: Option<(Name<'t>, bool)>,
    pub opcode: &'t str,
    /// Without the dots.
    pub modifiers: Vec<&'t str>,
    pub operands: Vec<Operand<'t>>,
}

/// A register or a family of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegName<'t> {
    pub name: Name<'t>,
    /// `%r<n>`: `%r0` to `%r(n-1)`.
    pub count: Option<u64>,
}

/// What stands in a function's body.
#[derive(Clone, Debug)]
pub(crate) enum Statement<'t> {
    Instruction(Instruction<'t>),
    Label(Name<'t>),
    Open,
    Close,
    Registers {
        ty: Ty,
        vector: u32,
        names: Vec<RegName<'t>>,
    },
    Variable(Variable<'t>),
    /// `.loc file line`.
    Source {
        file: u32,
        line: u32,
    },
    /// `.branchtargets` or `.calltargets`, under their label.
    Targets(Name<'t>, Vec<Name<'t>>),
    /// `.callprototype`, under its label.
    Prototype(Name<'t>, Signature<'t>),
}

/// Parameters and results of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signature<'t> {
    pub params: Vec<Variable<'t>>,
    pub results: Vec<Variable<'t>>,
}

/// `.entry` or `.func`.
#[derive(Clone, Debug)]
pub(crate) struct Function<'t> {
    pub name: Name<'t>,
    pub is_entry: bool,
    pub signature: Signature<'t>,
    pub required_block: Option<[u32; 3]>,
    pub max_block: Option<[u32; 3]>,
    /// `.maxnreg`, `.minnctapersm`.
    pub max_registers: Option<u32>,
    pub min_blocks: Option<u32>,
    pub required_cluster: Option<[u32; 3]>,
    /// `None` for a declaration.
    pub body: Option<Vec<Statement<'t>>>,
}

/// A whole module.
#[derive(Clone, Debug, Default)]
pub(crate) struct File<'t> {
    pub version: (u32, u32),
    pub target: &'t str,
    /// `.target sm_90, debug`.
    pub is_debug: bool,
    pub variables: Vec<Variable<'t>>,
    pub functions: Vec<Function<'t>>,
    /// `.file`: number and name.
    pub sources: Vec<(u32, String)>,
    /// `.alias`: new name, function.
    pub aliases: Vec<(Name<'t>, Name<'t>)>,
}
