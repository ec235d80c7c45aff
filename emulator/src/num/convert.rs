//! Conversions (ISA 9.7.9.21): floats to integers by mode, integers to floats by mode, rounding to integers in place.

use super::float::{neighbour32, neighbour64};

/// Rounds to an integral value. Modes as in `float`, by `.rni`, `.rzi`, `.rmi`, `.rpi`.
#[inline(always)]
pub(crate) fn integral<const R: u8>(x: f64) -> f64 {
    match R {
        0 => x.round_ties_even(),
        1 => x.trunc(),
        2 => x.floor(),
        _ => x.ceil(),
    }
}

/// An integer as f32 in mode R.
#[inline(always)]
pub(crate) fn int_to_f32<const R: u8>(x: i128) -> f32 {
    let value = x as f32;
    if R == 0 {
        return value;
    }
    let exact = value as i128;
    neighbour32::<R>(value, exact > x, exact < x)
}

/// An integer as f64 in mode R.
#[inline(always)]
pub(crate) fn int_to_f64<const R: u8>(x: i128) -> f64 {
    let value = x as f64;
    if R == 0 {
        return value;
    }
    let exact = value as i128;
    neighbour64::<R>(value, exact > x, exact < x)
}
