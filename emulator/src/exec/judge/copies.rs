//! Copies in flight. Each is an agent of its own: it knows what its thread knew when it was issued, and nobody knows of
//! it until its mbarrier's phase is over or its thread has waited for its group. When the bytes really move plays no role,
//! so that a missing wait is found under every schedule.

use std::collections::HashMap;

use super::clock::{Agent, Clock};
use super::shadow::{Access, By, ASYNC, COPY, STRONG, WRITE};
use super::{with, Judge};
use crate::exec::copies::{BulkCopy, Signal};
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::fault::Fault;

/// Kinds of groups that a warp's copies are counted in, each with an agent of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Groups {
    /// `cp.async`.
    Lane,
    /// Bulk copies out of shared memory, which is free again when they have read.
    Bulk,
    /// The same copies, and global memory, which is written later.
    Stored,
}

/// Kinds.
const KINDS: usize = 3;

/// Copies of one kind of a warp.
#[derive(Clone, Debug, Default)]
struct Count {
    issued: u32,
    /// How many had been issued when each group was committed.
    ends: Vec<u32>,
}

impl Count {
    /// After lanes have committed `group` groups.
    fn commit(&mut self, group: u32) {
        let group = group as usize;
        if self.ends.len() < group {
            self.ends.resize(group, 0);
        }
        if let Some(end) = group.checked_sub(1).and_then(|at| self.ends.get_mut(at)) {
            *end = (*end).max(self.issued);
        }
    }

    /// Copies of the groups before `group`.
    fn before(&self, group: u32) -> u32 {
        (group as usize)
            .checked_sub(1)
            .and_then(|at| self.ends.get(at))
            .map_or(0, |end| *end)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// The agents of threads are below.
    first: Agent,
    /// By warp and kind.
    counts: Vec<Count>,
    next: Agent,
    /// The latest bulk copy of each agent, with the thread block whose shared memory it touches.
    bulk: HashMap<(usize, Agent), Access>,
}

impl Flights {
    pub(super) fn reset(&mut self, base: Agent, warps: usize) {
        self.first = base + warps as Agent * 32;
        self.counts = vec![Count::default(); warps * KINDS];
        self.next = self.first + (warps * KINDS) as Agent;
        self.bulk.clear();
    }

    /// The agent of a warp's copies of a kind, and its count.
    fn of(&mut self, warp: usize, kind: Groups) -> (Agent, &mut Count) {
        let at = warp * KINDS + kind as usize;
        (self.first + at as Agent, &mut self.counts[at])
    }

    /// Remembers what touches the shared memory of a thread block until somebody knows that it is done.
    pub(super) fn note(&mut self, cta: usize, access: Access) {
        self.bulk.insert((cta, access.agent), access);
    }

    pub(super) fn new_agent(&mut self) -> Agent {
        self.next += 1;
        self.next - 1
    }
}

/// Shared memory that a copy reads and writes: thread block, offset, bytes, flags.
type Ends = [Option<(usize, u32, u32, u8)>; 2];

impl Judge {
    /// The thread block whose shared memory holds a host address, and the offset.
    fn shared_place(x: &Ctx<'_>, host: usize) -> Option<(usize, u32)> {
        x.cluster.ctas.iter().enumerate().find_map(|(rank, cta)| {
            let offset = host.checked_sub(cta.memory.start() as usize)?;
            (offset < cta.shared_bytes as usize).then_some((rank, offset as u32))
        })
    }

    fn ends(x: &Ctx<'_>, source: usize, target: usize, bytes: u32) -> Ends {
        let end = |host, flag| Self::shared_place(x, host).map(|(cta, offset)| (cta, offset, bytes, flag));
        [end(source, 0), end(target, WRITE)]
    }

    fn fly(&mut self, x: &Ctx<'_>, ends: Ends, access: Access) -> Result<(), Box<Fault>> {
        let warp = self.number(x.cta, x.warp);
        for (cta, offset, bytes, flag) in ends.into_iter().flatten() {
            let access = Access {
                flags: access.flags | flag,
                ..access
            };
            let (_, clock) = self.threads[warp].of(x.active, &x.warp().splits);
            let found = self.shadows[cta].access(offset, bytes, By { access, clock });
            found.map_err(|(at, conflict)| self.conflict(x, cta, at, access, conflict))?;
            if access.flags & ASYNC != 0 {
                self.flights.bulk.insert((cta, access.agent), access);
            }
        }
        Ok(())
    }

