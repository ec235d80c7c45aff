//! Weights of 4 and of 8 bits: how the lanes of a warp read them, which numbers of x go with them, and in what order.
//!
//! What they become for the tensor cores depends on the type of x: see `multiplier.rs`.

use warpbridge_runtime::{shared, warp};

use super::multiplier::{Multiplier, permute};

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

    /// The integers in pairs as `T` multiplies them; `offsets` are those of `T` for the zero.
    fn widen<T: Multiplier>(integers: [u32; 2], offsets: [u32; 2]) -> [u32; 4];

    /// Whether `widen` takes off the zero: see [`Multiplier::SUBTRACTS_FROM_BYTES`].
    fn subtracts<T: Multiplier>() -> bool;

    /// What `widen` adds to the integers.
    fn above<T: Multiplier>() -> u32;

    /// What is to be taken off for a zero.
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2];

    /// What products with the last two pairs of `widen` are to be multiplied by.
    fn far<T: Multiplier>() -> f32;

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
    fn widen<T: Multiplier>([word, _]: [u32; 2], _: [u32; 2]) -> [u32; 4] {
        T::widen_nibbles(word)
    }

    #[inline(always)]
    fn subtracts<T: Multiplier>() -> bool {
        false
    }

    #[inline(always)]
    fn above<T: Multiplier>() -> u32 {
        T::NIBBLES_ABOVE
    }

    #[inline(always)]
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2] {
        T::nibble_offsets(zero)
    }

    #[inline(always)]
    fn far<T: Multiplier>() -> f32 {
        T::NIBBLES_FAR
    }

    /// Pairs are four apart: a mask takes them out of a word together. First those of half-bytes 0 and 2.
    #[inline(always)]
    fn arrange([a, b, c, d]: [u32; 4]) -> [u32; 4] {
        const LOW: u32 = 0x5410;
        const HIGH: u32 = 0x7632;
        [
            permute(a, c, LOW),
            permute(b, d, LOW),
            permute(a, c, HIGH),
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
    fn subtracts<T: Multiplier>() -> bool {
        T::SUBTRACTS_FROM_BYTES
    }

    #[inline(always)]
    fn above<T: Multiplier>() -> u32 {
        0
    }

    #[inline(always)]
    fn offsets<T: Multiplier>(zero: u32) -> [u32; 2] {
        [T::byte_offset(zero); 2]
    }

    #[inline(always)]
    fn far<T: Multiplier>() -> f32 {
        1.0
    }

    /// Pairs are two apart.
    #[inline(always)]
    fn arrange([a, b, c, d]: [u32; 4]) -> [u32; 4] {
        const LOW: u32 = 0x5410;
        const HIGH: u32 = 0x7632;
        [
            permute(a, b, LOW),
            permute(a, b, HIGH),
            permute(c, d, LOW),
            permute(c, d, HIGH),
        ]
    }
}
