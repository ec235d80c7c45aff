//! Sum and sum of squares of a part of a row at once, by the matrix units, while its numbers are still packed. Sixteen instructions
//! for the 64 numbers of a lane, for 128; and the mean's exchange is that of the squares, too.
//!
//! The mean square less the mean's square has too few digits where the mean is far from zero: there the squares around the mean are
//! added up, which takes one more exchange (`held_course.rs`).

use crate::element::{Element, Multiplied};
use crate::held_row::Held;
use crate::row::{Elements, Numbers, Summary};
use crate::{fma, lanes, warp};

/// What is found of a part as it is read.
pub trait Moments<T: Element>: Copy {
    /// Nothing found.
    const NONE: Self;

    /// Reads a part: see [`Held::read`].
    ///
    /// # Safety
    /// As there.
    unsafe fn read(row: impl Elements<T>, copy: u64, offset: u32) -> (Held<T>, Self);
}

/// Nothing is.
impl<T: Element> Moments<T> for () {
    const NONE: Self = ();

    #[inline(always)]
    unsafe fn read(row: impl Elements<T>, copy: u64, offset: u32) -> (Held<T>, Self) {
        // SAFETY: the caller's promise.
        (unsafe { Held::read(row, copy, offset) }, ())
    }
}

/// A lane's share of two sums.
#[derive(Clone, Copy)]
pub struct Sums {
    /// Of the numbers.
    pub sum: f32,
    /// Of their squares.
    pub squares: f32,
}

impl<T: Multiplied> Moments<T> for Sums {
    const NONE: Self = Self { sum: 0.0, squares: 0.0 };

    #[inline(always)]
    unsafe fn read(row: impl Elements<T>, copy: u64, offset: u32) -> (Held<T>, Self) {
        // SAFETY: the caller's promise.
        let (held, tile) = unsafe { Held::read_and_multiply(row, copy, offset) };
        (held, Self::of(tile))
    }
}

impl Sums {
    /// The warp's, of the same tile. Each row below has all columns' sums.
    #[inline(always)]
    pub fn of_warp(tile: [f32; 4]) -> (f32, f32) {
        let [_, _, even_sum, odd_sum] = tile;
        (
            lanes::sum_in_four(even_sum + odd_sum),
            lanes::sum(Self::of(tile).squares),
        )
    }

    /// Of the tile of [`Multiplied::moments`] lane 4g + g / 2 has the square in row and column g, for g below 8, and that column's sum
    /// in row g + 8; what the other lanes have does not count.
    #[inline(always)]
    fn of([even, odd, even_sum, odd_sum]: [f32; 4]) -> Self {
        let (group, column) = (warp::lane() / 4, warp::lane() % 4);
        let (sum, squares) = if group / 2 != column {
            (0.0, 0.0)
        } else if group % 2 == 0 {
            (even_sum, even)
        } else {
            (odd_sum, odd)
        };
        Self { sum, squares }
    }
}

/// Of numbers that are not in registers.
impl Summary for Sums {
    const EMPTY: Self = Self { sum: 0.0, squares: 0.0 };

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        let sum = numbers.fold(self.sum, |sum, x| sum + x);
        let squares = numbers.fold(self.squares, |sum, x| fma(x, x, sum));
        Self { sum, squares }
    }

    #[inline(always)]
    fn summand(self, _: f32) -> f32 {
        self.squares
    }
}
