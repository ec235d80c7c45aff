//! The state of the thread blocks that run together: warps with their splits, shared memory, barriers.
//! What changes it is in the handlers; who runs when is in `schedule`.

use super::block::Block;
use super::copies::{BulkCopy, LaneCopies};
use super::env::Env;
use super::judge::Judge;
use super::livelock::{Spin, Still};
use super::matrix::panels::Panels;
use super::matrix::wgmma::Warpgroup;
use super::mbarrier::{Arrival, Mbarrier};
use super::memory::Shared;
use super::program::Program;
use super::stack::Pointers;
use super::trace::{self, Recorder};
use crate::launch::Checks;

/// Why a split does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    No,
    /// `bar`/`barrier` with this number.
    Barrier(u32),
    /// A warp-synchronous operation: these lanes are missing.
    Lanes(u32),
    /// `bar.warp.sync`: these lanes are missing.
    Sync(u32),
    /// An mbarrier at a shared offset.
    Mbarrier {
        address: u32,
        parity: Option<u32>,
    },
    /// `barrier.cluster`.
    Cluster,
    /// `setmaxnreg.inc`: so many registers per thread.
    Registers(u32),
    /// `wgmma.wait_group`: other warps have not executed this one of the warpgroup's `wgmma`.
    Warpgroup(u64),
}

/// Where a call returns to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Return {
    pub pc: u32,
    pub frame: u32,
    pub local: u32,
    /// The function that called.
    pub function: u32,
    /// The call, for its results.
    pub call: u32,
}

/// Lanes of a warp that are at one place.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub pc: u32,
    pub mask: u32,
    /// Byte offset of the frame in the register file.
    pub frame: u32,
    /// Byte offset of the frame in each lane's local memory.
    pub local: u32,
    /// The function that runs.
    pub function: u32,
    pub calls: Vec<Return>,
    pub waiting: Waiting,
    pub resumed: bool,
    pub timed_out: bool,
    /// Who has yielded more often goes later.
    pub turn: u32,
    /// This round it polled an mbarrier in vain.
    pub idle: bool,
    /// mbarrier polls in vain since `Cluster::epoch` was `vain_epoch`; the round of the last one.
    pub vain_polls: u32,
    pub vain_epoch: u64,
    pub vain_round: u64,
    /// The last `test_wait` in vain: instruction and what it asked for.
    pub polled: Option<(u32, Waiting)>,
    /// This round it slept or polled memory.
    pub paused: bool,
    /// The loop that it was found in.
    pub spin: Option<Spin>,
}

impl Split {
    /// Whether it goes round for ever unless something changes.
    pub(crate) fn spins(&self, epoch: u64) -> bool {
        self.spin.is_some_and(|s| s.epoch == epoch)
    }
}

/// 32 threads.
#[derive(Debug)]
pub(crate) struct Warp {
    /// None before the first and after the last instruction: warps that run one after the other share a file, which so
    /// stays in the host's nearest cache.
    pub regs: Block,
    pub local: Block,
    /// Of each lane.
    pub local_bytes: u32,
    pub splits: Vec<Split>,
    /// Lanes that exist and have not exited.
    pub live: u32,
    pub carry: u32,
    /// `%tid`, by axis.
    pub tid: [[u32; 32]; 3],
    pub copies: LaneCopies,
    /// By lane, once one has used `alloca`.
    pub pointers: Vec<Pointers>,
    /// The phase of `barrier.cluster` that each lane has arrived in.
    pub cluster_phase: [u32; 32],
    /// Registers per thread, and the `setmaxnreg` that has set them.
    pub registers: (u32, Option<u32>),
}

/// One of the 16 barriers of a CTA.
#[derive(Clone, Debug, Default)]
pub(crate) struct Barrier {
    /// Warps that have arrived in this phase.
    pub warps: u32,
    /// Lanes that have arrived.
    pub exact: u32,
    /// Arrivals counted as the ISA does: a complete warp counts 32.
    pub threads: u32,
    /// The count given with the first arrival; 0 for all threads.
    pub expected: u32,
    /// Reduction of this phase: and, or, popcount.
    pub all: bool,
    pub any: bool,
    pub count: u32,
    /// Results of the last complete phase.
    pub done: (bool, bool, u32),
    pub phase: u64,
    /// Warp and pc of the last arrival.
    pub last: Option<(u32, u32)>,
}

/// One thread block.
#[derive(Debug)]
pub(crate) struct Cta {
    pub index: [u32; 3],
    /// Rank in its cluster.
    pub rank: u32,
    pub memory: Block,
    pub shared_bytes: u32,
    pub warps: Vec<Warp>,
    pub barriers: Vec<Barrier>,
    /// Whether a warp has arrived at any of them since the CTA started.
    pub barriers_used: bool,
    /// Sorted by address.
    pub mbarriers: Vec<Mbarrier>,
    /// Addresses of mbarriers that `mbarrier.inval` has ended, and who did.
    pub invalidated: Vec<(u32, Arrival)>,
    /// Registers that `setmaxnreg.dec` has released and nobody has taken.
    pub free_registers: u32,
    pub warpgroups: Vec<Warpgroup>,
}

