//! `bar` and `barrier` (ISA 9.7.13.1): the 16 named barriers of a thread block, and `barrier.cluster`.

use super::cluster::{Barrier, Cta, Waiting};
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::judge::{sync, together};
use super::matrix::whole_warp;
use super::trace;

/// Forms, in `Inst::imm`.
pub(crate) mod form {
    pub(crate) const SYNC: u64 = 0;
    pub(crate) const ARRIVE: u64 = 1;
    pub(crate) const POPC: u64 = 2;
    pub(crate) const AND: u64 = 3;
    pub(crate) const OR: u64 = 4;
    pub(crate) const KIND: u64 = 7;
    /// All lanes of the warp must execute it together.
    pub(crate) const ALIGNED: u64 = 8;
    /// `b` is the number of threads.
    pub(crate) const COUNTED: u64 = 16;
    /// The reduction's predicate is negated.
    pub(crate) const NEGATED: u64 = 32;
}

/// `a`: number, `b`: threads, `c`: predicate, `imm`: see [`form`].
pub(crate) unsafe fn barrier(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let lane = mask.trailing_zeros() as usize & 31;
    let id = x.lanes::<u32>(i.a)[lane];
    if id > 15 {
        return x.trap(Some(lane as u32), format!("barrier number is {id}, expected 0 to 15"));
    }
    if x.resumed {
        return finish(x, i, id, mask);
    }
    let missing = x.warp().live & !mask;
    if i.imm & form::ALIGNED != 0 && missing != 0 {
        x.block = Waiting::Lanes(missing);
        return Flow::Block;
    }
    let counted = i.imm & form::COUNTED != 0;
    let expected = if counted { x.lanes::<u32>(i.b)[lane] } else { 0 };
    if counted && (expected == 0 || expected % 32 != 0) {
        let text = format!("barrier {id} is given {expected} threads, expected a positive multiple of 32");
        return x.trap(Some(lane as u32), text);
    }
    if let Err(flow) = together::barrier_count(x, id, expected) {
        return flow;
    }
    if let Err(flow) = sync::barrier_arrive(x, id) {
        return flow;
    }
    arrive(x, i, id, expected, mask);
    x.touch();
    if complete(x.cta_mut(), id) {
        return finish(x, i, id, mask);
    }
    if i.imm & form::KIND == form::ARRIVE {
        return Flow::Next;
    }
    x.block = Waiting::Barrier(id);
    Flow::Block
}

fn arrive(x: &mut Ctx<'_>, i: &Inst, id: u32, expected: u32, mask: u32) {
    let predicate = match i.imm & form::KIND {
        form::POPC | form::AND | form::OR if i.imm & form::NEGATED != 0 => !x.pred(i.c),
        form::POPC | form::AND | form::OR => x.pred(i.c),
        _ => 0,
    };
    let whole = x.warp().live == mask;
    let (warp, pc) = (x.warp as u32, x.pc);
    x.cta_mut().barriers_used = true;
    let barrier = &mut x.cta_mut().barriers[id as usize];
    if barrier.exact == 0 {
        (barrier.all, barrier.any, barrier.count) = (true, false, 0);
        barrier.expected = expected;
    }
    barrier.warps |= 1 << warp;
    barrier.exact += mask.count_ones();
    barrier.threads += if whole { 32 } else { mask.count_ones() };
    barrier.all &= predicate & mask == mask;
    barrier.any |= predicate & mask != 0;
    barrier.count += (predicate & mask).count_ones();
    barrier.last = Some((warp, pc));
    trace::bar_arrive(x, id);
}

/// Ends the phase if everybody is there, and wakes those who wait.
fn complete(cta: &mut Cta, id: u32) -> bool {
    let live = cta.live_threads();
    let barrier = &mut cta.barriers[id as usize];
    let done = match barrier.expected {
        0 => barrier.exact >= live,
        threads => barrier.threads >= threads,
    };
    if !done || barrier.exact == 0 {
        return false;
    }
    *barrier = Barrier {
        done: (barrier.all, barrier.any, barrier.count),
        phase: barrier.phase + 1,
        last: barrier.last,
        ..Barrier::default()
    };
    for split in cta.warps.iter_mut().flat_map(|w| &mut w.splits) {
        if split.waiting == Waiting::Barrier(id) {
            split.waiting = Waiting::No;
            split.resumed = true;
        }
    }
    true
}

fn finish(x: &mut Ctx<'_>, i: &Inst, id: u32, mask: u32) -> Flow {
    if i.imm & form::KIND != form::ARRIVE {
        trace::bar_pass(x, id);
        if let Err(flow) = sync::barrier_pass(x, id) {
            return flow;
        }
    }
    let (all, any, count) = x.cta().barriers[id as usize].done;
    match i.imm & form::KIND {
        form::POPC => x.put(i.dst, &[count; 32], mask),
        form::AND => x.put_pred(i.dst, if all { u32::MAX } else { 0 }, mask),
        form::OR => x.put_pred(i.dst, if any { u32::MAX } else { 0 }, mask),
        _ => {}
    }
    Flow::Next
}

/// Exited lanes are not waited for by barriers of all threads.
pub(super) fn lanes_left(x: &mut Ctx<'_>) {
    let cta = x.cta_mut();
    let ids = if cta.barriers_used { 0..16 } else { 0..0 };
    for id in ids {
        let barrier = &cta.barriers[id as usize];
        if barrier.exact > 0 && barrier.expected == 0 {
            complete(cta, id);
        }
    }
    super::warp_ops::lanes_left(x);
    complete_cluster(x);
}

/// `.aligned` of `barrier.cluster`: whether lanes of the warp are missing.
fn waits_for_lanes(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Option<Flow> {
    if i.imm & form::ALIGNED == 0 {
        return None;
    }
    whole_warp(x, mask)
}

/// `barrier.cluster.arrive`.
pub(crate) unsafe fn cluster_arrive(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = waits_for_lanes(x, i, mask) {
        return flow;
    }
    trace::cluster_arrive(x);
    if let Err(flow) = sync::cluster_arrive(x) {
        return flow;
    }
    x.cluster.arrived += mask.count_ones();
    let phase = x.cluster.phase;
    let warp = x.warp_mut();
    for l in (0..32usize).filter(|l| mask >> l & 1 != 0) {
        warp.cluster_phase[l] = phase;
    }
    x.touch();
    complete_cluster(x);
    Flow::Next
}

/// `barrier.cluster.wait`: until the phase that this lane arrived in is over.
pub(crate) unsafe fn cluster_wait(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = waits_for_lanes(x, i, mask) {
        return flow;
    }
    let phase = x.cluster.phase;
    let lane = mask.trailing_zeros() as usize & 31;
    if x.warp().cluster_phase[lane] != phase {
        trace::cluster_pass(x);
        return sync::cluster_pass(x).err().unwrap_or(Flow::Next);
    }
    x.block = Waiting::Cluster;
    Flow::Block
}

fn complete_cluster(x: &mut Ctx<'_>) {
    if x.cluster.arrived == 0 {
        return;
    }
    let live: u32 = x.cluster.ctas.iter().map(Cta::live_threads).sum();
    if x.cluster.arrived < live {
        return;
    }
    x.cluster.arrived = 0;
    x.cluster.phase = x.cluster.phase.wrapping_add(1);
    for split in x
        .cluster
        .ctas
        .iter_mut()
        .flat_map(|c| &mut c.warps)
        .flat_map(|w| &mut w.splits)
    {
        if split.waiting == Waiting::Cluster {
            split.waiting = Waiting::No;
        }
    }
}
