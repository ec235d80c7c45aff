//! What a caller hands to [`crate::run`]: geometry, parameter bytes, the memory a kernel may touch, how to run it.
//! No execution here; see `exec/`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// One launch of one entry.
pub struct Launch<'a> {
    /// Thread blocks per axis, each at least 1.
    pub grid: [u32; 3],
    /// Threads per axis, each at least 1, at most 1024 in total.
    pub block: [u32; 3],
    /// Thread blocks per cluster and axis; `[1, 1, 1]` for none.
    pub cluster: [u32; 3],
    /// Dynamic shared memory per thread block, behind the entry's static shared variables.
    pub shared_bytes: u32,
    /// The `.param` space of the entry, laid out by [`crate::Param::offset`]; exactly [`crate::Entry::param_bytes`] long.
    pub params: &'a [u8],
    /// Host memory that the kernel may touch through global addresses; everything else is a fault.
    pub ranges: &'a [Range],
    /// Names for warps, in order, for reports; may be empty.
    pub roles: &'a [Role],
    /// Scheduling and checks.
    pub settings: Settings,
    /// How to end the launch from outside; polled at least every millisecond.
    pub stop: &'a Stop,
}

/// Host memory registered for one launch.
///
/// The bytes must stay valid and unmoved until [`crate::run`] returns; the caller guarantees it.
#[derive(Clone, Debug)]
pub struct Range {
    /// First byte; also the global address that kernels use.
    pub address: u64,
    /// Length in bytes; zero is allowed.
    pub bytes: u64,
    /// The argument's name, for reports.
    pub name: String,
    /// Whether the kernel may write.
    pub access: Access,
}

/// What a kernel may do with a [`Range`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writes are faults.
    Read,
    /// Reads and writes.
    ReadWrite,
    /// Reads and writes, and the host may write too while the kernel runs: a kernel that polls it waits for the host.
    HostWrites,
}

/// A named run of consecutive warps of each thread block.
#[derive(Clone, Debug)]
pub struct Role {
    /// The name that reports use.
    pub name: String,
    /// How many warps, counted on from the previous role's last.
    pub warps: u32,
}

/// When asynchronous operations complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Schedule {
    /// At issue.
    #[default]
    Eager,
    /// As late as the PTX ISA allows: exposes missing waits.
    Latest,
    /// At a time drawn from the seed; warps are interleaved by it too.
    Seeded,
}

/// What is checked. Bounds, alignment and deadlock always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checks {
    /// Nothing more.
    None,
    /// Names of arrays and offsets in memory faults.
    #[default]
    Memory,
    /// Races, missing waits, uninitialised reads too.
    All,
}

/// How a launch is executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// When asynchronous operations complete.
    pub schedule: Schedule,
    /// For [`Schedule::Seeded`].
    pub seed: u64,
    /// What is checked.
    pub checks: Checks,
    /// Host threads for thread blocks; 0 means one per core.
    pub threads: u32,
    /// With [`Checks::All`]: races in global memory too, at a price in time and memory.
    pub global_races: bool,
}

/// Ends a launch from another thread, or at a time.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicU32,
    /// The launch ends with [`crate::Fault::Stopped`] once this has passed.
    pub deadline: Option<Instant>,
}

impl Stop {
    /// No deadline, nothing requested.
    #[must_use]
    pub fn new(deadline: Option<Instant>) -> Self {
        Self {
            requested: AtomicU32::new(0),
            deadline,
        }
    }
    /// Asks the launch to end with [`crate::Fault::Stopped`] as soon as it looks.
    pub fn request(&self) {
        self.requested.store(1, Ordering::Release);
    }
    /// Whether [`Stop::request`] was called or the deadline has passed.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.requested.load(Ordering::Acquire) != 0 || self.deadline.is_some_and(|d| Instant::now() >= d)
    }
}

/// What a launch that ended well has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Warp instructions executed.
    pub instructions: u64,
}
