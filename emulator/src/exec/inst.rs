//! A decoded instruction: a handler and its operands as offsets. Decoding picks the handler for type and modifiers,
//! so that executing one is a single indirect call and a loop over 32 lanes.

use super::ctx::Ctx;

/// Executes one instruction for the lanes in the mask.
///
/// SAFETY contract of every handler: operands of the instruction were made by `decode/`, which gives each a slot of the
/// width that the handler reads, inside the function's frame or the constant pool; `Ctx` points at such a frame.
/// Handlers for wide CPUs are picked only after the features were detected.
pub(crate) type Handler = unsafe fn(&mut Ctx<'_>, &Inst, u32) -> Flow;

/// What comes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next instruction.
    Next,
    /// The handler has set `pc`, or changed the splits.
    Jump,
    /// The next instruction, but others go first: an mbarrier poll that found nothing.
    Yield,
    /// The next instruction, but others go first: a sleep.
    Pause,
    /// The same instruction again, once `Ctx::block` is over.
    Block,
    /// All lanes of this split are gone.
    Exit,
    /// `Ctx::fault` says why.
    Fault,
}

/// No guard predicate.
pub(crate) const NO_GUARD: u32 = u32::MAX;
/// Set in an operand that lies in the constant pool.
pub(crate) const IN_POOL: u32 = 1 << 31;
/// All lanes.
pub(crate) const FULL: u32 = u32::MAX;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inst {
    pub run: Handler,
    /// Predicate slot, with bit 0 set when negated; [`NO_GUARD`] for none.
    pub guard: u32,
    pub dst: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub d: u32,
    /// An address offset, a branch target, a table index, flags: what the handler says.
    pub imm: u64,
    pub extra: u32,
}
