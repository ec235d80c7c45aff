//! Rounding to 8-bit types, to nearest even and saturating: what quantised outputs are made of.
//!
//! sm_90 has an instruction for float8, sm_80 has none: there it is done in the bits of a float32.

#[cfg(engine = "bulk")]
use core::arch::asm;

use crate::fma;

/// An 8-bit type.
pub trait Quantised: Copy {
    /// The largest number; what the largest of a row becomes.
    const LARGEST: f32;
    /// The least scale of a row: a row of zeros has one too.
    const LEAST_SCALE: f32;

    /// Two numbers rounded, the first in the low byte.
    fn pack(first: f32, second: f32) -> u32;

    /// Four numbers rounded, the first in the low byte.
    #[inline(always)]
    fn pack_four([a, b, c, d]: [f32; 4]) -> u32 {
        Self::pack(a, b) | Self::pack(c, d) << 16
    }

    /// The scale of a row whose largest magnitude is `range`; NaN for NaN.
    #[inline(always)]
    fn scale(range: f32) -> f32 {
        // The quotient, from the reciprocal that the compiler knows and what is missing.
        let near = range * (1.0 / Self::LARGEST);
        let better = fma(fma(-near, Self::LARGEST, range), 1.0 / Self::LARGEST, near);
        let scale = if range < f32::INFINITY { better } else { near };
        if scale < Self::LEAST_SCALE {
            Self::LEAST_SCALE
        } else {
            scale
        }
    }
}

/// float8_e4m3fn: no infinity, one NaN (OCP 8-bit Floating Point Specification, 2023).
#[derive(Clone, Copy)]
pub struct Float8;

impl Quantised for Float8 {
    const LARGEST: f32 = 448.0;
    const LEAST_SCALE: f32 = 1.0 / (448.0 * 512.0);

    /// NaN becomes NaN, of positive sign.
    #[cfg(engine = "bulk")]
    #[inline(always)]
    fn pack(first: f32, second: f32) -> u32 {
        let bits: u16;
        // SAFETY: arithmetic.
        unsafe {
            asm!("cvt.rn.satfinite.e4m3x2.f32 {}, {}, {};", out(reg16) bits, in(reg32) second, in(reg32) first,
                 options(pure, nomem, nostack));
        }
        u32::from(bits)
    }

    #[cfg(engine = "bulk")]
    #[inline(always)]
    fn pack_four([a, b, c, d]: [f32; 4]) -> u32 {
        let packed: u32;
        // SAFETY: arithmetic.
        unsafe {
            asm!("{{ .reg .b16 low, high; cvt.rn.satfinite.e4m3x2.f32 low, {}, {}; cvt.rn.satfinite.e4m3x2.f32 high, {}, {};",
                 "mov.b32 {}, {{low, high}}; }}",
                 in(reg32) b, in(reg32) a, in(reg32) d, in(reg32) c, out(reg32) packed, options(pure, nomem, nostack));
        }
        packed
    }

    /// NaN becomes NaN, of positive sign.
    #[cfg(engine = "cp_async")]
    #[inline(always)]
    fn pack(first: f32, second: f32) -> u32 {
        e4m3_bits(first) | e4m3_bits(second) << 8
    }
}

/// What `cvt.rn.satfinite.e4m3x2.f32` makes of one number.
#[cfg(engine = "cp_async")]
#[inline(always)]
fn e4m3_bits(value: f32) -> u32 {
    /// Its last bit is worth as much as the least subnormal, 2^-9: adding it rounds there.
    const ROUNDS: f32 = 16384.0;
    /// Below are the subnormals.
    const LEAST_NORMAL: f32 = 1.0 / 64.0;
    let magnitude = value.abs().min(Float8::LARGEST);
    let bits = magnitude.to_bits();
    let rounded = if magnitude < LEAST_NORMAL {
        (magnitude + ROUNDS).to_bits() - ROUNDS.to_bits()
    } else {
        // Three bits of the mantissa stay, and the bias falls from 127 to 7; a carry goes into the exponent, as it should.
        ((bits + 0x7_ffff + (bits >> 20 & 1)) >> 20) - (120 << 3)
    };
    if value.is_nan() {
        0x7f
    } else {
        rounded | value.to_bits() >> 24 & 0x80
    }
}

/// int8, from -128 to 127.
#[derive(Clone, Copy)]
pub struct Int8;

impl Quantised for Int8 {
    const LARGEST: f32 = 127.0;
    const LEAST_SCALE: f32 = f32::EPSILON;

    /// NaN becomes 0.
    #[inline(always)]
    fn pack(first: f32, second: f32) -> u32 {
        let packed: u32;
        // SAFETY: arithmetic. Rounds and saturates to 32 bits, then saturates both to 8; the first of the two is the low byte.
        unsafe {
            core::arch::asm!(
                "{{ .reg .b32 a, b; cvt.rni.s32.f32 a, {}; cvt.rni.s32.f32 b, {}; cvt.pack.sat.s8.s32.b32 {}, b, a, 0; }}",
                in(reg32) first, in(reg32) second, out(reg32) packed, options(pure, nomem, nostack));
        }
        packed
    }

    /// What is in a pack already moves to the upper half.
    #[inline(always)]
    fn pack_four([a, b, c, d]: [f32; 4]) -> u32 {
        let packed: u32;
        // SAFETY: as in `pack`.
        unsafe {
            core::arch::asm!(
                "{{ .reg .b32 a, b, c, d, high; cvt.rni.s32.f32 a, {}; cvt.rni.s32.f32 b, {}; cvt.rni.s32.f32 c, {}; cvt.rni.s32.f32 d, {};",
                "cvt.pack.sat.s8.s32.b32 high, d, c, 0; cvt.pack.sat.s8.s32.b32 {}, b, a, high; }}",
                in(reg32) a, in(reg32) b, in(reg32) c, in(reg32) d, out(reg32) packed, options(pure, nomem, nostack));
        }
        packed
    }
}
