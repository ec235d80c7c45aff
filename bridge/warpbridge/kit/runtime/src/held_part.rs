//! A warp's part of a row on its way through a norm: in registers if it is whole and vectors may be read and written, else in its
//! stage, which is gone over once per step.

use core::mem::MaybeUninit;

use crate::element::Element;
use crate::held_moments::{Moments, Sums};
use crate::held_row::Held;
use crate::output::{Output, Scaled, WithRows, map_row_by, range_row};
use crate::quantise::Quantised;
use crate::row::{Elements, Numbers, Span, Summary, VECTOR, summarise};
use crate::tile::{Affine, Share};
use crate::{anew, fma, warp};

pub use crate::held_row::PART;

/// The arrays that belong to a row; those of results and copies are at its begin.
#[derive(Clone, Copy)]
pub struct Arrays<Q> {
    /// Results.
    pub output: Scaled<Q>,
    /// Weights and biases.
    pub affine: Affine,
    /// The row as it was read, or 0.
    pub copy: u64,
}

/// See the module.
#[derive(Clone, Copy)]
pub struct Part<T: Element, R, Q, M = ()> {
    row: R,
    span: Span,
    arrays: Arrays<Q>,
    /// Offset of this lane's first vector.
    first: u32,
    /// Initialised if `is_held`.
    held: MaybeUninit<Held<T>>,
    /// What was found as it was read, if `is_held`.
    moments: M,
    is_held: bool,
    mean: f32,
    /// What distances from the mean are multiplied with before their weights.
    root: f32,
    /// What they have yet to be multiplied with.
    factor: f32,
}

impl<T: Element, R: Elements<T>, Q: Quantised, M: Moments<T>> Part<T, R, Q, M> {
    /// Reads it, and copies it if it is held.
    ///
    /// # Safety
    /// The span lies in the row, and its stages are filled until they are given back: not before the end, but for what is held. The
    /// row lies in the arrays that are there.
    #[inline(always)]
    pub unsafe fn new(row: R, span: Span, arrays: Arrays<Q>) -> Self {
        let Affine { weight, bias } = arrays.affine;
        let addresses = u64::from(row.skip()) | Output::<T>::skip(arrays.output) | arrays.copy | weight | bias;
        let mut part = Self {
            row,
            span,
            arrays,
            // Anew for each row: LLVM would keep a register for the place of each vector.
            first: anew(span.begin + warp::lane() * VECTOR),
            held: MaybeUninit::uninit(),
            moments: M::NONE,
            is_held: addresses % u64::from(VECTOR) == 0 && span.end - span.begin == PART,
            mean: 0.0,
            root: 1.0,
            factor: 1.0,
        };
        if part.is_held {
            // SAFETY: the caller's promise.
            let (held, moments) = unsafe { M::read(row, part.ahead(arrays.copy), part.first) };
            part.held.write(held);
            part.moments = moments;
        }
        part
    }

    /// Whether it is in registers, so that its stage may be given back.
    #[inline(always)]
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// The sum of this lane's numbers.
    #[inline(always)]
    pub fn sum(&self) -> f32 {
        if let Some(held) = self.held() {
            return held.sum();
        }
        // SAFETY: the promise made to `new`.
        unsafe { summarise::<T, _>(self.row, self.span, own_share(), Total(0.0)) }.0
    }

    /// Takes the mean away; then the sum of the squares of this lane's numbers.
    #[inline(always)]
    pub fn squares(&mut self, mean: f32) -> f32 {
        self.mean = mean;
        if let Some(held) = self.held() {
            let centred = held.from_mean(mean);
            self.held.write(centred);
            return centred.squares();
        }
        let around = Around { mean, squares: 0.0 };
        // SAFETY: the promise made to `new`.
        unsafe { summarise::<T, _>(self.row, self.span, own_share(), around) }.squares
    }

    /// As `squares`, and the largest magnitude of this lane's numbers times their weights; NaN if one is. There is no bias.
    #[inline(always)]
    pub fn weighed(&mut self, mean: f32) -> (f32, f32) {
        let weight = self.ahead(self.arrays.affine.weight);
        if let Some(held) = self.held() {
            let centred = held.from_mean(mean);
            if weight == 0 {
                self.held.write(centred);
                return (centred.squares(), centred.range());
            }
            // SAFETY: the promise made to `new`.
            let (squares, products) = unsafe { centred.weighted(weight) };
            self.held.write(products);
            return (squares, products.range());
        }
        let squares = self.squares(mean);
        (squares, self.range())
    }

    /// Multiplies with the root, then takes all through weights and biases; then the largest magnitude; NaN if one is.
    #[inline(always)]
    pub fn through(&mut self, root: f32) -> f32 {
        self.root = root;
        if let Some(held) = self.held() {
            let Affine { weight, bias } = self.arrays.affine;
            let affine = Affine {
                weight: self.ahead(weight),
                bias: self.ahead(bias),
            };
            // SAFETY: the promise made to `new`.
            let results = unsafe { held.through(root, affine) };
            self.held.write(results);
            return results.range();
        }
        self.range()
    }

    /// The same of what is not held.
    #[inline(always)]
    fn range(&self) -> f32 {
        // SAFETY: the promise made to `new`.
        unsafe { range_row(self.row, self.arrays.affine, self.span, own_share(), self.map(), 0.0) }
    }