/// CTAs that run together: one, unless the launch has clusters.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Which cluster of the grid.
    pub number: u64,
    pub ctas: Vec<Cta>,
    /// Register files that no warp has now.
    pub files: Vec<Block>,
    /// Ranges hit of late, by instruction: see `memory`.
    pub hints: [u32; 16],
    /// Copies in flight, oldest first.
    pub bulk: Vec<BulkCopy>,
    /// Numbers asynchronous operations in the order of their issue.
    pub issued: u64,
    /// Rounds so far, and those in a row in which every role was blocked or had polled in vain.
    pub rounds: u64,
    pub quiet_rounds: u32,
    /// Rounds in a row in which nothing changed and every role was blocked, had polled in vain, or polled memory.
    pub polling_rounds: u32,
    /// Counts changes that another role can see.
    pub epoch: u64,
    pub still: Still,
    /// Once nothing has changed for a while, stores are compared with what is there.
    pub watch: bool,
    pub instructions: u64,
    /// State of the random schedule.
    pub random: u64,
    /// Lanes (of all CTAs) that have arrived at `barrier.cluster`, and its phase.
    pub arrived: u32,
    pub phase: u32,
    /// Memory for operands of `wgmma` that are completed later.
    pub panels: Vec<Panels>,
    /// Of a traced launch.
    pub trace: Option<Box<Recorder>>,
    /// With `checks="all"`.
    pub judge: Option<Box<Judge>>,
}

impl Cta {
    pub(crate) fn shared(&self) -> Shared {
        Shared {
            start: self.memory.start(),
            bytes: self.shared_bytes,
        }
    }

    /// Lanes that have not exited.
    pub(crate) fn live_threads(&self) -> u32 {
        self.warps.iter().map(|w| w.live.count_ones()).sum()
    }
}

/// Lanes that exist in warp `number` of a block of `threads`.
fn lanes_of(threads: u32, number: u32) -> u32 {
    match threads.saturating_sub(number * 32) {
        0 => 0,
        rest if rest >= 32 => u32::MAX,
        rest => (1 << rest) - 1,
    }
}

impl Warp {
    /// Local memory of one lane.
    pub(crate) fn local_bytes(&self) -> u32 {
        self.local_bytes
    }

    /// Ends of the frames of all splits: where the next one may begin.
    pub(crate) fn top(&self, program: &Program) -> (u32, u32) {
        let end = |s: &Split| {
            let code = &program.functions[s.function as usize];
            (s.frame + code.frame_bytes, s.local + code.local_bytes)
        };
        let ends = self.splits.iter().map(end);
        ends.fold((0, self.highest_pointer()), |top, end| {
            (top.0.max(end.0), top.1.max(end.1))
        })
    }

    /// The frame that another split made when it called the same function at the same place, from the same callers: with
    /// the same frame the two can meet again inside the function, where a `shfl` may wait for both. Their lanes differ, and
    /// the same function's registers stand at the same places, so neither sees the other's.
    pub(crate) fn called(&self, split: usize, back: &Return, function: u32) -> Option<(u32, u32)> {
        let callers = &self.splits[split].calls;
        self.splits.iter().enumerate().find_map(|(number, other)| {
            let (before, rest) = other.calls.split_at_checked(callers.len())?;
            let (last, deeper) = rest.split_first()?;
            let (frame, local, called) = match deeper.first() {
                Some(next) => (next.frame, next.local, next.function),
                None => (other.frame, other.local, other.function),
            };
            let same = number != split && before == callers && last == back && called == function;
            same.then_some((frame, local))
        })
    }

    /// Makes room for frames up to these ends; what is there keeps its value.
    pub(crate) fn reserve(&mut self, frame_end: u32, local_end: u32) {
        if frame_end as usize > self.regs.bytes() {
            self.regs = self.regs.grown(frame_end as usize * 2);
        }
        if local_end > self.local_bytes {
            let larger = (local_end * 2).next_multiple_of(16);
            let block = Block::new(larger as usize * 32);
            for lane in 0..32usize {
                let from = self.local.start().wrapping_add(lane * self.local_bytes as usize);
                let to = block.start().wrapping_add(lane * larger as usize);
                // SAFETY: both are inside their blocks, which are different memory.
                unsafe { std::ptr::copy_nonoverlapping(from, to, self.local_bytes as usize) };
            }
            self.local = block;
            self.local_bytes = larger;
        }
    }

