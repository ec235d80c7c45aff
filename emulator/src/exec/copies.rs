//! Asynchronous copies: `cp.async` per lane and `cp.async.bulk`, as queued objects that complete by the launch's schedule.
//! Bounds are checked when a copy is issued; bytes move when it completes.

use super::cluster::Cluster;
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::judge::copies as judge;
use super::mbarrier::{add_pending, arrive_at, complete_tx, flag, locate, locate_address, Arrival};
use super::memory::{addresses, place, space, RANK_SHIFT};
use super::reduce::{reduction, Combine};
use super::trace;
use crate::launch::Schedule;

/// What one lane has queued.
#[derive(Clone, Debug)]
enum Step {
    /// `valid` bytes from `source`, then zeros up to `bytes`.
    Copy {
        source: usize,
        target: usize,
        valid: u32,
        bytes: u32,
    },
    /// `cp.async.mbarrier.arrive`.
    Arrive { cta: usize, address: u32, who: Arrival },
}

#[derive(Clone, Debug)]
struct LaneStep {
    lane: u32,
    group: u32,
    number: u64,
    step: Step,
}

/// `cp.async` state of a warp.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneCopies {
    /// In the order of issue.
    queue: Vec<LaneStep>,
    /// Groups committed so far, by lane.
    committed: [u32; 32],
    /// The same for bulk groups.
    bulk_committed: [u32; 32],
}

impl LaneCopies {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

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

/// One `cp.async.bulk`, `cp.reduce.async.bulk`, `st.async` or `red.async`.
#[derive(Clone, Debug)]
pub(crate) struct BulkCopy {
    pub number: u64,
    pub source: usize,
    /// The bytes themselves, where they come from registers.
    pub held: Vec<u8>,
    pub target: usize,
    pub bytes: u64,
    /// What is done with old and new elements; `None` for a copy.
    pub combine: Option<Combine>,
    pub signal: Signal,
}

fn move_bytes(source: usize, target: usize, bytes: usize) {
    // SAFETY: both ends were checked when the copy was issued; blocks and ranges live as long as the launch.
    unsafe { std::ptr::copy(source as *const u8, target as *mut u8, bytes) };
}

fn perform(cluster: &mut Cluster, step: &Step) {
    cluster.epoch += 1;
    match *step {
        Step::Copy {
            source,
            target,
            valid,
            bytes,
        } => {
            move_bytes(source, target, valid as usize);
            let rest = (bytes - valid) as usize;
            // SAFETY: the target was checked for `bytes` when the copy was issued.
            unsafe { ((target + valid as usize) as *mut u8).write_bytes(0, rest) };
        }
        Step::Arrive { cta, address, who } => {
            arrive_at(cluster, cta, address, 1, who);
        }
    }
}

/// `cp.async`: `a` source and `imm`, `b` shared target, `c` source bytes, `d` target offset; `extra`: spaces, bytes per
/// lane from `COUNT_SHIFT` on; `dst`: flags (bit 0: the target has 64 bits, bit 1: the source size is given, bit 2: it is a predicate that
/// means "ignore the source").
pub(crate) unsafe fn copy_async(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let bytes = i.extra >> space::COUNT_SHIFT;
    let source_at = addresses(x, i, mask);
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        let l = lane as usize;
        let target = if i.dst & 1 != 0 {
            x.lanes::<u64>(i.b)[l].wrapping_add(u64::from(i.d))
        } else {
            u64::from(x.lanes::<u32>(i.b)[l].wrapping_add(i.d))
        };
        let valid = match i.dst >> 1 {
            0 => bytes,
            1 => x.lanes::<u32>(i.c)[l].min(bytes),
            _ if x.pred(i.c) >> lane & 1 != 0 => 0,
            _ => bytes,
        };
        let ends = issue_ends(x, i, (source_at[l], target), (valid, bytes), lane);
        let (source, target) = match ends {
            Ok(ends) => ends,
            Err(flow) => return flow,
        };
        if let Err(flow) = judge::lane_copy(x, lane, target, bytes) {
            return flow;
        }
        let step = Step::Copy {
            source,
            target,
            valid,
            bytes,
        };
        queue(x, lane, step);
    }
    trace::copy(x, u64::from(bytes) * u64::from(mask.count_ones()), trace::Target::Lane);
    Flow::Next
}

fn issue_ends(x: &mut Ctx<'_>, i: &Inst, at: (u64, u64), size: (u32, u32), lane: u32) -> Result<(usize, usize), Flow> {
    let (valid, bytes) = size;
    let target = place(x, space::SHARED, at.1, bytes, bytes, true, lane)?;
    if valid == 0 {
        return Ok((target, target));
    }
    Ok((
        place(x, i.extra & space::MASK, at.0, valid, bytes, false, lane)?,
        target,
    ))
}

fn queue(x: &mut Ctx<'_>, lane: u32, step: Step) {
    if x.env.launch.settings.schedule == Schedule::Eager {
        return perform(x.cluster, &step);
    }
    x.cluster.issued += 1;
    let number = x.cluster.issued;
    let copies = &mut x.warp_mut().copies;
    let group = copies.committed[lane as usize];
    copies.queue.push(LaneStep {
        lane,
        group,
        number,
        step,
    });
}

