//! What a warp does with a piece of a row: it finds out what the piece holds, or maps it.

use core::marker::PhantomData;

use super::Mergeable;
use crate::columns::Columns;
use crate::element::{Element, Wide};
use crate::output::Output;
use crate::row::{Elements, One, Packed, Span, Summary, VECTOR, summarise};
use crate::row_kernel::RowKernel;
use crate::tile::Share;
use crate::{global, lanes, maximum_of, shared, warp};

/// A piece of a row in its stage: where the row's first byte would be, if all of the row were as far from it as the piece is.
#[derive(Clone, Copy)]
pub(super) struct Piece(pub u32);

impl<T: Element> Elements<T> for Piece {
    #[inline(always)]
    fn skip(&self) -> u32 {
        self.0
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        unsafe { shared::load_v4(self.0.wrapping_add(offset)) }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { T::load_shared(self.0.wrapping_add(offset)) }
    }
}

/// A row in global memory, by the address of its first byte.
#[derive(Clone, Copy)]
pub(super) struct Afar(pub u64);

impl<T: Element> Elements<T> for Afar {
    #[inline(always)]
    fn skip(&self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        unsafe { global::load_v4(self.0 + u64::from(offset)) }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { T::load_global(self.0 + u64::from(offset)) }
    }
}

/// How many elements a span has.
#[inline(always)]
pub(super) fn elements<K: RowKernel>(span: Span) -> f32 {
    ((span.end - span.begin) / K::Element::BYTES) as f32
}

/// What a piece holds: what its numbers agree on, and their sum. The warp calls it together.
///
/// # Safety
/// The span lies in the row, and has landed.
#[inline(always)]
pub(super) unsafe fn found_in<K: RowKernel>(piece: impl Elements<K::Element>, span: Span) -> (f32, f32)
where
    K::Summary: Mergeable,
{
    // SAFETY: the caller's promise.
    let summary = unsafe { summarise::<K::Element, _>(piece, span, share(), K::Summary::EMPTY) };
    let mut agreed = 0.0;
    if K::Summary::AGREES {
        agreed = K::Summary::agree(summary.opinion(1.0 / elements::<K>(span)), warp::LANES);
    }
    (agreed, lanes::sum(summary.summand(agreed)))
}

/// The same of results that are scaled by the largest of their row: the largest magnitude of elements times their weights, NaN if one
/// is, and the sum. The same bits wherever piece and columns are, if they are as far from a multiple of a vector.
///
/// # Safety
/// As [`found_in`]; `columns` has the span's columns.
#[inline(always)]
pub(super) unsafe fn ranged_in<K, C>(piece: impl Elements<K::Element>, columns: C, span: Span) -> (f32, f32)
where
    K: RowKernel<Summary: Mergeable>,
    C: Columns<K::Element>,
{
    let end = vectors_end(piece.skip() | columns.skip(), span);
    // SAFETY: callers of these stay below `end`, so inside the span.
    let load = |offset: u32| unsafe { (piece.load_v4(offset), columns.load_v4(offset).0) };
    let add = |(summary, range): (K::Summary, f32), (packed, weights)| {
        let products = K::Element::widen_v4(packed).with(K::Element::widen_v4(weights), |x, weight| x * weight);
        let range = products.fold(range, |range, product: f32| maximum_of(range, product.abs()));
        (summary.add(&Packed::<K::Element>(packed, PhantomData)), range)
    };
    let mut found = (K::Summary::EMPTY, 0.0);
    let (mut offset, step) = (span.begin + warp::lane() * VECTOR, warp::LANES * VECTOR);
    while offset + 3 * step < end {
        let (a, b) = (load(offset), load(offset + step));
        let (c, d) = (load(offset + 2 * step), load(offset + 3 * step));
        found = add(add(add(add(found, a), b), c), d);
        offset += 4 * step;
    }
    while offset < end {
        found = add(found, load(offset));
        offset += step;
    }
    let (mut summary, mut range) = found;
    let (mut offset, step) = (end + warp::lane() * K::Element::BYTES, warp::LANES * K::Element::BYTES);
    while offset < span.end {
        // SAFETY: below the span's end.
        let (x, (weight, _)) = unsafe { (piece.load(offset), columns.load(offset)) };
        summary = summary.add(&One(x));
        range = maximum_of(range, (x * weight).abs());
        offset += step;
    }
    let agreed = K::Summary::agree(range, warp::LANES);
    (agreed, lanes::sum(summary.summand(agreed)))
}

/// Puts the map of a piece into `output`, which is at the row's begin: what `f` makes of each element, its weight and its bias.
///
/// # Safety
/// The piece has landed; the arrays of `output` take it, and `columns` has its columns.
#[inline(always)]
pub(super) unsafe fn map_piece<T: Element, C: Columns<T>>(
    piece: Piece,
    output: impl Output<T>,
    columns: C,
    span: Span,
    f: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let end = vectors_end(output.skip() as u32 | piece.0 | columns.skip(), span);
    // SAFETY: callers of these stay below `end`, so inside the span.
    let load = |offset: u32| unsafe { (Elements::<T>::load_v4(&piece, offset), columns.load_v4(offset)) };
    // SAFETY: as above.
    let put = |offset: u32, (packed, others)| unsafe { output.put_v4(offset, packed, others, f) };
    let (mut offset, step) = (span.begin + warp::lane() * VECTOR, warp::LANES * VECTOR);
    while offset + step < end {
        let (a, b) = (load(offset), load(offset + step));
        put(offset, a);
        put(offset + step, b);
        offset += 2 * step;
    }
    while offset < end {
        put(offset, load(offset));
        offset += step;
    }
    // Elements one by one, four on their way at a time: weights that come from global memory take long.
    // SAFETY: callers of these stay below the span's end.
    let load = |offset: u32| unsafe { (Elements::<T>::load(&piece, offset), columns.load(offset)) };
    // SAFETY: as above.
    let put = |offset: u32, (x, (weight, bias)): (f32, (f32, f32))| unsafe {
        output.put(offset, x, f(x, weight, bias));
    };
    let (mut offset, step) = (end + warp::lane() * T::BYTES, warp::LANES * T::BYTES);
    while offset + 3 * step < span.end {
        let (a, b) = (load(offset), load(offset + step));
        let (c, d) = (load(offset + 2 * step), load(offset + 3 * step));
        put(offset, a);
        put(offset + step, b);
        put(offset + 2 * step, c);
        put(offset + 3 * step, d);
        offset += 4 * step;
    }
    while offset < span.end {
        put(offset, load(offset));
        offset += step;
    }
}

/// Behind the last vector of a span; its begin where one of the addresses allows no vectors.
#[inline(always)]
fn vectors_end(skip: u32, span: Span) -> u32 {
    if skip % VECTOR == 0 {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    }
}

/// This lane's share of what a warp does.
#[inline(always)]
fn share() -> Share {
    Share {
        thread: warp::lane(),
        threads: warp::LANES,
    }
}
