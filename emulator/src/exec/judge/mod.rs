//! The judge of `checks="all"`: finds what a GPU hides. It watches the instruction stream of a cluster through `watch` and
//! a few hooks (barriers, mbarriers, copies), keeps `clock`s for the agents of `threads` and `sync` objects between
//! them, remembers accesses in a `shadow`, and ends the launch with a report. Nothing here exists in other launches.

pub(crate) mod clock;
pub(crate) mod copies;
pub(crate) mod global;
pub(crate) mod ops;
mod registers;
mod report;
mod shadow;
pub(crate) mod sync;
mod threads;
pub(crate) mod together;
pub(crate) mod transactions;
pub(crate) mod warpgroup;
pub(crate) mod watch;
pub(crate) mod wgmma;

use std::collections::HashMap;

use self::clock::{Agent, Clock};
use self::copies::Flights;
use self::ops::Op;
use self::shadow::{Access, Shadow};
use self::sync::{MbarrierSync, SyncPoint};
use self::threads::Threads;
use super::cluster::Cta;
use super::ctx::Ctx;
use super::env::Env;
use super::inst::Flow;

/// Addresses with atomics and volatile accesses share this many clocks.
const CELLS: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Judge {
    /// By instruction.
    ops: Vec<Op>,
    warps_per_cta: usize,
    threads: Vec<Threads>,
    shadows: Vec<Shadow>,
    /// For each warp and byte of the entry's frame, the lanes that have written it.
    local: Vec<Vec<u32>>,
    /// 16 for each thread block.
    barriers: Vec<SyncPoint>,
    cluster_barrier: SyncPoint,
    mbarriers: HashMap<(usize, u32), MbarrierSync>,
    cells: Vec<Clock>,
    flights: Flights,
    /// Accesses of other thread blocks to each one's shared memory: the latest of each agent.
    remote: Vec<HashMap<Agent, Access>>,
    doubts: Vec<watch::Doubt>,
    /// Addresses in global memory that the running instruction reads strongly, where those are followed.
    heard: Vec<u64>,
    groups: warpgroup::Groups,
    written: registers::Written,
    products: wgmma::Products,
    /// The running instruction's accesses come through `memory::place`.
    placing: bool,
}

impl Judge {
    pub(crate) fn new(env: &Env<'_>) -> Self {
        Judge {
            ops: ops::table(env.program, env.global.is_some()),
            warps_per_cta: 0,
            threads: Vec::new(),
            shadows: Vec::new(),
            local: Vec::new(),
            barriers: Vec::new(),
            cluster_barrier: SyncPoint::default(),
            mbarriers: HashMap::new(),
            cells: Vec::new(),
            flights: Flights::default(),
            remote: Vec::new(),
            doubts: Vec::new(),
            heard: Vec::new(),
            groups: warpgroup::Groups::default(),
            written: registers::Written::default(),
            products: wgmma::Products::new(env.program),
            placing: false,
        }
    }

    /// A new cluster begins: nothing has happened yet.
    pub(crate) fn reset(&mut self, env: &Env<'_>, cluster: u64, ctas: &[Cta]) {
        let warps = ctas.first().map_or(0, |c| c.warps.len());
        let live = ctas.iter().flat_map(|c| &c.warps).map(|w| w.live);
        self.warps_per_cta = warps;
        // Accesses to global memory outlive a cluster, and so must the names of those who made them.
        let base = match env.global {
            Some(_) => (cluster as Agent).wrapping_mul(global::agents(warps * ctas.len())),
            None => 0,
        };
        self.threads = live
            .enumerate()
            .map(|(number, live)| Threads::new(base + number as Agent * 32, live))
            .collect();
        self.shadows.resize_with(ctas.len(), Shadow::default);
        self.shadows
            .iter_mut()
            .zip(ctas)
            .for_each(|(s, cta)| s.reset(cta.shared_bytes));
        // Without optimisation, objects are copied and bit-fields set before anything was written: that says nothing.
        let followed = !env.program.is_debug;
        let frame = env.program.functions[env.function as usize].local_bytes as usize;
        self.local = vec![vec![0; if followed { frame } else { 0 }]; warps * ctas.len()];
        self.barriers = vec![SyncPoint::default(); 16 * ctas.len()];
        self.cluster_barrier = SyncPoint::default();
        self.mbarriers.clear();
        self.cells.clear();
        self.cells.resize(CELLS, Clock::default());
        self.flights.reset(base, self.threads.len());
        self.doubts.clear();
        self.heard.clear();
        self.written.reset(env, self.threads.len());
        self.groups.reset(ctas.len(), warps);
        self.products.reset(ctas.len() * warps);
        self.placing = false;
        self.remote = vec![HashMap::new(); ctas.len()];
    }

    /// The running split's agent and clock.
    fn me(&mut self, x: &Ctx<'_>) -> (Agent, &mut Clock) {
        let warp = self.number(x.cta, x.warp);
        self.threads[warp].of(x.active, &x.warp().splits)
    }

    /// A warp of the cluster.
    fn number(&self, cta: usize, warp: usize) -> usize {
        cta * self.warps_per_cta + warp
    }

    /// An access of the running split that begins now.
    fn access(&mut self, x: &Ctx<'_>, lane: u32, flags: u8) -> Access {
        let warp = self.number(x.cta, x.warp) as u16;
        let (agent, clock) = self.me(x);
        Access {
            agent,
            time: clock.time(agent),
            pc: x.pc,
            warp,
            lane: lane as u8,
            flags,
            bytes: 0,
        }
    }
}

/// Calls `f` with the judge, if there is one; a finding becomes the fault of the launch.
#[inline(always)]
pub(crate) fn with(
    x: &mut Ctx<'_>,
    f: impl FnOnce(&mut Judge, &mut Ctx<'_>) -> Result<(), Box<crate::fault::Fault>>,
) -> Result<(), Flow> {
    if x.cluster.judge.is_none() {
        return Ok(());
    }
    ask(x, f)
}

#[cold]
#[inline(never)]
fn ask(
    x: &mut Ctx<'_>,
    f: impl FnOnce(&mut Judge, &mut Ctx<'_>) -> Result<(), Box<crate::fault::Fault>>,
) -> Result<(), Flow> {
    let Some(mut judge) = x.cluster.judge.take() else {
        return Ok(());
    };
    let end = f(&mut judge, x);
    x.cluster.judge = Some(judge);
    end.map_err(|fault| {
        x.fault = Some(fault);
        Flow::Fault
    })
}