    /// Leaves it to `put` to multiply with the root; gives it back.
    #[inline(always)]
    pub fn multiply(&mut self, root: f32) -> f32 {
        self.root = root;
        self.factor = root;
        root
    }

    /// Puts the results of row number `row`, whose largest magnitude is `range`, to their places; `speaks` is true for one thread of
    /// those that have the row. Copies what was not held.
    #[inline(always)]
    pub fn put(self, row: u32, range: f32, speaks: bool) {
        let output = Output::<T>::ranged(self.arrays.output, row, range, speaks);
        if let Some(held) = self.held() {
            let at = Output::<T>::at(output, u64::from(self.first));
            // SAFETY: the promise made to `new`.
            unsafe { held.put(at, self.factor * Output::<T>::factor(output)) };
        } else if self.arrays.copy == 0 {
            self.map_into(output);
        } else {
            let rows = self.arrays.copy;
            self.map_into(WithRows { output, rows });
        }
    }

    #[inline(always)]
    fn map_into(&self, output: impl Output<T>) {
        let (f, factor) = (self.map(), output.factor());
        let g = |x, w, b| Affine::apply(f(x), w, b) * factor;
        // SAFETY: the promise made to `new`.
        unsafe { map_row_by(self.row, output, self.arrays.affine, self.span, own_share(), g) };
    }

    #[inline(always)]
    fn map(&self) -> impl Fn(f32) -> f32 + Copy + use<T, R, Q, M> {
        let (mean, root) = (self.mean, self.root);
        move |x| (x - mean) * root
    }

    #[inline(always)]
    fn held(&self) -> Option<Held<T>> {
        if self.is_held {
            // SAFETY: `new` has initialised it.
            Some(unsafe { self.held.assume_init() })
        } else {
            None
        }
    }

    /// This lane's first vector in an array; 0 if there is none.
    #[inline(always)]
    fn ahead(&self, array: u64) -> u64 {
        if array == 0 { 0 } else { array + u64::from(self.first) }
    }
}

/// What is found at once.
impl<T: Element, R: Elements<T>, Q: Quantised> Part<T, R, Q, Sums>
where
    Sums: Moments<T>,
{
    /// This lane's share of the sum and of the sum of squares.
    #[inline(always)]
    pub fn sums(&self) -> (f32, f32) {
        let mut sums = self.moments;
        if !self.is_held {
            // SAFETY: the promise made to `new`.
            sums = unsafe { summarise::<T, _>(self.row, self.span, own_share(), Summary::EMPTY) };
        }
        (sums.sum, sums.squares)
    }

    /// The sum of the squares of this lane's numbers less the mean, which stays in them.
    #[inline(always)]
    pub fn squares_around(&self, mean: f32) -> f32 {
        if let Some(held) = self.held() {
            return held.from_mean(mean).squares();
        }
        let around = Around { mean, squares: 0.0 };
        // SAFETY: the promise made to `new`.
        unsafe { summarise::<T, _>(self.row, self.span, own_share(), around) }.squares
    }

    /// Takes the mean away and multiplies with the weights, leaving it to `put` to multiply with the root; then the largest magnitude of
    /// results. There is no bias.
    #[inline(always)]
    pub fn products(&mut self, root: f32) -> f32 {
        self.root = root;
        let Some(held) = self.held() else {
            return self.range();
        };
        let mut products = held.from_mean(self.mean);
        let weight = self.ahead(self.arrays.affine.weight);
        if weight != 0 {
            // SAFETY: the promise made to `new`.
            products = unsafe { products.times(weight) };
        }
        self.held.write(products);
        self.factor = root;
        products.range() * root
    }

    /// Takes the mean away from what is held, then as `through`.
    #[inline(always)]
    pub fn centred_through(&mut self, root: f32) -> f32 {
        if let Some(held) = self.held() {
            self.held.write(held.from_mean(self.mean));
        }
        self.through(root)
    }
}

impl<T: Element, R, Q> Part<T, R, Q, Sums> {
    /// Leaves it to `products` or `centred_through` to take the mean away.
    #[inline(always)]
    pub fn take_away(&mut self, mean: f32) {
        self.mean = mean;
    }
}

/// This lane's share of what a warp does by itself.
#[inline(always)]
pub(crate) fn own_share() -> Share {
    Share {
        thread: anew(warp::lane()),
        threads: warp::LANES,
    }
}

/// A sum.
#[derive(Clone, Copy)]
struct Total(f32);

impl Summary for Total {
    const EMPTY: Self = Self(0.0);

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        Self(numbers.fold(self.0, |sum, x| sum + x))
    }

    #[inline(always)]
    fn summand(self, _: f32) -> f32 {
        self.0
    }
}

/// A sum of squares of distances.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    /// The mean.
    pub mean: f32,
    /// The sum.
    pub squares: f32,
}

impl Summary for Around {
    const EMPTY: Self = Self {
        mean: 0.0,
        squares: 0.0,
    };

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        let mean = self.mean;
        let squares = numbers.fold(self.squares, |sum, x| fma(x - mean, x - mean, sum));
        Self { mean, squares }
    }

    #[inline(always)]
    fn summand(self, _: f32) -> f32 {
        self.squares
    }
}
