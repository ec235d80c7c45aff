//! Executes PTX on the CPU and names the bugs it finds.
//!
//! PTX text goes in ([`Module::parse`]), memory effects come out ([`run`]). This crate knows nothing of the C ABI,
//! of manifests or of Python; `ffi/src/backend/cpu.rs` is its only caller inside the project.
//! Start reading at `ptx/` (text to typed instructions), then `exec/` (warps, memory, scheduling), then `fault.rs`.

// Lanes are numbered, and several arrays are indexed by the same lane: loops over them are written with the number.
#![allow(clippy::needless_range_loop)]
// Shifts of products stand as the ISA writes them.
#![allow(clippy::precedence)]

mod decode;
mod exec;
mod fault;
mod launch;
mod module;
mod num;
mod ptx;
mod survey;
mod tensor_map;
mod trace;

pub use decode::{form_of, forms};
pub use fault::{
    AccessKind, BarrierState, DeadlockReport, Fault, Location, MemoryFault, MemoryFaultKind, MisuseKind, MisuseReport,
    PollReport, RaceAccess, RaceKind, RaceReport, RegisterHolder, Space, Wait, WaitKind,
};
pub use launch::{Access, Checks, Launch, Outcome, Range, Role, Schedule, Settings, Stop};
pub use module::{Entry, LoadError, Module, Param};
pub use survey::{survey, Feature, Hazard, Survey};
pub use tensor_map::{Interleave, MapElement, Swizzle, TensorMap, TENSOR_MAP_BYTES};
pub use trace::{Trace, TraceCause, TraceCta, TraceEvent, TraceSink, TraceWhat, COPY_LATENCY, MOST_EVENTS};

/// Runs one entry to its end, or to its first fault. Blocks; uses `settings.threads` host threads.
pub fn run(module: &Module, entry: &str, launch: &Launch<'_>) -> Result<Outcome, Fault> {
    exec::run(module, entry, launch)
}

/// The same, recording who did what when; `sink` has the record also when the launch fails.
pub fn run_traced(module: &Module, entry: &str, launch: &Launch<'_>, sink: &TraceSink) -> Result<Outcome, Fault> {
    exec::run_traced(module, entry, launch, sink)
}
