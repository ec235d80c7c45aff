//! A warp's share of a piece: two units of 16 rows by 64 bytes, on the tensor cores.
//!
//! A group's integers are multiplied and summed first, exactly but for float32's rounding of sums; then the sum is multiplied by
//! the group's scale. So weights are never rounded to float16.

use warpbridge_runtime::{fma, shared, warp};

use super::factors::{self, Both};
use super::piece::{PITCH, Piece, UNITS};
use super::weights::{Multiplier, Weights};
use super::{COLUMNS, Job, UNIT_BYTES, UNITS_PER_WARP};

/// A lane's four places in a tile of 16 rows and 8 columns: two neighbouring columns in a row of either half.
#[derive(Clone, Copy)]
pub struct Sums {
    low: (f32, f32),
    high: (f32, f32),
    /// The largest zeros that the integers had, as they are in memory.
    pub zeros: Both,
}

impl Sums {
    /// Nothing added yet.
    pub const ZERO: Self = Self {
        low: (0.0, 0.0),
        high: (0.0, 0.0),
        zeros: (0, 0),
    };

    /// Writes the tile, row by row.
    #[inline(always)]
    pub fn leave(&self, tile: u32) {
        let (row, column) = (warp::lane() / 4, warp::lane() % 4 * 2);
        let at = tile + (row * COLUMNS + column) * 4;
        let store = |offset: u32, value: f32| {
            // SAFETY: this lane's places in the warp's part of the set.
            unsafe { shared::store_u32(at + offset, value.to_bits()) };
        };
        store(0, self.low.0);
        store(4, self.low.1);
        store(8 * COLUMNS * 4, self.high.0);
        store(8 * COLUMNS * 4 + 4, self.high.1);
    }

    /// Adds two products' sums, times the scale of the row in either half.
    #[inline(always)]
    fn add(self, (a, b): Pair, [low, high]: [f32; 2], zeros: Both) -> Self {
        Self {
            low: (fma(a[0] + b[0], low, self.low.0), fma(a[1] + b[1], low, self.low.1)),
            high: (fma(a[2] + b[2], high, self.high.0), fma(a[3] + b[3], high, self.high.1)),
            zeros: factors::larger(self.zeros, zeros),
        }
    }
}

/// Two sums of products that do not wait for each other.
type Pair = ([f32; 4], [f32; 4]);

/// Adds 16 rows by 32 numbers: eight integers of this lane's row in either half, with what is known of their zeros.
#[inline(always)]
fn add_eights<W: Weights, T: Multiplier>(sums: Pair, rows: [[u32; 2]; 2], offsets: [[u32; 2]; 2], x: [u32; 4]) -> Pair {
    let low = W::widen::<T>(rows[0], offsets[0]);
    let high = W::widen::<T>(rows[1], offsets[1]);
    (
        T::multiply_add(sums.0, [low[0], high[0], low[1], high[1]], [x[0], x[1]]),
        T::multiply_add(sums.1, [low[2], high[2], low[3], high[3]], [x[2], x[3]]),
    )
}

/// This lane's 16 bytes of a unit: of its row in either half.
type Bytes16 = ([u32; 4], [u32; 4]);

/// This warp's share of a piece that is in a stage.
#[derive(Clone, Copy)]
struct Share<'a> {
    job: &'a Job,
    piece: Piece,
    /// Bytes of each row in the piece.
    bytes: u32,
    /// Number of the first unit, in the piece.
    first: u32,
    /// Where this lane's row of the upper half is.
    row: u32,
}

