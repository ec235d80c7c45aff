//! The two 16-bit element types: float16 and bfloat16, alike but for their conversions.

use core::arch::asm;

use super::{Element, Multiplied, store_singly};
use crate::{global, shared};

/// bfloat16, as the name of an element type; Rust has none.
#[derive(Clone, Copy)]
pub struct BFloat16;

/// What sets a 16-bit type apart.
trait Half {
    fn widen(bits: u16) -> f32;
    fn narrow(value: f32) -> u16;
    /// Two at once, the first in the low half: one instruction, at several times the rate of two.
    fn narrow2(low: f32, high: f32) -> u32;
    fn narrow_double(value: f64) -> u16;
    /// Both numbers of a word, as [`Multiplied::widen_anew`] has them.
    fn widen2_anew(word: u32) -> [f32; 2];
    /// The sums of two pairs, each rounded once. What f32 makes of them, rounded again, is the same: it has more than twice the digits.
    fn add2(a: u32, b: u32) -> u32;
    /// `tile` and the product of a matrix of 16 rows, the last eight all ones, with one of eight columns, which are the first one's
    /// first rows (PTX ISA, `mma.m16n8k16`): a lane gives four numbers of row (and column) lane / 4.
    fn multiply(first: u32, second: u32, tile: [f32; 4]) -> [f32; 4];
}

/// Implements `Half::multiply` by an instruction, and two ones of the type.
macro_rules! multiply {
    ($instruction:literal, $ones:literal) => {
        #[inline(always)]
        fn multiply(first: u32, second: u32, [mut a, mut b, mut c, mut d]: [f32; 4]) -> [f32; 4] {
            // SAFETY: arithmetic; the warp calls it together.
            unsafe {
                asm!(
                    concat!(
                        $instruction,
                        " {{{0}, {1}, {2}, {3}}}, {{{4}, {6}, {5}, {6}}}, {{{4}, {5}}}, {{{0}, {1}, {2}, {3}}};"
                    ),
                    inout(reg32) a, inout(reg32) b, inout(reg32) c, inout(reg32) d, in(reg32) first, in(reg32) second,
                    in(reg32) $ones, options(nomem, nostack));
            }
            [a, b, c, d]
        }
    };
}

impl Half for f16 {
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        f16::from_bits(bits) as f32
    }

    #[inline(always)]
    fn narrow(value: f32) -> u16 {
        (value as f16).to_bits()
    }

    #[inline(always)]
    fn narrow2(low: f32, high: f32) -> u32 {
        let bits: u32;
        // SAFETY: arithmetic.
        unsafe {
            asm!("cvt.rn.f16x2.f32 {}, {}, {};", out(reg32) bits, in(reg32) high, in(reg32) low, options(pure, nomem, nostack));
        }
        bits
    }

    #[inline(always)]
    fn narrow_double(value: f64) -> u16 {
        (value as f16).to_bits()
    }

    #[inline(always)]
    fn add2(a: u32, b: u32) -> u32 {
        let sums: u32;
        // SAFETY: arithmetic.
        unsafe {
            asm!("add.rn.f16x2 {}, {}, {};", out(reg32) sums, in(reg32) a, in(reg32) b, options(pure, nomem, nostack))
        };
        sums
    }

    #[inline(always)]
    fn widen2_anew(word: u32) -> [f32; 2] {
        let (low, high): (f32, f32);
        // SAFETY: arithmetic. Not `pure`, or it could be moved out of loops.
        unsafe {
            asm!("{{ .reg .b16 l, h; mov.b32 {{l, h}}, {}; cvt.f32.f16 {}, l; cvt.f32.f16 {}, h; }}", in(reg32) word,
                 out(reg32) low, out(reg32) high, options(nomem, nostack));
        }
        [low, high]
    }

    multiply!("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 0x3c00_3c00u32);
}

impl Half for BFloat16 {
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> u16 {
        let bits: u16;
        // SAFETY: arithmetic.
        unsafe { asm!("cvt.rn.bf16.f32 {}, {};", out(reg16) bits, in(reg32) value, options(pure, nomem, nostack)) };
        bits
    }

