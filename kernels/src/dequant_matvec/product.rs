//! A warp's share of a stage: 16 rows by 128 numbers at a time, on the tensor cores.
//!
//! A group's integers are multiplied and summed first, exactly but for float32's rounding of sums; then the sum is multiplied by
//! the group's scale. So weights are never rounded to float16.

use warpbridge_runtime::{fma, shared, warp};

use super::tile::Tile;
use super::weights::{Multiplier, Weights};
use super::{COLUMNS, Job, ZERO_OUTSIDE};

/// A lane's four places in a tile of 16 rows and 8 columns: two neighbouring columns in a row of either half.
#[derive(Clone, Copy)]
pub struct Sums {
    low: (f32, f32),
    high: (f32, f32),
}

impl Sums {
    /// Nothing added yet.
    pub const ZERO: Self = Self {
        low: (0.0, 0.0),
        high: (0.0, 0.0),
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
    fn add(self, a: [f32; 4], b: [f32; 4], low: f32, high: f32) -> Self {
        Self {
            low: (fma(a[0] + b[0], low, self.low.0), fma(a[1] + b[1], low, self.low.1)),
            high: (fma(a[2] + b[2], high, self.high.0), fma(a[3] + b[3], high, self.high.1)),
        }
    }
}

/// What a lane reads of a step: integers of a row in either half, and numbers of x.
#[derive(Clone, Copy)]
struct Step {
    low: [u32; 2],
    high: [u32; 2],
    x: [u32; 4],
}

/// Two sums of products that do not wait for each other.
type Pair = ([f32; 4], [f32; 4]);

/// This lane's rows of a unit of a stage.
#[derive(Clone, Copy)]
struct Unit<'a> {
    job: &'a Job,
    tile: &'a Tile,
    stage: u32,
    /// First step, in the chunk.
    first: u32,
    low: u32,
    high: u32,
}

impl Unit<'_> {
    /// The step there is, for one behind the chunk's end: x is zero there.
    #[inline(always)]
    fn step(&self, number: u32) -> u32 {
        (self.first + number).min(self.tile.steps - 1)
    }

    #[inline(always)]
    fn load<W: Weights>(&self, number: u32) -> Step {
        let quarter = warp::lane() % 4;
        let at = |row: u32| self.stage + self.tile.weights_at::<W>(row, self.step(number));
        // SAFETY: a step of the stage, which is filled.
        let (low, high) = unsafe { (W::load(at(self.low), quarter), W::load(at(self.high), quarter)) };
        let x = self.job.x.numbers::<W>(self.tile.first_step + self.first + number);
        Step { low, high, x }
    }

    /// The scale of a row at a step.
    #[inline(always)]
    fn scale<T: Multiplier>(&self, row: u32, number: u32) -> f32 {
        // SAFETY: a scale in the stage, which is filled.
        unsafe { T::load_shared(self.stage + self.tile.scale_at(row, self.step(number))) }
    }

    /// What `widen` wants to know of the zero of a row at a step.
    #[inline(always)]
    fn offsets<W: Weights, T: Multiplier>(&self, row: u32, number: u32) -> [u32; 2] {
        if self.job.zeros == 0 {
            return W::offsets::<T>(W::ZERO);
        }
        // SAFETY: a zero in the stage, which is filled.
        let found = unsafe { shared::load_u8(self.stage + self.tile.zero_at(row, self.step(number))) };
        let zero = u32::from(found) ^ W::ZERO_FLIP;
        if zero > W::ZERO_MOST {
            let detail = [i64::from(self.tile.first_row + row), i64::from(zero)];
            self.job.control.fault(ZERO_OUTSIDE, detail);
        }
        W::offsets::<T>(zero.min(W::ZERO_MOST))
    }

    /// Adds `steps`, which are in one group, to `sums`.
    #[inline(always)]
    fn group<W: Weights, T: Multiplier>(&self, number: u32, sums: Sums, product: impl Fn(Offsets) -> Pair) -> Sums {
        let offsets = Offsets {
            low: self.offsets::<W, T>(self.low, number),
            high: self.offsets::<W, T>(self.high, number),
        };
        let (a, b) = product(offsets);
        let (low, high) = (self.scale::<T>(self.low, number), self.scale::<T>(self.high, number));
        sums.add(a, b, low, high)
    }
}

#[derive(Clone, Copy)]
struct Offsets {
    low: [u32; 2],
    high: [u32; 2],
}

/// Adds 16 rows by 32 numbers.
#[inline(always)]
fn add_step<W: Weights, T: Multiplier>(sums: Pair, step: Step, offsets: Offsets) -> Pair {
    let (low, high) = (
        W::widen::<T>(step.low, offsets.low),
        W::widen::<T>(step.high, offsets.high),
    );
    (
        T::multiply_add(sums.0, [low[0], high[0], low[1], high[1]], [step.x[0], step.x[1]]),
        T::multiply_add(sums.1, [low[2], high[2], low[3], high[3]], [step.x[2], step.x[3]]),
    )
}

/// Adds four steps of a stage from `first` on, whose numbers may be in one group or in several.
#[inline(always)]
pub fn multiply_unit<W: Weights, T: Multiplier>(job: &Job, tile: &Tile, stage: u32, first: u32, sums: Sums) -> Sums {
    let row = warp::lane() / 4;
    let unit = Unit {
        job,
        tile,
        stage,
        first,
        low: tile.clamp_row(row),
        high: tile.clamp_row(row + 8),
    };
    let (a, b, c, d) = (
        unit.load::<W>(0),
        unit.load::<W>(1),
        unit.load::<W>(2),
        unit.load::<W>(3),
    );
    let none = ([0.0; 4], [0.0; 4]);
    let add = add_step::<W, T>;
    if job.group_shift >= 2 {
        unit.group::<W, T>(0, sums, |o| add(add(add(add(none, a, o), b, o), c, o), d, o))
    } else {
        let sums = unit.group::<W, T>(0, sums, |o| add(none, a, o));
        let sums = unit.group::<W, T>(1, sums, |o| add(none, b, o));
        let sums = unit.group::<W, T>(2, sums, |o| add(none, c, o));
        unit.group::<W, T>(3, sums, |o| add(none, d, o))
    }
}
