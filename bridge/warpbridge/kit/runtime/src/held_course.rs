//! What a team that holds a row agrees on, one thing after the other, until it knows the range of the results: each of its lanes has two
//! numbers to give. How it finds them is in `held_part.rs`; who brings them together, in `held_rows.rs`.

use crate::element::{Element, Multiplied};
use crate::held_moments::{Moments, Sums};
use crate::held_part::Part;
use crate::norms::{LayerNorm, RmsNorm};
use crate::quantise::Quantised;
use crate::row::Elements;
use crate::{fma, lanes, maximum_of, rsqrt};

/// What is agreed on next.
#[derive(Clone, Copy, PartialEq)]
pub enum Step {
    /// The mean; the mean square, too, if both are found at once.
    Mean,
    /// The root of the mean square. Where there is no bias, the range of all but for the root, too: that of the results is the root
    /// times it.
    Root,
    /// The range, behind weights and biases.
    Range,
}

/// A norm, by what its rows go through.
pub trait Norm: Copy {
    /// Type of the rows' elements.
    type Element: Element;
    /// What is found of a part as it is read.
    type Moments: Moments<Self::Element>;
    /// Whether the mean is taken away first.
    const CENTRES: bool;
    /// Whether mean and root are found at once: see `held_moments.rs`.
    const AT_ONCE: bool = false;

    /// Added to the mean square.
    fn eps(self) -> f32;

    /// What this lane has of a sum, and of the range or a second sum; `at` is what was agreed on before, mean or root. Nothing where mean
    /// and root are not found at once.
    #[inline(always)]
    fn find<R, Q>(
        _step: Step,
        _at: f32,
        _has_bias: bool,
        _part: &mut Part<Self::Element, R, Q, Self::Moments>,
    ) -> Option<(f32, f32)>
    where
        R: Elements<Self::Element>,
        Q: Quantised,
    {
        None
    }

    /// The second number over the lanes of a warp.
    #[inline(always)]
    fn over_lanes(_step: Step, number: f32) -> f32 {
        lanes::magnitude(number)
    }

    /// The same of two warps.
    #[inline(always)]
    fn both(_step: Step) -> impl Fn(f32, f32) -> f32 {
        maximum_of
    }

    /// What is next when the mean is known, and the second number over the length of the row; and what is known by then.
    #[inline(always)]
    fn behind_mean<R, Q>(
        self,
        mean: f32,
        _second: f32,
        _part: &mut Part<Self::Element, R, Q, Self::Moments>,
    ) -> (Step, f32) {
        (Step::Root, mean)
    }
}

impl<T: Element> Norm for RmsNorm<T> {
    type Element = T;
    type Moments = ();
    const CENTRES: bool = false;

    #[inline(always)]
    fn eps(self) -> f32 {
        self.eps
    }
}

impl<T: Element> Norm for LayerNorm<T> {
    type Element = T;
    type Moments = ();
    const CENTRES: bool = true;

    #[inline(always)]
    fn eps(self) -> f32 {
        self.eps
    }
}

/// The same norm, with mean and root found at once. It takes longer for a row, but fewer instructions: a gain where memory has a lot to
/// do meanwhile.
#[derive(Clone, Copy)]
pub struct AtOnce<N>(pub N);

/// The most that the mean square may be of the variance for their difference to be taken: its error is so many times that of a sum.
pub(crate) const NEAR: f32 = 4.0;

impl<T: Multiplied> Norm for AtOnce<LayerNorm<T>> {
    type Element = T;
    type Moments = Sums;
    const CENTRES: bool = true;
    const AT_ONCE: bool = true;

    #[inline(always)]
    fn eps(self) -> f32 {
        self.0.eps
    }

    #[inline(always)]
    fn find<R, Q>(step: Step, at: f32, has_bias: bool, part: &mut Part<T, R, Q, Sums>) -> Option<(f32, f32)>
    where
        R: Elements<T>,
        Q: Quantised,
    {
        Some(match step {
            Step::Mean => part.sums(),
            Step::Root => (part.squares_around(at), 0.0),
            Step::Range if has_bias => (0.0, part.centred_through(at)),
            Step::Range => (0.0, part.products(at)),
        })
    }

    #[inline(always)]
    fn over_lanes(step: Step, number: f32) -> f32 {
        if step == Step::Mean {
            lanes::sum(number)
        } else {
            lanes::magnitude(number)
        }
    }

    #[inline(always)]
    fn both(step: Step) -> impl Fn(f32, f32) -> f32 {
        move |a, b| if step == Step::Mean { a + b } else { maximum_of(a, b) }
    }

    /// The range, and 1 over the root; or the squares around the mean, where that is too far from zero, and where squares are not finite.
    #[inline(always)]
    fn behind_mean<R, Q>(self, mean: f32, square: f32, part: &mut Part<T, R, Q, Sums>) -> (Step, f32) {
        part.take_away(mean);
        let variance = fma(-mean, mean, square);
        if variance * NEAR >= square && square < f32::INFINITY {
            (Step::Range, rsqrt(variance + self.eps()))
        } else {
            (Step::Root, mean)
        }
    }
}
