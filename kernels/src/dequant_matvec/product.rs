//! A warp's share of a piece: four units of 16 rows by 64 bytes, on the tensor cores.
//!
//! A group's integers are multiplied and summed first, exactly but for float32's rounding of sums; then the sum is multiplied by
//! the group's scale. So weights are never rounded to float16.

use warpbridge_runtime::{fma, shared, warp};

use super::factors::{self, Both, Factors};
use super::multiplier::Multiplier;
use super::piece::{PITCH, Piece, UNITS};
use super::vector::Cursor;
use super::weights::Weights;
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

    /// Adds two products' sums, the second times `far`, times the scale of the row in either half.
    #[inline(always)]
    fn add(self, (a, b): Pair, far: f32, [low, high]: [f32; 2], zeros: Both) -> Self {
        let both = |number: usize| fma(b[number], far, a[number]);
        Self {
            low: (fma(both(0), low, self.low.0), fma(both(1), low, self.low.1)),
            high: (fma(both(2), high, self.high.0), fma(both(3), high, self.high.1)),
            zeros: factors::larger(self.zeros, zeros),
        }
    }
}

/// Two sums of products that do not wait for each other.
type Pair = ([f32; 4], [f32; 4]);

const NONE: Pair = ([0.0; 4], [0.0; 4]);

/// Adds 16 rows by 32 numbers: eight integers of this lane's row in either half, less the offsets where `T` takes them off.
#[inline(always)]
fn add_eights<W: Weights, T: Multiplier>(sums: Pair, rows: [[u32; 2]; 2], offsets: [[u32; 2]; 2], x: [u32; 4]) -> Pair {
    let low = W::widen::<T>(rows[0], offsets[0]);
    let high = W::widen::<T>(rows[1], offsets[1]);
    (
        T::multiply_add(sums.0, [low[0], high[0], low[1], high[1]], [x[0], x[1]]),
        T::multiply_add(sums.1, [low[2], high[2], low[3], high[3]], [x[2], x[3]]),
    )
}

/// Adds the offsets of 16 rows, times 32 numbers.
#[inline(always)]
fn add_offsets<T: Multiplier>(sums: Pair, [low, high]: [[u32; 2]; 2], x: [u32; 4]) -> Pair {
    (
        T::multiply_add(sums.0, [low[0], high[0], low[0], high[0]], [x[0], x[1]]),
        T::multiply_add(sums.1, [low[1], high[1], low[1], high[1]], [x[2], x[3]]),
    )
}

/// This lane's 16 bytes of a unit: of its row in either half.
pub type Bytes16 = ([u32; 4], [u32; 4]);

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

    /// Adds eight `number`, with its zeros.
    #[inline(always)]
    fn add_eight<W: Weights, T: Multiplier>(
        sums: Pair,
        loaded: Bytes16,
        number: usize,
        offsets: [[u32; 2]; 2],
        x: [u32; 4],
    ) -> Pair {
        let rows = [W::eight(loaded.0, number), W::eight(loaded.1, number)];
        let sums = add_eights::<W, T>(sums, rows, offsets, x);
        if W::subtracts::<T>() {
            sums
        } else {
            add_offsets::<T>(sums, offsets, x)
        }
    }

    /// Adds a unit whose numbers are in one group; the factors are the lanes', for all units.
    #[inline(always)]
    fn add_near<W: Weights, T: Multiplier, const RESIDENT: bool, const ZEROS: bool>(
        &self,
        turn: u32,
        factors: Factors,
        sums: Sums,
    ) -> Sums {
        let loaded = self.load::<W, true>(turn);
        let x = self.job.x.numbers::<W, true, RESIDENT>(self.number(turn));
        let (scales, zeros) = factors.of_unit::<ZEROS>(turn);
        let offsets = factors::offsets::<W, T, ZEROS>(zeros);
        let add = |sums: Pair, number: usize| Self::add_eight::<W, T>(sums, loaded, number, offsets, x[number]);
        let mut pair = add(add(NONE, 0), 1);
        if W::EIGHTS == 4 {
            pair = add(add(pair, 2), 3);
        }
        sums.add(pair, W::far::<T>(), T::widen_both(scales), zeros)
    }

    /// Adds a unit whose steps are in groups of their own; each lane reads the factors of one step.
    #[inline(always)]
    fn add_far<W: Weights, T: Multiplier, const RESIDENT: bool>(&self, turn: u32, sums: Sums) -> Sums {
        let loaded = self.load::<W, false>(turn);
        let x = self.job.x.numbers::<W, false, RESIDENT>(self.number(turn));
        let group = self.job.group::<W>(self.number(turn) * W::EIGHTS + warp::lane() % 4);
        let scales = factors::scales_of(self.job, self.piece.block, group);
        let zeros = factors::zeros_of::<W>(self.job, self.piece.block, group);
        let add = |sums: Sums, number: usize| {
            let zeros = factors::from_lane(zeros, number as u32);
            let offsets = factors::offsets::<W, T, true>(zeros);
            let pair = Self::add_eight::<W, T>(NONE, loaded, number, offsets, x[number]);
            let scales = T::widen_both(factors::from_lane(scales, number as u32));
            sums.add(pair, W::far::<T>(), scales, zeros)
        };
        let sums = add(add(sums, 0), 1);
        if W::EIGHTS == 4 { add(add(sums, 2), 3) } else { sums }
    }
}

