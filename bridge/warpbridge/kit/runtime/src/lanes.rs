//! A warp as a machine of 32 lanes: values that every lane has one of, brought together.
//!
//! Each function is called by the warp together, and gives all lanes the same result.

use crate::{maximum_of, warp};

/// The sum over the lanes; pairwise, so in the same order whatever the values are.
#[inline(always)]
pub fn sum(value: f32) -> f32 {
    reduce(value, |a, b| a + b)
}

/// The largest of the lanes' values; NaNs count as missing.
#[inline(always)]
pub fn max(value: f32) -> f32 {
    reduce(value, f32::max)
}

/// The largest of the lanes' values; NaN if one is.
#[inline(always)]
pub fn maximum(value: f32) -> f32 {
    reduce(value, maximum_of)
}

/// Both partners of a swap combine the same two values: `f` must be commutative for the lanes to agree.
#[inline(always)]
fn reduce(mut value: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    value = f(value, warp::swap_f32(value, 16));
    value = f(value, warp::swap_f32(value, 8));
    value = f(value, warp::swap_f32(value, 4));
    value = f(value, warp::swap_f32(value, 2));
    f(value, warp::swap_f32(value, 1))
}
