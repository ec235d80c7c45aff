//! What the readers of `image_resize` must know of a tile: the loader works it out, and leaves it behind the rows in the stage.

use super::source::Ratio;
use crate::images::{CHANNELS, Triple};
use warpbridge_runtime::{Stage, divide, shared, warp};

/// Bytes of a stage before its note; the manifest's `band`, `columns` and `pitch` make a tile's rows of x fit.
pub const ROWS_BYTES: u32 = 16384;
/// The most rows of y in a tile; the manifest's `band` is no larger.
const MOST_ROWS: u32 = 64;
const NOTE_BYTES: u32 = 48;
const LINES_BYTES: u32 = 16;
/// Bytes of a stage: its rows of x, the note, and for each row of y the two that it lies between.
pub const STAGE: u32 = (ROWS_BYTES + NOTE_BYTES + MOST_ROWS * LINES_BYTES).next_multiple_of(128);

/// A tile of y, and where in the rows of x its columns lie.
#[derive(Clone, Copy)]
pub struct Note {
    /// Element of y that the tile's first pixel goes to, in the first plane.
    pub target: u64,
    pub rows: u32,
    pub columns: u32,
    /// The tile's first column in y before mirroring.
    pub column: u32,
    pub mirrored: bool,
    /// Whether all threads have four pixels in every row, at addresses that are multiples of four pixels' size.
    pub is_even: bool,
    pub horizontal: Ratio,
    /// First column of the box in the stage.
    pub first_column: u32,
    pub plan: Plan,
}

/// How readers share a tile: an item of work is a strip of rows by 128 columns, or by less where a narrow tile leaves lanes over, which
/// then take further strips.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Rows of a strip.
    pub height: u32,
    /// How many times 128 columns.
    pub chunks: u32,
    /// Lanes per strip, as a power of two.
    pub lanes_log2: u32,
}

impl Plan {
    /// That of a tile, for so many warps. Neighbouring rows that share rows of x had better be in one strip: as few strips as give each warp
    /// as much to do.
    #[inline(always)]
    pub fn of(rows: u32, columns: u32, shares: bool, warps: u32) -> Self {
        let quads = columns.div_ceil(4);
        let lanes_log2 = (32 - quads.saturating_sub(1).leading_zeros()).min(5);
        let chunks = quads.div_ceil(warp::LANES);
        let is_even = |strips: u32| divide(strips * chunks, warps).1 == 0;
        let strips = if is_even(1) {
            1
        } else if is_even(2) {
            2
        } else {
            warps
        };
        let strips = strips * (warp::LANES >> lanes_log2);
        Self {
            height: if shares { divide(rows + strips - 1, strips).0 } else { 1 },
            chunks,
            lanes_log2,
        }
    }
}

/// What a value of x is multiplied by in one channel, and what is added: `(x/255 - mean)/std`.
#[derive(Clone, Copy)]
pub struct Scale {
    pub factor: f32,
    pub summand: f32,
}

impl Scale {
    /// Leaves those of all channels in shared memory, for whoever waits for a stage that the caller fills afterwards. The warp calls it together.
    #[inline(always)]
    pub fn write_all(to: u32, mean: Triple, std: Triple) {
        let channel = warp::lane();
        if channel < CHANNELS {
            let std = std.get(channel);
            let (factor, summand) = (1.0 / (255.0 * std), -mean.get(channel) / std);
            // SAFETY: a place for each channel.
            unsafe { shared::store_u32(to + channel * 8, factor.to_bits()) };
            // SAFETY: as above.
            unsafe { shared::store_u32(to + channel * 8 + 4, summand.to_bits()) };
        }
    }

    /// Reads all channels'.
    #[inline(always)]
    pub fn read_all(from: u32) -> [Self; CHANNELS as usize] {
        // SAFETY: `write_all` wrote them, and a stage has been filled since.
        let [a, b, c, d] = unsafe { shared::load_v4(from) };
        // SAFETY: as above.
        let [e, f] = unsafe { shared::load_v2(from + 16) };
        let scale = |factor, summand| Self {
            factor: f32::from_bits(factor),
            summand: f32::from_bits(summand),
        };
        [scale(a, b), scale(c, d), scale(e, f)]
    }
}

/// The two rows of x that a row of y lies between.
#[derive(Clone, Copy)]
pub struct Lines {
    /// Addresses in shared memory of their first pixels in the tile.
    pub upper: u32,
    pub lower: u32,
    /// The lower one's.
    pub weight: f32,
    /// How many rows of x further these are than those of the row of y before, where that is 0 or 1; else 2.
    pub step: u32,
}

impl Note {
    /// Leaves the note in a reserved stage. One lane writes; `fill` hands it over with the rows.
    #[inline(always)]
    pub fn write(&self, stage: Stage) {
        if warp::lane() != 0 {
            return;
        }
        let [ratio, last] = self.horizontal.to_bits();
        let at = stage.address + ROWS_BYTES;
        // SAFETY: behind the rows, where no copy goes.
        let store = |number: u32, words| unsafe { shared::store_v4(at + number * 16, words) };
        store(
            0,
            [self.target as u32, (self.target >> 32) as u32, self.rows, self.columns],
        );
        let flags = u32::from(self.mirrored) | u32::from(self.is_even) << 1;
        store(1, [self.column, flags, ratio, last]);
        let Plan {
            height,
            chunks,
            lanes_log2,
        } = self.plan;
        store(2, [self.first_column, height, chunks, lanes_log2]);
    }

    /// Reads the note of a filled stage.
    #[inline(always)]
    pub fn read(stage: u32) -> Self {
        let at = stage + ROWS_BYTES;
        // SAFETY: the stage is filled, and its note written before.
        let load = |number: u32| unsafe { shared::load_v4(at + number * 16) };
        let ([low, high, rows, columns], [column, flags, ratio, last]) = (load(0), load(1));
        let [first_column, height, chunks, lanes_log2] = load(2);
        Self {
            target: u64::from(high) << 32 | u64::from(low),
            rows,
            columns,
            column,
            mirrored: flags & 1 != 0,
            is_even: flags & 2 != 0,
            horizontal: Ratio::from_bits(ratio, last),
            first_column,
            plan: Plan {
                height,
                chunks,
                lanes_log2,
            },
        }
    }
}

impl Lines {
    /// Where those of a row of the tile stand.
    #[inline(always)]
    fn place(stage: u32, row: u32) -> u32 {
        stage + ROWS_BYTES + NOTE_BYTES + row * LINES_BYTES
    }

    /// Leaves them in a reserved stage, for row `row` of the tile. One lane writes.
    #[inline(always)]
    pub fn write(&self, stage: Stage, row: u32) {
        let words = [self.upper, self.lower, self.weight.to_bits(), self.step];
        // SAFETY: behind the note, a place for each row.
        unsafe { shared::store_v4(Self::place(stage.address, row), words) };
    }

    /// Reads those of a row of the tile, in a filled stage.
    #[inline(always)]
    pub fn read(stage: u32, row: u32) -> Self {
        // SAFETY: the stage is filled, and its lines written before.
        let [upper, lower, weight, step] = unsafe { shared::load_v4(Self::place(stage, row)) };
        Self {
            upper,
            lower,
            weight: f32::from_bits(weight),
            step,
        }
    }
}
