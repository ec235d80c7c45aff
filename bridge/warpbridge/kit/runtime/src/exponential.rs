//! Exponentials and their sums, relative to a maximum so that they stay in range.

use core::arch::asm;

use crate::lanes;
use crate::long_rows::Mergeable;
use crate::row::{Numbers, Summary};

/// `e` to the power `x`, by the hardware's base-2 exponential: a relative error of about `(2 + |x|) * 2^-23`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let result: f32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("ex2.approx.ftz.f32 {}, {};", out(reg32) result, in(reg32) x * core::f32::consts::LOG2_E,
             options(pure, nomem, nostack));
    }
    result
}

/// The natural logarithm, by the hardware's base-2 logarithm: an absolute error of about `2^-22` between 0.5 and 2, a
/// relative one of that size elsewhere.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    let result: f32;
    // SAFETY: arithmetic.
    unsafe { asm!("lg2.approx.f32 {}, {};", out(reg32) result, in(reg32) x, options(pure, nomem, nostack)) };
    result * core::f32::consts::LN_2
}

/// What to subtract from elements of which the largest is `max`: a row without any finite value has none, and -inf minus
/// itself would be NaN.
#[inline(always)]
pub fn base(max: f32) -> f32 {
    if max == f32::NEG_INFINITY { 0.0 } else { max }
}

/// Maximum of the values seen so far, and the sum of their exponentials relative to it.
#[derive(Clone, Copy)]
pub struct Partial {
    /// -inf before the first.
    pub max: f32,
    /// Relative to `base(max)`.
    pub sum: f32,
}

impl Partial {
    /// The same, relative to a maximum that is as large or larger.
    #[inline(always)]
    pub fn raise(self, max: f32) -> Self {
        Self {
            max,
            sum: self.sum * exp(self.max - base(max)),
        }
    }
}

impl Summary for Partial {
    const EMPTY: Self = Self {
        max: f32::NEG_INFINITY,
        sum: 0.0,
    };
    const AGREES: bool = true;
    const NEUTRAL: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        let max = numbers.fold(self.max, f32::max);
        let (raised, base) = (self.raise(max), base(max));
        Self {
            max,
            sum: numbers.fold(raised.sum, |sum, x| sum + exp(x - base)),
        }
    }

    #[inline(always)]
    fn opinion(self, _: f32) -> f32 {
        self.max
    }

    #[inline(always)]
    fn agree(max: f32, lanes: u32) -> f32 {
        lanes::max_in(max, lanes)
    }

    #[inline(always)]
    fn summand(self, max: f32) -> f32 {
        self.raise(max).sum
    }
}

impl Mergeable for Partial {
    #[inline(always)]
    fn part_opinion(_: f32, max: f32) -> f32 {
        max
    }

    #[inline(always)]
    fn join(one: f32, other: f32) -> f32 {
        f32::max(one, other)
    }

    #[inline(always)]
    fn part_summand(_: f32, max: f32, sum: f32, agreed: f32) -> f32 {
        Self { max, sum }.raise(agreed).sum
    }
}
