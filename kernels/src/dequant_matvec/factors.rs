//! Scales and zeros, from global memory: a compute warp reads those of its units a piece ahead, so that they are there in time.
//!
//! Four lanes share a row. Each of them reads the factors of one unit, or of one step of a unit where groups are shorter, and
//! gives them to the others when that unit comes. They stay as they are in memory until then: whatever is done to them waits.

use warpbridge_runtime::{Stripe, global, warp};

use super::multiplier::Multiplier;
use super::piece::UNITS;
use super::weights::Weights;
use super::{Job, ROWS, UNITS_PER_WARP, ZERO_OUTSIDE};

/// Of a lane's row in either half.
pub type Both = (u32, u32);

/// Rows of the lanes of block `block`; the last row there is for one beyond it.
#[inline(always)]
fn rows(job: &Job, block: u32) -> (u32, u32) {
    let first = block * ROWS + warp::lane() / 4;
    (first.min(job.rows - 1), (first + 8).min(job.rows - 1))
}

/// First of the numbers at which this lane's factors in group `group` are, in either half.
#[inline(always)]
fn places(job: &Job, block: u32, group: u32) -> (u64, u64) {
    let (low, high) = rows(job, block);
    let at = |row: u32| u64::from(row) * u64::from(job.groups) + u64::from(group);
    (at(low), at(high))
}

/// Scales and zeros that a lane has read for a piece: of one of the warp's units, each lane of four another's. Zeros are 0 where there
/// are none.
#[derive(Clone, Copy)]
pub struct Factors {
    scales: Both,
    zeros: Both,
}

impl Factors {
    /// Scales and zeros of unit `unit`.
    #[inline(always)]
    pub fn of_unit<const ZEROS: bool>(self, unit: u32) -> (Both, Both) {
        let zeros = if ZEROS { from_lane(self.zeros, unit) } else { self.zeros };
        (from_lane(self.scales, unit), zeros)
    }
}

/// What a warp reads a piece ahead for its units, if groups are no shorter than units.
#[derive(Clone, Copy)]
pub struct Ahead {
    /// For the next piece.
    read: Factors,
    /// The team's blocks of rows behind that piece's.
    blocks: Stripe,
    /// Where the scales of this lane's rows start in that one.
    rows: (u64, u64),
    /// First step of this lane's unit of that piece, and of a row's first.
    step: u32,
    first: u32,
}

impl Ahead {
    /// Reads those of the first piece for warp `part` of a team; none if groups are shorter.
    #[inline(always)]
    pub fn start<W: Weights>(job: &Job, team: u32, part: u32, is_near: bool) -> Self {
        let first = (part * UNITS_PER_WARP + warp::lane() % UNITS_PER_WARP) * W::EIGHTS;
        let mut blocks = job.blocks_of(team);
        let mut ahead = Self {
            read: Factors {
                scales: (0, 0),
                zeros: (0, 0),
            },
            rows: rows_at(job, blocks.next().unwrap_or(0)),
            blocks,
            step: first,
            first,
        };
        if is_near {
            ahead.read = ahead.read_one::<W>(job, job.zeros != 0);
        }
        ahead
    }

    /// Gives those of the next piece, and reads those of the one behind it; behind the last block of rows, once more of that one.
    #[inline(always)]
    pub fn take<W: Weights, const NEAR: bool, const ZEROS: bool>(&mut self, job: &Job) -> Factors {
        let now = self.read;
        if NEAR {
            self.step += UNITS * W::EIGHTS;
            if self.step - self.first >= job.pieces() * UNITS * W::EIGHTS {
                self.step = self.first;
                if let Some(block) = self.blocks.next() {
                    self.rows = rows_at(job, block);
                }
            }
            self.read = self.read_one::<W>(job, ZEROS);
        }
        now
    }

    #[inline(always)]
    fn read_one<W: Weights>(&self, job: &Job, has_zeros: bool) -> Factors {
        let group = 2 * u64::from(job.group::<W>(self.step));
        let scale = |row: u64| {
            // SAFETY: an element of the scales.
            unsafe { global::load_u16_wide(row + group) }
        };
        let zero = |row: u64| {
            // SAFETY: the element of the zeros with the same number.
            unsafe { global::load_u8_wide(job.zeros + (row + group - job.scales) / 2) }
        };
        let (low, high) = self.rows;
        Factors {
            scales: (scale(low), scale(high)),
            zeros: if has_zeros { (zero(low), zero(high)) } else { (0, 0) },
        }
    }
}

/// Where the scales of this lane's rows of block `block` start.
#[inline(always)]
fn rows_at(job: &Job, block: u32) -> (u64, u64) {
    let (low, high) = places(job, block, 0);
    (job.scales + 2 * low, job.scales + 2 * high)
}

/// Reads the scales of group `group`.
#[inline(always)]
pub fn scales_of(job: &Job, block: u32, group: u32) -> Both {
    let (low, high) = places(job, block, group);
    // SAFETY: an element of the scales.
    let load = |place: u64| unsafe { global::load_u16_wide(job.scales + 2 * place) };
    (load(low), load(high))
}

/// Reads the zeros of group `group`; what stands for them where there are none.
#[inline(always)]
pub fn zeros_of<W: Weights>(job: &Job, block: u32, group: u32) -> Both {
    if job.zeros == 0 {
        return (W::ZERO ^ W::ZERO_FLIP, W::ZERO ^ W::ZERO_FLIP);
    }
    let (low, high) = places(job, block, group);
    // SAFETY: an element of the zeros.
    let load = |place: u64| unsafe { global::load_u8_wide(job.zeros + place) };
    (load(low), load(high))
}

/// What the lane with number `source` of those that share a row has read.
#[inline(always)]
pub fn from_lane(both: Both, source: u32) -> Both {
    let lane = warp::lane() / 4 * 4 + source;
    (warp::from_u32(both.0, lane), warp::from_u32(both.1, lane))
}

/// What is to be taken off for the zeros of either half: see [`Weights::offsets`].
#[inline(always)]
pub fn offsets<W: Weights, T: Multiplier, const ZEROS: bool>(zeros: Both) -> [[u32; 2]; 2] {
    [
        W::offsets::<T>(unsigned::<W, ZEROS>(zeros.0)),
        W::offsets::<T>(unsigned::<W, ZEROS>(zeros.1)),
    ]
}

/// The zero of the unsigned integers that are read, for one as it is in memory.
#[inline(always)]
pub fn unsigned<W: Weights, const ZEROS: bool>(zero: u32) -> u32 {
    if ZEROS {
        (zero ^ W::ZERO_FLIP).min(W::ZERO_MOST)
    } else {
        W::ZERO
    }
}

/// The larger zeros, as they are in memory.
#[inline(always)]
pub fn larger(a: Both, b: Both) -> Both {
    (a.0.max(b.0), a.1.max(b.1))
}

/// A fault if the largest zeros of block `block` are none. Asked once for a block of rows: the code for it would be in the way of the
/// loop over its units.
#[inline(always)]
pub fn check_zeros<W: Weights>(job: &Job, block: u32, largest: Both) {
    if largest.0.max(largest.1) > W::LARGEST {
        let (low, high) = rows(job, block);
        let (row, zero) = if largest.0 > W::LARGEST {
            (low, largest.0)
        } else {
            (high, largest.1)
        };
        job.control.fault(ZERO_OUTSIDE, [i64::from(row), i64::from(zero)]);
    }
}
