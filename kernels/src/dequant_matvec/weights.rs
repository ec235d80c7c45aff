//! Weights of 4 and of 8 bits: how lanes read them, and how they become exact floating-point numbers for the tensor cores.
//!
//! The integer is put into the last bits of a number whose unit in the last place is 1 (float16: 1024 and more; bfloat16: 128 and
//! more; float32: 2^23 and more); subtracting that number and the zero leaves the integer, exactly.

use core::arch::asm;

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::{shared, warp};

/// How integers are stored. A unit has 64 bytes of a row, 16 per lane of four.
pub trait Weights {
    /// Integers in a byte.
    const PER_BYTE: u32;
    /// Eights that a lane has of a unit, and steps of a unit.
    const EIGHTS: u32 = 2 * Self::PER_BYTE;
    /// What a zero's bits are changed in, to be the zero of the unsigned integer that is read.
    const ZERO_FLIP: u32;
    /// The largest such zero.
    const ZERO_MOST: u32;
    /// The largest zero there may be in memory.
    const LARGEST: u32 = if Self::ZERO_FLIP == 0 { Self::ZERO_MOST } else { 255 };
    /// Such a zero where none is given.
    const ZERO: u32;

    /// Whether the numbers of a unit are in one group, of 2 to the power of `group_shift` steps.
    #[inline(always)]
    fn is_near(group_shift: u32) -> bool {
        group_shift >= Self::PER_BYTE // 1 or 2, the logarithm of EIGHTS
    }

    /// What `load` gives for each eight of a unit; zeros for those that there are not.
    #[inline(always)]
    fn each_eight(load: impl Fn(u32) -> [u32; 4]) -> [[u32; 4]; 4] {
        if Self::EIGHTS == 4 {
            [load(0), load(1), load(2), load(3)]
        } else {
            [load(0), load(1), [0; 4], [0; 4]]
        }
    }

    /// This lane's 16 bytes of the unit that is `unit` bytes behind `row`: neighbours if `is_near`, otherwise a quarter of each
    /// step. Those behind `bytes`, the row's end, are replaced by the last there are.
    ///
    /// # Safety
    /// As [`shared::load_v4`], for the row's address.
    unsafe fn load(row: u32, unit: u32, bytes: u32, is_near: bool) -> [u32; 4];

    /// An eight of what `load` gave.
    fn eight(loaded: [u32; 4], number: usize) -> [u32; 2];

    /// The numbers less their zero, in pairs; `offsets` are those of `T` for the zero.
    fn widen<T: Multiplier>(integers: [u32; 2], offsets: [u32; 2]) -> [u32; 4];

    /// What `widen` wants to know of a zero.
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2];

    /// Eight numbers of x, in the pairs of `widen`.
    fn arrange(numbers: [u32; 4]) -> [u32; 4];
}

/// This lane's 16 bytes where a lane's are neighbours.
///
/// # Safety
/// As [`Weights::load`].
#[inline(always)]
unsafe fn load_near(row: u32, unit: u32, bytes: u32) -> [u32; 4] {
    let at = (unit + warp::lane() % 4 * 16).min(bytes - 16);
    // SAFETY: the caller's promise.
    unsafe { shared::load_v4(row + at) }
}

/// Two integers per byte, the one with the smaller k in the low half.
pub struct Nibbles;

/// One integer per byte, two's complement.
pub struct Bytes;

impl Weights for Nibbles {
    const PER_BYTE: u32 = 2;
    const ZERO_FLIP: u32 = 0;
    const ZERO_MOST: u32 = 15;
    const ZERO: u32 = 8;

    #[inline(always)]
    unsafe fn load(row: u32, unit: u32, bytes: u32, is_near: bool) -> [u32; 4] {
        if is_near {
            // SAFETY: the caller's promise.
            return unsafe { load_near(row, unit, bytes) };
        }
        let word = |step: u32| {
            let at = (unit + step * 16).min(bytes - 16) + warp::lane() % 4 * 4;
            // SAFETY: the caller's promise.
            unsafe { shared::load_u32(row + at) }
        };
        [word(0), word(1), word(2), word(3)]
    }

    #[inline(always)]
    fn eight(loaded: [u32; 4], number: usize) -> [u32; 2] {
        [loaded[number], 0]
    }

    #[inline(always)]
    fn widen<T: Multiplier>([word, _]: [u32; 2], offsets: [u32; 2]) -> [u32; 4] {
        T::widen_nibbles(word, offsets)
    }

    #[inline(always)]
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2] {
        T::nibble_offsets(zero)
    }

    /// Pairs are four apart: a mask takes them out of a word together.
    #[inline(always)]
    fn arrange([a, b, c, d]: [u32; 4]) -> [u32; 4] {
        const LOW: u32 = 0x5410;
        const HIGH: u32 = 0x7632;
        [
            permute(a, c, LOW),
            permute(a, c, HIGH),
            permute(b, d, LOW),
            permute(b, d, HIGH),
        ]
    }
}

impl Weights for Bytes {
    const PER_BYTE: u32 = 1;
    const ZERO_FLIP: u32 = 0x80;
    const ZERO_MOST: u32 = 255;
    const ZERO: u32 = 128;

    #[inline(always)]
    unsafe fn load(row: u32, unit: u32, bytes: u32, is_near: bool) -> [u32; 4] {
        if is_near {
            // SAFETY: the caller's promise.
            return unsafe { load_near(row, unit, bytes) };
        }
        let words = |step: u32| {
            let at = (unit + step * 32).min(bytes - 32) + warp::lane() % 4 * 8;
            // SAFETY: the caller's promise.
            unsafe { shared::load_v2(row + at) }
        };
        let ([a, b], [c, d]) = (words(0), words(1));
        [a, b, c, d]
    }

