//! x: up to eight vectors, as the lanes of a warp take it. In shared memory if it fits, arranged so that a lane reads eight
//! numbers at once, with the sums of its units behind it; otherwise each unit reads global memory, by way of the L1.

use warpbridge_runtime::{global, shared, warp};

use super::EIGHT;
use super::weights::Weights;

pub const EIGHT_BYTES: u32 = 2 * EIGHT;
/// Of an eight for each of four lanes.
pub const STEP_BYTES: u32 = 4 * EIGHT_BYTES;
/// Of a lane's sums: of two neighbouring columns, twice.
pub const SUMS_BYTES: u32 = 16;

/// Where x is.
#[derive(Clone, Copy)]
pub struct Vector {
    x: u64,
    place: u32,
    /// How many vectors.
    pub batch: u32,
    /// Eights of a vector.
    pub eights: u32,
    /// Units of a vector; the last one may go beyond its end.
    pub units: u32,
}

/// A unit of x in shared memory, for one lane: where its first eight is, and its columns' sums.
#[derive(Clone, Copy)]
pub struct Cursor {
    eights: u32,
    sums: u32,
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

    /// Eights of a column, in whole units.
    #[inline(always)]
    pub fn items<W: Weights>(&self) -> u32 {
        self.units * 4 * W::EIGHTS
    }

    /// Where eight number `number` of a column of x is in global memory.
    #[inline(always)]
    pub fn address(&self, column: u32, number: u32) -> u64 {
        self.x + (u64::from(column) * u64::from(self.eights) + u64::from(number)) * u64::from(EIGHT_BYTES)
    }

    /// This lane's eights of a unit: of the vector that is its column in the tile, or of the last one where there is none, whose
    /// results are not stored.
    #[inline(always)]
    pub fn numbers<W: Weights, const NEAR: bool, const RESIDENT: bool>(&self, unit: u32) -> [[u32; 4]; 4] {
        let (column, lane) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        if RESIDENT {
            return self.at::<W>(self.cursor::<W>(unit));
        }
        W::each_eight(|number: u32| W::arrange(self.load::<W>(column, unit, number, lane, NEAR)))
    }

    /// Where this lane's part of unit `unit` is.
    #[inline(always)]
    pub fn cursor<W: Weights>(&self, unit: u32) -> Cursor {
        let (column, lane) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        Cursor {
            eights: self.column_at::<W>(unit, column) + lane * EIGHT_BYTES,
            sums: self.sums_at::<W>(unit, lane.min(self.pairs() - 1)),
        }
    }

    /// The same `by` units further on.
    #[inline(always)]
    pub fn behind<W: Weights>(&self, cursor: Cursor, by: u32) -> Cursor {
        Cursor {
            eights: cursor.eights + by * W::EIGHTS * STEP_BYTES,
            sums: cursor.sums + by * SUMS_BYTES,
        }
    }

    /// This lane's eights at a cursor.
    #[inline(always)]
    pub fn at<W: Weights>(&self, cursor: Cursor) -> [[u32; 4]; 4] {
        W::each_eight(|number| {
            // SAFETY: written by `Bring`, before the warps met.
            unsafe { shared::load_v4(cursor.eights + number * STEP_BYTES) }
        })
    }

    /// Its columns' sums there, twice.
    #[inline(always)]
    pub fn sums(&self, cursor: Cursor) -> [f32; 4] {
        // SAFETY: as in `at`.
        let sums = unsafe { shared::load_v4(cursor.sums) };
        sums.map(f32::from_bits)
    }

    /// Where a column's part of a unit is. Columns are 64 bytes more than a multiple of 128 apart, so that neighbouring ones are in
    /// different banks.
    #[inline(always)]
    pub fn column_at<W: Weights>(&self, unit: u32, column: u32) -> u32 {
        self.place + column * self.column_bytes::<W>() + unit * W::EIGHTS * STEP_BYTES
    }

    /// Bytes from column to column.
    #[inline(always)]
    fn column_bytes<W: Weights>(&self) -> u32 {
        self.units * W::EIGHTS * STEP_BYTES + STEP_BYTES
    }

    /// Where the sums of a unit are, of pair `pair` of its columns; those of the next pair are in other banks.
    #[inline(always)]
    pub fn sums_at<W: Weights>(&self, unit: u32, pair: u32) -> u32 {
        let sums = self.place + self.batch * self.column_bytes::<W>();
        sums + (pair * (self.units + 1) + unit) * SUMS_BYTES
    }

    /// Pairs of columns.
    #[inline(always)]
    pub fn pairs(&self) -> u32 {
        self.batch.div_ceil(2)
    }

    /// Eight number `eight` of this lane's in a unit, as it is in memory; zeros behind the end.
    #[inline(always)]
    fn load<W: Weights>(&self, column: u32, unit: u32, eight: u32, lane: u32, is_near: bool) -> [u32; 4] {
        let number = number_of::<W>((unit * W::EIGHTS + eight) * 4 + lane, is_near);
        if number >= self.eights {
            return [0; 4];
        }
        // SAFETY: an eight of x, whose address is a multiple of 16.
        unsafe { global::load_v4(self.address(column, number)) }
    }
}

/// Which eight of a column is eight number `item` in the order of its place: the lanes of a step side by side. A lane's eights of a
/// unit are neighbours in memory if it is near.
#[inline(always)]
pub fn number_of<W: Weights>(item: u32, is_near: bool) -> u32 {
    if is_near {
        let (unit, eight, lane) = (item / 4 / W::EIGHTS, item / 4 % W::EIGHTS, item % 4);
        (unit * 4 + lane) * W::EIGHTS + eight
    } else {
        item
    }
}