/// `cp.async.commit_group`.
pub(crate) unsafe fn commit_group(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
        x.warp_mut().copies.committed[l] += 1;
    }
    trace::commit(x, false);
    let committed = x.warp().copies.committed;
    judge::commit(x, mask, false, &committed).err().unwrap_or(Flow::Next)
}

/// `cp.async.wait_group imm`, and `wait_all` with `extra` 1.
pub(crate) unsafe fn wait_group(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let (cta, warp) = (x.cta, x.warp);
    let committed = x.warp().copies.committed;
    let all = i.extra == 1;
    let keep = i.imm as u32;
    drain(x.cluster, cta, warp, |step| {
        let due = all || step.group < committed[step.lane as usize].saturating_sub(keep);
        due && mask >> step.lane & 1 != 0
    });
    trace::wait_groups(x, false, keep, all);
    let keep = (!all).then_some(keep);
    judge::waited(x, mask, false, &committed, keep)
        .err()
        .unwrap_or(Flow::Next)
}

/// Completes the steps of a warp that `due` names, in order.
fn drain(cluster: &mut Cluster, cta: usize, warp: usize, due: impl Fn(&LaneStep) -> bool) {
    let copies = &mut cluster.ctas[cta].warps[warp].copies;
    if copies.queue.is_empty() {
        return;
    }
    let (done, rest) = std::mem::take(&mut copies.queue)
        .into_iter()
        .partition::<Vec<_>, _>(due);
    copies.queue = rest;
    for step in done {
        perform(cluster, &step.step);
    }
}

/// `cp.async.mbarrier.arrive`: `a` barrier, `c` flags.
pub(crate) unsafe fn arrive_after_copies(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        let (cta, address) = match locate(x, i, mask, lane) {
            Ok(found) => found,
            Err(flow) => return flow,
        };
        let known = x.cluster.ctas[cta].mbarriers.iter().any(|b| b.address == address);
        if !known {
            let text = format!("the mbarrier at shared+{address} is used before mbarrier.init");
            return x.trap(Some(lane), text);
        }
        if i.c & flag::NO_INCREMENT == 0 {
            add_pending(x.cluster, cta, address);
        }
        if let Err(flow) = judge::arrive_behind(x, cta, address) {
            return flow;
        }
        let who = (x.cta().rank, x.warp as u32, x.pc);
        trace::arrive_after_copies(x, cta, address);
        queue(x, lane, Step::Arrive { cta, address, who });
    }
    x.touch();
    Flow::Next
}

/// Directions of `cp.async.bulk`, in `Inst::extra`.
pub(crate) mod bulk {
    /// Global to shared, signals an mbarrier.
    pub(crate) const LOAD: u32 = 0;
    /// Shared to global, in a bulk group.
    pub(crate) const STORE: u32 = 1;
    /// Shared to the shared memory of a CTA of the cluster, signals an mbarrier there.
    pub(crate) const PEER: u32 = 2;
    /// To several CTAs of the cluster: the list's fourth entry is the slot of a mask of ranks.
    pub(crate) const MULTICAST: u32 = 8;
    pub(crate) const DIRECTION: u32 = 3;
    /// The operand registers have 32 bits: target, source, mbarrier.
    pub(crate) const NARROW_TARGET: u32 = 16;
    pub(crate) const NARROW_SOURCE: u32 = 32;
    pub(crate) const NARROW_BARRIER: u32 = 64;
}

fn operand(x: &Ctx<'_>, slot: u32, narrow: bool, lane: usize) -> u64 {
    if narrow {
        u64::from(x.lanes::<u32>(slot)[lane])
    } else {
        x.lanes::<u64>(slot)[lane]
    }
}

/// `cp.async.bulk`: `a` target, `b` source, `c` bytes, `d` mbarrier; `extra`: see [`bulk`]; `imm`: index of their offsets;
/// `dst`: see [`reduction`].
pub(crate) unsafe fn copy_bulk(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        if i.extra & bulk::MULTICAST == 0 {
            if let Err(flow) = issue_bulk(x, i, lane, None) {
                return flow;
            }
            continue;
        }
        let slot = x.env.program.lists[i.imm as usize][3];
        let ranks = x.lanes::<u16>(slot)[lane as usize];
        for rank in (0..16u64).filter(|r| ranks >> r & 1 != 0) {
            if let Err(flow) = issue_bulk(x, i, lane, Some(rank)) {
                return flow;
            }
        }
    }
    Flow::Next
}

