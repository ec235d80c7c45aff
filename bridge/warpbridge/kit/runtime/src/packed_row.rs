//! A warp's part of a row of a 16-bit type in registers, as it was read: twice as many numbers as `held_row.rs` has room for, which are
//! widened anew for each step. What several warps have to agree on meanwhile is in `packed_rows.rs`.
//!
//! Each lane has sixteen vectors, 32 lanes apart, all of them: parts that are not whole stay in shared memory.

use crate::element::Multiplied;
use crate::row::{Elements, VECTOR};
use crate::{fma, warp};

/// Vectors of a lane.
const VECTORS: u32 = 16;
/// From one of a lane's vectors to the next.
const WARP: u32 = warp::LANES * VECTOR;
/// Bytes of a part.
pub const PART: u32 = VECTORS * WARP;

/// This lane's numbers of a part.
#[derive(Clone, Copy)]
pub struct Packed([[u32; 4]; VECTORS as usize]);

impl Packed {
    /// Reads them, this lane's first vector being at `offset`; and what the matrix units make of all vectors: see [`Multiplied`].
    ///
    /// # Safety
    /// The part lies in the row, whose stages are filled, and which allows vectors.
    #[inline(always)]
    pub unsafe fn read<T: Multiplied>(row: impl Elements<T>, offset: u32) -> (Self, [f32; 4]) {
        // SAFETY: the caller's promise.
        let load = |number: u32| unsafe { row.load_v4(offset + number * WARP) };
        let [a, b, c, d] = [load(0), load(1), load(2), load(3)];
        let [e, f, g, h] = [load(4), load(5), load(6), load(7)];
        let [i, j, k, l] = [load(8), load(9), load(10), load(11)];
        let [m, n, o, p] = [load(12), load(13), load(14), load(15)];
        // Four chains: each product waits for the one before it.
        let four = |tiles: [[f32; 4]; 4], vectors: [[u32; 4]; 4]| {
            let ([p, q, r, s], [a, b, c, d]) = (tiles, vectors);
            [T::moments(a, p), T::moments(b, q), T::moments(c, r), T::moments(d, s)]
        };
        let tiles = four(four([[0.0; 4]; 4], [a, b, c, d]), [e, f, g, h]);
        let [t, u, v, w] = four(four(tiles, [i, j, k, l]), [m, n, o, p]);
        let sum = |place: usize| (t[place] + u[place]) + (v[place] + w[place]);
        let packed = Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]);
        (packed, [sum(0), sum(1), sum(2), sum(3)])
    }

    /// Goes over the vectors, widened, with their offsets behind this lane's first and what `load` gives for those, two vectors ahead.
    #[inline(always)]
    pub fn fold<T: Multiplied, A, L>(
        self,
        load: impl Fn(u32) -> L,
        sum: A,
        add: impl Fn(A, u32, [f32; 8], L) -> A,
    ) -> A {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.0;
        let get = |number: u32| load(number * WARP);
        let put = |sum: A, number: u32, packed, other: L| add(sum, number * WARP, T::widen_anew(packed), other);
        let (even, odd) = (get(0), get(1));
        let (sum, even) = (put(sum, 0, a, even), get(2));
        let (sum, odd) = (put(sum, 1, b, odd), get(3));
        let (sum, even) = (put(sum, 2, c, even), get(4));
        let (sum, odd) = (put(sum, 3, d, odd), get(5));
        let (sum, even) = (put(sum, 4, e, even), get(6));
        let (sum, odd) = (put(sum, 5, f, odd), get(7));
        let (sum, even) = (put(sum, 6, g, even), get(8));
        let (sum, odd) = (put(sum, 7, h, odd), get(9));
        let (sum, even) = (put(sum, 8, i, even), get(10));
        let (sum, odd) = (put(sum, 9, j, odd), get(11));
        let (sum, even) = (put(sum, 10, k, even), get(12));
        let (sum, odd) = (put(sum, 11, l, odd), get(13));
        let (sum, even) = (put(sum, 12, m, even), get(14));
        let (sum, odd) = (put(sum, 13, n, odd), get(15));
        put(put(sum, 14, o, even), 15, p, odd)
    }

    /// The sum of the squares of how far they are from `mean`.
    #[inline(always)]
    pub fn squares<T: Multiplied>(self, mean: f32) -> f32 {
        self.fold::<T, _, _>(
            |_| (),
            0.0,
            |sum, _, wide, ()| {
                let [a, b, c, d, e, f, g, h] = wide.map(|x| x - mean);
                let even = fma(a, a, fma(c, c, fma(e, e, fma(g, g, sum))));
                even + fma(b, b, fma(d, d, fma(f, f, h * h)))
            },
        )
    }
}
