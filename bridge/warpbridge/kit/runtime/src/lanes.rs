//! A warp as a machine of 32 lanes: values that every lane has one of, brought together.
//!
//! Each function is called by the warp together, and gives all lanes the same result, but for [`sum_below_u32`] and those whose
//! names end in `_in`, which give each group of lanes its own.

use crate::{maximum_of, warp};

/// The sum over the lanes; pairwise, so in the same order whatever the values are.
#[inline(always)]
pub fn sum(value: f32) -> f32 {
    sum_in(value, warp::LANES)
}

/// As [`sum`], over each group of four neighbours.
#[inline(always)]
pub fn sum_in_four(value: f32) -> f32 {
    let two = value + warp::swap_f32(value, 2);
    two + warp::swap_f32(two, 1)
}

/// The largest of the lanes' values; NaNs count as missing.
#[inline(always)]
pub fn max(value: f32) -> f32 {
    max_in(value, warp::LANES)
}

/// The largest of the lanes' values; NaN if one is.
#[inline(always)]
pub fn maximum(value: f32) -> f32 {
    maximum_in(value, warp::LANES)
}

/// The largest of the lanes' values, which are not negative; NaN if one is.
#[inline(always)]
pub fn magnitude(value: f32) -> f32 {
    // The bits of such numbers are in their order, with NaN above all.
    f32::from_bits(warp::max_u32(value.to_bits()))
}

/// As [`sum`], over each group of `lanes` neighbours: 8, 16 or 32, the same number in all lanes.
#[inline(always)]
pub fn sum_in(value: f32, lanes: u32) -> f32 {
    reduce(value, lanes, |a, b| a + b)
}

/// As [`max`], over each group of `lanes` neighbours.
#[inline(always)]
pub fn max_in(value: f32, lanes: u32) -> f32 {
    reduce(value, lanes, f32::max)
}

/// As [`maximum`], over each group of `lanes` neighbours.
#[inline(always)]
pub fn maximum_in(value: f32, lanes: u32) -> f32 {
    reduce(value, lanes, maximum_of)
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
fn reduce(mut value: f32, lanes: u32, f: impl Fn(f32, f32) -> f32) -> f32 {
    if lanes > 16 {
        value = f(value, warp::swap_f32(value, 16));
    }
    if lanes > 8 {
        value = f(value, warp::swap_f32(value, 8));
    }
    value = f(value, warp::swap_f32(value, 4));
    value = f(value, warp::swap_f32(value, 2));
    f(value, warp::swap_f32(value, 1))
}
