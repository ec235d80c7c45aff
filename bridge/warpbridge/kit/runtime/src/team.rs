//! Teams: a block's reader warps (from warp 1 on) in groups of equal size, each with a row of its own at a time.
//!
//! Small teams have many rows under way, so that one row's reductions hide behind another's arithmetic; large ones have the
//! reach for long rows. The warps of a team bring values together through slots in shared memory and an mbarrier.

use crate::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use crate::tile::Share;
use crate::{anew, block, divide, shared, warp};

/// The team that this warp belongs to. A copy made before roles part is as good as another; afterwards there is one per warp.
///
/// An exchange has room for `SLOT` bytes of each warp: 8 for two values, else 4.
#[derive(Clone, Copy)]
pub struct Team<const WARPS: u32, const SLOT: u32 = 4> {
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

impl<const WARPS: u32, const SLOT: u32> Team<WARPS, SLOT> {
    /// Shared memory for up to `WARPS` warps, however they are parted.
    pub const SHARED_BYTES: u32 = WARPS * (BARRIER_BYTES + 2 * SLOT);

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
    pub fn exchange(&mut self, value: f32) -> Wait<Slots<SLOT>> {
        self.exchange_by(|slot| {
            // SAFETY: this warp's slot, which nobody reads before the arrival.
            unsafe { shared::store_u32(slot, value.to_bits()) };
        })
    }

    /// As `exchange`, of two values.
    #[inline(always)]
    pub fn exchange_two(&mut self, first: f32, second: f32) -> Wait<Slots<SLOT>> {
        const { assert!(SLOT == 8) };
        self.exchange_by(|slot| {
            // SAFETY: as above.
            unsafe { shared::store_u32(slot, first.to_bits()) };
            // SAFETY: as above, the slot's second half.
            unsafe { shared::store_u32(slot + 4, second.to_bits()) };
        })
    }

    #[inline(always)]
    fn exchange_by(&mut self, store: impl Fn(u32)) -> Wait<Slots<SLOT>> {
        let (parity, base) = (self.parity, anew(self.base));
        self.parity ^= 1;
        let set = base + WARPS * (BARRIER_BYTES + parity * SLOT);
        let barrier = Barrier(base + self.number * BARRIER_BYTES);
        if warp::lane() == 0 {
            store(set + Self::warp() * SLOT);
        }
        // All lanes, each for itself: they have read the slots of the exchange before, which somebody writes after it.
        barrier.arrive();
        let size = anew(self.size);
        let slots = Slots {
            address: set + self.number * size * SLOT,
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
pub struct Slots<const SLOT: u32 = 4> {
    address: u32,
    count: u32,
}

impl<const SLOT: u32> Slots<SLOT> {
    /// The value of the warp with this lane's number; `missing` in lanes beyond them.
    #[inline(always)]
    pub fn by_lane(self, missing: f32) -> f32 {
        if warp::lane() < self.count {
            self.value(warp::lane(), 0)
        } else {
            missing
        }
    }

    /// Brings the values together in every lane, by pairs; `f` leaves what 0 is brought together with as it is. Of few warps that
    /// takes less time than all lanes' values.
    #[inline(always)]
    pub fn fold(self, f: impl Fn(f32, f32) -> f32) -> f32 {
        self.fold_number(0, f)
    }

    /// As `fold`, of two values each.
    #[inline(always)]
    pub fn fold_two(self, f: impl Fn(f32, f32) -> f32, g: impl Fn(f32, f32) -> f32) -> (f32, f32) {
        (self.fold_number(0, f), self.fold_number(1, g))
    }

    #[inline(always)]
    fn fold_number(self, number: u32, f: impl Fn(f32, f32) -> f32) -> f32 {
        // Groups of as many lanes as the next power of two, each with all values.
        let warp = warp::lane() & (u32::MAX >> (self.count - 1).leading_zeros());
        let mut value = if warp < self.count {
            self.value(warp, number)
        } else {
            0.0
        };
        let mut distance = 1;
        while distance < self.count {
            value = f(value, warp::swap_f32(value, distance));
            distance *= 2;
        }
        value
    }

    #[inline(always)]
    fn value(self, warp: u32, number: u32) -> f32 {
        // SAFETY: a slot of the team, written before the barrier completed.
        f32::from_bits(unsafe { shared::load_u32(self.address + warp * SLOT + number * 4) })
    }
}
