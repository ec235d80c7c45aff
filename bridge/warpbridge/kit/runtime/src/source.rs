//! Where the rows of a row kernel come from: one array, or two that are added up.
//!
//! Two arrays share each stage: half of it for a piece of a row of the one, half for the same piece of the other.

use core::future::Future;

use crate::matrix::Matrix;
use crate::ring::ANY_STAGES;
use crate::row::{AtOnce, Piece, Sum};
use crate::row_kernel::STAGE;
use crate::{Loader, Stage};

/// Bytes of a row in one stage, where rows are of one array.
const WHOLE: u32 = 8192;
/// The same where they are of two.
const HALF: u32 = WHOLE / 2;
/// Where the second array's half of a stage begins: behind the first's, with room for rows that are not 16-byte aligned.
const SECOND: u32 = HALF + 64;

/// The end of the ring that row kernels fill.
pub type RowLoader = Loader<ANY_STAGES, STAGE>;

/// The arrays that rows come from; `TILE` bytes of a row of each are in one stage.
pub trait Source<const TILE: u32>: Copy {
    /// A piece of a row, in its stage.
    type Piece: Copy;

    /// Address of the first array.
    fn address(self) -> u64;

    /// Fills a stage with part `number` of a unit.
    ///
    /// # Safety
    /// `ring.reserve` has just given the stage; `matrix` says where the first array is, the other one is as large.
    unsafe fn fill(self, ring: &mut RowLoader, stage: Stage, matrix: Matrix<TILE>, unit: u32, number: u32);

    /// A piece of row `row` of a unit; `origin` is where its stage is, less the bytes of the row's pieces before it.
    fn piece(self, origin: u32, matrix: Matrix<TILE>, unit: u32, row: u32) -> Self::Piece;
}

/// Rows of one array.
#[derive(Clone, Copy)]
pub struct One(pub u64);

impl Source<WHOLE> for One {
    type Piece = Piece;

    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    unsafe fn fill(self, ring: &mut RowLoader, stage: Stage, matrix: Matrix<WHOLE>, unit: u32, number: u32) {
        // SAFETY: a part of the matrix, which fits a stage.
        unsafe { ring.fill(stage, &matrix.part(unit, number)) };
    }

    #[inline(always)]
    fn piece(self, origin: u32, matrix: Matrix<WHOLE>, unit: u32, row: u32) -> Self::Piece {
        Piece {
            address: origin.wrapping_add(matrix.skew(unit) + row * matrix.row_bytes),
        }
    }
}

/// The same rows, so many vectors at a time: see [`AtOnce`].
#[derive(Clone, Copy)]
pub struct Many<S, const SUMMED: u32, const MAPPED: u32>(pub S);

impl<S, const TILE: u32, const SUMMED: u32, const MAPPED: u32> Source<TILE> for Many<S, SUMMED, MAPPED>
where
    S: Source<TILE>,
{
    type Piece = AtOnce<S::Piece, SUMMED, MAPPED>;

    #[inline(always)]
    fn address(self) -> u64 {
        self.0.address()
    }

    #[inline(always)]
    unsafe fn fill(self, ring: &mut RowLoader, stage: Stage, matrix: Matrix<TILE>, unit: u32, number: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.fill(ring, stage, matrix, unit, number) };
    }

    #[inline(always)]
    fn piece(self, origin: u32, matrix: Matrix<TILE>, unit: u32, row: u32) -> Self::Piece {
        AtOnce(self.0.piece(origin, matrix, unit, row))
    }
}

/// Rows of one array, so many vectors at a time.
#[inline(always)]
pub fn many<const SUMMED: u32, const MAPPED: u32>(x: u64) -> Many<One, SUMMED, MAPPED> {
    Many(One(x))
}

/// The sums of the rows of two arrays of one form.
#[derive(Clone, Copy)]
pub struct Two(pub u64, pub u64);

impl Source<HALF> for Two {
    type Piece = Sum<Piece>;

    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    unsafe fn fill(self, ring: &mut RowLoader, stage: Stage, matrix: Matrix<HALF>, unit: u32, number: u32) {
        let second = matrix.at(self.1).part(unit, number);
        // SAFETY: parts of both matrices, each of which fits half a stage.
        unsafe { ring.fill_two(stage, &matrix.part(unit, number), &second, SECOND) };
    }

    #[inline(always)]
    fn piece(self, origin: u32, matrix: Matrix<HALF>, unit: u32, row: u32) -> Self::Piece {
        let origin = origin.wrapping_add(row * matrix.row_bytes);
        Sum(
            Piece {
                address: origin.wrapping_add(matrix.skew(unit)),
            },
            Piece {
                address: origin.wrapping_add(SECOND + matrix.at(self.1).skew(unit)),
            },
        )
    }
}

/// The loader's role of a row kernel: all stages of each unit, `passes` times over. Not an `async fn`, as the readers' is not.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
pub fn load<S: Source<TILE>, const TILE: u32>(
    source: S,
    mut ring: RowLoader,
    matrix: Matrix<TILE>,
    passes: u32,
    units: impl Iterator<Item = u32>,
) -> impl Future<Output = ()> {
    async move {
        for unit in units {
            for _ in 0..passes {
                for number in 0..matrix.stages {
                    let stage = ring.reserve().await;
                    // SAFETY: the stage is reserved; the parts are inside.
                    unsafe { source.fill(&mut ring, stage, matrix, unit, number) };
                }
            }
        }
    }
}
