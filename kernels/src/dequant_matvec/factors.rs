//! Scales and zeros, from global memory: a compute warp reads those of its units a piece ahead, so that they are there in time.
//!
//! Four lanes share a row. Each of them reads the factors of one unit, or of one step of a unit where groups are shorter, and
//! gives them to the others when that unit comes. They stay as they are in memory until then: whatever is done to them waits.

use warpbridge_runtime::{global, warp};

use super::piece::{Piece, UNITS};
use super::weights::{Multiplier, Weights};
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

/// Group of the unit of the piece whose factors this lane reads.
#[inline(always)]
fn group_of_unit<W: Weights>(job: &Job, piece: Piece, part: u32) -> u32 {
    job.group::<W>((piece.number * UNITS + part * UNITS_PER_WARP + warp::lane() % UNITS_PER_WARP) * W::EIGHTS)
}

/// Reads this lane's scales for a piece, if groups are no shorter than units. Behind the last piece those of some block of rows.
#[inline(always)]
pub fn scales<W: Weights, const NEAR: bool>(job: &Job, piece: Piece, part: u32) -> Both {
    if NEAR {
        scales_of(job, piece.block, group_of_unit::<W>(job, piece, part))
    } else {
        (0, 0)
    }
}

/// As `scales`, the zeros.
#[inline(always)]
pub fn zeros<W: Weights, const NEAR: bool>(job: &Job, piece: Piece, part: u32) -> Both {
    if NEAR {
        zeros_of(job, piece.block, group_of_unit::<W>(job, piece, part))
    } else {
        (0, 0)
    }
}

/// Reads the scales of group `group`.
#[inline(always)]
pub fn scales_of(job: &Job, block: u32, group: u32) -> Both {
    let (low, high) = places(job, block, group);
    // SAFETY: an element of the scales.
    let load = |place: u64| unsafe { global::load_u16_wide(job.scales + 2 * place) };
    (load(low), load(high))
}

/// Reads the zeros of group `group`, if there are any.
#[inline(always)]
pub fn zeros_of(job: &Job, block: u32, group: u32) -> Both {
    if job.zeros == 0 {
        return (0, 0);
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

/// What `widen` wants to know of zeros.
#[inline(always)]
pub fn offsets<W: Weights, T: Multiplier>(job: &Job, zeros: Both) -> [[u32; 2]; 2] {
    if job.zeros == 0 {
        return [W::offsets::<T>(W::ZERO); 2];
    }
    let offsets = |zero: u32| W::offsets::<T>((zero ^ W::ZERO_FLIP).min(W::ZERO_MOST));
    [offsets(zeros.0), offsets(zeros.1)]
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
