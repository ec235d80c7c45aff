//! Types of x, and what integers become to be multiplied with them on the tensor cores.
//!
//! With float16 they are not changed at all: a few bits at the lower end of a float16 are a number below its smallest normal one, the
//! integer times 2^-24, exactly, and tensor cores multiply such numbers like any other. So a mask is all it takes. Zeros are left
//! in: they are multiplied by the sum of x, and taken off. With bfloat16 products would get lost at the lower end of float32. There half a
//! byte is put into the last bits of 128, and 128 is taken off with the zero; a byte, for which bfloat16 has no room, into those of 2^23 as
//! float32: subtracting that number and the zero leaves the integer, exactly.

use core::arch::asm;

use warpbridge_runtime::element::{BFloat16, Element};

/// A type of x that tensor cores multiply.
pub trait Multiplier: Element {
    /// What sums of products are to be multiplied by.
    const UNIT: f32;
    /// -1 as the integers are, twice.
    const MINUS_ONE: u32;
    /// What `widen_nibbles` adds to the integers.
    const NIBBLES_ABOVE: u32;
    /// Whether `widen_bytes` takes off the zero. If not, and with nibbles, the offsets are numbers whose products with x are to be
    /// added to the sums.
    const SUBTRACTS_FROM_BYTES: bool;
    /// What products with the last two pairs of `widen_nibbles` are to be multiplied by.
    const NIBBLES_FAR: f32;

    /// Scales, given as they are in memory.
    fn widen_both(bits: (u32, u32)) -> [f32; 2];

    /// See [`super::weights::Weights::offsets`], for 4 bits.
    fn nibble_offsets(zero: u32) -> [u32; 2];

    /// See [`super::weights::Weights::widen`]: pairs of integers that are four apart.
    fn widen_nibbles(word: u32) -> [u32; 4];

    /// See [`super::weights::Weights::offsets`], for 8 bits.
    fn byte_offset(zero: u32) -> u32;

    /// See [`super::weights::Weights::widen`]: pairs of integers that are two apart.
    fn widen_bytes(word: u32, offset: u32) -> [u32; 2];

    /// `sums + a * b` on the tensor cores: a of 16 rows, b of 8 columns, 16 numbers along k (PTX ISA 9.7.14.5.8 says which lane
    /// holds what). The warp calls it together.
    fn multiply_add(sums: [f32; 4], a: [u32; 4], b: [u32; 2]) -> [f32; 4];
}

macro_rules! multiply_add {
    ($mma:literal) => {
        #[inline(always)]
        fn multiply_add([mut s, mut t, mut u, mut v]: [f32; 4], a: [u32; 4], b: [u32; 2]) -> [f32; 4] {
            // SAFETY: arithmetic. `asm!` is not convergent, but stands in no branch that could copy it; the build counts.
            unsafe {
                asm!(concat!($mma, " {{{0}, {1}, {2}, {3}}}, {{{4}, {5}, {6}, {7}}}, {{{8}, {9}}}, {{{0}, {1}, {2}, {3}}};"),
                     inout(reg32) s, inout(reg32) t, inout(reg32) u, inout(reg32) v, in(reg32) a[0], in(reg32) a[1],
                     in(reg32) a[2], in(reg32) a[3], in(reg32) b[0], in(reg32) b[1], options(nostack));
            }
            [s, t, u, v]
        }
    };
}

const LOW_NIBBLES: u32 = 0x000f_000f;
const HIGH_NIBBLES: u32 = 0x00f0_00f0;
const LOW_BYTES: u32 = 0x00ff_00ff;
/// The sign of a float16.
const MINUS: u32 = 0x8000;
/// The same number twice.
const TWICE: u32 = 0x0001_0001;

impl Multiplier for f16 {
    const UNIT: f32 = 16_777_216.0; // 2^24
    const MINUS_ONE: u32 = (MINUS | 1) * TWICE;
    const NIBBLES_ABOVE: u32 = 0;
    const SUBTRACTS_FROM_BYTES: bool = false;
    const NIBBLES_FAR: f32 = 1.0 / 16.0;

