//! Conversions (ISA 9.7.9.21): floats to integers by mode, integers to floats by mode, rounding to integers in place.

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
    let (low, high) = (exact > x, exact < x);
    match R {
        1 if low && x > 0 => value.next_down(),
        1 if high && x < 0 => value.next_up(),
        2 if low => value.next_down(),
        3 if high => value.next_up(),
        _ => value,
    }
}

/// An integer as f64 in mode R.
#[inline(always)]
pub(crate) fn int_to_f64<const R: u8>(x: i128) -> f64 {
    let value = x as f64;
    if R == 0 {
        return value;
    }
    let exact = value as i128;
    let (low, high) = (exact > x, exact < x);
    match R {
        1 if low && x > 0 => value.next_down(),
        1 if high && x < 0 => value.next_up(),
        2 if low => value.next_down(),
        3 if high => value.next_up(),
        _ => value,
    }
}
