//! A matrix as row kernels stream it: short rows several to a stage, long rows several stages each.
//!
//! The unit of work is what one team takes at a time: `rows_of(unit)` whole rows in one stage, or one row in `stages` stages.

use crate::divide;
use crate::row::Span;
use crate::rows::{Array, Rows};

/// Rows of equal length, one behind the other, cut into units for stages of `TILE` bytes.
#[derive(Clone, Copy)]
pub struct Matrix<const TILE: u32> {
    array: Array,
    rows: u32,
    /// Bytes per row.
    pub row_bytes: u32,
    /// Rows per unit.
    pub group: u32,
    /// Stages per unit.
    pub stages: u32,
}

impl<const TILE: u32> Matrix<TILE> {
    /// `rows` rows of `row_bytes` each at `address`; a unit has one row at least, and no more than `most` rows.
    #[inline(always)]
    pub fn new(address: u64, rows: u32, row_bytes: u32, most: u32) -> Self {
        Self {
            array: Array::new(address, u64::from(rows) * u64::from(row_bytes)),
            rows,
            row_bytes,
            group: divide(TILE, row_bytes).0.min(most).max(1),
            stages: row_bytes.div_ceil(TILE),
        }
    }

    /// A matrix of the same form at another address.
    #[inline(always)]
    pub fn at(self, address: u64) -> Self {
        let bytes = self.array.end - self.array.begin;
        Self {
            array: Array::new(address, bytes),
            ..self
        }
    }

    /// How many units there are.
    #[inline(always)]
    pub fn units(&self) -> u32 {
        divide(self.rows + self.group - 1, self.group).0
    }

    /// How many rows a unit has.
    #[inline(always)]
    pub fn rows_of(&self, unit: u32) -> u32 {
        (self.rows - unit * self.group).min(self.group)
    }

    /// Bytes before a unit's first row.
    #[inline(always)]
    pub fn offset(&self, unit: u32) -> u64 {
        u64::from(unit * self.group) * u64::from(self.row_bytes)
    }

    /// Address of a unit's first byte.
    #[inline(always)]
    pub fn address(&self, unit: u32) -> u64 {
        self.array.begin + self.offset(unit)
    }

    /// Where a unit's first byte is behind its stages' start.
    #[inline(always)]
    pub fn skew(&self, unit: u32) -> u32 {
        (self.array.begin + self.offset(unit)) as u32 % 16
    }

    /// Number of row `row` of a unit.
    #[inline(always)]
    pub fn number(&self, unit: u32, row: u32) -> u32 {
        unit * self.group + row
    }

    /// What a row has in `count` stages from number `number` on.
    #[inline(always)]
    pub fn span(&self, number: u32, count: u32) -> Span {
        Span {
            begin: number * TILE,
            end: self.row_bytes.min((number + count) * TILE),
        }
    }

    /// What stands in one stage of a unit.
    #[inline(always)]
    pub fn part(&self, unit: u32, stage: u32) -> Rows {
        let bytes = (self.rows_of(unit) * self.row_bytes - stage * TILE).min(TILE);
        Rows {
            array: self.array,
            first: self.array.begin + self.offset(unit) + u64::from(stage * TILE),
            stride: 0,
            count: 1,
            bytes,
            pitch: 0,
        }
    }
}
