//! Who waits for what: the deadlock report, from the state of a cluster in which nothing can change.

use super::cluster::{Cluster, Cta, Split, Waiting};
use super::env::Env;
use super::judge::ops;
use super::livelock::Spin;
use super::mbarrier::{Arrival, Mbarrier};
use crate::fault::{BarrierState, DeadlockReport, Fault, PollReport, Space, Wait, WaitKind};

/// The report about the first CTA of a cluster in which somebody waits.
pub(super) fn deadlock(cluster: &Cluster, env: &Env<'_>, clusters: u32) -> Fault {
    let waits = |cta: &Cta| -> Vec<Wait> {
        let warps = cta.warps.iter().enumerate();
        let splits = warps.flat_map(|(number, warp)| warp.splits.iter().map(move |s| (number as u32, s)));
        let mut list: Vec<Wait> = splits
            .map(|(number, split)| wait(cluster, cta, env, number, split))
            .collect();
        list.sort_by_key(|w| (w.location.warp, w.location.line));
        list
    };
    let blocked = cluster.ctas.iter().filter(|c| c.live_threads() > 0).count() as u32;
    let first = cluster
        .ctas
        .iter()
        .find(|c| c.live_threads() > 0)
        .unwrap_or(&cluster.ctas[0]);
    Fault::Deadlock(Box::new(DeadlockReport {
        entry: env.entry.to_owned(),
        cta: first.index,
        blocked_ctas: blocked * clusters,
        waits: waits(first),
    }))
}

fn wait(cluster: &Cluster, cta: &Cta, env: &Env<'_>, warp: u32, split: &Split) -> Wait {
    // A `test_wait` in vain has moved on already: what it asked for is remembered.
    let (pc, waiting) = match (split.waiting, split.polled) {
        (Waiting::No, Some((pc, polled))) => (pc, polled),
        (waiting, _) => (split.pc, waiting),
    };
    let (on, state) = match waiting {
        Waiting::Mbarrier { address, parity } => {
            let barrier = cta.mbarriers.iter().find(|b| b.address == address);
            let state = barrier.map(|b| mbarrier_state(cluster, env, b));
            (WaitKind::Mbarrier { address, parity }, state)
        }
        Waiting::Barrier(id) => (WaitKind::Barrier { id }, Some(barrier_state(cta, env, id))),
        Waiting::Lanes(missing) | Waiting::Sync(missing) => (WaitKind::Warp { missing }, None),
        Waiting::Warpgroup(number) => {
            let group = warp / 4;
            let (ranks, pc) = cta.warpgroups[group as usize].missing(number);
            let (warps, line) = (ranks << (group * 4), env.program.place(pc).line);
            (WaitKind::Warpgroup { warps, line }, None)
        }
        Waiting::Cluster => (WaitKind::Cluster, Some(cluster_state(cluster))),
        Waiting::Registers(wanted) => (registers_wanted(cta, env, warp, wanted), None),
        Waiting::No => match split.spin.filter(|_| split.spins(cluster.epoch)) {
            Some(spin) => return polling(cta, env, warp, split, spin),
            None => (WaitKind::Spin, None),
        },
    };
    Wait {
        location: env.location(cta.index, warp, None, pc),
        lanes: split.mask,
        on,
        state,
    }
}

fn registers_wanted(cta: &Cta, env: &Env<'_>, warp: u32, wanted: u32) -> WaitKind {
    WaitKind::Registers {
        wanted,
        held: cta.warps[warp as usize].registers.0,
        free: cta.free_registers,
        total: env.registers.unwrap_or(0) * 32 * cta.warps.len() as u32,
        holders: super::registers::holders(cta, env),
    }
}

/// A split that goes round for ever.
fn polling(cta: &Cta, env: &Env<'_>, warp: u32, split: &Split, spin: Spin) -> Wait {
    let poll = spin.poll;
    let (array, offset) = match poll.space {
        Space::Global => {
            let range = env.ranges.nearest(poll.place.1);
            (
                range.map(|r| r.name.clone()),
                range.map_or(0, |r| poll.place.1 - r.start),
            )
        }
        _ => (None, poll.place.1),
    };
    let lines = [spin.span.0, spin.span.1].map(|pc| env.program.place(pc).line);
    Wait {
        location: env.location(cta.index, warp, None, poll.pc),
        lanes: split.mask,
        on: WaitKind::Poll(PollReport {
            array,
            offset,
            value: poll.value,
            lines: (lines[0].min(lines[1]), lines[0].max(lines[1])),
            writers: ops::writers(env.program, poll),
        }),
        state: None,
    }
}

fn mbarrier_state(cluster: &Cluster, env: &Env<'_>, barrier: &Mbarrier) -> BarrierState {
    BarrierState {
        phase: barrier.phase,
        pending: barrier.pending,
        expected: barrier.expected,
        tx_bytes: barrier.tx,
        missing: Vec::new(),
        last_arrival: barrier.last.map(|by| arrival(cluster, env, by)),
        last_copy: barrier
            .copied
            .filter(|_| barrier.tx != 0)
            .map(|(by, bytes)| format!("{bytes} bytes, {}", arrival(cluster, env, by))),
    }
}

/// `role producer (warp 0), line 12`, with the thread block where there are several.
pub(super) fn arrival(cluster: &Cluster, env: &Env<'_>, (rank, warp, pc): Arrival) -> String {
    let foreign = if cluster.ctas.len() > 1 {
        format!(" of cluster rank {rank}")
    } else {
        String::new()
    };
    format!("{}{foreign}, line {}", who(env, warp), env.program.place(pc).line)
}

fn barrier_state(cta: &Cta, env: &Env<'_>, id: u32) -> BarrierState {
    let barrier = &cta.barriers[id as usize];
    let expected = if barrier.expected == 0 {
        cta.live_threads()
    } else {
        barrier.expected
    };
    let arrived = if barrier.expected == 0 {
        barrier.exact
    } else {
        barrier.threads
    };
    BarrierState {
        phase: barrier.phase,
        pending: expected.saturating_sub(arrived),
        expected,
        tx_bytes: 0,
        missing: absent(cta, env, barrier.warps),
        last_arrival: barrier
            .last
            .map(|(warp, pc)| format!("{}, line {}", who(env, warp), env.program.place(pc).line)),
        last_copy: None,
    }
}

/// Live warps that have not arrived.
fn absent(cta: &Cta, env: &Env<'_>, arrived: u32) -> Vec<String> {
    let warps = cta.warps.iter().enumerate();
    let late = warps.filter(|(number, warp)| warp.live != 0 && arrived >> number & 1 == 0);
    late.map(|(number, _)| who(env, number as u32)).collect()
}

fn cluster_state(cluster: &Cluster) -> BarrierState {
    let expected: u32 = cluster.ctas.iter().map(Cta::live_threads).sum();
    BarrierState {
        phase: u64::from(cluster.phase),
        pending: expected.saturating_sub(cluster.arrived),
        expected,
        tx_bytes: 0,
        missing: Vec::new(),
        last_arrival: None,
        last_copy: None,
    }
}

/// `role producer (warp 0)`, or `warp 0` where the launch names no roles.
pub(super) fn who(env: &Env<'_>, warp: u32) -> String {
    match env.role(warp) {
        Some(role) => format!("role {role} (warp {warp})"),
        None => format!("warp {warp}"),
    }
}
