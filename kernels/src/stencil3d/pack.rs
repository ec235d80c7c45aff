//! Neighbouring numbers of a row that one lane works on: four where rows are aligned, else one.
//!
//! Written out number by number: a loop over an array would put the array in local memory.

use core::arch::asm;

use warpbridge_runtime::{fma, global, shared};

/// Some neighbouring numbers.
pub trait Pack: Copy {
    /// How many.
    const COUNT: u32;

    const ZERO: Self;

    /// Each by `f`, which is told its place.
    fn zip(self, other: Self, f: impl Fn(u32, f32, f32) -> f32) -> Self;

    /// # Safety
    /// As [`shared::load_v4`], for a multiple of the pack's size.
    unsafe fn load_shared(address: u32) -> Self;

    /// Reads what another thread block may have written in this launch, and released to this one.
    ///
    /// # Safety
    /// As [`global::store_v4`], for a multiple of the pack's size in an array argument.
    unsafe fn load_written(address: u64) -> Self;

    /// # Safety
    /// As [`global::store_v4`], for a multiple of the pack's size.
    unsafe fn store(self, address: u64);

    /// The pack that starts `by` (-4 to 4) places behind the middle one of three neighbouring packs.
    fn shifted(left: Self, middle: Self, right: Self, by: i32) -> Self;

    /// `self + weight * values`, each rounded once.
    #[inline(always)]
    fn plus(self, weight: f32, values: Self) -> Self {
        self.zip(values, |_, sum, value| fma(weight, value, sum))
    }
}

impl Pack for f32 {
    const COUNT: u32 = 1;
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u32, f32, f32) -> f32) -> Self {
        f(0, self, other)
    }

    #[inline(always)]
    unsafe fn load_shared(address: u32) -> Self {
        // SAFETY: the caller's promise.
        f32::from_bits(unsafe { shared::load_u32(address) })
    }

    #[inline(always)]
    unsafe fn load_written(address: u64) -> Self {
        let value: f32;
        // SAFETY: the caller's promise.
        unsafe { asm!("ld.global.b32 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
        value
    }

    #[inline(always)]
    unsafe fn store(self, address: u64) {
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(address, self.to_bits()) }
    }

    #[inline(always)]
    fn shifted(left: Self, middle: Self, right: Self, by: i32) -> Self {
        match by {
            -1 => left,
            1 => right,
            _ => middle,
        }
    }
}

/// Four numbers.
#[derive(Clone, Copy)]
pub struct Four(f32, f32, f32, f32);

impl Four {
    #[inline(always)]
    fn of_bits([a, b, c, d]: [u32; 4]) -> Self {
        Self(
            f32::from_bits(a),
            f32::from_bits(b),
            f32::from_bits(c),
            f32::from_bits(d),
        )
    }
}

impl Pack for Four {
    const COUNT: u32 = 4;
    const ZERO: Self = Self(0.0, 0.0, 0.0, 0.0);

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u32, f32, f32) -> f32) -> Self {
        Self(
            f(0, self.0, other.0),
            f(1, self.1, other.1),
            f(2, self.2, other.2),
            f(3, self.3, other.3),
        )
    }

    #[inline(always)]
    unsafe fn load_shared(address: u32) -> Self {
        // SAFETY: the caller's promise.
        Self::of_bits(unsafe { shared::load_v4(address) })
    }

    #[inline(always)]
    unsafe fn load_written(address: u64) -> Self {
        let (a, b, c, d): (u32, u32, u32, u32);
        // SAFETY: the caller's promise.
        unsafe {
            asm!("ld.global.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d,
                 in(reg64) address, options(nostack));
        }
        Self::of_bits([a, b, c, d])
    }

    #[inline(always)]
    unsafe fn store(self, address: u64) {
        let bits = [self.0.to_bits(), self.1.to_bits(), self.2.to_bits(), self.3.to_bits()];
        // SAFETY: the caller's promise.
        unsafe { global::store_v4(address, bits) }
    }

    #[inline(always)]
    fn shifted(left: Self, middle: Self, right: Self, by: i32) -> Self {
        let (l, m, r) = (left, middle, right);
        match by {
            -4 => l,
            -3 => Self(l.1, l.2, l.3, m.0),
            -2 => Self(l.2, l.3, m.0, m.1),
            -1 => Self(l.3, m.0, m.1, m.2),
            1 => Self(m.1, m.2, m.3, r.0),
            2 => Self(m.2, m.3, r.0, r.1),
            3 => Self(m.3, r.0, r.1, r.2),
            4 => r,
            _ => m,
        }
    }
}
