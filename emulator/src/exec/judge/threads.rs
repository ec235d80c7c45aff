//! The clocks of a warp's splits. Lanes that run together are one agent, named by their lowest lane; when a warp diverges
//! each part goes on with what the whole knew, and when parts meet again they know what either knew.

use super::clock::{Agent, Clock};
use crate::exec::cluster::Split;

/// Clocks of one warp.
#[derive(Debug)]
pub(crate) struct Threads {
    /// The agent of lane 0; lane n's is this plus n.
    first: Agent,
    /// For each lane, the lowest lane of the split it was last seen in.
    leader: [u8; 32],
    /// For each leader, its split's lanes.
    masks: [u32; 32],
    clocks: Vec<Clock>,
    /// What was released by `bar.warp.sync`.
    pub together: Clock,
}

impl Threads {
    pub(crate) fn new(first: Agent, live: u32) -> Self {
        let lowest = live.trailing_zeros() as usize & 31;
        let mut threads = Threads {
            first,
            leader: [lowest as u8; 32],
            masks: [0; 32],
            clocks: vec![Clock::default(); 32],
            together: Clock::default(),
        };
        threads.masks[lowest] = live;
        threads.clocks[lowest].tick(first + lowest as u32);
        threads
    }

    /// The running split's agent and clock, after looking where the warp has parted or met since.
    #[inline(always)]
    pub(crate) fn of(&mut self, active: u32, splits: &[Split]) -> (Agent, &mut Clock) {
        let lowest = active.trailing_zeros() as usize & 31;
        if self.masks[lowest] != active {
            self.part(active, splits);
        }
        (self.first + lowest as u32, &mut self.clocks[lowest])
    }

    #[cold]
    fn part(&mut self, active: u32, splits: &[Split]) {
        let mut changed = Vec::new();
        for mask in splits
            .iter()
            .map(|s| s.mask)
            .filter(|m| m & active == 0)
            .chain([active])
        {
            let lowest = mask.trailing_zeros() as usize & 31;
            if mask == 0 || self.masks[lowest] == mask {
                continue;
            }
            let mut clock = Clock::default();
            let mut seen = 0u32;
            for lane in (0..32usize).filter(|l| mask >> l & 1 != 0) {
                let leader = self.leader[lane] as usize;
                if seen >> leader & 1 == 0 {
                    clock.join(&self.clocks[leader]);
                    seen |= 1 << leader;
                }
            }
            clock.tick(self.first + lowest as u32);
            changed.push((lowest, mask, clock));
        }
        for (lowest, mask, clock) in changed {
            for lane in (0..32usize).filter(|l| mask >> l & 1 != 0) {
                self.masks[lane] = 0;
                self.leader[lane] = lowest as u8;
            }
            self.masks[lowest] = mask;
            self.clocks[lowest] = clock;
        }
    }

    /// What any of the warp's lanes knows.
    pub(crate) fn everything(&self) -> Clock {
        let mut all = Clock::default();
        self.clocks.iter().for_each(|c| all.join(c));
        all
    }
}
