//! What threads do with the elements of a stage: apply a function to each and store, or multiply and add per column.

use crate::element::Element;
use crate::{block, fma, global, shared, warp};

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

    /// Long rows are shared by all threads; of short ones, a power of two threads share each. The threads are a power of two.
    #[inline(always)]
    pub fn over_rows(self, items: u32) -> Walk {
        let step = if items >= self.threads {
            self.threads
        } else {
            // The next power of two; `next_power_of_two` would bring a panic along.
            1 << (32 - items.saturating_sub(1).leading_zeros())
        };
        let shift = 31 - step.leading_zeros();
        Walk {
            row: self.thread >> shift,
            row_step: self.threads >> shift,
            item: self.thread & (step - 1),
            item_step: step,
        }
    }
}

/// How threads share the items of rows: this one's first row and item, and the steps to its next ones.
#[derive(Clone, Copy)]
pub struct Walk {
    /// First row.
    pub row: u32,
    /// From a row to the next.
    pub row_step: u32,
    /// First item in each row.
    pub item: u32,
    /// From an item to the next.
    pub item_step: u32,
}

/// Applies `f` to `count` elements in shared memory and stores the results in global memory.
///
/// 16 bytes at a time where both addresses allow it, `DEPTH` of them (4 or 2) under way per thread; element by element
/// otherwise.
///
/// # Safety
/// `from` holds `count` elements that no copy is changing, `to` takes as many, both are multiples of `T::BYTES`.
#[inline(always)]
pub unsafe fn map<T: Element, const DEPTH: u32>(
    from: u32,
    to: u64,
    count: u32,
    share: Share,
    f: impl Fn(f32) -> f32 + Copy,
) {
    let aligned = (u64::from(from) | to) % 16 == 0;
    let vectors = if aligned { count * T::BYTES / 16 } else { 0 };
    // SAFETY: callers of these two stay below `vectors`, so inside both sides.
    let load = |vector: u32| unsafe { shared::load_v4(from + vector * 16) };
    // SAFETY: as above.
    let store = |vector: u32, packed| unsafe { global::store_v4(to + u64::from(vector * 16), T::map_v4(packed, f)) };
    let (mut vector, step) = (share.thread, share.threads);
    while DEPTH == 4 && vector + 3 * step < vectors {
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
    while DEPTH == 2 && vector + step < vectors {
        let (a, b) = (load(vector), load(vector + step));
        store(vector, a);
        store(vector + step, b);
        vector += 2 * step;
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

/// A weight and a bias per column of a row: arrays of the row's element type, of which each may be missing (address 0).
#[derive(Clone, Copy)]
pub struct Affine {
    /// Factors; 1 where missing.
    pub weight: u64,
    /// Summands; 0 where missing.
    pub bias: u64,
}

impl Affine {
    /// Neither.
    pub const NONE: Self = Self { weight: 0, bias: 0 };
    pub(crate) const NO_WEIGHT: f32 = 1.0;
    /// Not +0, which would turn -0 into it.
    pub(crate) const NO_BIAS: f32 = -0.0;

    /// 16 bytes of both; of one that is missing, what changes nothing.
    ///
    /// # Safety
    /// As [`global::load_v4`], `bytes` behind the addresses that are not 0.
    #[inline(always)]
    pub unsafe fn load_v4<T: Element>(self, bytes: u32) -> ([u32; 4], [u32; 4]) {
        let load = |address: u64, missing: f32| {
            if address == 0 {
                [T::splat(missing); 4]
            } else {
                // SAFETY: the caller's promise.
                unsafe { global::load_v4(address + u64::from(bytes)) }
            }
        };
        (load(self.weight, Self::NO_WEIGHT), load(self.bias, Self::NO_BIAS))
    }

    /// One element of both, `bytes` behind their starts; of one that is missing, what changes nothing.
    ///
    /// # Safety
    /// As [`Element::load_global`], at the addresses that are not 0.
    #[inline(always)]
    pub unsafe fn load<T: Element>(self, bytes: u64) -> (f32, f32) {
        let load = |address: u64, missing: f32| {
            if address == 0 {
                missing
            } else {
                // SAFETY: the caller's promise.
                unsafe { T::load_global(address + bytes) }
            }
        };
        (load(self.weight, Self::NO_WEIGHT), load(self.bias, Self::NO_BIAS))
    }

    /// `value * weight + bias`, rounded once. No test of what is there: one per element would cost more than the arithmetic.
    #[inline(always)]
    pub fn apply(value: f32, weight: f32, bias: f32) -> f32 {
        fma(value, weight, bias)
    }
}
