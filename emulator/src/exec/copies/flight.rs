//! Copies in flight: what a bulk copy is, how it is queued, and who completes it when.

use super::lanes::perform;
use crate::exec::cluster::Cluster;
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::exec::judge::copies as judge;
use crate::exec::mbarrier::{complete_tx, locate_address, Arrival};
use crate::exec::memory::space;
use crate::exec::reduce::Combine;
use crate::exec::tensor::walk::TensorBox;
use crate::exec::trace;
use crate::launch::Schedule;

/// How a bulk copy says that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// `complete_tx` on an mbarrier of this CTA.
    Mbarrier { cta: usize, address: u32 },
    /// A bulk group of a lane: CTA, warp, lane, group.
    Group {
        cta: usize,
        warp: usize,
        lane: u32,
        group: u32,
    },
}

/// One `cp.async.bulk`, `cp.reduce.async.bulk`, one of these with a tensor map, `st.async` or `red.async`.
#[derive(Clone, Debug)]
pub(crate) struct BulkCopy {
    pub number: u64,
    /// Who issued it; `submit` says so.
    pub by: Arrival,
    pub source: usize,
    /// The bytes themselves, where they come from registers.
    pub held: Vec<u8>,
    pub target: usize,
    pub bytes: u64,
    /// What is done with old and new elements; `None` for a copy.
    pub combine: Option<Combine>,
    pub signal: Signal,
    /// A box of a tensor: `source` or `target` is its place in shared memory, the other one 0.
    pub tensor: Option<Box<TensorBox>>,
}

impl Signal {
    /// The bulk group that a lane of the running warp would commit next.
    pub(crate) fn bulk_group(x: &Ctx<'_>, lane: u32) -> Self {
        let group = x.warp().copies.bulk_committed[lane as usize];
        let (cta, warp) = (x.cta, x.warp);
        Signal::Group { cta, warp, lane, group }
    }
}

/// Moves bytes; the ends may overlap.
pub(crate) fn move_bytes(source: usize, target: usize, bytes: usize) {
    // SAFETY: both ends were checked when the copy was issued; blocks and ranges live as long as the launch.
    unsafe { std::ptr::copy(source as *const u8, target as *mut u8, bytes) };
}

/// The signal of an mbarrier that someone has initialised.
pub(crate) fn known_barrier(x: &mut Ctx<'_>, barrier: u64, lane: u32) -> Result<Signal, Flow> {
    let (cta, address) = locate_address(x, space::SHARED, barrier, lane)?;
    if x.cluster.ctas[cta].mbarriers.iter().any(|b| b.address == address) {
        return Ok(Signal::Mbarrier { cta, address });
    }
    let text = format!("the mbarrier at shared+{address} is used before mbarrier.init");
    Err(x.trap(Some(lane), text))
}

/// Queues a copy, or performs it where the schedule is eager.
pub(crate) fn submit(x: &mut Ctx<'_>, lane: u32, copy: BulkCopy) -> Result<(), Flow> {
    let seen = match copy.signal {
        Signal::Mbarrier { cta, address } => trace::Target::Mbarrier(cta, address),
        Signal::Group { .. } => trace::Target::Bulk,
    };
    trace::copy(x, copy.bytes, seen);
    judge::bulk_copy(x, lane, &copy)?;
    x.cluster.issued += 1;
    let copy = BulkCopy {
        number: x.cluster.issued,
        by: (x.cta().rank, x.warp as u32, x.pc),
        ..copy
    };
    x.touch();
    if x.env.launch.settings.schedule == Schedule::Eager {
        finish(x.cluster, &copy);
    } else {
        x.cluster.bulk.push(copy);
    }
    Ok(())
}

pub(super) fn finish(cluster: &mut Cluster, copy: &BulkCopy) {
    let source = if copy.held.is_empty() {
        copy.source
    } else {
        copy.held.as_ptr() as usize
    };
    match (&copy.tensor, copy.combine) {
        (Some(tensor), _) if copy.source == 0 => tensor.load(),
        (Some(tensor), combine) => tensor.store(combine),
        (None, None) => move_bytes(source, copy.target, copy.bytes as usize),
        (None, Some(combine)) => combine(copy.target, source, copy.bytes as usize),
    }
    cluster.epoch += 1;
    if let Signal::Mbarrier { cta, address } = copy.signal {
        complete_tx(cluster, cta, address, copy.bytes, copy.by);
    }
}

/// Completes one operation in flight: the oldest, or one drawn at random. False when there is none.
pub(crate) fn complete_one(cluster: &mut Cluster, random: bool) -> bool {
    if random && !cluster.bulk.is_empty() {
        let pick = (cluster.draw() % cluster.bulk.len() as u64) as usize;
        let copy = cluster.bulk.remove(pick);
        finish(cluster, &copy);
        return true;
    }
    let lane_step = oldest_step(cluster);
    let bulk = cluster.bulk.first().map(|c| c.number);
    match (lane_step, bulk) {
        (Some((number, cta, warp)), bulk) if bulk.is_none_or(|b| number < b) => {
            let step = cluster.ctas[cta].warps[warp].copies.queue.remove(0);
            perform(cluster, &step.step);
            true
        }
        (_, Some(_)) => {
            let copy = cluster.bulk.remove(0);
            finish(cluster, &copy);
            true
        }
        _ => false,
    }
}

fn oldest_step(cluster: &Cluster) -> Option<(u64, usize, usize)> {
    let ctas = cluster.ctas.iter().enumerate();
    let steps = ctas.flat_map(|(c, cta)| {
        let warps = cta.warps.iter().enumerate();
        warps.filter_map(move |(w, warp)| warp.copies.queue.first().map(|step| (step.number, c, w)))
    });
    steps.min()
}

/// What is still in flight when the last thread leaves: stores land, loads have no one to see them.
pub(crate) fn complete_all(cluster: &mut Cluster) {
    while complete_one(cluster, false) {}
}
