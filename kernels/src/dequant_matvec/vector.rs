//! x: up to eight vectors, as the lanes of a warp take it. In shared memory if it fits, arranged so that a lane reads eight
//! numbers at once, with the sum of each unit behind it; otherwise each unit reads global memory, by way of the L1.

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{global, shared, warp};

use super::EIGHT;
use super::multiplier::Multiplier;
use super::weights::Weights;

const EIGHT_BYTES: u32 = 2 * EIGHT;
/// Of an eight for each of four lanes.
const STEP_BYTES: u32 = 4 * EIGHT_BYTES;
/// Of a lane's sums: of two neighbouring columns, twice.
const SUMS_BYTES: u32 = 16;

/// Eights that a thread reads at once.
pub type Chunk = [[u32; 4]; CHUNK as usize];
const CHUNK: u32 = 4;

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

/// A unit of x in shared memory, for one lane: where its even and its odd eights start, and its columns' sums.
#[derive(Clone, Copy)]
pub struct Cursor {
    even: u32,
    odd: u32,
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

    /// Reads this thread's first eights. Before any weights are asked for: behind those of all thread blocks, they would come late.
    #[inline(always)]
    pub fn request<W: Weights>(&self, share: Share, is_near: bool) -> Chunk {
        self.read_chunk::<W>(0, share.thread, share.threads, is_near)
    }

    /// Writes x to its place, its first eights being `chunk`, with zeros behind it that make whole units, and the units' sums times
    /// `factor`. The compute warps call it together.
    #[inline(always)]
    pub fn bring<W: Weights, T: Multiplier>(&self, share: Share, is_near: bool, chunk: Chunk, factor: f32) {
        let (mut column, mut item, mut next) = (0, share.thread, chunk);
        while column < self.batch {
            let (here, first, now) = (column, item, next);
            item += CHUNK * share.threads;
            // A warp's lanes stay together: they add up their numbers.
            if item - warp::lane() >= self.items::<W>() {
                (column, item) = (column + 1, share.thread);
            }
            next = self.read_chunk::<W>(column, item, share.threads, is_near);
            let [a, b, c, d] = now;
            self.write::<W, T>(here, first, a, factor);
            self.write::<W, T>(here, first + share.threads, b, factor);
            self.write::<W, T>(here, first + 2 * share.threads, c, factor);
            self.write::<W, T>(here, first + 3 * share.threads, d, factor);
        }
    }

    /// Eights of a column, `step` apart; zeros for those that there are not.
    #[inline(always)]
    fn read_chunk<W: Weights>(&self, column: u32, item: u32, step: u32, is_near: bool) -> Chunk {
        let read = |item: u32| {
            let number = number_of::<W>(item, is_near);
            if column >= self.batch || number >= self.eights {
                return [0; 4];
            }
            // SAFETY: an eight of x, whose address is a multiple of 16.
            unsafe { global::load_v4(self.x + self.offset_of(column, number)) }
        };
        [
            read(item),
            read(item + step),
            read(item + 2 * step),
            read(item + 3 * step),
        ]
    }

    /// Writes an eight to its place, and the unit's sum with the unit's first. The warp calls it together.
    #[inline(always)]
    fn write<W: Weights, T: Multiplier>(&self, column: u32, item: u32, numbers: [u32; 4], factor: f32) {
        let sum = sum_of_unit::<W, T>(numbers) * factor;
        if item >= self.items::<W>() {
            return;
        }
        // SAFETY: a part of the place.
        unsafe { shared::store_v4(self.place_of::<W>(column, item), W::arrange(numbers)) };
        if item % (4 * W::EIGHTS) == 0 {
            self.note_sum::<W>(item / 4 / W::EIGHTS, column, sum);
        }
    }

    /// Eights of a column, in whole units.
    #[inline(always)]
    fn items<W: Weights>(&self) -> u32 {
        self.units * 4 * W::EIGHTS
    }

    /// Where eight number `item` of a column goes, in the order of its place.
    #[inline(always)]
    fn place_of<W: Weights>(&self, column: u32, item: u32) -> u32 {
        let (unit, eight, lane) = (item / 4 / W::EIGHTS, item / 4 % W::EIGHTS, item % 4);
        self.column_at::<W>(unit, column) + (eight ^ (column % 2)) * STEP_BYTES + lane * EIGHT_BYTES
    }

    /// Bytes before eight number `number` of a column of x.
    #[inline(always)]
    fn offset_of(&self, column: u32, number: u32) -> u64 {
        (u64::from(column) * u64::from(self.eights) + u64::from(number)) * u64::from(EIGHT_BYTES)
    }

