//! A warp as a machine of 32 lanes: values that every lane has one of, brought together.
//!
//! Each function is called by the warp together, and but for [`sum_below_u32`] gives all lanes the same result.

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

/// The sum over the lanes, of integers; wraps around.
#[inline(always)]
pub fn sum_u32(value: u32) -> u32 {
    let sum = value.wrapping_add(warp::swap_u32(value, 16));
    let sum = sum.wrapping_add(warp::swap_u32(sum, 8));
    let sum = sum.wrapping_add(warp::swap_u32(sum, 4));
    let sum = sum.wrapping_add(warp::swap_u32(sum, 2));
    sum.wrapping_add(warp::swap_u32(sum, 1))
}

/// The sum over the lanes with smaller numbers, of integers; wraps around. The one result here that each lane has its own of.
#[inline(always)]
pub fn sum_below_u32(value: u32) -> u32 {
    let sum = value.wrapping_add(warp::below_u32(value, 1));
    let sum = sum.wrapping_add(warp::below_u32(sum, 2));
    let sum = sum.wrapping_add(warp::below_u32(sum, 4));
    let sum = sum.wrapping_add(warp::below_u32(sum, 8));
    let sum = sum.wrapping_add(warp::below_u32(sum, 16));
    sum.wrapping_sub(value)
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