    #[inline(always)]
    fn eight(loaded: [u32; 4], number: usize) -> [u32; 2] {
        [loaded[2 * number], loaded[2 * number + 1]]
    }

    #[inline(always)]
    fn widen<T: Multiplier>([a, b]: [u32; 2], offsets: [u32; 2]) -> [u32; 4] {
        let ([p, q], [r, s]) = (T::widen_bytes(a, offsets[0]), T::widen_bytes(b, offsets[0]));
        [p, q, r, s]
    }

    #[inline(always)]
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2] {
        [T::byte_offset(zero), 0]
    }

    #[inline(always)]
    fn arrange(numbers: [u32; 4]) -> [u32; 4] {
        numbers
    }
}

/// A type of x that tensor cores multiply.
pub trait Multiplier: Element {
    /// Scales, given as they are in memory.
    fn widen_both(bits: (u32, u32)) -> [f32; 2];

    /// See [`Weights::offsets`], for 4 bits.
    fn nibble_offsets(zero: u32) -> [u32; 2];

    /// See [`Weights::widen`]: pairs of integers that are four apart.
    fn widen_nibbles(word: u32, offsets: [u32; 2]) -> [u32; 4];

    /// See [`Weights::offsets`], for 8 bits.
    fn byte_offset(zero: u32) -> u32;

    /// See [`Weights::widen`]: pairs of neighbours.
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
/// The same number twice.
const TWICE: u32 = 0x0001_0001;

impl Multiplier for f16 {
    #[inline(always)]
    fn widen_both((low, high): (u32, u32)) -> [f32; 2] {
        [f16::from_bits(low as u16) as f32, f16::from_bits(high as u16) as f32]
    }

    /// 1024 + zero; -(64 + zero), for integers that come multiplied by 16.
    #[inline(always)]
    fn nibble_offsets(zero: u32) -> [u32; 2] {
        [(0x6400 | zero) * TWICE, (0xd400 | zero << 4) * TWICE]
    }

    #[inline(always)]
    fn widen_nibbles(word: u32, [low, high]: [u32; 2]) -> [u32; 4] {
        const MAGIC: u32 = 0x6400 * TWICE; // 1024
        const SIXTEENTH: u32 = 0x2c00 * TWICE;
        let near = |word: u32| subtract_f16(mask_or(word, LOW_NIBBLES, MAGIC), low);
        let far = |word: u32| fma_f16(mask_or(word, HIGH_NIBBLES, MAGIC), SIXTEENTH, high);
        [near(word), far(word), near(word >> 8), far(word >> 8)]
    }

    /// 1024 + zero.
    #[inline(always)]
    fn byte_offset(zero: u32) -> u32 {
        (0x6400 | zero) * TWICE
    }

    #[inline(always)]
    fn widen_bytes(word: u32, offset: u32) -> [u32; 2] {
        const MAGIC: u32 = 0x6464_6464;
        let unsigned = word ^ 0x8080_8080;
        [
            subtract_f16(permute(unsigned, MAGIC, 0x4140), offset),
            subtract_f16(permute(unsigned, MAGIC, 0x4342), offset),
        ]
    }

    multiply_add!("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32");
}

impl Multiplier for BFloat16 {
    #[inline(always)]
    fn widen_both((low, high): (u32, u32)) -> [f32; 2] {
        [f32::from_bits(low << 16), f32::from_bits(high << 16)]
    }

    /// -(128 + zero).
    #[inline(always)]
    fn nibble_offsets(zero: u32) -> [u32; 2] {
        [(0xc300 | zero) * TWICE, 0]
    }

    #[inline(always)]
    fn widen_nibbles(word: u32, [offset, _]: [u32; 2]) -> [u32; 4] {
        const MAGIC: u32 = 0x4300 * TWICE; // 128
        let one = |word: u32| add_bf16(mask_or(word, LOW_NIBBLES, MAGIC), offset);
        [one(word), one(word >> 4), one(word >> 8), one(word >> 12)]
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
            permute(one(0x7540), one(0x7541), 0x7632),
            permute(one(0x7542), one(0x7543), 0x7632),
        ]
    }

    multiply_add!("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32");
}

/// Bytes of `a` (0 to 3) and `b` (4 to 7), as the selector's half-bytes name them, the lowest first.
#[inline(always)]
fn permute(a: u32, b: u32, selector: u32) -> u32 {
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

#[inline(always)]
fn subtract_f16(a: u32, b: u32) -> u32 {
    let result: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("sub.rn.f16x2 {}, {}, {};", out(reg32) result, in(reg32) a, in(reg32) b, options(pure, nomem, nostack));
    }
    result
}

#[inline(always)]
fn fma_f16(a: u32, b: u32, c: u32) -> u32 {
    let result: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("fma.rn.f16x2 {}, {}, {}, {};", out(reg32) result, in(reg32) a, in(reg32) b, in(reg32) c,
             options(pure, nomem, nostack));
    }
    result
}

/// A multiplication by 1 and an addition: sm_80 has no other addition of bfloat16.
#[inline(always)]
fn add_bf16(a: u32, b: u32) -> u32 {
    const ONE: u32 = 0x3f80 * TWICE;
    let result: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("fma.rn.bf16x2 {}, {}, {}, {};", out(reg32) result, in(reg32) a, in(reg32) ONE, in(reg32) b,
             options(pure, nomem, nostack));
    }
    result
}
