//! Where the results of a row kernel go: an array of the rows' type, one of an 8-bit type with a scale per row, and with
//! either the rows as they were read. The 8-bit ones are in `scaled.rs`.

use core::marker::PhantomData;

use crate::element::{Element, Wide};
use crate::row::{Elements, One, Packed, Span, Summary, VECTOR};
use crate::tile::{Affine, Share};
use crate::{global, maximum_of};

pub use crate::scaled::Scaled;

/// The arrays that a row goes to.
pub trait Output<T: Element>: Copy {
    /// Whether there are any; without, a row goes by once.
    const MAPS: bool = true;
    /// Whether it may want to know the largest magnitude of a row before it takes it.
    const RANGES: bool = false;

    /// Whether it does want to.
    #[inline(always)]
    fn wants_range(self) -> bool {
        false
    }

    /// The same for what is `bytes` bytes further on in x.
    fn at(self, bytes: u64) -> Self;

    /// The same for row number `row`, whose largest magnitude is `range`; `first` is true for one thread of the team.
    #[inline(always)]
    fn ranged(self, _row: u32, _range: f32, _first: bool) -> Self {
        self
    }

    /// What results are multiplied with, by the caller.
    #[inline(always)]
    fn factor(self) -> f32 {
        1.0
    }

    /// 0 modulo a vector if vectors may be written.
    fn skip(self) -> u64;

    /// Takes a vector of elements, read as `packed`: `f` makes a result of each, with its weight and bias.
    ///
    /// # Safety
    /// The vector lies in the row, `skip` allows it.
    unsafe fn put_v4(
        self,
        offset: u32,
        packed: [u32; 4],
        affine: ([u32; 4], [u32; 4]),
        f: impl Fn(f32, f32, f32) -> f32,
    );

    /// Takes one element, read as `x`, and its result.
    ///
    /// # Safety
    /// It lies in the row.
    unsafe fn put(self, offset: u32, x: f32, result: f32);
}

/// No array.
impl<T: Element> Output<T> for () {
    const MAPS: bool = false;

    #[inline(always)]
    fn at(self, _: u64) {}

    #[inline(always)]
    fn skip(self) -> u64 {
        0
    }

    #[inline(always)]
    unsafe fn put_v4(self, _: u32, _: [u32; 4], _: ([u32; 4], [u32; 4]), _: impl Fn(f32, f32, f32) -> f32) {}

    #[inline(always)]
    unsafe fn put(self, _: u32, _: f32, _: f32) {}
}

/// An array of the rows' type, by its address.
#[derive(Clone, Copy)]
pub struct Plain(pub u64);

impl<T: Element> Output<T> for Plain {
    #[inline(always)]
    fn at(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }

    #[inline(always)]
    fn skip(self) -> u64 {
        self.0
    }

    #[inline(always)]
    unsafe fn put_v4(
        self,
        offset: u32,
        packed: [u32; 4],
        (weights, biases): ([u32; 4], [u32; 4]),
        f: impl Fn(f32, f32, f32) -> f32,
    ) {
        let results = T::map3_v4(packed, weights, biases, f);
        // SAFETY: the caller's promise.
        unsafe { global::store_v4(self.0 + u64::from(offset), results) };
    }

    #[inline(always)]
    unsafe fn put(self, offset: u32, _: f32, result: f32) {
        // SAFETY: the caller's promise.
        unsafe { T::store_global(self.0 + u64::from(offset), result) };
    }
}

/// With `output`, the rows as they were read; by the array's address.
#[derive(Clone, Copy)]
pub struct WithRows<O> {
    /// Where results go.
    pub output: O,
    /// Where rows go.
    pub rows: u64,
}

impl<T: Element, O: Output<T>> Output<T> for WithRows<O> {
    const RANGES: bool = O::RANGES;

    #[inline(always)]
    fn wants_range(self) -> bool {
        self.output.wants_range()
    }

    #[inline(always)]
    fn at(self, bytes: u64) -> Self {
        Self {
            output: self.output.at(bytes),
            rows: self.rows + bytes,
        }
    }

    #[inline(always)]
    fn ranged(self, row: u32, range: f32, first: bool) -> Self {
        let output = self.output.ranged(row, range, first);
        Self { output, ..self }
    }

    #[inline(always)]
    fn factor(self) -> f32 {
        self.output.factor()
    }

    #[inline(always)]
    fn skip(self) -> u64 {
        self.output.skip() | self.rows
    }

    #[inline(always)]
    unsafe fn put_v4(
        self,
        offset: u32,
        packed: [u32; 4],
        affine: ([u32; 4], [u32; 4]),
        f: impl Fn(f32, f32, f32) -> f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe { global::store_v4(self.rows + u64::from(offset), packed) };
        // SAFETY: the caller's promise.
        unsafe { self.output.put_v4(offset, packed, affine, f) };
    }

    #[inline(always)]
    unsafe fn put(self, offset: u32, x: f32, result: f32) {
        // SAFETY: the caller's promise.
        unsafe { T::store_global(self.rows + u64::from(offset), x) };
        // SAFETY: the caller's promise.
        unsafe { self.output.put(offset, x, result) };
    }
}

/// Loads some vectors, a step apart, then puts them: what is loaded is under way at the same time.
macro_rules! at_once {
    ($offset:ident, $step:ident, $load:expr, $put:expr, $($name:ident = $number:literal),+) => {{
        $(let $name = $load($offset + $number * $step);)+
        $($put($offset + $number * $step, $name);)+
    }};
}

