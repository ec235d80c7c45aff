//! Where compute warps meet: all of them when x has been brought, and when it has been summed up; those of a team for each block of rows,
//! where they leave their sums for each other. A block's sums are added up at the end of the next one, so that nobody waits for the
//! slowest warp. Two sets of places take turns: a warp writes a set again when the sums of the block between have met, before
//! which everybody has read it. Every lane arrives for itself: it hands on what it wrote and says that it has read.

use warpbridge_runtime::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use warpbridge_runtime::{block, shared, warp};

use super::multiplier::Multiplier;
use super::{COLUMNS, COMPUTE_WARPS, Job, ROWS, TEAM_WARPS, TEAMS};

const PARTIAL_BYTES: u32 = ROWS * COLUMNS * 4; // of one warp
const SET_BYTES: u32 = TEAM_WARPS * PARTIAL_BYTES;

/// A barrier for each team and one for all, then two sets for each team.
#[derive(Clone, Copy)]
pub struct Meeting {
    base: u32,
    team: u32,
    parity: u32,
}

impl Meeting {
    const BARRIERS_BYTES: u32 = (TEAMS + 1).next_multiple_of(2) * BARRIER_BYTES;
    /// Shared memory for it.
    pub const SHARED_BYTES: u32 = Self::BARRIERS_BYTES + TEAMS * 2 * SET_BYTES;

    /// Every thread calls it before the ring is set up, which publishes the barriers.
    #[inline(always)]
    pub fn init(base: u32) -> Self {
        if block::thread() == 0 {
            for team in 0..TEAMS {
                Barrier(base + team * BARRIER_BYTES).init(TEAM_WARPS * warp::LANES);
            }
            Barrier(base + TEAMS * BARRIER_BYTES).init(COMPUTE_WARPS * warp::LANES);
        }
        Self {
            base,
            team: warp::index() / TEAM_WARPS,
            parity: 0,
        }
    }

    /// Arrives; when awaited, all compute warps have. `parity` is 0 and 1 in turn.
    #[inline(always)]
    pub fn of_all(&self, parity: u32) -> Wait<()> {
        let barrier = Barrier(self.base + TEAMS * BARRIER_BYTES);
        barrier.arrive();
        barrier.wait(parity, ())
    }

    /// Where warp `part` of the team leaves its sums for the next meeting.
    #[inline(always)]
    pub fn place(&self, part: u32) -> u32 {
        self.set(self.parity) + part * PARTIAL_BYTES
    }

    /// Arrives: this lane's sums are in their place.
    #[inline(always)]
    pub fn arrive(&mut self) {
        self.barrier().arrive();
        self.parity ^= 1;
    }

    /// When awaited, the team's sums have met for which this warp arrived last; gives their set.
    #[inline(always)]
    pub fn last(&self) -> Wait<u32> {
        let parity = self.parity ^ 1;
        self.barrier().wait(parity, self.set(parity))
    }

    #[inline(always)]
    fn barrier(&self) -> Barrier {
        Barrier(self.base + self.team * BARRIER_BYTES)
    }

    #[inline(always)]
    fn set(&self, parity: u32) -> u32 {
        self.base + Self::BARRIERS_BYTES + (self.team * 2 + parity) * SET_BYTES
    }
}

/// Adds the warps' sums up, always in the same order, and stores them: each of the team's first threads one of a row and a column.
#[inline(always)]
pub fn finish<T: Multiplier>(job: &Job, set: u32, block: u32, part: u32) {
    let thread = part * warp::LANES + warp::lane();
    let (row, column) = (thread % ROWS, thread / ROWS);
    let number = block * ROWS + row;
    if column >= job.x.batch || number >= job.rows {
        return;
    }
    let at = set + (row * COLUMNS + column) * 4;
    let mut sum = 0.0;
    for part in 0..TEAM_WARPS {
        // SAFETY: a sum that a warp has left.
        sum += f32::from_bits(unsafe { shared::load_u32(at + part * PARTIAL_BYTES) });
    }
    let element = u64::from(column) * u64::from(job.rows) + u64::from(number);
    // SAFETY: an element of y.
    unsafe { T::store_global(job.y + element * u64::from(T::BYTES), sum * T::UNIT) };
}

const _: () = assert!(TEAM_WARPS * warp::LANES >= ROWS * COLUMNS);
