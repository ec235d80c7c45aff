//! Execution of a decoded program: `inst` and `lanes` (what an instruction is), `memory` (what it may touch),
//! `cluster` (what exists), `schedule` and `turn` (who runs when), `workers` (host threads), `report` (what went wrong).

pub(crate) mod access;
pub(crate) mod atomic;
pub(crate) mod barrier;
pub(crate) mod block;
pub(crate) mod cluster;
pub(crate) mod control;
pub(crate) mod convert;
pub(crate) mod copies;
pub(crate) mod ctx;
mod env;
mod heap;
mod host_calls;
pub(crate) mod inst;
pub(crate) mod judge;
pub(crate) mod lanes;
mod livelock;
pub(crate) mod matrix;
pub(crate) mod mbarrier;
pub(crate) mod memory;
pub(crate) mod place;
mod printf;
pub(crate) mod program;
mod ranges;
pub(crate) mod rank;
pub(crate) mod reduce;
pub(crate) mod registers;
pub(crate) mod remote;
mod report;
mod schedule;
pub(crate) mod shape;
pub(crate) mod simple;
pub(crate) mod special;
pub(crate) mod stack;
pub(crate) mod tensor;
pub(crate) mod trace;
mod turn;
pub(crate) mod video;
pub(crate) mod warp_ops;
mod wide;
mod workers;

use std::time::Instant;

use crate::fault::Fault;
use crate::launch::{Launch, Outcome};
use crate::module::Module;
use crate::trace::TraceSink;
use env::Env;
use ranges::{HostRange, Ranges};

/// Most shared memory of a thread block: offsets of CTAs in a cluster have 24 bits.
const MAX_SHARED: u64 = 1 << 24;
/// Most memory of the thread blocks that run together: what the machine does not have would end the process.
const MAX_CLUSTER: usize = 1 << 32;

/// See [`crate::run`].
pub(crate) fn run(module: &Module, entry: &str, launch: &Launch<'_>) -> Result<Outcome, Fault> {
    let env = prepare(module, entry, launch).map_err(Fault::BadLaunch)?;
    workers::run(&env)
}

/// See [`crate::run_traced`].
pub(crate) fn run_traced(
    module: &Module,
    entry: &str,
    launch: &Launch<'_>,
    sink: &TraceSink,
) -> Result<Outcome, Fault> {
    let mut env = prepare(module, entry, launch).map_err(Fault::BadLaunch)?;
    env.trace = Some(sink);
    workers::run(&env)
}

fn prepare<'a>(module: &'a Module, entry: &'a str, launch: &'a Launch<'a>) -> Result<Env<'a>, String> {
    let Some((known, function)) = module.resolved(entry) else {
        let names: Vec<_> = module.entries().iter().map(|e| e.name.as_str()).collect();
        return Err(format!(
            "found no entry \"{entry}\", expected one of: {}",
            names.join(", ")
        ));
    };
    if let Some(lacking) = module.unsupported_in(entry) {
        return Err(format!("{entry}: {lacking}"));
    }
    let threads = launch
        .block
        .iter()
        .try_fold(1u32, |n, axis| n.checked_mul(*axis))
        .unwrap_or(u32::MAX);
    if threads == 0 || threads > 1024 {
        return Err(format!(
            "{entry}: block is {:?}, expected 1 to 1024 threads",
            launch.block
        ));
    }
    if launch.grid.contains(&0) {
        return Err(format!(
            "{entry}: grid is {:?}, expected at least 1 per axis",
            launch.grid
        ));
    }
    let divides = (0..3).all(|axis| launch.cluster[axis] > 0 && launch.grid[axis].is_multiple_of(launch.cluster[axis]));
    let size = launch
        .cluster
        .iter()
        .try_fold(1u32, |n, axis| n.checked_mul(*axis))
        .unwrap_or(u32::MAX);
    if !divides || size > 16 {
        return Err(format!(
            "{entry}: cluster is {:?}, expected a divisor of the grid {:?} with at most 16 thread blocks",
            launch.cluster, launch.grid
        ));
    }
    if launch.params.len() != known.param_bytes {
        let (found, expected) = (launch.params.len(), known.param_bytes);
        return Err(format!("{entry}: {found} parameter bytes, expected {expected}"));
    }
    if let Some(required) = known.required_block.filter(|r| *r != launch.block) {
        return Err(format!(
            "{entry}: block is {:?}, expected {required:?} (.reqntid)",
            launch.block
        ));
    }
    let most = known
        .max_block
        .map_or(1024, |m| m.iter().fold(1u32, |n, axis| n.saturating_mul(*axis)));
    if threads > most {
        return Err(format!(
            "{entry}: block has {threads} threads, expected at most {most} (.maxntid)"
        ));
    }
    let shared = u64::from(known.static_shared_bytes) + u64::from(launch.shared_bytes);
    if shared > MAX_SHARED {
        return Err(format!("{entry}: {shared} shared bytes, expected at most {MAX_SHARED}"));
    }
    let mut ranges: Vec<HostRange> = launch.ranges.iter().map(HostRange::from).collect();
    ranges.extend(module.program().globals.iter().map(|(name, block, bytes)| HostRange {
        start: block.start() as u64,
        end: block.start() as u64 + bytes,
        writable: true,
        host_writes: false,
        name: name.clone(),
    }));
    let allocates = |call: &program::Call| matches!(call.callee, program::Callee::Allocate);
    let meets = module.program().text.contains("%envreg");
    let wanted = meets || module.program().calls.iter().any(allocates);
    let heap = wanted.then(heap::Heap::new);
    // Zeros: a version of the workspace, and the barrier's counter behind it.
    let workspace = heap.as_ref().filter(|_| meets).map_or(0, |heap| heap.take(64));
    ranges.extend(heap.iter().map(|heap| HostRange {
        start: heap.range().0,
        end: heap.range().1,
        writable: true,
        host_writes: false,
        name: "the heap of malloc".to_owned(),
    }));
    let env = Env {
        program: module.program(),
        launch,
        function,
        entry,
        ranges: Ranges::new(ranges),
        threads,
        registers: known.launch_registers,
        shared_bytes: shared as u32,
        dynamic_shared: launch.shared_bytes,
        started: Instant::now(),
        wide: lanes::wide(),
        global: launch.settings.global_races.then(judge::global::Global::default),
        heap,
        workspace,
        trace: None,
    };
    match workers::cluster_bytes(&env) {
        bytes if bytes > MAX_CLUSTER => Err(too_large(&env, bytes)),
        _ => Ok(env),
    }
}

fn too_large(env: &Env<'_>, bytes: usize) -> String {
    let code = &env.program.functions[env.function as usize];
    let (warps, frame, local) = (env.threads.div_ceil(32), code.frame_bytes, code.local_bytes);
    format!(
        "{}: {warps} warps of {frame} register bytes and {} local bytes need {bytes} bytes per cluster, expected at most \
         {MAX_CLUSTER}",
        env.entry,
        u64::from(local) * 32
    )
}