/// Puts `affine(f(x))` of this thread's part of a span into `output`, which is at the row's begin.
///
/// # Safety
/// The span lies in the row, and its stages are filled; the arrays of `output` take the row, those of `affine` that are
/// there are as long.
#[inline(always)]
pub unsafe fn map_row<T: Element>(
    row: impl Elements<T>,
    output: impl Output<T>,
    affine: Affine,
    span: Span,
    share: Share,
    f: impl Fn(f32) -> f32 + Copy,
) {
    // SAFETY: the caller's promise.
    unsafe { map_row_by(row, output, affine, span, share, |x, w, b| Affine::apply(f(x), w, b)) };
}

/// As [`map_row`], what `f` makes of each element, its weight and its bias.
///
/// # Safety
/// As [`map_row`].
#[inline(always)]
pub unsafe fn map_row_by<T: Element>(
    row: impl Elements<T>,
    output: impl Output<T>,
    affine: Affine,
    span: Span,
    share: Share,
    f: impl Fn(f32, f32, f32) -> f32,
) {
    let end = vectors_end::<T>(row, output.skip(), affine, span);
    // SAFETY: callers of these stay below `end`, so inside the span.
    let load = |offset: u32| unsafe { (row.load_v4(offset), affine.load_v4::<T>(offset)) };
    // SAFETY: as above.
    let put = |offset: u32, (packed, others)| unsafe {
        output.put_v4(offset, packed, others, &f);
    };
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    // For eight, which leave no registers for elements: those are near, and loaded when the weights are there.
    // SAFETY: as above.
    let weights = |offset: u32| unsafe { affine.load_v4::<T>(offset) };
    // SAFETY: as above.
    let put_behind = |offset: u32, others| put(offset, (unsafe { row.load_v4(offset) }, others));
    while row.mapped_at_once() == 8 && offset + 7 * step < end {
        at_once! { offset, step, weights, put_behind, a = 0, b = 1, c = 2, d = 3, e = 4, f = 5, g = 6, h = 7 }
        offset += 8 * step;
    }
    while row.mapped_at_once() == 4 && offset + 3 * step < end {
        at_once!(offset, step, load, put, a = 0, b = 1, c = 2, d = 3);
        offset += 4 * step;
    }
    while row.mapped_at_once() == 2 && offset + step < end {
        at_once!(offset, step, load, put, a = 0, b = 1);
        offset += 2 * step;
    }
    while offset < end {
        put(offset, load(offset));
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        // SAFETY: below the span's end.
        let (x, result) = unsafe { one(row, affine, offset, &f) };
        // SAFETY: as above.
        unsafe { output.put(offset, x, result) };
        offset += share.threads * T::BYTES;
    }
}

/// The largest magnitude of `affine(f(x))` over this thread's part of a span, and `range`; NaN if one is.
///
/// # Safety
/// As [`map_row`].
#[inline(always)]
pub unsafe fn range_row<T: Element>(
    row: impl Elements<T>,
    affine: Affine,
    span: Span,
    share: Share,
    f: impl Fn(f32) -> f32 + Copy,
    mut range: f32,
) -> f32 {
    let end = vectors_end::<T>(row, 0, affine, span);
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    while offset < end {
        // SAFETY: below `end`, so inside the span.
        let (packed, (weights, biases)) = unsafe { (row.load_v4(offset), affine.load_v4::<T>(offset)) };
        range = T::fold3_v4(packed, weights, biases, range, |range, x, w, b| {
            maximum_of(range, Affine::apply(f(x), w, b).abs())
        });
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        // SAFETY: below the span's end.
        let (_, result) = unsafe { one(row, affine, offset, |x, w, b| Affine::apply(f(x), w, b)) };
        range = maximum_of(range, result.abs());
        offset += share.threads * T::BYTES;
    }
    range
}

/// Takes this thread's part of a span into `summary`, and gives the largest magnitude of its elements times their weights, and
/// `range`; NaN if one is.
///
/// # Safety
/// As [`map_row`].
#[inline(always)]
pub unsafe fn summarise_ranged<T: Element, S: Summary>(
    row: impl Elements<T>,
    affine: Affine,
    span: Span,
    share: Share,
    mut summary: S,
    mut range: f32,
) -> (S, f32) {
    let end = vectors_end::<T>(row, 0, affine, span);
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    while offset < end {
        // SAFETY: below `end`, so inside the span.
        let (packed, (weights, _)) = unsafe { (row.load_v4(offset), affine.load_v4::<T>(offset)) };
        summary = summary.add(&Packed::<T>(packed, PhantomData));
        let products = T::widen_v4(packed).with(T::widen_v4(weights), |x, w| x * w);
        range = products.fold(range, |range, product: f32| maximum_of(range, product.abs()));
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        // SAFETY: below the span's end; the arrays are as long as the row.
        let (x, (weight, _)) = unsafe { (row.load(offset), affine.load::<T>(u64::from(offset))) };
        summary = summary.add(&One(x));
        range = maximum_of(range, (x * weight).abs());
        offset += share.threads * T::BYTES;
    }
    (summary, range)
}

/// Behind the last vector of a span; its begin where one of the addresses allows no vectors.
#[inline(always)]
fn vectors_end<T: Element>(row: impl Elements<T>, skip: u64, affine: Affine, span: Span) -> u32 {
    if (u64::from(row.skip()) | skip | affine.weight | affine.bias) % u64::from(VECTOR) == 0 {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    }
}

/// One element of a row, and its result.
///
/// # Safety
/// The element lies in the row, whose stages are filled.
#[inline(always)]
unsafe fn one<T: Element>(
    row: impl Elements<T>,
    affine: Affine,
    offset: u32,
    f: impl Fn(f32, f32, f32) -> f32,
) -> (f32, f32) {
    // SAFETY: the caller's promise; the arrays are as long as the row.
    let (x, (weight, bias)) = unsafe { (row.load(offset), affine.load::<T>(u64::from(offset))) };
    (x, f(x, weight, bias))
}
