//! The two norms of a row: what is found of its numbers, and what becomes of each. The kernels that are made of them differ
//! in where rows come from (`source.rs`) and where results go (`output.rs`).

use core::marker::PhantomData;

use crate::element::Element;
use crate::long_rows::Mergeable;
use crate::row::{Numbers, Summary};
use crate::row_kernel::{Found, RowKernel};
use crate::{fma, lanes, rsqrt};

/// x / sqrt(mean(x^2) + eps).
#[derive(Clone, Copy)]
pub struct RmsNorm<T> {
    /// Added to the mean square.
    pub eps: f32,
    /// Type of the elements.
    pub element: PhantomData<T>,
}

/// A sum of squares.
#[derive(Clone, Copy)]
pub struct Squares(f32);

impl Summary for Squares {
    const EMPTY: Self = Self(0.0);

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        Self(numbers.fold(self.0, |sum, x| fma(x, x, sum)))
    }

    #[inline(always)]
    fn summand(self, _: f32) -> f32 {
        self.0
    }
}

impl Mergeable for Squares {
    #[inline(always)]
    fn part_opinion(_: f32, _: f32) -> f32 {
        0.0
    }

    #[inline(always)]
    fn join(_: f32, _: f32) -> f32 {
        0.0
    }

    #[inline(always)]
    fn part_summand(_: f32, _: f32, sum: f32, _: f32) -> f32 {
        sum
    }
}

impl<T: Element> RowKernel for RmsNorm<T> {
    type Element = T;
    type Summary = Squares;
    type Result = f32;
    const MULTIPLIES: bool = true;

    #[inline(always)]
    fn result(&self, _: u32, found: Found, _: bool) -> f32 {
        rsqrt(fma(found.sum, found.per_column, self.eps))
    }

    #[inline(always)]
    fn map(factor: f32, x: f32) -> f32 {
        x * factor
    }

    #[inline(always)]
    fn scaled(factor: f32, by: f32) -> f32 {
        factor * by
    }
}

/// (x - mean(x)) / sqrt(var(x) + eps).
///
/// Mean and variance are found in one go: each thread adds up how far its numbers, and the squares of that, are from the mean of
/// the first few it sees, which is near enough to the mean to lose no digits; all threads' findings are merged at the end
/// (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979).
#[derive(Clone, Copy)]
pub struct LayerNorm<T> {
    /// Added to the variance.
    pub eps: f32,
    /// Type of the elements.
    pub element: PhantomData<T>,
}

/// Of the numbers seen.
#[derive(Clone, Copy)]
pub struct Moments {
    count: f32,
    /// The mean of the first few.
    base: f32,
    /// Of their distances from it.
    sum: f32,
    /// Of the squares of these.
    squares: f32,
}

impl Moments {
    /// How far the mean is from `base`.
    #[inline(always)]
    fn shift(self) -> f32 {
        if self.count == 0.0 { 0.0 } else { self.sum / self.count }
    }
}

impl Summary for Moments {
    const EMPTY: Self = Self {
        count: 0.0,
        base: 0.0,
        sum: 0.0,
        squares: 0.0,
    };
    const AGREES: bool = true;

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        let more = count_of(numbers);
        let base = if self.count == 0.0 {
            numbers.fold(0.0, |sum, x| sum + x) * (1.0 / more)
        } else {
            self.base
        };
        let (sum, squares) = numbers.fold((self.sum, self.squares), |(sum, squares), x| {
            let distance = x - base;
            (sum + distance, fma(distance, distance, squares))
        });
        Self {
            count: self.count + more,
            base,
            sum,
            squares,
        }
    }

    #[inline(always)]
    fn opinion(self, per_column: f32) -> f32 {
        self.count * per_column * (self.base + self.shift())
    }

    #[inline(always)]
    fn agree(mean: f32, lanes: u32) -> f32 {
        lanes::sum_in(mean, lanes)
    }

    #[inline(always)]
    fn summand(self, mean: f32) -> f32 {
        let shift = self.shift();
        let distance = self.base + shift - mean;
        // What rounding may leave below zero is none.
        let squares = fma(-self.sum, shift, self.squares).max(0.0);
        fma(distance * distance, self.count, squares)
    }
}

impl Mergeable for Moments {
    #[inline(always)]
    fn part_opinion(share: f32, mean: f32) -> f32 {
        share * mean
    }

    #[inline(always)]
    fn join(one: f32, other: f32) -> f32 {
        one + other
    }

    #[inline(always)]
    fn part_summand(count: f32, own: f32, squares: f32, mean: f32) -> f32 {
        let distance = own - mean;
        fma(distance * distance, count, squares)
    }
}

#[inline(always)]
fn count_of<N: Numbers>(_: &N) -> f32 {
    N::COUNT as f32
}

/// Of a row.
#[derive(Clone, Copy)]
pub struct Scale {
    mean: f32,
    factor: f32,
}

impl<T: Element> RowKernel for LayerNorm<T> {
    type Element = T;
    type Summary = Moments;
    type Result = Scale;

    #[inline(always)]
    fn result(&self, _: u32, found: Found, _: bool) -> Scale {
        Scale {
            mean: found.agreed,
            factor: rsqrt(fma(found.sum, found.per_column, self.eps)),
        }
    }

    #[inline(always)]
    fn map(scale: Scale, x: f32) -> f32 {
        (x - scale.mean) * scale.factor
    }
}