/// Adds this warp's four units of a piece, `part` of its team's; `factors` are what the lanes have read for them, if they are near.
#[inline(always)]
pub fn multiply<W: Weights, T: Multiplier, const NEAR: bool, const RESIDENT: bool, const ZEROS: bool>(
    job: &Job,
    piece: Piece,
    part: u32,
    stage: u32,
    factors: Factors,
    mut sums: Sums,
) -> Sums {
    let share = Share {
        job,
        piece,
        bytes: piece.bytes(job),
        first: part * UNITS_PER_WARP,
        row: stage + warp::lane() / 4 * PITCH,
    };
    let mut turn = 0;
    while turn < UNITS_PER_WARP && share.has(turn) {
        sums = if NEAR {
            share.add_near::<W, T, RESIDENT, ZEROS>(turn, factors, sums)
        } else {
            share.add_far::<W, T, RESIDENT>(turn, sums)
        };
        turn += 1;
    }
    sums
}

/// The units of [`load_whole`].
pub type Loaded = [Bytes16; UNITS_PER_WARP as usize];

/// Reads this lane's 16 bytes of each unit, the first in either half at `row`: all are on their way before the first is used, and have
/// been read when the lane arrives anywhere.
#[inline(always)]
pub fn load_whole(row: u32) -> Loaded {
    // SAFETY: bytes of the stage, which is filled.
    let load = |unit: u32| unsafe { (shared::load_v4(row + unit), shared::load_v4(row + unit + 8 * PITCH)) };
    [load(0), load(UNIT_BYTES), load(2 * UNIT_BYTES), load(3 * UNIT_BYTES)]
}

/// As `multiply`, near units of a piece with whole rows, which `load_whole` has read, and whose x is in shared memory at `x`: no ends to
/// look for, and the sums of x are known, so that zeros cost nothing. What all but the last of a row's pieces come to.
#[inline(always)]
pub fn multiply_whole<W: Weights, T: Multiplier, const ZEROS: bool>(
    job: &Job,
    x: Cursor,
    [a, b, c, d]: Loaded,
    factors: Factors,
    sums: Sums,
) -> Sums {
    let add = |sums: Sums, unit: u32, loaded: Bytes16| {
        let x = job.x.behind::<W>(x, unit);
        add_whole::<W, T, ZEROS>(job, x, loaded, factors.of_unit::<ZEROS>(unit), sums)
    };
    add(add(add(add(sums, 0, a), 1, b), 2, c), 3, d)
}

/// Adds a unit for [`multiply_whole`].
#[inline(always)]
fn add_whole<W: Weights, T: Multiplier, const ZEROS: bool>(
    job: &Job,
    x: Cursor,
    loaded: Bytes16,
    (scales, zeros): (Both, Both),
    sums: Sums,
) -> Sums {
    let eights = job.x.at::<W>(x);
    let offsets = factors::offsets::<W, T, ZEROS>(zeros);
    let add = |sums: Pair, number: usize| {
        let rows = [W::eight(loaded.0, number), W::eight(loaded.1, number)];
        add_eights::<W, T>(sums, rows, offsets, eights[number])
    };
    let mut pair = if W::subtracts::<T>() {
        NONE
    } else {
        (less_zeros::<W, T, ZEROS>(job.x.sums(x), zeros), NONE.1)
    };
    pair = add(add(pair, 0), 1);
    if W::EIGHTS == 4 {
        pair = add(add(pair, 2), 3);
    }
    sums.add(pair, W::far::<T>(), T::widen_both(scales), zeros)
}

/// What sums of products start at: a zero in either half takes off the sum of x that many times.
#[inline(always)]
fn less_zeros<W: Weights, T: Multiplier, const ZEROS: bool>(of_x: [f32; 4], zeros: Both) -> [f32; 4] {
    if !ZEROS {
        return of_x;
    }
    let zero = |zero: u32| (factors::unsigned::<W, ZEROS>(zero) + W::above::<T>()) as f32;
    let (low, high) = (zero(zeros.0), zero(zeros.1));
    [of_x[0] * low, of_x[1] * low, of_x[2] * high, of_x[3] * high]
}

const _: () = assert!(UNITS_PER_WARP == 4);
