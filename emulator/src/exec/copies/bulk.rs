//! `cp.async.bulk` between flat pieces of memory, and the groups of bulk copies.

use super::flight::{finish, known_barrier, submit, BulkCopy, Signal};
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Inst};
use crate::exec::judge::copies::{self as judge, Groups};
use crate::exec::mbarrier::Arrival;
use crate::exec::memory::{place, space, RANK_SHIFT};
use crate::exec::reduce::reduction;
use crate::exec::trace;

/// Directions of `cp.async.bulk`, in `Inst::extra`.
pub(crate) mod way {
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

/// An address operand of a lane, from a register of either size.
pub(crate) fn operand(x: &Ctx<'_>, slot: u32, narrow: bool, lane: usize) -> u64 {
    if narrow {
        u64::from(x.lanes::<u32>(slot)[lane])
    } else {
        x.lanes::<u64>(slot)[lane]
    }
}

/// `cp.async.bulk`: `a` target, `b` source, `c` bytes, `d` mbarrier; `extra`: see [`way`]; `imm`: index of their offsets;
/// `dst`: see [`reduction`].
pub(crate) unsafe fn copy_bulk(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        if i.extra & way::MULTICAST == 0 {
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
    let target = operand(x, i.a, i.extra & way::NARROW_TARGET != 0, l).wrapping_add(offset(0));
    let source = operand(x, i.b, i.extra & way::NARROW_SOURCE != 0, l).wrapping_add(offset(1));
    let bytes = x.lanes::<u32>(i.c)[l];
    if !bytes.is_multiple_of(16) {
        return Err(x.trap(
            Some(lane),
            format!("a bulk copy of {bytes} bytes, expected a multiple of 16"),
        ));
    }
    let direction = i.extra & way::DIRECTION;
    let (from, to) = match direction {
        way::LOAD => (space::GLOBAL, space::SHARED),
        way::STORE => (space::SHARED, space::GLOBAL),
        _ => (space::SHARED, space::SHARED),
    };
    // Generic addresses of the same memory are accepted too: `cvta` is often left out for global ones.
    let source = place(x, from, source, bytes, 16, false, lane)?;
    let target = place(x, to, there(target), bytes, 16, true, lane)?;
    let signal = if direction == way::STORE {
        Signal::bulk_group(x, lane)
    } else {
        let barrier = operand(x, i.d, i.extra & way::NARROW_BARRIER != 0, l).wrapping_add(offset(2));
        known_barrier(x, there(barrier), lane)?
    };
    let copy = BulkCopy {
        number: 0,
        by: Arrival::default(),
        source,
        held: Vec::new(),
        target,
        bytes: u64::from(bytes),
        combine: reduction(i.dst),
        signal,
        tensor: None,
    };
    submit(x, lane, copy)
}

/// `cp.async.bulk.commit_group`.
pub(crate) unsafe fn commit_bulk(x: &mut Ctx<'_>, _i: &Inst, mask: u32) -> Flow {
    for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
        x.warp_mut().copies.bulk_committed[l] += 1;
    }
    trace::commit(x, true);
    let committed = x.warp().copies.bulk_committed;
    judge::commit(x, mask, &[Groups::Bulk, Groups::Stored], &committed)
        .err()
        .unwrap_or(Flow::Next)
}

/// `cp.async.bulk.wait_group{.read} imm`, `c` 1 for `.read`: what was stored may not be there yet.
pub(crate) unsafe fn wait_bulk(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let (own_cta, own_warp) = (x.cta, x.warp);
    let committed = x.warp().copies.bulk_committed;
    let keep = i.imm as u32;
    let only_read = i.c == 1;
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
    let kinds: &[_] = match only_read {
        true => &[Groups::Bulk],
        false => &[Groups::Bulk, Groups::Stored],
    };
    for kind in kinds {
        if let Err(flow) = judge::waited(x, mask, *kind, &committed, Some(keep)) {
            return flow;
        }
    }
    Flow::Next
}
