//! Everything that ends a launch badly, as values; `Display` gives the whole report a user reads.
//! Found first, then expected. The texts are made in `text`; no execution here.

mod judged;
mod text;

pub(crate) use text::lanes;

/// Where a fault was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The entry that was launched.
    pub entry: String,
    /// Thread block index.
    pub cta: [u32; 3],
    /// Warp index inside the thread block.
    pub warp: u32,
    /// Lane inside the warp, where one lane is to blame.
    pub lane: Option<u32>,
    /// The role that the launch gave this warp.
    pub role: Option<String>,
    /// Line of the PTX text, from 1.
    pub line: u32,
    /// The instruction as written.
    pub instruction: String,
    /// `file:line` where the PTX carries `.loc`.
    pub source: Option<String>,
}

/// State spaces that can be named in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Space {
    Global,
    Shared,
    Local,
    Param,
    Const,
}

/// Why an access was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFaultKind {
    /// Outside every range or window.
    OutOfBounds,
    /// Not a multiple of what the access asks for, which is mostly its size.
    Misaligned,
    /// A write to a range registered as read-only.
    ReadOnly,
}

/// One refused access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// What was wrong.
    pub kind: MemoryFaultKind,
    /// Space of the access.
    pub space: Space,
    /// Whether it was a write.
    pub write: bool,
    /// The address as the kernel saw it.
    pub address: u64,
    /// Bytes accessed.
    pub size: u32,
    /// What the address must be a multiple of.
    pub align: u32,
    /// Nearest registered range: its name, its length, and the offset of the access in it (negative: in front of it).
    pub range: Option<(String, u64, i64)>,
    /// Where.
    pub location: Location,
}

/// What a blocked warp waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// An mbarrier in shared memory.
    Mbarrier {
        /// Shared byte offset.
        address: u32,
        /// The parity waited for.
        parity: Option<u32>,
    },
    /// `bar`/`barrier`.
    Barrier {
        /// Barrier number, 0 to 15.
        id: u32,
    },
    /// `barrier.cluster`.
    Cluster,
    /// A warp-synchronous operation whose other lanes have not come.
    Warp {
        /// Lanes that are missing.
        missing: u32,
    },
    /// `wgmma.wait_group`: other warps of the warpgroup have not executed the `wgmma`.
    Warpgroup {
        /// Warps of the thread block that are missing, as a mask.
        warps: u32,
        /// Where the `wgmma` stands in the PTX text.
        line: u32,
    },
    /// `cp.async.wait_group`, `cp.async.bulk.wait_group` and the like.
    Copies,
    /// `setmaxnreg.inc`, whose registers the pool of the thread block does not have.
    Registers {
        /// Per thread.
        wanted: u32,
        /// Per thread, what the warp has.
        held: u32,
        /// In the pool.
        free: u32,
        /// What the thread block was launched with.
        total: u32,
        /// The others.
        holders: Vec<RegisterHolder>,
    },
    /// A loop that nothing is known about.
    Spin,
    /// A loop that polls memory which nobody changes any more.
    Poll(PollReport),
}

/// The loop of a livelock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollReport {
    /// The array, in global memory; `None`: shared memory.
    pub array: Option<String>,
    /// Offset in it.
    pub offset: u64,
    /// What is there, as a number without sign.
    pub value: u64,
    /// First and last line of the loop.
    pub lines: (u32, u32),
    /// Lines of instructions in the module that may write there.
    pub writers: Vec<u32>,
}

/// Warps that hold the same number of registers since the same instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterHolder {
    /// Their role.
    pub role: Option<String>,
    /// First and last.
    pub warps: (u32, u32),
    /// Per thread.
    pub registers: u32,
    /// Line of the `setmaxnreg` that has set them; `None` since the launch.
    pub line: Option<u32>,
}

/// The state of an mbarrier or barrier at the time of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BarrierState {
    /// Completed phases.
    pub phase: u64,
    /// Arrivals still missing in this phase.
    pub pending: u32,
    /// Arrivals expected per phase.
    pub expected: u32,
    /// Bytes still to come (negative: came before they were expected).
    pub tx_bytes: i64,
    /// Who has not arrived, where that is known: warps of a `bar`.
    pub missing: Vec<String>,
    /// Who arrived last, as text (`role consumer (warp 2), line 17`), where known.
    pub last_arrival: Option<String>,
    /// The last copy that counted on an mbarrier whose bytes do not add up, as text (`512 bytes, warp 0, line 21`).
    pub last_copy: Option<String>,
}

