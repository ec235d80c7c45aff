//! Where results of 8 bits go: an array of them, and one with the scale of each row. How they are rounded is in `quantise.rs`.

use core::marker::PhantomData;

use crate::element::{Element, Wide};
use crate::output::Output;
use crate::quantise::Quantised;
use crate::{global, reciprocal};

/// An array of an 8-bit type, and one with the scale of each row.
#[derive(Clone, Copy)]
pub struct Scaled<Q> {
    y: u64,
    scales: u64,
    /// Address of the scale of all rows, or 0: each has its own.
    given: u64,
    /// 1 over the scale.
    inverse: f32,
    kind: PhantomData<Q>,
}

impl<Q: Quantised> Scaled<Q> {
    /// By the addresses of the results, of the rows' scales, and of a scale for all of them or 0.
    #[inline(always)]
    pub fn new(y: u64, scales: u64, given: u64) -> Self {
        Self {
            y,
            scales,
            given,
            inverse: 0.0,
            kind: PhantomData,
        }
    }

    /// Takes results that go to the places of a vector of `T`.
    ///
    /// # Safety
    /// The vector lies in the row, `skip` allows it.
    #[inline(always)]
    pub unsafe fn put_wide<T: Element>(self, offset: u32, results: T::Wide) {
        let packed = results.pack(Q::pack_four);
        let to = self.y + u64::from(offset / T::BYTES);
        if T::BYTES == 4 {
            // SAFETY: the caller's promise.
            unsafe { global::store_u32(to, packed[0]) };
        } else {
            // SAFETY: the caller's promise.
            unsafe { global::store_v2(to, packed) };
        }
    }
}

impl<T: Element, Q: Quantised> Output<T> for Scaled<Q> {
    const RANGES: bool = true;

    #[inline(always)]
    fn wants_range(self) -> bool {
        self.given == 0
    }

    #[inline(always)]
    fn at(self, bytes: u64) -> Self {
        Self {
            y: self.y + bytes / u64::from(T::BYTES),
            ..self
        }
    }

    #[inline(always)]
    fn ranged(self, row: u32, range: f32, first: bool) -> Self {
        let scale = if self.given == 0 {
            Q::scale(range)
        } else {
            // SAFETY: the one element of the array.
            f32::from_bits(unsafe { global::load_u32(self.given) })
        };
        if first {
            // SAFETY: the row's element.
            unsafe { global::store_u32(self.scales + u64::from(row) * 4, scale.to_bits()) };
        }
        Self {
            inverse: reciprocal(scale),
            ..self
        }
    }

    #[inline(always)]
    fn factor(self) -> f32 {
        self.inverse
    }

    #[inline(always)]
    fn skip(self) -> u64 {
        self.y * u64::from(T::BYTES)
    }

    #[inline(always)]
    unsafe fn put_v4(
        self,
        offset: u32,
        packed: [u32; 4],
        (weights, biases): ([u32; 4], [u32; 4]),
        f: impl Fn(f32, f32, f32) -> f32,
    ) {
        let (numbers, weights, biases) = (T::widen_v4(packed), T::widen_v4(weights), T::widen_v4(biases));
        // SAFETY: the caller's promise.
        unsafe { self.put_wide::<T>(offset, numbers.with_two(weights, biases, f)) };
    }

    #[inline(always)]
    unsafe fn put(self, offset: u32, _: f32, result: f32) {
        let bits = Q::pack(result, 0.0) as u8;
        // SAFETY: the caller's promise.
        unsafe { global::store_u8(self.y + u64::from(offset / T::BYTES), bits) };
    }
}
