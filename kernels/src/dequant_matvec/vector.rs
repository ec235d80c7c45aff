//! x: up to eight vectors, as the lanes of a warp take it. In shared memory if it fits, arranged so that a lane reads eight
//! numbers at once; otherwise each unit reads global memory, by way of the L1.

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{divide, global, shared, warp};

use super::EIGHT;
use super::weights::Weights;

const EIGHT_BYTES: u32 = 2 * EIGHT;
/// Of an eight for each of four lanes.
const STEP_BYTES: u32 = 4 * EIGHT_BYTES;

/// Where x is.
#[derive(Clone, Copy)]
pub struct Vector {
    x: u64,
    place: u32,
    /// How many vectors.
    pub batch: u32,
    /// Eights of a vector.
    eights: u32,
    /// Units of a vector; the last one may go beyond its end.
    units: u32,
}

impl Vector {
    /// `batch` vectors of `numbers` numbers at `x`; `place` is where they go if they are brought to shared memory.
    #[inline(always)]
    pub fn new<W: Weights>(x: u64, place: u32, batch: u32, numbers: u32) -> Self {
        let eights = numbers / EIGHT;
        Self {
            x,
            place,
            batch,
            eights,
            units: eights.div_ceil(4 * W::EIGHTS),
        }
    }

    /// Writes x to its place, with zeros behind it that make whole units. The compute warps call it together.
    #[inline(always)]
    pub fn bring<W: Weights>(&self, share: Share, is_near: bool) {
        let count = self.units * self.batch * 4 * W::EIGHTS;
        let mut item = share.thread;
        while item < count {
            let (lane, eight) = (item % 4, item / 4 % W::EIGHTS);
            let (unit, column) = divide(item / 4 / W::EIGHTS, self.batch);
            let numbers = W::arrange(self.load::<W>(column, unit, eight, lane, is_near));
            let at = self.column_at::<W>(unit, column) + (eight ^ column % 2) * STEP_BYTES + lane * EIGHT_BYTES;
            // SAFETY: a part of the place.
            unsafe { shared::store_v4(at, numbers) };
            item += share.threads;
        }
    }

    /// This lane's eights of a unit: of the vector that is its column in the tile, or of the last one where there is none, whose
    /// results are not stored.
    #[inline(always)]
    pub fn numbers<W: Weights, const NEAR: bool, const RESIDENT: bool>(&self, unit: u32) -> [[u32; 4]; 4] {
        let (column, lane) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        if !RESIDENT {
            let load = |number: u32| W::arrange(self.load::<W>(column, unit, number, lane, NEAR));
            return W::each_eight(load);
        }
        let at = self.column_at::<W>(unit, column) + lane * EIGHT_BYTES;
        let turn = column % 2 * STEP_BYTES;
        let (even, odd) = (at + turn, at + STEP_BYTES - turn);
        W::each_eight(|number| {
            let at = if number % 2 == 0 { even } else { odd };
            // SAFETY: written by `bring`, before the warps met.
            unsafe { shared::load_v4(at + number / 2 * 2 * STEP_BYTES) }
        })
    }

    /// Where a column's part of a unit is. Odd columns have the eights of each two the other way round, so that neighbouring
    /// columns are in different banks.
    #[inline(always)]
    fn column_at<W: Weights>(&self, unit: u32, column: u32) -> u32 {
        self.place + (unit * self.batch + column) * W::EIGHTS * STEP_BYTES
    }

    /// Eight numbers as they are in memory; zeros behind the end. A lane's eights of a unit are neighbours if it is near.
    #[inline(always)]
    fn load<W: Weights>(&self, column: u32, unit: u32, eight: u32, lane: u32, is_near: bool) -> [u32; 4] {
        let in_unit = if is_near {
            lane * W::EIGHTS + eight
        } else {
            eight * 4 + lane
        };
        let number = unit * 4 * W::EIGHTS + in_unit;
        if number >= self.eights {
            return [0; 4];
        }
        let at = u64::from(column) * u64::from(self.eights) + u64::from(number);
        // SAFETY: a part of x, whose address is a multiple of 16.
        unsafe { global::load_v4(self.x + at * u64::from(EIGHT_BYTES)) }
    }
}
