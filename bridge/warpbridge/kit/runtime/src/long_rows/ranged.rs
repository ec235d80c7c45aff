//! Rows whose results are scaled by the largest of their row (`scaled.rs`). With its sum, each part of a row notes the largest magnitude of
//! its elements times their weights, and that is what parts agree on: so one judgement gives both, and the row need not be gone over in
//! between. It suits kernels whose results are multiples of those products, and whose summary agrees on nothing.

use super::Mergeable;
use crate::row::{Numbers, Summary};
use crate::row_kernel::{Found, RowKernel};
use crate::{lanes, maximum_of};

/// A kernel whose results are scaled.
#[derive(Clone, Copy)]
pub struct Ranged<K>(pub K);

impl<K: RowKernel<Summary: Mergeable>> RowKernel for Ranged<K> {
    type Element = K::Element;
    type Summary = WithRange<K::Summary>;
    type Result = K::Result;
    const MULTIPLIES: bool = K::MULTIPLIES;

    #[inline(always)]
    fn result(&self, row: u32, found: Found, first: bool) -> K::Result {
        self.0.result(row, found, first)
    }

    #[inline(always)]
    fn map(result: K::Result, x: f32) -> f32 {
        K::map(result, x)
    }

    #[inline(always)]
    fn scaled(result: K::Result, by: f32) -> K::Result {
        K::scaled(result, by)
    }
}

/// A summary beside a largest magnitude, which comes from where weights are known: `ranged_in`.
#[derive(Clone, Copy)]
pub struct WithRange<S>(S);

impl<S: Summary> Summary for WithRange<S> {
    const EMPTY: Self = Self(S::EMPTY);
    const AGREES: bool = {
        assert!(!S::AGREES);
        true
    };

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        Self(self.0.add(numbers))
    }

    #[inline(always)]
    fn agree(range: f32, _: u32) -> f32 {
        lanes::magnitude(range)
    }

    #[inline(always)]
    fn summand(self, _: f32) -> f32 {
        self.0.summand(0.0)
    }
}

impl<S: Mergeable> Mergeable for WithRange<S> {
    const RANGES: bool = true;

    #[inline(always)]
    fn part_opinion(_: f32, range: f32) -> f32 {
        range
    }

    #[inline(always)]
    fn join(one: f32, other: f32) -> f32 {
        maximum_of(one, other)
    }

    #[inline(always)]
    fn part_summand(count: f32, _: f32, sum: f32, _: f32) -> f32 {
        S::part_summand(count, 0.0, sum, 0.0)
    }
}
