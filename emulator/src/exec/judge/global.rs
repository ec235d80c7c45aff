//! Races in global memory, on request: one shadow and one set of clocks for all clusters of a launch, behind a lock, so
//! that such a launch runs slowly. What the copies in flight do is told by `copies`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::clock::{Agent, Clock};
use super::shadow::{touch, Access, By, Cell, Conflict, COPY};
use crate::fault::RaceKind;

/// Agents of one cluster, at most: its threads, its groups of copies, its mbarriers.
pub(crate) fn agents(warps: usize) -> Agent {
    warps as Agent * 35 + 4096
}

/// See the module. Lives as long as the launch.
#[derive(Debug, Default)]
pub(crate) struct Global(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    cells: HashMap<u64, Cell>,
    more: Vec<Vec<Access>>,
    /// What atomics on an address have passed on.
    pub clocks: HashMap<u64, Clock>,
}

/// What an access of global memory meets.
pub(super) enum Meeting {
    Nothing,
    /// A plain write over another one: harmless if it changes nothing.
    Doubt(u64, Access),
    Race(u64, Access, RaceKind),
}

impl Global {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// As `Shadow::access`, without a look at what was never written: the caller's arrays are.
    pub(super) fn access(&mut self, address: u64, size: u32, by: By<'_>) -> Meeting {
        let end = address + u64::from(size);
        let mut meeting = Meeting::Nothing;
        let mut at = address & !3;
        while at < end {
            let low = address.max(at) - at;
            let high = end.min(at + 4) - at;
            let bytes = ((1u32 << high) - (1u32 << low)) as u8;
            let cell = self.cells.entry(at >> 2).or_default();
            match touch(cell, &mut self.more, bytes, by) {
                Ok(None) => {}
                Ok(Some(earlier)) => meeting = Meeting::Doubt(at + low, earlier),
                Err(Conflict::Unordered(earlier)) if earlier.flags & COPY != 0 => {
                    return Meeting::Race(at + low, earlier, RaceKind::CopyInFlight);
                }
                Err(Conflict::Unordered(earlier)) => return Meeting::Race(at + low, earlier, RaceKind::Unordered),
                Err(Conflict::Unfenced(earlier)) => return Meeting::Race(at + low, earlier, RaceKind::ProxyFence),
                Err(Conflict::OverBarrier | Conflict::Unknown) => {}
            }
            at += 4;
        }
        meeting
    }
}
