//! What stands in one stage: the same bytes of each of 16 rows of w.

use warpbridge_runtime::EvenRows;

use super::{Job, ROWS, TEAM_WARPS, UNIT_BYTES, UNITS_PER_WARP};

/// Bytes of a row in a stage.
pub const BYTES: u32 = TEAM_WARPS * UNITS_PER_WARP * UNIT_BYTES;
/// Units of a row in a stage.
pub const UNITS: u32 = BYTES / UNIT_BYTES;
/// Bytes from row to row in a stage: 64 more than a multiple of 128, so that the two rows that eight lanes read at once are in
/// different banks.
pub const PITCH: u32 = BYTES + 64;
/// Bytes of a stage.
pub const STAGE: u32 = ROWS * PITCH;

/// Piece `number` of block of rows `block`.
#[inline(always)]
pub fn rows_of(job: &Job, block: u32, number: u32) -> EvenRows {
    let (first_row, first) = (block * ROWS, number * BYTES);
    let stride = u64::from(job.row_bytes);
    EvenRows {
        first: job.w + u64::from(first_row) * stride + u64::from(first),
        stride,
        count: job.rows - first_row,
        bytes: (job.row_bytes - first).min(BYTES),
    }
}

/// Which piece: its block of rows, and its number there.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Block of rows.
    pub block: u32,
    /// Number of the piece in it.
    pub number: u32,
}

impl Piece {
    /// Bytes of each row in it.
    #[inline(always)]
    pub fn bytes(self, job: &Job) -> u32 {
        (job.row_bytes - self.number * BYTES).min(BYTES)
    }

    /// Whether its rows are as long as they get.
    #[inline(always)]
    pub fn is_whole(self, job: &Job) -> bool {
        self.number < job.row_bytes / BYTES
    }
}

const _: () = assert!(STAGE % 128 == 0 && PITCH % 128 == 64);