    #[inline(always)]
    fn narrow2(low: f32, high: f32) -> u32 {
        let bits: u32;
        // SAFETY: arithmetic.
        unsafe {
            asm!("cvt.rn.bf16x2.f32 {}, {}, {};", out(reg32) bits, in(reg32) high, in(reg32) low, options(pure, nomem, nostack));
        }
        bits
    }

    /// By way of an f32 that is rounded to odd, so that the second rounding is the only one that counts.
    #[inline(always)]
    fn narrow_double(value: f64) -> u16 {
        let near = value as f32;
        let bits = near.to_bits();
        let back = f64::from(near);
        let odd = if back == value || bits & 1 == 1 || value.is_nan() {
            bits
        } else if back.abs() > value.abs() {
            bits - 1
        } else {
            bits + 1
        };
        Self::narrow(f32::from_bits(odd))
    }

    /// An addition of its own only sm_90 has.
    #[inline(always)]
    fn add2(a: u32, b: u32) -> u32 {
        const ONES: u32 = 0x3f80_3f80;
        let sums: u32;
        // SAFETY: arithmetic.
        unsafe {
            asm!("fma.rn.bf16x2 {}, {}, {}, {};", out(reg32) sums, in(reg32) a, in(reg32) ONES, in(reg32) b,
                 options(pure, nomem, nostack));
        }
        sums
    }

    #[inline(always)]
    fn widen2_anew(word: u32) -> [f32; 2] {
        let (low, high): (u32, u32);
        // SAFETY: arithmetic. Not `pure`, or it could be moved out of loops.
        unsafe {
            asm!("shl.b32 {1}, {0}, 16; and.b32 {2}, {0}, 0xffff0000;", in(reg32) word, out(reg32) low, out(reg32) high,
                 options(nomem, nostack));
        }
        [f32::from_bits(low), f32::from_bits(high)]
    }

