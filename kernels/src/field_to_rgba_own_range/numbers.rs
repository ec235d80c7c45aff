//! What a thread has seen of a field: its smallest and its largest finite number, in a type that is exact for the field's.

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Rows, Windows, shared};

use super::colours::{Field, Scale};

/// A type that ranges are kept in.
pub trait Number: Copy {
    /// Where nothing was seen.
    const NONE: Seen<Self>;

    /// The largest number, as that of entries per unit of x: a range of one number has infinitely many.
    const MOST_FACTOR: f64;

    /// The smaller one; NaNs count as missing.
    fn least(self, other: Self) -> Self;

    /// The larger one; NaNs count as missing.
    fn most(self, other: Self) -> Self;

    /// The number, or NaN for an infinity.
    fn finite(self) -> Self;

    /// The same in float64.
    fn widen(self) -> f64;
}

macro_rules! number {
    ($float:ty) => {
        impl Number for $float {
            const NONE: Seen<Self> = Seen {
                least: <$float>::INFINITY,
                most: <$float>::NEG_INFINITY,
            };
            const MOST_FACTOR: f64 = <$float>::MAX as f64;

            #[inline(always)]
            fn least(self, other: Self) -> Self {
                self.min(other)
            }

            #[inline(always)]
            fn most(self, other: Self) -> Self {
                self.max(other)
            }

            #[inline(always)]
            fn finite(self) -> Self {
                if self.abs() < <$float>::INFINITY {
                    self
                } else {
                    <$float>::NAN
                }
            }

            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
        }
    };
}

number!(f32);
number!(f64);

/// Smallest and largest finite number that this thread has seen.
#[derive(Clone, Copy)]
pub struct Seen<N> {
    least: N,
    most: N,
}

impl<N: Number> Seen<N> {
    /// With one more; NaN and infinities are left out.
    #[inline(always)]
    fn with(self, number: N) -> Self {
        let number = number.finite();
        Self {
            least: self.least.least(number),
            most: self.most.most(number),
        }
    }

    /// Both; infinities, the larger one first, where nothing was seen.
    #[inline(always)]
    pub fn ends(self) -> (f64, f64) {
        (self.least.widen(), self.most.widen())
    }
}

/// An element type of x, as its range sees it.
pub trait Ranged: Field {
    /// What its range is kept in.
    type Number: Number;

    /// Adds the number at `from` to those seen.
    ///
    /// # Safety
    /// As [`Field::colour`].
    unsafe fn see(from: u32, seen: Seen<Self::Number>) -> Seen<Self::Number>;

    /// Adds the numbers of a group.
    ///
    /// # Safety
    /// `from` is a multiple of the group's size in a filled stage.
    unsafe fn see_group(from: u32, seen: Seen<Self::Number>) -> Seen<Self::Number>;
}

impl Ranged for f32 {
    type Number = f32;

    #[inline(always)]
    unsafe fn see(from: u32, seen: Seen<f32>) -> Seen<f32> {
        // SAFETY: the caller's promise.
        seen.with(f32::from_bits(unsafe { shared::load_u32(from) }))
    }

    #[inline(always)]
    unsafe fn see_group(from: u32, seen: Seen<f32>) -> Seen<f32> {
        // SAFETY: the caller's promise.
        let [a, b, c, d] = unsafe { shared::load_v4(from) };
        let g = |seen: Seen<f32>, bits: u32| seen.with(f32::from_bits(bits));
        g(g(g(g(seen, a), b), c), d)
    }
}

impl Ranged for f64 {
    type Number = f64;

    #[inline(always)]
    unsafe fn see(from: u32, seen: Seen<f64>) -> Seen<f64> {
        // SAFETY: the caller's promise.
        let [low, high] = unsafe { shared::load_v2(from) };
        seen.with(join(low, high))
    }

    #[inline(always)]
    unsafe fn see_group(from: u32, seen: Seen<f64>) -> Seen<f64> {
        // SAFETY: the caller's promise.
        let [a, b, c, d] = unsafe { shared::load_v4(from) };
        seen.with(join(a, b)).with(join(c, d))
    }
}

#[inline(always)]
fn join(low: u32, high: u32) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

macro_rules! short_field {
    ($field:ty, $widen:expr) => {
        impl Ranged for $field {
            type Number = f32;

            #[inline(always)]
            unsafe fn see(from: u32, seen: Seen<f32>) -> Seen<f32> {
                // SAFETY: the caller's promise.
                seen.with($widen(unsafe { shared::load_u16(from) }))
            }

            #[inline(always)]
            unsafe fn see_group(from: u32, seen: Seen<f32>) -> Seen<f32> {
                // SAFETY: the caller's promise.
                let [a, b] = unsafe { shared::load_v2(from) };
                let g = |seen: Seen<f32>, bits: u32| seen.with($widen(bits as u16));
                g(g(g(g(seen, a), a >> 16), b), b >> 16)
            }
        }
    };
}

short_field!(f16, |bits| f16::from_bits(bits) as f32);
short_field!(u16, |bits| f32::from(bits));

/// Adds this thread's numbers of a tile, which has landed in `stage`, to those seen.
#[inline(always)]
pub fn see_tile<T: Ranged>(stage: u32, part: &Rows, seen: Seen<T::Number>, share: Share) -> Seen<T::Number> {
    let (from, size, mut seen) = (stage + part.skew(0), T::GROUP * T::BYTES, seen);
    let groups = if from % 16 == 0 { part.bytes / size } else { 0 };
    let mut group = share.thread;
    while group < groups {
        // SAFETY: inside the tile, which has landed.
        seen = unsafe { T::see_group(from + group * size, seen) };
        group += share.threads;
    }
    let mut index = groups * T::GROUP + share.thread;
    while index * T::BYTES < part.bytes {
        // SAFETY: inside the tile, which has landed.
        seen = unsafe { T::see(from + index * T::BYTES, seen) };
        index += share.threads;
    }
    seen
}

/// The scale between the given ends; one that is NaN is the found one, which is never beyond the other, given end.
#[inline(always)]
pub fn scale_between<N: Number>(given: Scale, vmax: f64, found: (f64, f64)) -> Scale {
    // The smaller and the larger of a number and NaN is the number.
    let pick = |given: f64, found: f64| if given.is_nan() { found } else { given };
    let (from, to) = (pick(given.vmin, found.0.min(vmax)), pick(vmax, found.1.max(given.vmin)));
    Scale {
        vmin: from,
        // Finite, so that the number at vmin, whose distance is 0, gets the first colour also where it is the only one.
        factor: (f64::from(given.last + 1) / (to - from)).min(N::MOST_FACTOR),
        ..given
    }
}
