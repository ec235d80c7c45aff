//! What stands in one stage: a chunk of 16 rows of w, the scales of its groups, and their zeros if there are any.

use warpbridge_runtime::rows::Interior;
use warpbridge_runtime::{Array, Rows, Windows};

use super::weights::{CHUNK, Weights};
use super::{Job, ROWS, STEP};

/// Bytes from a row's scales to the next one's: 64 groups of a chunk, at any address.
const SCALES_PITCH: u32 = 144;
const ZEROS_PITCH: u32 = 80;
const SCALES_AT: u32 = ROWS * (CHUNK + 32);
const ZEROS_AT: u32 = SCALES_AT + ROWS * SCALES_PITCH;
/// Bytes of a stage.
pub const STAGE: u32 = ZEROS_AT + ROWS * ZEROS_PITCH;
const SCALE_BYTES: u32 = 2;

/// A chunk of a block of rows: where it comes from, and where it is in the stage.
#[derive(Clone, Copy)]
pub struct Tile {
    weights: Rows,
    scales: Rows,
    zeros: Rows,
    /// Number of the first row.
    pub first_row: u32,
    /// Number of the first step, and how many there are.
    pub first_step: u32,
    /// See `first_step`.
    pub steps: u32,
    first_group: u32,
    group_shift: u32,
}

impl Tile {
    /// Chunk `chunk` of block `block`.
    #[inline(always)]
    pub fn new<W: Weights>(job: &Job, block: u32, chunk: u32) -> Self {
        let first_step = chunk * W::CHUNK_STEPS;
        let steps = (job.steps - first_step).min(W::CHUNK_STEPS);
        let first_group = first_step >> job.group_shift;
        let groups = ((first_step + steps - 1) >> job.group_shift) - first_group + 1;
        let first_row = block * ROWS;
        let count = (job.rows - first_row).min(ROWS);
        let part = |address: u64, length: u32, first: u32, bytes: u32, pitch: u32| {
            let array = Array::new(address, u64::from(job.rows) * u64::from(length));
            Rows {
                array,
                first: address + u64::from(first_row) * u64::from(length) + u64::from(first),
                stride: u64::from(length),
                count,
                bytes,
                pitch,
            }
        };
        let bytes = W::STEP_BYTES;
        let (scales, zeros) = (job.groups * SCALE_BYTES, job.groups);
        Self {
            weights: part(job.w, job.steps * bytes, first_step * bytes, steps * bytes, W::PITCH),
            scales: part(
                job.scales,
                scales,
                first_group * SCALE_BYTES,
                groups * SCALE_BYTES,
                SCALES_PITCH,
            ),
            zeros: part(job.zeros, zeros, first_group, groups, ZEROS_PITCH),
            first_row,
            first_step,
            steps,
            first_group,
            group_shift: job.group_shift,
        }
    }

    /// The last row there is, for a row beyond it: its numbers are not stored, but they are read.
    #[inline(always)]
    pub fn clamp_row(&self, row: u32) -> u32 {
        row.min(self.weights.count - 1)
    }

    /// Offset in the stage of what four lanes take of a row at a step of the chunk.
    #[inline(always)]
    pub fn weights_at<W: Weights>(&self, row: u32, step: u32) -> u32 {
        row * W::PITCH + step * W::STEP_BYTES
    }

    /// Offset in the stage of a row's scale at a step of the chunk.
    #[inline(always)]
    pub fn scale_at(&self, row: u32, step: u32) -> u32 {
        SCALES_AT + self.scales.slot(row) + self.scales.skew(row) + self.group(step) * SCALE_BYTES
    }

    /// Offset in the stage of a row's zero at a step of the chunk.
    #[inline(always)]
    pub fn zero_at(&self, row: u32, step: u32) -> u32 {
        ZEROS_AT + self.zeros.slot(row) + self.zeros.skew(row) + self.group(step)
    }

    #[inline(always)]
    fn group(&self, step: u32) -> u32 {
        ((self.first_step + step) >> self.group_shift) - self.first_group
    }

    /// The part that window `row` is of, its number there, and where the part is in the stage.
    #[inline(always)]
    fn part(&self, row: u32) -> (Rows, u32, u32) {
        if row < ROWS {
            (self.weights, row, 0)
        } else if row < 2 * ROWS {
            (self.scales, row - ROWS, SCALES_AT)
        } else {
            (self.zeros, row - 2 * ROWS, ZEROS_AT)
        }
    }
}

/// The windows of all three parts, 16 each.
impl Windows for Tile {
    #[inline(always)]
    fn array(&self) -> Array {
        self.weights.array
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        if self.zeros.array.begin == 0 {
            2 * ROWS
        } else {
            3 * ROWS
        }
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.weights.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        self.weights.pitch
    }

    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        let (part, number, _) = self.part(row);
        part.row(number)
    }

    /// Of w, scales or zeros; the default goes by the bytes of one of them.
    #[inline(always)]
    fn interior(&self, row: u32) -> Interior {
        let (part, number, _) = self.part(row);
        let interior = part.interior(number);
        Interior {
            bytes: if number < part.count { interior.bytes } else { 0 },
            ..interior
        }
    }

    #[inline(always)]
    fn slot(&self, row: u32) -> u32 {
        let (part, number, base) = self.part(row);
        base + part.slot(number)
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        false // not of w, whose rows are whole units of 16 bytes; of the others, `copy_edges` asks
    }

    #[inline(always)]
    unsafe fn copy_edges(&self, stage: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.scales.copy_edges(stage + SCALES_AT) };
        if self.zeros.array.begin != 0 {
            // SAFETY: the caller's promise.
            unsafe { self.zeros.copy_edges(stage + ZEROS_AT) };
        }
    }
}

const _: () = assert!(STAGE % 128 == 0 && CHUNK % STEP == 0);