/// One copy; with a rank, to that CTA's shared memory and mbarrier instead of the ones that the operands name.
fn issue_bulk(x: &mut Ctx<'_>, i: &Inst, lane: u32, rank: Option<u64>) -> Result<(), Flow> {
    let there = |address: u64| match rank {
        Some(rank) => address & ((1 << RANK_SHIFT) - 1) | (rank + 1) << RANK_SHIFT,
        None => address,
    };
    let l = lane as usize;
    let offsets = &x.env.program.lists[i.imm as usize];
    let offset = |n: usize| offsets.get(n).map_or(0, |o| i64::from(*o as i32) as u64);
    let target = operand(x, i.a, i.extra & bulk::NARROW_TARGET != 0, l).wrapping_add(offset(0));
    let source = operand(x, i.b, i.extra & bulk::NARROW_SOURCE != 0, l).wrapping_add(offset(1));
    let bytes = x.lanes::<u32>(i.c)[l];
    if !bytes.is_multiple_of(16) {
        return Err(x.trap(
            Some(lane),
            format!("a bulk copy of {bytes} bytes, expected a multiple of 16"),
        ));
    }
    let direction = i.extra & bulk::DIRECTION;
    let (from, to) = match direction {
        bulk::LOAD => (space::GLOBAL, space::SHARED),
        bulk::STORE => (space::SHARED, space::GLOBAL),
        _ => (space::SHARED, space::SHARED),
    };
    // Generic addresses of the same memory are accepted too: `cvta` is often left out for global ones.
    let source = place(x, from, source, bytes, 16, false, lane)?;
    let target = place(x, to, there(target), bytes, 16, true, lane)?;
    let signal = if direction == bulk::STORE {
        let group = x.warp().copies.bulk_committed[l];
        let (cta, warp) = (x.cta, x.warp);
        Signal::Group { cta, warp, lane, group }
    } else {
        let barrier = operand(x, i.d, i.extra & bulk::NARROW_BARRIER != 0, l).wrapping_add(offset(2));
        known_barrier(x, there(barrier), lane)?
    };
    let copy = BulkCopy {
        number: 0,
        source,
        held: Vec::new(),
        target,
        bytes: u64::from(bytes),
        combine: reduction(i.dst),
        signal,
    };
    submit(x, lane, copy)
}

/// The signal of an mbarrier that someone has initialised.
pub(super) fn known_barrier(x: &mut Ctx<'_>, barrier: u64, lane: u32) -> Result<Signal, Flow> {
    let (cta, address) = locate_address(x, space::SHARED, barrier, lane)?;
    if x.cluster.ctas[cta].mbarriers.iter().any(|b| b.address == address) {
        return Ok(Signal::Mbarrier { cta, address });
    }
    let text = format!("the mbarrier at shared+{address} is used before mbarrier.init");
    Err(x.trap(Some(lane), text))
}

/// Queues a copy, or performs it where the schedule is eager.
pub(super) fn submit(x: &mut Ctx<'_>, lane: u32, copy: BulkCopy) -> Result<(), Flow> {
    let seen = match copy.signal {
        Signal::Mbarrier { cta, address } => trace::Target::Mbarrier(cta, address),
        Signal::Group { .. } => trace::Target::Bulk,
    };
    trace::copy(x, copy.bytes, seen);
    judge::bulk_copy(x, lane, &copy)?;
    x.cluster.issued += 1;
    let copy = BulkCopy {
        number: x.cluster.issued,
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

fn finish(cluster: &mut Cluster, copy: &BulkCopy) {
    let source = if copy.held.is_empty() {
        copy.source
    } else {
        copy.held.as_ptr() as usize
    };
    match copy.combine {
        None => move_bytes(source, copy.target, copy.bytes as usize),
        Some(combine) => combine(copy.target, source, copy.bytes as usize),
    }
    cluster.epoch += 1;
    if let Signal::Mbarrier { cta, address } = copy.signal {
        complete_tx(cluster, cta, address, copy.bytes);
    }
}

/// `cp.async.bulk.commit_group`.
pub(crate) unsafe fn commit_bulk(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
        x.warp_mut().copies.bulk_committed[l] += 1;
    }
    trace::commit(x, true);
    let committed = x.warp().copies.bulk_committed;
    judge::commit(x, mask, true, &committed).err().unwrap_or(Flow::Next)
}

/// `cp.async.bulk.wait_group{.read} imm`.
pub(crate) unsafe fn wait_bulk(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let (own_cta, own_warp) = (x.cta, x.warp);
    let committed = x.warp().copies.bulk_committed;
    let keep = i.imm as u32;
    let due = |copy: &BulkCopy| match copy.signal {
        Signal::Group { cta, warp, lane, group } => {
            let mine = cta == own_cta && warp == own_warp && mask >> lane & 1 != 0;
            mine && group < committed[lane as usize].saturating_sub(keep)
        }
        Signal::Mbarrier { .. } => false,
    };
    if x.cluster.bulk.iter().any(due) {
        let (done, rest) = std::mem::take(&mut x.cluster.bulk)
            .into_iter()
            .partition::<Vec<_>, _>(due);
        x.cluster.bulk = rest;
        for copy in done {
            finish(x.cluster, &copy);
        }
    }
    trace::wait_groups(x, true, keep, false);
    judge::waited(x, mask, true, &committed, Some(keep))
        .err()
        .unwrap_or(Flow::Next)
}

/// Completes one operation in flight: the oldest, or one drawn at random. False when there is none.
pub(super) fn complete_one(cluster: &mut Cluster, random: bool) -> bool {
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
pub(super) fn complete_all(cluster: &mut Cluster) {
    while complete_one(cluster, false) {}
}