    #[inline(always)]
    fn widen_both((low, high): (u32, u32)) -> [f32; 2] {
        [f16::from_bits(low as u16) as f32, f16::from_bits(high as u16) as f32]
    }

    /// Less the zero; less 16 times the zero.
    #[inline(always)]
    fn nibble_offsets(zero: u32) -> [u32; 2] {
        [(MINUS | zero) * TWICE, (MINUS | zero << 4) * TWICE]
    }

    /// The upper half-bytes come multiplied by 16.
    #[inline(always)]
    fn widen_nibbles(word: u32) -> [u32; 4] {
        let above = word >> 8;
        [
            word & LOW_NIBBLES,
            above & LOW_NIBBLES,
            word & HIGH_NIBBLES,
            above & HIGH_NIBBLES,
        ]
    }

    #[inline(always)]
    fn byte_offset(zero: u32) -> u32 {
        (MINUS | zero) * TWICE
    }

    /// The integers plus 128.
    #[inline(always)]
    fn widen_bytes(word: u32, _: u32) -> [u32; 2] {
        let unsigned = |word: u32| (word & LOW_BYTES) ^ (0x80 * TWICE);
        [unsigned(word), unsigned(word >> 8)]
    }

    multiply_add!("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32");
}

impl Multiplier for BFloat16 {
    const UNIT: f32 = 1.0;
    const MINUS_ONE: u32 = 0xbf80 * TWICE;
    const NIBBLES_ABOVE: u32 = 128;
    const SUBTRACTS_FROM_BYTES: bool = true;
    const NIBBLES_FAR: f32 = 1.0;

    #[inline(always)]
    fn widen_both((low, high): (u32, u32)) -> [f32; 2] {
        [f32::from_bits(low << 16), f32::from_bits(high << 16)]
    }

    /// -(128 + zero).
    #[inline(always)]
    fn nibble_offsets(zero: u32) -> [u32; 2] {
        [(0xc300 | zero) * TWICE; 2]
    }

    #[inline(always)]
    fn widen_nibbles(word: u32) -> [u32; 4] {
        const MAGIC: u32 = 0x4300 * TWICE; // 128
        let one = |word: u32| mask_or(word, LOW_NIBBLES, MAGIC);
        [one(word), one(word >> 8), one(word >> 4), one(word >> 12)]
    }

    /// 2^23 + zero, in float32: bfloat16 has no room for 8 bits beside a leading one.
    #[inline(always)]
    fn byte_offset(zero: u32) -> u32 {
        0x4b00_0000 | zero
    }

    #[inline(always)]
    fn widen_bytes(word: u32, offset: u32) -> [u32; 2] {
        const MAGIC: u32 = 0x4b00_0000;
        let unsigned = word ^ 0x8080_8080;
        let one = |selector: u32| {
            let number = f32::from_bits(permute(unsigned, MAGIC, selector));
            (number - f32::from_bits(offset)).to_bits()
        };
        // Integers up to 255 fit bfloat16: the upper halves are all there is.
        [
            permute(one(0x7540), one(0x7542), 0x7632),
            permute(one(0x7541), one(0x7543), 0x7632),
        ]
    }

    multiply_add!("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32");
}

/// Bytes of `a` (0 to 3) and `b` (4 to 7), as the selector's half-bytes name them, the lowest first.
#[inline(always)]
pub fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let result: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("prmt.b32 {}, {}, {}, {};", out(reg32) result, in(reg32) a, in(reg32) b, in(reg32) selector,
             options(pure, nomem, nostack));
    }
    result
}

/// `a & b | c`, in one instruction, for which ptxas keeps one of two constants in a register.
#[inline(always)]
fn mask_or(a: u32, b: u32, c: u32) -> u32 {
    let result: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("lop3.b32 {}, {}, {}, {}, 0xea;", out(reg32) result, in(reg32) a, in(reg32) b, in(reg32) c,
             options(pure, nomem, nostack));
    }
    result
}
