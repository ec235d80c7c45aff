//! Floating-point element types of kernels: arithmetic is in f32, rounded once to the element's type when stored.

use super::{block, global, shared, warp};

/// An element type of an array.
pub trait Element: Sized {
    /// Its size.
    const BYTES: u32;

    /// Applies `f` to each of the elements packed into 16 bytes.
    fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4];

    /// Reads one element.
    ///
    /// # Safety
    /// As [`shared::load_v4`], for an address that is a multiple of `BYTES`.
    unsafe fn load_shared(address: u32) -> f32;

    /// Writes one element.
    ///
    /// # Safety
    /// As [`global::store_v4`], for an address that is a multiple of `BYTES`.
    unsafe fn store_global(address: u64, value: f32);

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

impl Element for f32 {
    const BYTES: u32 = 4;

    #[inline(always)]
    fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4] {
        let [a, b, c, d] = packed;
        let g = |word| f(f32::from_bits(word)).to_bits();
        [g(a), g(b), g(c), g(d)]
    }

    #[inline(always)]
    unsafe fn load_shared(address: u32) -> f32 {
        // SAFETY: the caller's promise.
        f32::from_bits(unsafe { shared::load_u32(address) })
    }

    #[inline(always)]
    unsafe fn store_global(address: u64, value: f32) {
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(address, value.to_bits()) }
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

impl Element for f16 {
    const BYTES: u32 = 2;

    #[inline(always)]
    fn map_v4(packed: [u32; 4], f: impl Fn(f32) -> f32) -> [u32; 4] {
        let half = |bits: u16| f16::from_bits(bits) as f32;
        let round = |value: f32| u32::from((value as f16).to_bits());
        let g = |word: u32| round(f(half(word as u16))) | round(f(half((word >> 16) as u16))) << 16;
        let [a, b, c, d] = packed;
        [g(a), g(b), g(c), g(d)]
    }

    #[inline(always)]
    unsafe fn load_shared(address: u32) -> f32 {
        // SAFETY: the caller's promise.
        f16::from_bits(unsafe { shared::load_u16(address) }) as f32
    }

    #[inline(always)]
    unsafe fn store_global(address: u64, value: f32) {
        // SAFETY: the caller's promise.
        unsafe { global::store_u16(address, (value as f16).to_bits()) }
    }

    #[inline(always)]
    fn bits_of(value: f64) -> u32 {
        u32::from((value as f16).to_bits())
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

#[inline(always)]
unsafe fn store_singly<T: Element>(address: u64, [a, b, c, d]: [u32; 4]) {
    // SAFETY: the caller's promise, for all four; a loop over the array would put it in local memory.
    let store = |number: u64, bits| unsafe { T::store_bits(address + number * u64::from(T::BYTES), bits) };
    store(0, a);
    store(1, b);
    store(2, c);
    store(3, d);
}

/// Some of a group of threads that share work: this one's number, and how many they are.
#[derive(Clone, Copy)]
pub struct Share {
    /// This thread.
    pub thread: u32,
    /// All threads.
    pub threads: u32,
}

impl Share {
    /// This thread's share among `warps` warps from number `first` on.
    #[inline(always)]
    pub fn of_warps(first: u32, warps: u32) -> Self {
        Self {
            thread: block::thread() - first * warp::LANES,
            threads: warps * warp::LANES,
        }
    }
}

/// Applies `f` to `count` elements in shared memory and stores the results in global memory.
///
/// 16 bytes at a time where both addresses allow it, four of them under way per thread; element by element otherwise.
///
/// # Safety
/// `from` holds `count` elements that no copy is changing, `to` takes as many, both are multiples of `T::BYTES`.
#[inline(always)]
pub unsafe fn map<T: Element>(from: u32, to: u64, count: u32, share: Share, f: impl Fn(f32) -> f32 + Copy) {
    let aligned = (u64::from(from) | to) % 16 == 0;
    let vectors = if aligned { count * T::BYTES / 16 } else { 0 };
    // SAFETY: callers of these two stay below `vectors`, so inside both sides.
    let load = |vector: u32| unsafe { shared::load_v4(from + vector * 16) };
    // SAFETY: as above.
    let store = |vector: u32, packed| unsafe { global::store_v4(to + u64::from(vector * 16), T::map_v4(packed, f)) };
    let (mut vector, step) = (share.thread, share.threads);
    while vector + 3 * step < vectors {
        let (a, b, c, d) = (
            load(vector),
            load(vector + step),
            load(vector + 2 * step),
            load(vector + 3 * step),
        );
        store(vector, a);
        store(vector + step, b);
        store(vector + 2 * step, c);
        store(vector + 3 * step, d);
        vector += 4 * step;
    }
    while vector < vectors {
        store(vector, load(vector));
        vector += step;
    }
    let mut index = vectors * 16 / T::BYTES + share.thread;
    while index < count {
        // SAFETY: below `count`, so inside both.
        let value = unsafe { T::load_shared(from + index * T::BYTES) };
        // SAFETY: as above.
        unsafe { T::store_global(to + u64::from(index * T::BYTES), f(value)) };
        index += share.threads;
    }
}
