//! What the readers of `image_resize` must know of a tile: the loader works it out, and leaves it as a note in the stage.

use super::source::{Blend, Ratio};
use warpbridge_runtime::{Stage, shared, warp};

/// Bytes of a stage before its note; the manifest's `band`, `columns` and `pitch` make a tile's rows of x fit.
pub const ROWS_BYTES: u32 = 16384;

/// A tile of y, and where in the stage the part of x is that it lies in.
#[derive(Clone, Copy)]
pub struct Note {
    /// Element of y that the tile's first pixel goes to, in the first plane.
    pub target: u64,
    /// First row and column of y, before mirroring, and how many.
    pub row: u32,
    pub column: u32,
    pub rows: u32,
    pub columns: u32,
    pub mirrored: bool,
    pub vertical: Ratio,
    pub horizontal: Ratio,
    /// First row and column of the box in the stage.
    pub first_row: u32,
    pub first_column: u32,
    /// Rows of the box in the stage where all are there; 0 where each row of y has two of its own.
    pub dense: u32,
    /// Bytes from one row of the stage to the next.
    pub pitch: u32,
    /// A row of the box starts `(skew + row * skew_step) % 16` bytes into its place in the stage.
    pub skew: u32,
    pub skew_step: u32,
}

/// The two rows of x that a row of y lies between.
#[derive(Clone, Copy)]
pub struct Lines {
    /// Which place of the stage the upper one is in; the lower one is in the next.
    pub slot: u32,
    /// Addresses in shared memory of their first pixels.
    pub upper: u32,
    pub lower: u32,
    /// The lower one's.
    pub weight: f32,
}

impl Note {
    /// Rows of the box in the stage.
    #[inline(always)]
    pub fn slots(&self) -> u32 {
        if self.dense > 0 { self.dense } else { 2 * self.rows }
    }

    /// Row of the box that is in place number `slot` of the stage.
    #[inline(always)]
    pub fn source_row(&self, slot: u32) -> u32 {
        if self.dense > 0 {
            return self.first_row + slot;
        }
        let blend = self.vertical.at(self.row + slot / 2);
        if slot % 2 == 0 { blend.first } else { blend.second }
    }

    /// What row `row` of the tile lies between.
    #[inline(always)]
    pub fn lines(&self, stage: u32, row: u32) -> Lines {
        let Blend { first, second, weight } = self.vertical.at(self.row + row);
        let slot = if self.dense > 0 { first - self.first_row } else { 2 * row };
        let step = if self.dense > 0 { second - first } else { 1 };
        let line = |slot: u32, row: u32| stage + slot * self.pitch + (self.skew + row * self.skew_step) % 16;
        Lines {
            slot,
            upper: line(slot, first),
            lower: line(slot + step, second),
            weight,
        }
    }

    /// Leaves the note in a reserved stage. One lane writes; `fill` hands it over with the rows.
    #[inline(always)]
    pub fn write(&self, stage: Stage) {
        if warp::lane() != 0 {
            return;
        }
        let ([across, last], [down, lowest]) = (self.horizontal.to_bits(), self.vertical.to_bits());
        let at = stage.address + ROWS_BYTES;
        // SAFETY: behind the rows, where no copy goes.
        let store = |number: u32, words| unsafe { shared::store_v4(at + number * 16, words) };
        store(0, [self.target as u32, (self.target >> 32) as u32, self.rows, self.columns]);
        store(1, [self.row, self.column, u32::from(self.mirrored), self.dense]);
        store(2, [across, last, down, lowest]);
        store(3, [self.first_row, self.first_column, self.pitch, self.skew]);
        store(4, [self.skew_step, 0, 0, 0]);
    }

    /// Reads the note of a filled stage.
    #[inline(always)]
    pub fn read(stage: Stage) -> Self {
        let at = stage.address + ROWS_BYTES;
        // SAFETY: the stage is filled, and its note written before.
        let load = |number: u32| unsafe { shared::load_v4(at + number * 16) };
        let ([low, high, rows, columns], [row, column, mirrored, dense]) = (load(0), load(1));
        let ([across, last, down, lowest], [first_row, first_column, pitch, skew]) = (load(2), load(3));
        let [skew_step, ..] = load(4);
        Self {
            target: u64::from(high) << 32 | u64::from(low),
            row,
            column,
            rows,
            columns,
            mirrored: mirrored != 0,
            vertical: Ratio::from_bits(down, lowest),
            horizontal: Ratio::from_bits(across, last),
            first_row,
            first_column,
            dense,
            pitch,
            skew,
            skew_step,
        }
    }
}
