//! A warp's part of a row on its way through layer normalisation: in registers, packed, if it is whole and vectors may be read and
//! written, else in its stage, which is gone over once per step.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use crate::element::{Multiplied, Wide};
use crate::held_moments::Sums;
use crate::held_part::{Around, Arrays, own_share};
use crate::output::{Output, map_row_by, range_row};
use crate::packed_row::{PART, Packed};
use crate::quantise::Quantised;
use crate::row::{Elements, Span, Summary, VECTOR, summarise};
use crate::tile::Affine;
use crate::{anew, fma, global, lanes, magnitude_of, maximum_of, warp};

/// See the module.
#[derive(Clone, Copy)]
pub struct PackedPart<T, R, Q> {
    row: R,
    span: Span,
    arrays: Arrays<Q>,
    /// Offset of this lane's first vector.
    first: u32,
    /// Initialised if `is_held`.
    packed: MaybeUninit<Packed>,
    /// What the matrix units made of it, if `is_held`.
    tile: [f32; 4],
    is_held: bool,
    /// The mean of the row.
    pub mean: f32,
    /// 1 over the root.
    root: f32,
    element: PhantomData<T>,
}

impl<T: Multiplied, R: Elements<T>, Q: Quantised> PackedPart<T, R, Q> {
    /// Reads it.
    ///
    /// # Safety
    /// The span lies in the row, and its stage is filled until it is given back: not before the end, but for what is held. The row lies
    /// in the arrays that are there.
    #[inline(always)]
    pub unsafe fn new(row: R, span: Span, arrays: Arrays<Q>) -> Self {
        let Affine { weight, bias } = arrays.affine;
        let addresses = u64::from(row.skip()) | Output::<T>::skip(arrays.output) | weight | bias;
        let is_whole = span.end - span.begin == PART;
        let mut part = Self {
            row,
            span,
            arrays,
            // Anew for each row: LLVM would keep a register for the place of each vector.
            first: anew(span.begin + warp::lane() * VECTOR),
            packed: MaybeUninit::uninit(),
            tile: [0.0; 4],
            // A bias alone is rare.
            is_held: addresses % u64::from(VECTOR) == 0 && is_whole && (weight != 0 || bias == 0),
            mean: 0.0,
            root: 1.0,
            element: PhantomData,
        };
        if part.is_held {
            // SAFETY: the caller's promise.
            let (packed, tile) = unsafe { Packed::read(row, part.first) };
            part.packed.write(packed);
            part.tile = tile;
        }
        part
    }

    /// Whether it is in registers, so that its stage may be given back.
    #[inline(always)]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// The warp's sum and sum of squares.
    #[inline(always)]
    pub fn sums(&self) -> (f32, f32) {
        if self.is_held {
            return Sums::of_warp(self.tile);
        }
        // SAFETY: the promise made to `new`.
        let sums: Sums = unsafe { summarise::<T, _>(self.row, self.span, own_share(), Summary::EMPTY) };
        (lanes::sum(sums.sum), lanes::sum(sums.squares))
    }

    /// The warp's sum of squares of the numbers less the mean.
    #[inline(always)]
    pub fn squares(&self) -> f32 {
        let squares = if let Some(packed) = self.packed() {
            packed.squares::<T>(self.mean)
        } else {
            let around = Around {
                mean: self.mean,
                squares: 0.0,
            };
            // SAFETY: the promise made to `new`.
            unsafe { summarise::<T, _>(self.row, self.span, own_share(), around) }.squares
        };
        lanes::sum(squares)
    }

    /// The largest magnitude of the warp's results; NaN if one is.
    #[inline(always)]
    pub fn range(&mut self, root: f32) -> f32 {
        self.root = root;
        let range = if let Some(packed) = self.packed() {
            let two = |p, a, e| magnitude_of(magnitude_of(p, a), e);
            // Four at a time: each maximum waits for the one before it.
            let [p, q, r, s] = self.fold(packed, [0.0; 4], |[p, q, r, s], _, [a, b, c, d, e, f, g, h]| {
                [two(p, a, e), two(q, b, f), two(r, c, g), two(s, d, h)]
            });
            maximum_of(maximum_of(p, q), maximum_of(r, s)) * self.missing()
        } else {
            // SAFETY: the promise made to `new`.
            unsafe { range_row(self.row, self.arrays.affine, self.span, own_share(), self.map(), 0.0) }
        };
        lanes::magnitude(range)
    }

    /// Puts the results of row number `row`, whose largest magnitude is `range`, to their places; `speaks` is true for one thread of
    /// those that have the row.
    #[inline(always)]
    pub fn put(self, row: u32, range: f32, speaks: bool) {
        let output = Output::<T>::ranged(self.arrays.output, row, range, speaks);
        let factor = Output::<T>::factor(output);
        if let Some(packed) = self.packed() {
            let (to, factor) = (Output::<T>::at(output, u64::from(self.first)), factor * self.missing());
            self.fold(packed, (), |(), behind, results| {
                // SAFETY: the promise made to `new`.
                unsafe { to.put_wide::<T>(behind, results.map(|y| y * factor)) };
            });
        } else {
            let f = self.map();
            let g = |x, w, b| Affine::apply(f(x), w, b) * factor;
            // SAFETY: the promise made to `new`.
            unsafe { map_row_by(self.row, output, self.arrays.affine, self.span, own_share(), g) };
        }
    }

    /// Goes over the results, which have yet to be multiplied with what is `missing`, and their offsets behind this lane's first.
    #[inline(always)]
    fn fold<A>(&self, packed: Packed, sum: A, add: impl Fn(A, u32, [f32; 8]) -> A) -> A {
        let (mean, root, Affine { weight, bias }) = (self.mean, self.root, self.arrays.affine);
        // SAFETY: the promise made to `new`.
        let load =
            |array: u64, behind: u32| unsafe { global::load_v4(array + u64::from(self.first) + u64::from(behind)) };
        if bias != 0 {
            let both = |behind| (load(weight, behind), load(bias, behind));
            packed.fold::<T, _, _>(both, sum, |sum, behind, wide, (weights, biases)| {
                let column = |x: f32, w, b| fma((x - mean) * root, w, b);
                add(
                    sum,
                    behind,
                    wide.with_two(T::widen_anew(weights), T::widen_anew(biases), column),
                )
            })
        } else if weight != 0 {
            packed.fold::<T, _, _>(
                |behind| load(weight, behind),
                sum,
                |sum, behind, wide, weights| add(sum, behind, wide.with(T::widen_anew(weights), |x, w| (x - mean) * w)),
            )
        } else {
            packed.fold::<T, _, _>(
                |_| (),
                sum,
                |sum, behind, wide, ()| add(sum, behind, wide.map(|x| x - mean)),
            )
        }
    }

    /// What the results that `fold` goes over are multiplied with afterwards.
    #[inline(always)]
    fn missing(&self) -> f32 {
        if self.arrays.affine.bias == 0 { self.root } else { 1.0 }
    }

    #[inline(always)]
    fn map(&self) -> impl Fn(f32) -> f32 + Copy + use<T, R, Q> {
        let (mean, root) = (self.mean, self.root);
        move |x| (x - mean) * root
    }

    #[inline(always)]
    fn packed(&self) -> Option<Packed> {
        if self.is_held {
            // SAFETY: `new` has initialised it.
            Some(unsafe { self.packed.assume_init() })
        } else {
            None
        }
    }
}
