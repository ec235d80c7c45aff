//! Where the rows of a row kernel come from: one array, or two that are added up.
//!
//! Two arrays share each stage: half of it for a piece of a row of the one, half for the same piece of the other.

use crate::matrix::Matrix;
use crate::row::{Row, Sum};
use crate::row_kernel::{STAGE, STAGES};
use crate::{Control, Loader, Reader, Stage, Stripe};

/// Bytes of a row in one stage, where rows are of one array.
const WHOLE: u32 = 8192;
/// The same where they are of two.
const HALF: u32 = WHOLE / 2;
/// Where the second array's half of a stage begins: behind the first's, with room for rows that are not 16-byte aligned.
const SECOND: u32 = HALF + 64;

/// The arrays that rows come from; `TILE` bytes of a row of each are in one stage.
pub trait Source<const TILE: u32>: Copy {
    /// A row in the ring.
    type Row: Copy;

    /// Address of the first array.
    fn address(self) -> u64;

    /// Fills a stage with part `number` of a unit.
    ///
    /// # Safety
    /// `ring.reserve` has just given the stage; `matrix` says where the first array is, the other one is as large.
    unsafe fn fill(self, ring: &mut Loader<STAGES, STAGE>, stage: Stage, matrix: Matrix<TILE>, unit: u32, number: u32);

    /// Row `row` of a unit, whose piece number `origin` is in the next stage.
    fn row(self, ring: &Reader<STAGES, STAGE>, matrix: Matrix<TILE>, unit: u32, row: u32, origin: u32) -> Self::Row;
}

/// Rows of one array.
#[derive(Clone, Copy)]
pub struct One(pub u64);

impl Source<WHOLE> for One {
    type Row = Row<STAGES, STAGE, WHOLE>;

    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    unsafe fn fill(
        self,
        ring: &mut Loader<STAGES, STAGE>,
        stage: Stage,
        matrix: Matrix<WHOLE>,
        unit: u32,
        number: u32,
    ) {
        // SAFETY: a part of the matrix, which fits a stage.
        unsafe { ring.fill(stage, &matrix.part(unit, number)) };
    }

    #[inline(always)]
    fn row(self, ring: &Reader<STAGES, STAGE>, matrix: Matrix<WHOLE>, unit: u32, row: u32, origin: u32) -> Self::Row {
        ring.row(origin, matrix.skew(unit) + row * matrix.row_bytes)
    }
}

/// The sums of the rows of two arrays of one form.
#[derive(Clone, Copy)]
pub struct Two(pub u64, pub u64);

impl Source<HALF> for Two {
    type Row = Sum<Row<STAGES, STAGE, HALF>>;

    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    unsafe fn fill(self, ring: &mut Loader<STAGES, STAGE>, stage: Stage, matrix: Matrix<HALF>, unit: u32, number: u32) {
        let second = matrix.at(self.1).part(unit, number);
        // SAFETY: parts of both matrices, each of which fits half a stage.
        unsafe { ring.fill_two(stage, &matrix.part(unit, number), &second, SECOND) };
    }

    #[inline(always)]
    fn row(self, ring: &Reader<STAGES, STAGE>, matrix: Matrix<HALF>, unit: u32, row: u32, origin: u32) -> Self::Row {
        let offset = row * matrix.row_bytes;
        Sum(
            ring.row(origin, matrix.skew(unit) + offset),
            ring.row(origin, SECOND + matrix.at(self.1).skew(unit) + offset),
        )
    }
}

/// The loader's role of a row kernel: all stages of each unit, `passes` times over.
pub async fn load<S: Source<TILE>, const TILE: u32>(
    source: S,
    mut ring: Loader<STAGES, STAGE>,
    matrix: Matrix<TILE>,
    passes: u32,
    units: Stripe,
    control: Control,
) {
    for unit in units.watched(control) {
        for _ in 0..passes {
            for number in 0..matrix.stages {
                let stage = ring.reserve().await;
                // SAFETY: the stage is reserved; the parts are inside.
                unsafe { source.fill(&mut ring, stage, matrix, unit, number) };
            }
        }
    }
}
