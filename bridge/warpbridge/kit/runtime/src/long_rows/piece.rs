//! What a warp does with a piece of a row: it finds out what the piece holds, or maps it.

use super::Mergeable;
use crate::columns::Columns;
use crate::element::Element;
use crate::row::{Elements, Span, Summary, VECTOR, summarise};
use crate::row_kernel::RowKernel;
use crate::tile::{Affine, Share};
use crate::{global, lanes, shared, warp};

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

/// Puts the map of a piece to `to`, which is the row's begin.
///
/// # Safety
/// The piece has landed; the row at `to` takes it, and `columns` has its columns.
#[inline(always)]
pub(super) unsafe fn map_piece<T: Element, C: Columns<T>>(
    piece: Piece,
    to: u64,
    columns: C,
    span: Span,
    f: impl Fn(f32) -> f32 + Copy,
) {
    let end = if (to as u32 | piece.0 | columns.skip()) % VECTOR == 0 {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    };
    let g = |x, weight, bias| Affine::apply(f(x), weight, bias);
    // SAFETY: callers of these stay below `end`, so inside the span.
    let load = |offset: u32| unsafe { (Elements::<T>::load_v4(&piece, offset), columns.load_v4(offset)) };
    // SAFETY: as above.
    let put = |offset: u32, (packed, (weights, biases))| unsafe {
        global::store_v4(to + u64::from(offset), T::map3_v4(packed, weights, biases, g));
    };
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
        T::store_global(to + u64::from(offset), g(x, weight, bias));
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

/// This lane's share of what a warp does.
#[inline(always)]
fn share() -> Share {
    Share {
        thread: warp::lane(),
        threads: warp::LANES,
    }
}