impl Share<'_> {
    /// Whether there is a unit number `turn`.
    #[inline(always)]
    fn has(&self, turn: u32) -> bool {
        (self.first + turn) * UNIT_BYTES < self.bytes
    }

    /// Number of unit `turn` in its row.
    #[inline(always)]
    fn number(&self, turn: u32) -> u32 {
        self.piece.number * UNITS + self.first + turn
    }

    #[inline(always)]
    fn load<W: Weights, const NEAR: bool>(&self, turn: u32) -> Bytes16 {
        let at = (self.first + turn) * UNIT_BYTES;
        // SAFETY: bytes of the stage, which is filled.
        let load = |row: u32| unsafe { W::load(row, at, self.bytes, NEAR) };
        (load(self.row), load(self.row + 8 * PITCH))
    }

    #[inline(always)]
    fn add_eight<W: Weights, T: Multiplier>(
        sums: Pair,
        loaded: Bytes16,
        number: usize,
        offsets: [[u32; 2]; 2],
        x: [u32; 4],
    ) -> Pair {
        let rows = [W::eight(loaded.0, number), W::eight(loaded.1, number)];
        add_eights::<W, T>(sums, rows, offsets, x)
    }

    /// Adds a unit whose numbers are in one group; the factors are the lanes', for all units.
    #[inline(always)]
    fn add_near<W: Weights, T: Multiplier, const RESIDENT: bool>(
        &self,
        turn: u32,
        loaded: Bytes16,
        scales: Both,
        zeros: Both,
        sums: Sums,
    ) -> Sums {
        let x = self.job.x.numbers::<W, true, RESIDENT>(self.number(turn));
        let zeros = factors::from_lane(zeros, turn);
        let offsets = factors::offsets::<W, T>(self.job, zeros);
        let add = |sums: Pair, number: usize| Self::add_eight::<W, T>(sums, loaded, number, offsets, x[number]);
        let mut pair = add(add(NONE, 0), 1);
        if W::EIGHTS == 4 {
            pair = add(add(pair, 2), 3);
        }
        sums.add(pair, T::widen_both(factors::from_lane(scales, turn)), zeros)
    }

    /// Adds a unit whose steps are in groups of their own; each lane reads the factors of one step.
    #[inline(always)]
    fn add_far<W: Weights, T: Multiplier, const RESIDENT: bool>(&self, turn: u32, loaded: Bytes16, sums: Sums) -> Sums {
        let x = self.job.x.numbers::<W, false, RESIDENT>(self.number(turn));
        let group = self.job.group::<W>(self.number(turn) * W::EIGHTS + warp::lane() % 4);
        let scales = factors::scales_of(self.job, self.piece.block, group);
        let zeros = factors::zeros_of(self.job, self.piece.block, group);
        let add = |sums: Sums, number: usize| {
            let zeros = factors::from_lane(zeros, number as u32);
            let offsets = factors::offsets::<W, T>(self.job, zeros);
            let pair = Self::add_eight::<W, T>(NONE, loaded, number, offsets, x[number]);
            sums.add(pair, T::widen_both(factors::from_lane(scales, number as u32)), zeros)
        };
        let sums = add(add(sums, 0), 1);
        if W::EIGHTS == 4 { add(add(sums, 2), 3) } else { sums }
    }
}

const NONE: Pair = ([0.0; 4], [0.0; 4]);

/// Adds this warp's two units of a piece, `part` of its team's. `scales` and `zeros` are what the lanes have read for them.
#[inline(always)]
pub fn multiply<W: Weights, T: Multiplier, const NEAR: bool, const RESIDENT: bool>(
    job: &Job,
    piece: Piece,
    part: u32,
    stage: u32,
    scales: Both,
    zeros: Both,
    mut sums: Sums,
) -> Sums {
    let share = Share {
        job,
        piece,
        bytes: piece.bytes(job),
        first: part * UNITS_PER_WARP,
        row: stage + warp::lane() / 4 * PITCH,
    };
    if NEAR && RESIDENT {
        // Both are read before the first is used, also where there are none.
        let (a, b) = (share.load::<W, NEAR>(0), share.load::<W, NEAR>(1));
        if share.has(0) {
            sums = share.add_near::<W, T, RESIDENT>(0, a, scales, zeros, sums);
        }
        if share.has(1) {
            sums = share.add_near::<W, T, RESIDENT>(1, b, scales, zeros, sums);
        }
        return sums;
    }
    let mut turn = 0;
    while turn < UNITS_PER_WARP && share.has(turn) {
        let loaded = share.load::<W, NEAR>(turn);
        sums = if NEAR {
            share.add_near::<W, T, RESIDENT>(turn, loaded, scales, zeros, sums)
        } else {
            share.add_far::<W, T, RESIDENT>(turn, loaded, sums)
        };
        turn += 1;
    }
    sums
}

const _: () = assert!(UNITS_PER_WARP == 2);
