//! Host threads: each takes clusters of the grid in order and runs them one at a time, more when the ones it has wait
//! for memory that someone else must change. They agree on a deadlock when nobody has anything left to do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Duration;

use super::cluster::Cluster;
use super::env::Env;
use super::report;
use super::schedule::{slice, Slice};
use super::trace;
use crate::fault::Fault;
use crate::launch::Outcome;

/// Clusters that one host thread keeps alive at a time; a grid that needs more at once would hang a GPU too.
const MOST_RESIDENT: usize = 1024;
/// Memory that one host thread's clusters may take before no more are started.
const MOST_BYTES: usize = 1 << 30;

struct Shared<'a> {
    env: &'a Env<'a>,
    /// The next cluster of the grid.
    next: AtomicU64,
    total: u64,
    /// Counts slices that may have changed global memory.
    activity: AtomicU64,
    /// For each worker, the activity at which it found itself stuck.
    stuck: Mutex<Vec<Option<u64>>>,
    deadlock: AtomicBool,
    ended: AtomicBool,
    fault: Mutex<Option<(u64, Fault)>>,
    instructions: AtomicU64,
}

/// Runs the grid.
pub(super) fn run(env: &Env<'_>) -> Result<Outcome, Fault> {
    let total = env.clusters();
    let wanted = match env.launch.settings.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads as usize,
    };
    let count = wanted.min(usize::try_from(total).unwrap_or(usize::MAX)).max(1);
    let shared = Shared {
        env,
        next: AtomicU64::new(0),
        total,
        activity: AtomicU64::new(0),
        stuck: Mutex::new(vec![None; count]),
        deadlock: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        fault: Mutex::new(None),
        instructions: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for number in 1..count {
            let shared = &shared;
            scope.spawn(move || Worker::new(shared, number).run());
        }
        Worker::new(&shared, 0).run();
    });
    let fault = shared
        .fault
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match fault {
        Some((_, fault)) => Err(fault),
        None => Ok(Outcome {
            instructions: shared.instructions.into_inner(),
        }),
    }
}