    multiply!("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 0x3f80_3f80u32);
}

macro_rules! element {
    ($half:ty) => {
        impl Multiplied for $half {
            #[inline(always)]
            fn widen_anew(packed: [u32; 4]) -> [f32; 8] {
                let [[a, b], [c, d], [e, f], [g, h]] = packed.map(Self::widen2_anew);
                [a, b, c, d, e, f, g, h]
            }

            #[inline(always)]
            fn moments([a, b, c, d]: [u32; 4], tile: [f32; 4]) -> [f32; 4] {
                Self::multiply(c, d, Self::multiply(a, b, tile))
            }
        }

        impl Element for $half {
            const BYTES: u32 = 2;
            type Wide = [f32; 8];

            #[inline(always)]
            fn widen_v4([a, b, c, d]: [u32; 4]) -> [f32; 8] {
                let (low, high) = (
                    |word: u32| Self::widen(word as u16),
                    |word: u32| Self::widen((word >> 16) as u16),
                );
                [low(a), high(a), low(b), high(b), low(c), high(c), low(d), high(d)]
            }

            #[inline(always)]
            fn add_v4([a, b, c, d]: [u32; 4], [e, f, g, h]: [u32; 4]) -> [u32; 4] {
                [
                    Self::add2(a, e),
                    Self::add2(b, f),
                    Self::add2(c, g),
                    Self::add2(d, h),
                ]
            }

            #[inline(always)]
            fn splat(value: f32) -> u32 {
                u32::from(Self::narrow(value)) * 0x1_0001
            }

            #[inline(always)]
            fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4] {
                let one = |word: u32| f(Self::widen(word as u16));
                let g = |word: u32| Self::narrow2(one(word), one(word >> 16));
                let [a, b, c, d] = packed;
                [g(a), g(b), g(c), g(d)]
            }

            #[inline(always)]
            fn map3_v4(
                packed: [u32; 4],
                weights: [u32; 4],
                biases: [u32; 4],
                f: impl Fn(f32, f32, f32) -> f32,
            ) -> [u32; 4] {
                let ([x0, x1, x2, x3], [w0, w1, w2, w3], [b0, b1, b2, b3]) = (packed, weights, biases);
                let one = |x: u32, w: u32, b: u32| {
                    f(
                        Self::widen(x as u16),
                        Self::widen(w as u16),
                        Self::widen(b as u16),
                    )
                };
                let g = |x: u32, w: u32, b: u32| Self::narrow2(one(x, w, b), one(x >> 16, w >> 16, b >> 16));
                [g(x0, w0, b0), g(x1, w1, b1), g(x2, w2, b2), g(x3, w3, b3)]
            }

            #[inline(always)]
            fn fold3_v4<A>(
                packed: [u32; 4],
                weights: [u32; 4],
                biases: [u32; 4],
                start: A,
                f: impl Fn(A, f32, f32, f32) -> A,
            ) -> A {
                let ([x0, x1, x2, x3], [w0, w1, w2, w3], [b0, b1, b2, b3]) = (packed, weights, biases);
                let one = |sum, x: u32, w: u32, b: u32| {
                    f(
                        sum,
                        Self::widen(x as u16),
                        Self::widen(w as u16),
                        Self::widen(b as u16),
                    )
                };
                let two = |sum, x: u32, w: u32, b: u32| one(one(sum, x, w, b), x >> 16, w >> 16, b >> 16);
                two(
                    two(two(two(start, x0, w0, b0), x1, w1, b1), x2, w2, b2),
                    x3,
                    w3,
                    b3,
                )
            }

            #[inline(always)]
            fn fold_v4<A>(packed: [u32; 4], start: A, f: impl Fn(A, f32) -> A) -> A {
                let [a, b, c, d] = packed;
                let g = |sum, word: u32| f(f(sum, Self::widen(word as u16)), Self::widen((word >> 16) as u16));
                g(g(g(g(start, a), b), c), d)
            }

            #[inline(always)]
            unsafe fn load_shared(address: u32) -> f32 {
                // SAFETY: the caller's promise.
                Self::widen(unsafe { shared::load_u16(address) })
            }

            #[inline(always)]
            unsafe fn load_global(address: u64) -> f32 {
                // SAFETY: the caller's promise.
                Self::widen(unsafe { global::load_u16(address) })
            }

            #[inline(always)]
            unsafe fn store_global(address: u64, value: f32) {
                // SAFETY: the caller's promise.
                unsafe { global::store_u16(address, Self::narrow(value)) }
            }

            #[inline(always)]
            fn rounded(value: f32) -> f32 {
                Self::widen(Self::narrow(value))
            }

            #[inline(always)]
            unsafe fn store_four(address: u64, [a, b, c, d]: [f32; 4]) {
                let [low, high] = [Self::narrow2(a, b), Self::narrow2(c, d)];
                if address % 8 == 0 {
                    // SAFETY: the caller's promise, and the test above.
                    unsafe { global::store_v2(address, [low, high]) }
                } else {
                    // SAFETY: the caller's promise.
                    unsafe { store_singly::<Self>(address, [low, low >> 16, high, high >> 16]) }
                }
            }

            #[inline(always)]
            fn bits_of(value: f64) -> u32 {
                u32::from(Self::narrow_double(value))
            }

            #[inline(always)]
            unsafe fn store_bits(address: u64, bits: u32) {
                // SAFETY: the caller's promise.
                unsafe { global::store_u16(address, bits as u16) }
            }

            #[inline(always)]
            unsafe fn store4(address: u64, bits: [u32; 4]) {
                let [a, b, c, d] = bits;
                if address % 8 == 0 {
                    // SAFETY: the caller's promise, and the test above.
                    unsafe { global::store_v2(address, [a | b << 16, c | d << 16]) }
                } else {
                    // SAFETY: the caller's promise.
                    unsafe { store_singly::<Self>(address, bits) }
                }
            }
        }
    };
}

element!(f16);
element!(BFloat16);
