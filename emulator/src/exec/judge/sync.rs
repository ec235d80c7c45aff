//! What orders threads: barriers, mbarriers, atomics. Whoever arrives leaves what it knows; whoever passes takes what the
//! phases that are over have collected, and nothing of the phase that runs.

use super::clock::{Agent, Clock};
use super::shadow::{By, MBARRIER, STRONG, WRITE};
use super::{with, Judge};
use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::fault::Fault;

/// A place where threads meet in phases.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncPoint {
    phase: u64,
    current: Clock,
    done: Clock,
}

impl SyncPoint {
    /// Takes note that phase `phase` runs now.
    fn advance(&mut self, phase: u64) {
        if phase != self.phase {
            self.done.join(&self.current);
            self.current = Clock::default();
            self.phase = phase;
        }
    }
}

/// One mbarrier.
#[derive(Debug)]
pub(crate) struct MbarrierSync {
    point: SyncPoint,
    /// The copies that signal it, as one agent: those of phase p have time p + 1.
    pub copies: Agent,
    /// Who initialised it: lane and instruction.
    by: (usize, u32, u32),
}

impl MbarrierSync {
    pub(crate) fn advance(&mut self, phase: u64) {
        if phase != self.point.phase {
            self.point.current.raise(self.copies, phase as u32);
        }
        self.point.advance(phase);
    }

    pub(crate) fn leave(&mut self, agent: Agent, time: u32) {
        self.point.current.raise(agent, time);
    }
}

type Found = Result<(), Box<Fault>>;

impl Judge {
    /// Leaves what the running split knows at `point`, and moves its time on.
    fn release(&mut self, x: &Ctx<'_>, pick: impl FnOnce(&mut Self) -> &mut Clock) {
        let (agent, clock) = self.me(x);
        let known = clock.clone();
        clock.tick(agent);
        pick(self).join(&known);
    }

    fn acquire(&mut self, x: &Ctx<'_>, known: &Clock) {
        self.me(x).1.join(known);
    }

    /// The clock that atomics on an address share.
    pub(super) fn cell(key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % super::CELLS
    }

    pub(super) fn acquire_cell(&mut self, x: &Ctx<'_>, cell: usize) {
        let known = std::mem::take(&mut self.cells[cell]);
        self.acquire(x, &known);
        self.cells[cell] = known;
    }

    pub(super) fn release_cell(&mut self, x: &Ctx<'_>, cell: usize) {
        self.release(x, |j| &mut j.cells[cell]);
    }

    /// The mbarrier's record, its phase brought up to date.
    pub(super) fn mbarrier(&mut self, x: &Ctx<'_>, cta: usize, address: u32) -> Option<&mut MbarrierSync> {
        let known = &x.cluster.ctas[cta].mbarriers;
        let phase = known.iter().find(|b| b.address == address)?.phase;
        let sync = self.mbarriers.get_mut(&(cta, address))?;
        sync.advance(phase);
        Some(sync)
    }

    /// An `mbarrier` operation touches the object: it must come behind the initialisation.
    fn touch_mbarrier(&mut self, x: &Ctx<'_>, cta: usize, address: u32, lane: u32, flags: u8) -> Found {
        let access = self.access(x, lane, flags | MBARRIER);
        self.note_remote(x, cta, access);
        let warp = self.number(x.cta, x.warp);
        let (_, clock) = self.threads[warp].of(x.active, &x.warp().splits);
        let found = self.shadows[cta].access(address, 8, By { access, clock });
        found.map_err(|(at, conflict)| self.conflict(x, cta, at, access, conflict))
    }
}

/// A split arrives at barrier `id` of its thread block.
pub(crate) fn barrier_arrive(x: &mut Ctx<'_>, id: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        let at = x.cta * 16 + id as usize;
        judge.barriers[at].advance(x.cta().barriers[id as usize].phase);
        judge.release(x, |j| &mut j.barriers[at].current);
        Ok(())
    })
}

/// It goes on behind the barrier.
pub(crate) fn barrier_pass(x: &mut Ctx<'_>, id: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        let at = x.cta * 16 + id as usize;
        judge.barriers[at].advance(x.cta().barriers[id as usize].phase);
        let known = judge.barriers[at].done.clone();
        judge.acquire(x, &known);
        Ok(())
    })
}

pub(crate) fn cluster_arrive(x: &mut Ctx<'_>) -> Result<(), Flow> {
    with(x, |judge, x| {
        judge.cluster_barrier.advance(u64::from(x.cluster.phase));
        judge.release(x, |j| &mut j.cluster_barrier.current);
        Ok(())
    })
}

pub(crate) fn cluster_pass(x: &mut Ctx<'_>) -> Result<(), Flow> {
    with(x, |judge, x| {
        judge.cluster_barrier.advance(u64::from(x.cluster.phase));
        let known = judge.cluster_barrier.done.clone();
        judge.acquire(x, &known);
        Ok(())
    })
}

/// `bar.warp.sync`: `done` when the split goes on.
pub(crate) fn warp_sync(x: &mut Ctx<'_>, done: bool) -> Result<(), Flow> {
    with(x, |judge, x| {
        let warp = judge.number(x.cta, x.warp);
        judge.release(x, |j| &mut j.threads[warp].together);
        if done {
            let known = judge.threads[warp].together.clone();
            judge.acquire(x, &known);
        }
        Ok(())
    })
}

pub(crate) fn mbarrier_init(x: &mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        if let Some(known) = judge.mbarriers.get(&(cta, address)) {
            return Err(super::report::double_init(x, address, lane, known.by));
        }
        judge.touch_mbarrier(x, cta, address, lane, WRITE)?;
        judge.shadows[cta].set_barrier(address, true);
        let copies = judge.flights.new_agent();
        let by = (judge.number(x.cta, x.warp), lane, x.pc);
        let sync = MbarrierSync {
            point: SyncPoint::default(),
            copies,
            by,
        };
        judge.mbarriers.insert((cta, address), sync);
        Ok(())
    })
}

pub(crate) fn mbarrier_inval(x: &mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        judge.touch_mbarrier(x, cta, address, lane, WRITE)?;
        judge.shadows[cta].set_barrier(address, false);
        judge.mbarriers.remove(&(cta, address));
        Ok(())
    })
}

/// Before a lane's arrival counts.
pub(crate) fn mbarrier_arrive(x: &mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        judge.touch_mbarrier(x, cta, address, lane, STRONG)?;
        let (agent, clock) = judge.me(x);
        let known = clock.clone();
        clock.tick(agent);
        if let Some(sync) = judge.mbarrier(x, cta, address) {
            sync.point.current.join(&known);
        }
        Ok(())
    })
}

/// A lane's wait has found its phase complete.
pub(crate) fn mbarrier_pass(x: &mut Ctx<'_>, cta: usize, address: u32, lane: u32) -> Result<(), Flow> {
    with(x, |judge, x| {
        judge.touch_mbarrier(x, cta, address, lane, STRONG)?;
        let known = judge.mbarrier(x, cta, address).map(|sync| sync.point.done.clone());
        judge.acquire(x, &known.unwrap_or_default());
        Ok(())
    })
}