/// One blocked warp (or part of one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who and where.
    pub location: Location,
    /// Lanes that wait, as a mask.
    pub lanes: u32,
    /// For what.
    pub on: WaitKind,
    /// State of the barrier waited on.
    pub state: Option<BarrierState>,
}

/// Every live warp of a launch is blocked and nothing is in flight that could wake one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockReport {
    /// The entry that was launched.
    pub entry: String,
    /// Thread block of the waits listed.
    pub cta: [u32; 3],
    /// How many thread blocks are blocked in all.
    pub blocked_ctas: u32,
    /// The waits of that thread block, by warp.
    pub waits: Vec<Wait>,
}

/// How one side of a race touches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// A plain read.
    Read,
    /// A plain write.
    Write,
    /// A volatile, relaxed or acquire read.
    StrongRead,
    /// An atomic update, or a volatile, relaxed or release write.
    StrongWrite,
    /// An instruction that reads through the asynchronous proxy.
    AsyncRead,
    /// An instruction that writes through the asynchronous proxy.
    AsyncWrite,
    /// A copy that reads here.
    CopyFrom,
    /// A copy that writes here.
    CopyInto,
    /// A `wgmma` that has an operand here.
    Product,
    /// An operation on an mbarrier.
    Mbarrier,
    /// `mbarrier.init` or `mbarrier.inval`.
    MbarrierInit,
}

/// What two accesses lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaceKind {
    /// Nothing orders them.
    Unordered,
    /// The earlier one is a copy that nobody has waited for.
    CopyInFlight,
    /// The earlier one is a `wgmma` that nobody has waited for.
    ProductInFlight,
    /// They are ordered, but no `fence.proxy.async` stands between a write and its asynchronous reader.
    ProxyFence,
}

/// One side of a race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaceAccess {
    /// How.
    pub kind: AccessKind,
    /// Who and where; for a copy, who issued it.
    pub location: Location,
}

/// Two accesses to the same memory, at least one of them a write, in no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaceReport {
    /// What is missing.
    pub kind: RaceKind,
    /// The entry that was launched.
    pub entry: String,
    /// The thread block whose shared memory it is; of the later access, where it is global.
    pub cta: [u32; 3],
    /// The array, in global memory.
    pub array: Option<String>,
    /// First byte that both touch, in the array or in shared memory.
    pub offset: u64,
    /// The access that came first in this run.
    pub earlier: RaceAccess,
    /// The other.
    pub later: RaceAccess,
}

/// Which rule a kernel broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisuseKind {
    /// A read of memory that nobody wrote.
    Uninitialised,
    /// A value that depends on a register which was never written goes to an address, a guard or memory.
    UndefinedRegister,
    /// The answer of an mbarrier wait that no instruction reads.
    IgnoredWait,
    /// A second `mbarrier.init`.
    DoubleInit,
    /// A write over an mbarrier.
    OverMbarrier,
    /// An aligned barrier or another aligned instruction in a diverged warp.
    DivergedBarrier,
    /// A thread block left with a copy in flight.
    ExitInFlight,
    /// A thread block left while another one used its shared memory.
    ExitBeforePeer,
    /// A warp did not do what all warps of its warpgroup must do.
    Warpgroup,
    /// A member mask without the lane that executes the instruction.
    MemberMask,
    /// Warps that come to a named barrier with different numbers of threads.
    BarrierCount,
    /// Bytes expected in a phase that may be over without them.
    LateExpect,
    /// Local memory of a function that has returned.
    DeadFrame,
    /// A register of a `wgmma` that the warp has not waited for.
    ProductRegisters,
    /// A `wgmma` without `wgmma.fence`.
    ProductFence,
}

/// A rule of the PTX ISA was broken, with a result that a GPU leaves undefined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisuseReport {
    /// Which rule.
    pub kind: MisuseKind,
    /// What was found, as text.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// Where.
    pub location: Location,
    /// A second place, with what it has to do with it.
    pub other: Option<(String, Location)>,
}

/// Everything that ends a launch badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// See [`DeadlockReport`].
    Deadlock(Box<DeadlockReport>),
    /// See [`MemoryFault`].
    Memory(Box<MemoryFault>),
    /// See [`RaceReport`].
    Race(Box<RaceReport>),
    /// See [`MisuseReport`].
    Misuse(Box<MisuseReport>),
    /// `trap`, a failed assertion, an undefined operation; the text says which.
    Trap(Box<Location>, String),
    /// The caller's geometry or parameters do not fit the entry.
    BadLaunch(String),
    /// [`crate::Stop`] was due.
    Stopped,
}

impl std::error::Error for Fault {}
