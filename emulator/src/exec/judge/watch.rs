//! The instruction loop of judged launches: as `turn::run_split`, with a look at each access before it happens. An
//! access that the memory checks will refuse is left to them.

use super::global::Meeting;
use super::ops::{Kind, Rule};
use super::report;
use super::shadow::{Access, By, Conflict, STRONG, WRITE};
use super::{registers, together, with, Judge};
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Inst, NO_GUARD};
use crate::exec::memory::{addresses, shared_rank, space, window, RANK_SHIFT};
use crate::exec::program::End;
use crate::fault::{Fault, RaceKind};

type Found = Result<(), Box<Fault>>;

/// Looks at the instruction that the running split executes next.
#[inline(always)]
pub(crate) fn before(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Result<(), Flow> {
    let (op, product) = match &x.cluster.judge {
        Some(judge) => (judge.ops[x.pc as usize], judge.products.registers.interests(x.pc)),
        None => return Ok(()),
    };
    registers::check(x, i, mask, op.flow)?;
    if product {
        super::wgmma::used(x)?;
    }
    if op.rule != Rule::Free {
        together::check(x, i, mask, op.rule)?;
    }
    match op.kind {
        Kind::Other => Ok(()),
        Kind::Access => with(x, |judge, x| judge.accesses(x, i, mask, op.flags, u32::from(op.bytes))),
        Kind::Placed => with(x, |judge, _| {
            judge.placing = true;
            Ok(())
        }),
        Kind::ProxyFence => with(x, |judge, x| {
            let (agent, clock) = judge.me(x);
            clock.fence();
            clock.tick(agent);
            Ok(())
        }),
        Kind::Call => with(x, |judge, x| {
            judge.results_arrive(x, i, mask);
            Ok(())
        }),
    }
}

/// Looks at the guard of the instruction that the running split executes next, or leaves out.
#[inline(always)]
pub(crate) fn guard(x: &mut Ctx<'_>, i: &Inst) -> Result<(), Flow> {
    if i.guard == NO_GUARD {
        return Ok(());
    }
    registers::guard(x, i)
}

/// A write over another one that nothing orders: a race only if it changes what is there.
#[derive(Debug)]
pub(super) struct Doubt {
    host: *mut u8,
    old: Vec<u8>,
    fault: Box<Fault>,
}

// SAFETY: the pointer is only followed by the host thread that runs the instruction it was made for.
unsafe impl Send for Doubt {}

impl Doubt {
    fn new(host: *mut u8, bytes: u32, fault: Box<Fault>) -> Self {
        let old = Self::bytes(host, bytes as usize);
        Self { host, old, fault }
    }

    fn bytes(host: *mut u8, bytes: usize) -> Vec<u8> {
        // SAFETY: the caller has compared the end of the access with its shared memory or registered range; both live as
        // long as the launch.
        unsafe { std::slice::from_raw_parts(host, bytes) }.to_vec()
    }
}

/// After the instruction: settles the doubts about its writes, and learns what those have passed on whose values it read.
#[inline(always)]
pub(crate) fn after(x: &mut Ctx<'_>) -> Result<(), Flow> {
    let settled = |j: &mut Box<Judge>| !std::mem::take(&mut j.placing) && j.doubts.is_empty() && j.heard.is_empty();
    if x.cluster.judge.as_mut().is_none_or(settled) {
        return Ok(());
    }
    with(x, |judge, x| {
        judge.hear(x);
        for doubt in std::mem::take(&mut judge.doubts) {
            if Doubt::bytes(doubt.host, doubt.old.len()) != doubt.old {
                return Err(doubt.fault);
            }
        }
        Ok(())
    })
}

/// `memory::place` has found an access of the running instruction.
#[inline]
pub(crate) fn placed(x: &mut Ctx<'_>, code: u32, address: u64, bytes: u32, write: bool, lane: u32) -> Result<(), Flow> {
    if x.cluster.judge.as_ref().is_none_or(|j| !j.placing) {
        return Ok(());
    }
    let flags = if write { WRITE } else { 0 };
    with(x, |judge, x| match target(x, code, address) {
        Target::Shared(cta, offset) => judge.shared(x, (cta, offset), bytes, lane, flags),
        Target::Local(offset) => judge.local(x, offset, bytes, lane, flags),
        Target::Global(_) | Target::Elsewhere => Ok(()),
    })
}

/// Threads have left, perhaps the last of the thread block.
pub(crate) fn exited(x: &mut Ctx<'_>) -> Result<(), Flow> {
    super::warpgroup::left(x)?;
    super::wgmma::left(x)?;
    if x.cta().live_threads() != 0 {
        return Ok(());
    }
    with(x, |judge, x| {
        let mut known = super::clock::Clock::default();
        for warp in 0..judge.warps_per_cta {
            known.join(&judge.threads[judge.number(x.cta, warp)].everything());
        }
        if let Some(access) = judge.unfinished(x.cta, &known) {
            return Err(report::exit_in_flight(judge, x, access));
        }
        let late = judge.remote[x.cta].values().filter(|a| known.time(a.agent) < a.time);
        match late.min_by_key(|a| (a.pc, a.warp)) {
            Some(access) => Err(report::exit_before_peer(judge, x, *access)),
            None => Ok(()),
        }
    })
}

/// Where a lane's address points.
enum Target {
    Shared(usize, u32),
    Local(u32),
    Global(u64),
    Elsewhere,
}

fn target(x: &Ctx<'_>, code: u32, address: u64) -> Target {
    let inner = address & !window::TAG;
    match (code, address & window::TAG) {
        (space::SHARED, _) | (space::GENERIC, window::SHARED) => match shared_rank(x, inner) {
            Some(cta) => Target::Shared(cta, (inner & ((1 << RANK_SHIFT) - 1)) as u32),
            None => Target::Elsewhere,
        },
        (space::LOCAL, _) | (space::GENERIC, window::LOCAL) => {
            u32::try_from(inner).map_or(Target::Elsewhere, Target::Local)
        }
        (space::GLOBAL, _) => Target::Global(address),
        (space::GENERIC, _) if address < window::SHARED => Target::Global(address),
        _ => Target::Elsewhere,
    }
}

impl Judge {
    fn accesses(&mut self, x: &mut Ctx<'_>, i: &Inst, mask: u32, flags: u8, bytes: u32) -> Found {
        let at = addresses(x, i, mask);
        let code = i.extra & space::MASK;
        for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
            let address = at[lane as usize];
            if address & u64::from(bytes - 1) != 0 {
                return Ok(());
            }
            match target(x, code, address) {
                Target::Shared(cta, offset) => self.shared(x, (cta, offset), bytes, lane, flags)?,
                Target::Local(offset) => self.local(x, offset, bytes, lane, flags)?,
                Target::Global(address) if x.env.global.is_some() => self.global(x, address, bytes, lane, flags)?,
                Target::Global(address) if flags & STRONG != 0 => self.order(x, address, flags, true),
                Target::Global(_) | Target::Elsewhere => {}
            }
        }
        Ok(())
    }

    /// Strong accesses to one address come one after the other.
    fn order(&mut self, x: &Ctx<'_>, address: u64, flags: u8, after: bool) {
        let cell = Self::cell(address);
        self.acquire_cell(x, cell);
        if after && flags & WRITE != 0 {
            self.release_cell(x, cell);
        }
    }

    #[inline]
    fn shared(&mut self, x: &mut Ctx<'_>, place: (usize, u32), bytes: u32, lane: u32, flags: u8) -> Found {
        let (cta, offset) = place;
        let Some(end) = offset
            .checked_add(bytes)
            .filter(|e| *e <= x.cluster.ctas[cta].shared_bytes)
        else {
            return Ok(());
        };
        let key = (cta as u64) << 32 | u64::from(offset);
        if flags & STRONG != 0 {
            self.order(x, key, flags, false);
        }
        let access = self.access(x, lane, flags);
        if cta != x.cta && x.cluster.ctas[cta].live_threads() == 0 {
            return Err(report::peer_gone(x, cta, lane, offset));
        }
        self.note_remote(x, cta, access);
        let warp = self.number(x.cta, x.warp);
        let (_, clock) = self.threads[warp].of(x.active, &x.warp().splits);
        let found = self.shadows[cta].access(offset, end - offset, By { access, clock });
        found.map_err(|(at, conflict)| self.conflict(x, cta, at, access, conflict))?;
        if let Some((at, earlier)) = self.shadows[cta].doubt.take() {
            let fault = self.conflict(x, cta, at, access, Conflict::Unordered(earlier));
            let host = x.cluster.ctas[cta].memory.start().wrapping_add(at as usize);
            self.doubts.push(Doubt::new(host, end - at, fault));
        }
        if flags & (STRONG | WRITE) == STRONG | WRITE {
            self.release_cell(x, Self::cell(key));
        }
        Ok(())
    }

    /// An access of threads to global memory, where those are followed.
    fn global(&mut self, x: &mut Ctx<'_>, address: u64, bytes: u32, lane: u32, flags: u8) -> Found {
        let access = self.access(x, lane, flags);
        let (agent, clock) = self.me(x);
        let strong = flags & STRONG != 0;
        if let (true, Some(global)) = (strong, &x.env.global) {
            let mut state = global.state();
            let shared = state.clocks.entry(address).or_default();
            clock.join(shared);
            if flags & WRITE != 0 {
                shared.join(clock);
            }
            drop(state);
            self.heard.push(address);
        }
        let found = self.in_global(x, address, bytes, access);
        if strong && flags & WRITE != 0 {
            self.me(x).1.tick(agent);
        }
        found
    }

    /// Another host thread may have written, and left its knowledge, after this one looked and before it read.
    fn hear(&mut self, x: &Ctx<'_>) {
        let heard = std::mem::take(&mut self.heard);
        if let (false, Some(global)) = (heard.is_empty(), &x.env.global) {
            let state = global.state();
            for known in heard.iter().filter_map(|address| state.clocks.get(address)) {
                self.me(x).1.join(known);
            }
        }
    }

    /// An access to global memory by a thread or a copy: compared with those before, and remembered.
    pub(super) fn in_global(&mut self, x: &mut Ctx<'_>, address: u64, bytes: u32, access: Access) -> Found {
        let env = x.env;
        let end = address.saturating_add(u64::from(bytes));
        let (Some(global), Ok(range)) = (&env.global, env.ranges.find(address, end, false)) else {
            return Ok(());
        };
        let clock = self.me(x).1;
        let (at, earlier, why, doubt) = match global.state().access(address, bytes, By { access, clock }) {
            Meeting::Nothing => return Ok(()),
            Meeting::Doubt(at, earlier) => (at, earlier, RaceKind::Unordered, true),
            Meeting::Race(at, earlier, why) => (at, earlier, why, false),
        };
        let range = env.ranges.get(range as usize);
        let place = (range.name.clone(), at - range.start);
        let fault = self.global_race(x, place, why, earlier, access);
        if !doubt {
            return Err(fault);
        }
        self.doubts.push(Doubt::new(at as *mut u8, (end - at) as u32, fault));
        Ok(())
    }

    /// Remembers an access to the shared memory of another thread block: that one must not leave before.
    pub(super) fn note_remote(&mut self, x: &Ctx<'_>, cta: usize, access: Access) {
        if cta != x.cta {
            self.remote[cta].insert(access.agent, access);
        }
    }

    /// Local memory of the entry's own frame: was any byte of what is read ever written?
    fn local(&mut self, x: &Ctx<'_>, offset: u32, bytes: u32, lane: u32, flags: u8) -> Found {
        let end = u64::from(offset) + u64::from(bytes);
        if end > u64::from(x.local_end(lane)) && end <= u64::from(x.warp().local_bytes()) {
            return Err(report::dead_frame(x, offset, bytes, lane, flags));
        }
        let warp = self.number(x.cta, x.warp);
        let Some(cells) = self.local[warp].get_mut(offset as usize..end as usize) else {
            return Ok(());
        };
        if flags & WRITE != 0 {
            cells.iter_mut().for_each(|c| *c |= 1 << lane);
        }
        if cells.iter().any(|c| *c >> lane & 1 != 0) {
            return Ok(());
        }
        Err(report::unknown_local(x, offset, bytes, lane))
    }

    /// A call of the entry writes its results into the frame, and may write through any pointer it is given.
    fn results_arrive(&mut self, x: &mut Ctx<'_>, i: &Inst, mask: u32) {
        let warp = self.number(x.cta, x.warp);
        let local = x.split_mut().local;
        let Some(call) = x.env.program.calls.get(i.extra as usize) else {
            return;
        };
        for step in &call.results {
            let End::Local(offset) = step.to else { continue };
            let start = (local + offset) as usize;
            if let Some(cells) = self.local[warp].get_mut(start..start + step.bytes as usize) {
                cells.iter_mut().for_each(|c| *c |= mask);
            }
        }
    }
}
