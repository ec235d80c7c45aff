//! Teams: a block's reader warps (from warp 1 on) in groups of equal size, each with a row of its own at a time.
//!
//! Small teams have many rows under way, so that one row's reductions hide behind another's arithmetic; large ones have the
//! reach for long rows. The warps of a team bring values together through slots in shared memory and an mbarrier.

use crate::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use crate::tile::Share;
use crate::{anew, block, divide, shared, warp};

const SLOT_BYTES: u32 = 4;

/// The team that this warp belongs to. A copy made before roles part is as good as another; afterwards there is one per warp.
#[derive(Clone, Copy)]
pub struct Team<const WARPS: u32> {
    /// Its number.
    pub number: u32,
    /// How many teams there are.
    pub teams: u32,
    /// Its warps.
    pub size: u32,
    /// This warp's number in it.
    pub rank: u32,
    base: u32,
    /// Of the exchange that comes next. The two sets of slots take turns: nobody writes a set again before everybody has read it.
    parity: u32,
}

impl<const WARPS: u32> Team<WARPS> {
    /// Shared memory for up to `WARPS` warps, however they are parted.
    pub const SHARED_BYTES: u32 = WARPS * (BARRIER_BYTES + 2 * SLOT_BYTES);

    /// Parts the block's readers into `teams` teams, at most one per warp, of `most` warps at most; warps that are left over are
    /// idle. Every thread calls it, before the ring is set up (which publishes the barriers).
    #[inline(always)]
    pub fn init(base: u32, teams: u32, most: u32) -> Self {
        let warps = (block::threads() / warp::LANES - 1).min(WARPS);
        let teams = teams.max(1).min(warps);
        let size = divide(warps, teams).0.min(most).max(1);
        if block::thread() == 0 {
            for team in 0..teams {
                Barrier(base + team * BARRIER_BYTES).init(size * warp::LANES);
            }
        }
        let (number, rank) = divide(Self::warp(), size);
        Self {
            number,
            teams,
            size,
            rank,
            base,
            parity: 0,
        }
    }

    /// Whether this warp is one that is left over.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.number >= self.teams
    }

    /// This thread's share of what the team does.
    #[inline(always)]
    pub fn share(&self) -> Share {
        Share {
            thread: self.rank * warp::LANES + warp::lane(),
            threads: self.size * warp::LANES,
        }
    }

    /// Gives the team this warp's value, which is the same in all its lanes; when awaited, the values of all its warps.
    #[inline(always)]
    pub fn exchange(&mut self, value: f32) -> Wait<Slots> {
        let (parity, base) = (self.parity, anew(self.base));
        self.parity ^= 1;
        let set = base + WARPS * (BARRIER_BYTES + parity * SLOT_BYTES);
        let barrier = Barrier(base + self.number * BARRIER_BYTES);
        if warp::lane() == 0 {
            // SAFETY: this warp's slot, which nobody reads before the arrival.
            unsafe { shared::store_u32(set + Self::warp() * SLOT_BYTES, value.to_bits()) };
        }
        // All lanes, each for itself: they have read the slots of the exchange before, which somebody writes after it.
        barrier.arrive();
        let size = anew(self.size);
        let slots = Slots {
            address: set + self.number * size * SLOT_BYTES,
            count: size,
        };
        barrier.wait(parity, slots)
    }

    #[inline(always)]
    fn warp() -> u32 {
        warp::index().wrapping_sub(1)
    }
}

/// What the warps of a team have given.
#[derive(Clone, Copy)]
pub struct Slots {
    address: u32,
    count: u32,
}

impl Slots {
    /// The value of the warp with this lane's number; `missing` in lanes beyond them.
    #[inline(always)]
    pub fn by_lane(self, missing: f32) -> f32 {
        if warp::lane() < self.count {
            // SAFETY: a slot of the team, written before the barrier completed.
            f32::from_bits(unsafe { shared::load_u32(self.address + warp::lane() * SLOT_BYTES) })
        } else {
            missing
        }
    }
}
