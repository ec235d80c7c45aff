//! A warp's part of a row in registers: read once, from shared memory, and then worked on until it is stored. What several warps
//! have to agree on meanwhile is in `held_rows.rs`.
//!
//! Each lane has eight vectors, 32 lanes apart, all of them: parts that are not whole stay in shared memory.

use crate::element::{Element, Multiplied, Wide};
use crate::output::Scaled;
use crate::quantise::Quantised;
use crate::row::{Elements, VECTOR};
use crate::tile::Affine;
use crate::{fma, global, magnitude_of, maximum_of, warp};

/// Vectors of a lane.
const VECTORS: u32 = 8;
/// From one of a lane's vectors to the next.
const WARP: u32 = warp::LANES * VECTOR;
/// Bytes of a part.
pub const PART: u32 = VECTORS * WARP;

/// This lane's numbers of a part.
#[derive(Clone, Copy)]
pub struct Held<T: Element>([T::Wide; VECTORS as usize]);

impl<T: Element> Held<T> {
    #[inline(always)]
    fn of(vector: impl Fn(u32) -> T::Wide) -> Self {
        let at = |number: u32| vector(number * WARP);
        Self([at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)])
    }

    /// `f` of each vector and its offset behind this lane's first.
    #[inline(always)]
    fn map(self, f: impl Fn(u32, T::Wide) -> T::Wide) -> Self {
        let [p, q, r, s, t, u, v, w] = self.0;
        let g = |number: u32, wide| f(number * WARP, wide);
        Self([g(0, p), g(1, q), g(2, r), g(3, s), g(4, t), g(5, u), g(6, v), g(7, w)])
    }

    /// What `of` finds of each vector, brought together by pairs.
    #[inline(always)]
    fn reduce(self, of: impl Fn(T::Wide) -> f32, both: impl Fn(f32, f32) -> f32) -> f32 {
        let [p, q, r, s, t, u, v, w] = self.0;
        let (low, high) = (
            both(both(of(p), of(q)), both(of(r), of(s))),
            both(both(of(t), of(u)), both(of(v), of(w))),
        );
        both(low, high)
    }

    /// Reads them, this lane's first vector being at `offset`; if `copy` is not 0, writes them there, too, the first to that address.
    ///
    /// # Safety
    /// The part lies in the row, whose stages are filled, and in the array of `copy`; both allow vectors.
    #[inline(always)]
    pub unsafe fn read(row: impl Elements<T>, copy: u64, offset: u32) -> Self {
        Self::of(|behind| {
            // SAFETY: the caller's promise.
            let packed = unsafe { row.load_v4(offset + behind) };
            if copy != 0 {
                // SAFETY: as above.
                unsafe { global::store_v4(copy + u64::from(behind), packed) };
            }
            T::widen_v4(packed)
        })
    }

    /// As `read`, and what the matrix units make of all vectors: see [`Multiplied`].
    ///
    /// # Safety
    /// As `read`.
    #[inline(always)]
    pub unsafe fn read_and_multiply(row: impl Elements<T>, copy: u64, offset: u32) -> (Self, [f32; 4])
    where
        T: Multiplied,
    {
        let load = |number: u32| {
            // SAFETY: the caller's promise.
            let packed = unsafe { row.load_v4(offset + number * WARP) };
            if copy != 0 {
                // SAFETY: as above.
                unsafe { global::store_v4(copy + u64::from(number * WARP), packed) };
            }
            packed
        };
        let [p, q, r, s] = [load(0), load(1), load(2), load(3)];
        let [t, u, v, w] = [load(4), load(5), load(6), load(7)];
        // Two chains: each product waits for the one before it.
        let chain = |a, b, c, d| T::moments(d, T::moments(c, T::moments(b, T::moments(a, [0.0; 4]))));
        let ([a, b, c, d], [e, f, g, h]) = (chain(p, q, r, s), chain(t, u, v, w));
        let wide = T::widen_v4;
        let held = Self([wide(p), wide(q), wide(r), wide(s), wide(t), wide(u), wide(v), wide(w)]);
        (held, [a + e, b + f, c + g, d + h])
    }

    /// The sum of this lane's numbers.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        self.reduce(|wide| wide.fold(-0.0, |sum, x| sum + x), |a, b| a + b)
    }

    /// The sum of their squares.
    #[inline(always)]
    pub fn squares(self) -> f32 {
        self.reduce(|wide| wide.fold(0.0, |sum, x| fma(x, x, sum)), |a, b| a + b)
    }

    /// The largest magnitude; NaN if one is.
    #[inline(always)]
    pub fn range(self) -> f32 {
        self.reduce(|wide| wide.fold(0.0, magnitude_of), maximum_of)
    }

    /// Each times its column's weight, that of the first vector being at `weight`.
    ///
    /// # Safety
    /// The part lies in the array, which allows vectors.
    #[inline(always)]
    pub unsafe fn times(self, weight: u64) -> Self {
        self.map(|behind, wide| {
            // SAFETY: the caller's promise.
            let weights = unsafe { global::load_v4(weight + u64::from(behind)) };
            wide.with(T::widen_v4(weights), |x, w| x * w)
        })
    }

    /// How far they are from `mean`.
    #[inline(always)]
    pub fn from_mean(self, mean: f32) -> Self {
        self.map(|_, wide| wide.map(|x| x - mean))
    }

    /// The sum of the squares; and each times its column's weight, that of the first vector being at `weight`.
    ///
    /// # Safety
    /// The part lies in the array, which allows vectors.
    #[inline(always)]
    pub unsafe fn weighted(self, weight: u64) -> (f32, Self) {
        // SAFETY: the caller's promise.
        let load = |number: u32| unsafe { global::load_v4(weight + u64::from(number * WARP)) };
        // The first half is asked for before all that does not need it.
        let early = [load(0), load(1), load(2), load(3)];
        let squares = self.squares();
        let [p, q, r, s, t, u, v, w] = self.0;
        let by = |wide: T::Wide, weights: [u32; 4]| wide.with(T::widen_v4(weights), |x, w| x * w);
        let [a, b, c, d] = early;
        let late = [load(4), load(5), load(6), load(7)];
        let low = [by(p, a), by(q, b), by(r, c), by(s, d)];
        let [e, f, g, h] = late;
        let ([a, b, c, d], [e, f, g, h]) = (low, [by(t, e), by(u, f), by(v, g), by(w, h)]);
        (squares, Self([a, b, c, d, e, f, g, h]))
    }

    /// Each times `factor`, times its column's weight if there is one, and its bias added; those of the first vector are at the addresses.
    ///
    /// # Safety
    /// The part lies in the arrays, which allow vectors; biases are there.
    #[inline(always)]
    pub unsafe fn through(self, factor: f32, affine: Affine) -> Self {
        // SAFETY: the caller's promise.
        let column = |array: u64, behind: u32| T::widen_v4(unsafe { global::load_v4(array + u64::from(behind)) });
        let scaled = self.map(|_, wide| wide.map(|x| x * factor));
        if affine.weight == 0 {
            return scaled.map(|behind, wide| wide.with(column(affine.bias, behind), |x, b| x + b));
        }
        scaled.map(|behind, wide| {
            let (weights, biases) = (column(affine.weight, behind), column(affine.bias, behind));
            wide.with_two(weights, biases, fma)
        })
    }

    /// Rounds each times `factor` to its place in `output`, which is at the first vector.
    ///
    /// # Safety
    /// The part lies in the array, which allows vectors.
    #[inline(always)]
    pub unsafe fn put<Q: Quantised>(self, output: Scaled<Q>, factor: f32) {
        self.map(|behind, wide| {
            // SAFETY: the caller's promise.
            unsafe { output.put_wide::<T>(behind, wide.map(|x| x * factor)) };
            wide
        });
    }
}