    /// The global side of a bulk copy, where global memory is followed: pieces of it, one per row of a box.
    fn fly_global(&mut self, x: &mut Ctx<'_>, copy: &BulkCopy, access: Access) -> Result<(), Box<Fault>> {
        if x.env.global.is_none() {
            return Ok(());
        }
        let warp = self.number(x.cta, x.warp);
        let read = Access {
            flags: COPY | ASYNC,
            ..access
        };
        let write = Access {
            agent: self.flights.of(warp, Groups::Stored).0,
            flags: COPY | ASYNC | WRITE | if copy.combine.is_some() { STRONG } else { 0 },
            ..access
        };
        let stores = matches!(copy.signal, Signal::Group { .. });
        let (flat, side) = if stores {
            (copy.target, write)
        } else {
            (copy.source, read)
        };
        let Some(tensor) = &copy.tensor else {
            return self.in_global(x, flat as u64, copy.bytes as u32, side);
        };
        let mut pieces = Vec::new();
        tensor.rows(|_, row| pieces.extend(row.map(|row| (row.address as u64, row.bytes as u32))));
        let mut pieces = pieces.into_iter();
        pieces.try_for_each(|(address, bytes)| self.in_global(x, address, bytes, side))
    }

    /// Bulk copies that touch the shared memory of a thread block and that none of its threads has waited for.
    pub(super) fn unfinished(&self, cta: usize, known: &Clock) -> Option<Access> {
        let late = |(place, access): (&(usize, Agent), &Access)| {
            (place.0 == cta && known.time(access.agent) < access.time).then_some(*access)
        };
        self.flights.bulk.iter().filter_map(late).min_by_key(|a| (a.pc, a.warp))
    }
}

/// `cp.async` of one lane is issued, from global memory to a host address in shared memory.
pub(crate) fn lane_copy(x: &mut Ctx<'_>, lane: u32, target: usize, bytes: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        let (agent, count) = judge.flights.of(warp, Groups::Lane);
        count.issued += 1;
        let time = count.issued;
        let access = Access {
            agent,
            time,
            ..judge.access(x, lane, COPY)
        };
        judge.fly(x, Judge::ends(x, 0, target, bytes), access)
    })
}

/// A bulk copy, or what else is queued as one, is issued.
pub(crate) fn bulk_copy(x: &mut Ctx<'_>, lane: u32, copy: &BulkCopy) -> Result<(), Flow> {
    with(x, |judge, x| {
        let (agent, time) = match copy.signal {
            Signal::Mbarrier { cta, address } => {
                let phase = x.cluster.ctas[cta].mbarriers.iter().find(|b| b.address == address);
                let time = phase.map_or(0, |b| b.phase) as u32 + 1;
                match judge.mbarrier(x, cta, address) {
                    Some(sync) => (sync.copies, time),
                    None => return Ok(()),
                }
            }
            Signal::Group { .. } => {
                let warp = judge.number(x.cta, x.warp);
                judge.flights.of(warp, Groups::Stored).1.issued += 1;
                let (agent, count) = judge.flights.of(warp, Groups::Bulk);
                count.issued += 1;
                (agent, count.issued)
            }
        };
        let access = Access {
            agent,
            time,
            ..judge.access(x, lane, COPY | ASYNC)
        };
        let [source, target] = Judge::ends(x, copy.source, copy.target, copy.bytes as u32);
        // Reductions are atomic: two of them may meet.
        let flag = WRITE | if copy.combine.is_some() { STRONG } else { 0 };
        let target = target.map(|(cta, offset, bytes, _)| (cta, offset, bytes, flag));
        judge.fly(x, [source, target], access)?;
        judge.fly_global(x, copy, access)
    })
}

fn most(mask: u32, counts: &[u32; 32]) -> u32 {
    let lanes = (0..32usize).filter(|l| mask >> l & 1 != 0);
    lanes.map(|l| counts[l]).max().unwrap_or(0)
}

/// Lanes have committed a group; `committed` counts them.
pub(crate) fn commit(x: &mut Ctx<'_>, mask: u32, kinds: &[Groups], committed: &[u32; 32]) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        for kind in kinds {
            judge.flights.of(warp, *kind).1.commit(most(mask, committed));
        }
        Ok(())
    })
}

/// Lanes have waited until all groups but the last `keep` are complete; `None` for everything.
pub(crate) fn waited(
    x: &mut Ctx<'_>,
    mask: u32,
    kind: Groups,
    committed: &[u32; 32],
    keep: Option<u32>,
) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        let (agent, count) = judge.flights.of(warp, kind);
        let time = match keep {
            Some(keep) => count.before(most(mask, committed).saturating_sub(keep)),
            None => count.issued,
        };
        judge.me(x).1.raise(agent, time);
        Ok(())
    })
}

/// `cp.async.mbarrier.arrive`: the arrival carries all that the warp has issued so far.
pub(crate) fn arrive_behind(x: &mut Ctx<'_>, cta: usize, address: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        let (agent, count) = judge.flights.of(warp, Groups::Lane);
        let time = count.issued;
        if let Some(sync) = judge.mbarrier(x, cta, address) {
            sync.leave(agent, time);
        }
        Ok(())
    })
}