    /// Writes the sum of a unit of a column, and one for the column behind the last if that makes a pair.
    #[inline(always)]
    fn note_sum<W: Weights>(&self, unit: u32, column: u32, sum: f32) {
        let at = self.sums_at::<W>(unit, column / 2) + column % 2 * 4;
        let note = |at: u32| {
            // SAFETY: a part of the place of the sums.
            unsafe { shared::store_u32(at, sum.to_bits()) };
        };
        note(at);
        note(at + 8);
        if column % 2 == 0 && column + 1 == self.batch {
            note(at + 4);
            note(at + 12);
        }
    }

    /// This lane's eights of a unit: of the vector that is its column in the tile, or of the last one where there is none, whose
    /// results are not stored.
    #[inline(always)]
    pub fn numbers<W: Weights, const NEAR: bool, const RESIDENT: bool>(&self, unit: u32) -> [[u32; 4]; 4] {
        let (column, lane) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        if RESIDENT {
            return self.at::<W>(self.cursor::<W>(unit)).0;
        }
        W::each_eight(|number: u32| W::arrange(self.load::<W>(column, unit, number, lane, NEAR)))
    }

    /// Where this lane's part of unit `unit` is.
    #[inline(always)]
    pub fn cursor<W: Weights>(&self, unit: u32) -> Cursor {
        let (column, lane) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        let at = self.column_at::<W>(unit, column) + lane * EIGHT_BYTES;
        let turn = column % 2 * STEP_BYTES;
        Cursor {
            even: at + turn,
            odd: at + STEP_BYTES - turn,
            sums: self.sums_at::<W>(unit, lane.min(self.pairs() - 1)),
        }
    }

    /// The same `by` units further on.
    #[inline(always)]
    pub fn behind<W: Weights>(&self, cursor: Cursor, by: u32) -> Cursor {
        let bytes = by * self.batch * W::EIGHTS * STEP_BYTES;
        Cursor {
            even: cursor.even + bytes,
            odd: cursor.odd + bytes,
            sums: cursor.sums + by * self.pairs() * SUMS_BYTES,
        }
    }

    /// What is at a cursor: this lane's eights, and its columns' sums, twice.
    #[inline(always)]
    pub fn at<W: Weights>(&self, cursor: Cursor) -> ([[u32; 4]; 4], [f32; 4]) {
        let eights = W::each_eight(|number| {
            let at = if number % 2 == 0 { cursor.even } else { cursor.odd };
            // SAFETY: written by `bring`, before the warps met.
            unsafe { shared::load_v4(at + number / 2 * 2 * STEP_BYTES) }
        });
        // SAFETY: as above.
        let sums = unsafe { shared::load_v4(cursor.sums) };
        (eights, sums.map(f32::from_bits))
    }

    /// Where a column's part of a unit is. Odd columns have the eights of each two the other way round, so that neighbouring
    /// columns are in different banks.
    #[inline(always)]
    fn column_at<W: Weights>(&self, unit: u32, column: u32) -> u32 {
        self.place + (unit * self.batch + column) * W::EIGHTS * STEP_BYTES
    }

    /// Where the sums of a unit are, of pair `pair` of its columns.
    #[inline(always)]
    fn sums_at<W: Weights>(&self, unit: u32, pair: u32) -> u32 {
        self.column_at::<W>(self.units, 0) + (unit * self.pairs() + pair) * SUMS_BYTES
    }

    /// Pairs of columns.
    #[inline(always)]
    fn pairs(&self) -> u32 {
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
        unsafe { global::load_v4(self.x + self.offset_of(column, number)) }
    }
}

/// Which eight of a column is eight number `item` in the order of its place: the lanes of a step side by side. A lane's eights of a
/// unit are neighbours in memory if it is near.
#[inline(always)]
fn number_of<W: Weights>(item: u32, is_near: bool) -> u32 {
    if is_near {
        let (unit, eight, lane) = (item / 4 / W::EIGHTS, item / 4 % W::EIGHTS, item % 4);
        (unit * 4 + lane) * W::EIGHTS + eight
    } else {
        item
    }
}

/// The sum of the unit of which this lane has eight numbers.
#[inline(always)]
fn sum_of_unit<W: Weights, T: Multiplier>(numbers: [u32; 4]) -> f32 {
    let [a, b, c, d] = numbers.map(T::add_halves);
    let mut sum = (a + b) + (c + d);
    sum += warp::swap_f32(sum, 1);
    sum += warp::swap_f32(sum, 2);
    sum += warp::swap_f32(sum, 4);
    if W::EIGHTS == 4 {
        sum += warp::swap_f32(sum, 8);
    }
    sum
}
