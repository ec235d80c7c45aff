//! `cp.async` of single lanes: issue, groups, and the arrival on an mbarrier behind them.

use super::flight::move_bytes;
use crate::exec::cluster::Cluster;
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Inst};
use crate::exec::judge::copies::{self as judge, Groups};
use crate::exec::mbarrier::{add_pending, arrive_at, flag, locate, Arrival};
use crate::exec::memory::{addresses, place, space};
use crate::exec::trace;
use crate::launch::Schedule;

/// What one lane has queued.
#[derive(Clone, Debug)]
pub(super) enum Step {
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
pub(super) struct LaneStep {
    lane: u32,
    group: u32,
    pub number: u64,
    pub step: Step,
}

/// `cp.async` state of a warp.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneCopies {
    /// In the order of issue.
    pub(super) queue: Vec<LaneStep>,
    /// Groups committed so far, by lane.
    committed: [u32; 32],
    /// The same for bulk groups.
    pub(super) bulk_committed: [u32; 32],
}

impl LaneCopies {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Does what a lane has queued.
pub(super) fn perform(cluster: &mut Cluster, step: &Step) {
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
    judge::commit(x, mask, &[Groups::Lane], &committed)
        .err()
        .unwrap_or(Flow::Next)
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
    judge::waited(x, mask, Groups::Lane, &committed, keep)
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