/// Ends the launch when its worker panics.
struct EndsAll<'a>(&'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared<'a>,
    number: usize,
    resident: Vec<Cluster>,
    /// Finished clusters, whose memory serves the next ones.
    free: Vec<Cluster>,
    /// For each resident cluster: the activity before the slice that found it stuck.
    verdicts: Vec<Option<u64>>,
    naps: u32,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared<'a>, number: usize) -> Self {
        Worker {
            shared,
            number,
            resident: Vec::new(),
            free: Vec::new(),
            verdicts: Vec::new(),
            naps: 0,
        }
    }

    fn run(&mut self) {
        // A defect of ours must not leave the other workers waiting for this one.
        let _ends = EndsAll(&self.shared.ended);
        while !self.shared.ended.load(Ordering::Acquire) {
            if self.resident.is_empty() && !self.start_one() {
                break;
            }
            if let Err(fault) = self.pass() {
                self.fail(*fault.1, fault.0);
            }
        }
        self.publish(Some(u64::MAX));
        self.resident.iter_mut().for_each(|c| trace::finish(c, self.shared.env));
        let done: u64 = self.resident.iter().chain(&self.free).map(|c| c.instructions).sum();
        self.shared.instructions.fetch_add(done, Ordering::Relaxed);
    }

    /// Runs every resident cluster once; starts another one when all of them wait for someone else.
    fn pass(&mut self) -> Result<(), (u64, Box<Fault>)> {
        let env = self.shared.env;
        let (mut waiting, mut at) = (true, 0);
        while at < self.resident.len() {
            if env.launch.stop.is_due() {
                return Err((u64::MAX, Box::new(Fault::Stopped)));
            }
            let activity = self.shared.activity.load(Ordering::Acquire);
            if self.verdicts[at] == Some(activity) {
                // Stuck, and nothing has changed since. To find that out again, whenever the next one has had a slice,
                // would take time exponential in the clusters that wait.
                at += 1;
                continue;
            }
            let epoch = self.resident[at].epoch;
            let number = self.resident[at].number;
            let end = slice(&mut self.resident[at], env).map_err(|fault| (number, fault))?;
            self.verdicts[at] = matches!(end, Slice::Stuck).then_some(activity);
            if self.resident[at].epoch != epoch {
                self.shared.activity.fetch_add(1, Ordering::AcqRel);
            }
            match end {
                Slice::Finished => {
                    trace::finish(&mut self.resident[at], env);
                    self.free.push(self.resident.swap_remove(at));
                    self.verdicts.swap_remove(at);
                    return Ok(());
                }
                Slice::Running => return Ok(()),
                Slice::Dead => {
                    let fault = report::deadlock(&self.resident[at], env, 1);
                    return Err((number, Box::new(fault)));
                }
                Slice::Polling | Slice::Stuck => waiting &= true,
            }
            at += 1;
        }
        if waiting && !self.start_one() {
            return self.judge();
        }
        Ok(())
    }

    /// Makes the next cluster of the grid resident.
    fn start_one(&mut self) -> bool {
        let env = self.shared.env;
        let full = self.resident.len() >= MOST_RESIDENT || self.resident.len() * cluster_bytes(env) > MOST_BYTES;
        if full || self.shared.next.load(Ordering::Acquire) >= self.shared.total {
            return false;
        }
        let number = self.shared.next.fetch_add(1, Ordering::AcqRel);
        if number >= self.shared.total {
            return false;
        }
        let mut cluster = self.free.pop().unwrap_or_else(|| Cluster::new(env));
        cluster.reset(env, number);
        self.resident.push(cluster);
        self.verdicts.push(None);
        true
    }

    /// All clusters of this worker wait. Nothing changes any more if that holds for all workers at the same activity.
    fn judge(&mut self) -> Result<(), (u64, Box<Fault>)> {
        let activity = self.shared.activity.load(Ordering::Acquire);
        let stuck = self.verdicts.iter().all(|v| *v == Some(activity));
        self.publish(stuck.then_some(activity));
        let everybody = {
            let list = self
                .shared
                .stuck
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            list.iter().all(|v| v.is_some_and(|v| v == u64::MAX || v == activity))
        };
        if self.shared.deadlock.load(Ordering::Acquire) || (stuck && everybody) {
            self.shared.deadlock.store(true, Ordering::Release);
            let first = (0..self.resident.len())
                .min_by_key(|n| self.resident[*n].number)
                .unwrap_or(0);
            let cluster = &self.resident[first];
            let fault = report::deadlock(cluster, self.shared.env, self.resident.len() as u32);
            return Err((cluster.number, Box::new(fault)));
        }
        self.naps = (self.naps + 1).min(20);
        std::thread::sleep(Duration::from_micros(u64::from(self.naps) * 25));
        Ok(())
    }

    fn publish(&self, verdict: Option<u64>) {
        let mut list = self
            .shared
            .stuck
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        list[self.number] = verdict;
    }

    /// The fault of the lowest cluster wins, so that a report does not depend on thread timing more than it must.
    fn fail(&self, fault: Fault, number: u64) {
        let mut first = self
            .shared
            .fault
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if first.as_ref().is_none_or(|(n, _)| number < *n) {
            *first = Some((number, fault));
        }
        self.shared.ended.store(true, Ordering::Release);
    }
}

/// What one cluster can come to take, before any call.
pub(super) fn cluster_bytes(env: &Env<'_>) -> usize {
    let code = &env.program.functions[env.function as usize];
    let warps = env.threads.div_ceil(32) as usize;
    let warp = code.frame_bytes as usize + code.local_bytes as usize * 32;
    let ctas = env.launch.cluster.iter().product::<u32>() as usize;
    ctas * (env.shared_bytes as usize + warps * warp + 4096)
}