    fn new(env: &Env<'_>, number: u32) -> Self {
        let block = env.launch.block;
        let mut tid = [[0; 32]; 3];
        for lane in 0..32 {
            let linear = number * 32 + lane;
            let lane = lane as usize;
            tid[0][lane] = linear % block[0];
            tid[1][lane] = linear / block[0] % block[1];
            tid[2][lane] = linear / block[0] / block[1];
        }
        let function = &env.program.functions[env.function as usize];
        Warp {
            regs: Block::none(),
            local: Block::new(function.local_bytes as usize * 32),
            local_bytes: function.local_bytes,
            splits: Vec::new(),
            live: 0,
            carry: 0,
            tid,
            copies: LaneCopies::default(),
            pointers: Vec::new(),
            cluster_phase: [u32::MAX; 32],
            registers: (0, None),
        }
    }

    fn reset(&mut self, env: &Env<'_>, number: u32) {
        let function = &env.program.functions[env.function as usize];
        self.live = lanes_of(env.threads, number);
        self.carry = 0;
        self.copies.clear();
        self.pointers.clear();
        self.cluster_phase = [u32::MAX; 32];
        self.registers = (env.registers.unwrap_or(0), None);
        self.splits.clear();
        self.splits.push(Split {
            pc: function.start,
            mask: self.live,
            frame: 0,
            local: 0,
            function: env.function,
            calls: Vec::new(),
            waiting: Waiting::No,
            resumed: false,
            timed_out: false,
            turn: 0,
            idle: false,
            paused: false,
            polled: None,
            vain_polls: 0,
            vain_epoch: 0,
            vain_round: 0,
            spin: None,
        });
    }
}

impl Cluster {
    pub(crate) fn new(env: &Env<'_>) -> Self {
        let size = env.launch.cluster.iter().product::<u32>();
        let warps = env.threads.div_ceil(32);
        let cta = |rank| Cta {
            index: [0; 3],
            rank,
            memory: Block::new(env.shared_bytes as usize),
            shared_bytes: env.shared_bytes,
            warps: (0..warps).map(|number| Warp::new(env, number)).collect(),
            barriers: vec![Barrier::default(); 16],
            barriers_used: false,
            mbarriers: Vec::new(),
            invalidated: Vec::new(),
            free_registers: 0,
            warpgroups: Vec::new(),
        };
        Cluster {
            number: 0,
            ctas: (0..size).map(cta).collect(),
            files: Vec::new(),
            hints: [0; 16],
            bulk: Vec::new(),
            issued: 0,
            quiet_rounds: 0,
            polling_rounds: 0,
            rounds: 0,
            epoch: 0,
            still: Still::default(),
            watch: false,
            instructions: 0,
            random: 0,
            arrived: 0,
            phase: 0,
            panels: Vec::new(),
            trace: None,
            judge: (env.launch.settings.checks == Checks::All).then(|| Box::new(Judge::new(env))),
        }
    }

    /// Starts cluster `number` of the grid in the memory of an earlier one.
    pub(crate) fn reset(&mut self, env: &Env<'_>, number: u64) {
        self.number = number;
        self.bulk.clear();
        self.watch = false;
        self.quiet_rounds = 0;
        self.polling_rounds = 0;
        self.rounds = 0;
        self.still = Still::default();
        self.arrived = 0;
        self.phase = 0;
        self.random = env.launch.settings.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
        for (rank, cta) in self.ctas.iter_mut().enumerate() {
            cta.index = env.cta_index(number, rank as u32);
            cta.memory.clear(cta.shared_bytes as usize);
            cta.mbarriers.clear();
            cta.invalidated.clear();
            cta.free_registers = 0;
            cta.warpgroups.clear();
            cta.warpgroups
                .resize_with(cta.warps.len().div_ceil(4), Warpgroup::default);
            if std::mem::take(&mut cta.barriers_used) {
                cta.barriers.iter_mut().for_each(|b| *b = Barrier::default());
            }
            for (number, warp) in cta.warps.iter_mut().enumerate() {
                warp.reset(env, number as u32);
            }
        }
        self.trace = trace::start(self, env);
        if let Some(judge) = &mut self.judge {
            judge.reset(env, number, &self.ctas);
        }
    }

    /// Gives a warp that has not run yet its registers, all zero.
    pub(crate) fn begin(&mut self, cta: usize, warp: usize, env: &Env<'_>) {
        let warp = &mut self.ctas[cta].warps[warp];
        if warp.regs.bytes() == 0 {
            let bytes = env.program.functions[env.function as usize].frame_bytes as usize;
            let mut file = self.files.pop().unwrap_or_else(|| Block::new(bytes));
            file.clear(bytes);
            warp.regs = file;
        }
    }

    /// Takes the registers of a warp whose threads have exited.
    pub(crate) fn end(&mut self, cta: usize, warp: usize) {
        let warp = &mut self.ctas[cta].warps[warp];
        if warp.splits.is_empty() {
            self.files.push(std::mem::replace(&mut warp.regs, Block::none()));
        }
    }

    /// The next number of a xorshift sequence.
    pub(crate) fn draw(&mut self) -> u64 {
        let mut x = self.random | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        x
    }
}
