//! Floating-point element types of kernels: arithmetic is in f32, rounded once to the element's type when stored.

use crate::{global, shared};

mod half;
mod wide;

pub use half::BFloat16;
pub use wide::Wide;

/// An element type of an array.
pub trait Element: Copy {
    /// Its size.
    const BYTES: u32;
    /// The elements packed into 16 bytes, as f32.
    type Wide: Wide;

    /// A word of elements that all have this value, which the type can hold.
    fn splat(value: f32) -> u32;

    /// The elements packed into 16 bytes, as f32.
    fn widen_v4(packed: [u32; 4]) -> Self::Wide;

    /// The sums of the elements at the same place, rounded once.
    fn add_v4(a: [u32; 4], b: [u32; 4]) -> [u32; 4];

    /// Applies `f` to each of the elements packed into 16 bytes.
    fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4];

    /// Applies `f` to each element and the two at its place in `weights` and `biases`.
    fn map3_v4(packed: [u32; 4], weights: [u32; 4], biases: [u32; 4], f: impl Fn(f32, f32, f32) -> f32) -> [u32; 4];

    /// Goes over each element and the two at its place in `weights` and `biases`, first to last.
    fn fold3_v4<A>(
        packed: [u32; 4],
        weights: [u32; 4],
        biases: [u32; 4],
        start: A,
        f: impl Fn(A, f32, f32, f32) -> A,
    ) -> A;

    /// Goes over the elements packed into 16 bytes, first to last.
    fn fold_v4<A>(packed: [u32; 4], start: A, f: impl Fn(A, f32) -> A) -> A;

    /// Reads one element.
    ///
    /// # Safety
    /// As [`shared::load_v4`], for an address that is a multiple of `BYTES`.
    unsafe fn load_shared(address: u32) -> f32;

    /// Reads one element that nobody writes during the launch.
    ///
    /// # Safety
    /// As [`global::load_u32`], for an address that is a multiple of `BYTES`.
    unsafe fn load_global(address: u64) -> f32;

    /// Writes one element.
    ///
    /// # Safety
    /// As [`global::store_v4`], for an address that is a multiple of `BYTES`.
    unsafe fn store_global(address: u64, value: f32);

    /// The element that is nearest.
    fn rounded(value: f32) -> f32;

    /// Writes four neighbouring elements; in one go where the address is a multiple of their size.
    ///
    /// # Safety
    /// As `store_global`, for four elements.
    unsafe fn store_four(address: u64, values: [f32; 4]);

    /// Rounds once; the element's bits, in the low bits of a word.
    fn bits_of(value: f64) -> u32;

    /// Writes one element given as bits.
    ///
    /// # Safety
    /// As `store_global`.
    unsafe fn store_bits(address: u64, bits: u32);

    /// Writes four neighbouring elements given as bits; in one go where the address is a multiple of their size.
    ///
    /// # Safety
    /// As `store_global`, for four elements.
    unsafe fn store4(address: u64, bits: [u32; 4]);
}

/// An element type that the matrix units take, whose products are exact there.
pub trait Multiplied: Element<Wide = [f32; 8]> {
    /// As [`Element::widen_v4`], but widened where it is needed: LLVM would keep what it has, for the next time.
    fn widen_anew(packed: [u32; 4]) -> [f32; 8];

    /// Adds the elements of all the warp's lanes, 16 bytes each, to a tile of 16 by 8 of which a lane keeps four numbers: squares on
    /// the upper half's diagonal, sums below. `held_moments.rs` takes them out. The warp calls it together.
    fn moments(packed: [u32; 4], tile: [f32; 4]) -> [f32; 4];
}

impl Element for f32 {
    const BYTES: u32 = 4;
    type Wide = [f32; 4];

    #[inline(always)]
    fn widen_v4([a, b, c, d]: [u32; 4]) -> [f32; 4] {
        [
            f32::from_bits(a),
            f32::from_bits(b),
            f32::from_bits(c),
            f32::from_bits(d),
        ]
    }

    #[inline(always)]
    fn add_v4(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        Self::map3_v4(a, b, b, |a, b, _| a + b)
    }

    #[inline(always)]
    fn splat(value: f32) -> u32 {
        value.to_bits()
    }

    #[inline(always)]
    fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4] {
        let [a, b, c, d] = packed;
        let g = |word| f(f32::from_bits(word)).to_bits();
        [g(a), g(b), g(c), g(d)]
    }

    #[inline(always)]
    fn map3_v4(packed: [u32; 4], weights: [u32; 4], biases: [u32; 4], f: impl Fn(f32, f32, f32) -> f32) -> [u32; 4] {
        let ([x0, x1, x2, x3], [w0, w1, w2, w3], [b0, b1, b2, b3]) = (packed, weights, biases);
        let g = |x, w, b| f(f32::from_bits(x), f32::from_bits(w), f32::from_bits(b)).to_bits();
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
        let g = |sum, x, w, b| f(sum, f32::from_bits(x), f32::from_bits(w), f32::from_bits(b));
        g(g(g(g(start, x0, w0, b0), x1, w1, b1), x2, w2, b2), x3, w3, b3)
    }

    #[inline(always)]
    fn fold_v4<A>(packed: [u32; 4], start: A, f: impl Fn(A, f32) -> A) -> A {
        let [a, b, c, d] = packed;
        let g = |sum, word| f(sum, f32::from_bits(word));
        g(g(g(g(start, a), b), c), d)
    }

    #[inline(always)]
    unsafe fn load_shared(address: u32) -> f32 {
        // SAFETY: the caller's promise.
        f32::from_bits(unsafe { shared::load_u32(address) })
    }

    #[inline(always)]
    unsafe fn load_global(address: u64) -> f32 {
        // SAFETY: the caller's promise.
        f32::from_bits(unsafe { global::load_u32(address) })
    }

    #[inline(always)]
    unsafe fn store_global(address: u64, value: f32) {
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(address, value.to_bits()) }
    }

    #[inline(always)]
    fn rounded(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    unsafe fn store_four(address: u64, [a, b, c, d]: [f32; 4]) {
        // SAFETY: the caller's promise.
        unsafe { Self::store4(address, [a.to_bits(), b.to_bits(), c.to_bits(), d.to_bits()]) }
    }

    #[inline(always)]
    fn bits_of(value: f64) -> u32 {
        (value as f32).to_bits()
    }

    #[inline(always)]
    unsafe fn store_bits(address: u64, bits: u32) {
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(address, bits) }
    }

    #[inline(always)]
    unsafe fn store4(address: u64, bits: [u32; 4]) {
        if address % 16 == 0 {
            // SAFETY: the caller's promise, and the test above.
            unsafe { global::store_v4(address, bits) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { store_singly::<Self>(address, bits) }
        }
    }
}

#[inline(always)]
unsafe fn store_singly<T: Element>(address: u64, [a, b, c, d]: [u32; 4]) {
    // SAFETY: the caller's promise, for all four; a loop over the array would put it in local memory.
    let store = |number: u64, bits| unsafe { T::store_bits(address + number * u64::from(T::BYTES), bits) };
    store(0, a);
    store(1, b);
    store(2, c);
    store(3, d);
}
