//! A row in the ring: its elements by offset, over as many stages as it takes up; folded or mapped by a team.
//!
//! Loads come four vectors at a time where there are enough, so that their latencies overlap.

use core::marker::PhantomData;

use crate::element::Element;
use crate::tile::{Affine, Share};
use crate::{global, shared};

/// Bytes of a vector.
const VECTOR: u32 = 16;

/// Where a row is: its piece number `origin`, of `TILE` bytes each, is in stage `first`, later ones are in the stages behind it.
#[derive(Clone, Copy)]
pub struct Row<const STAGES: u32, const BYTES: u32, const TILE: u32> {
    /// Address of the ring.
    pub base: u32,
    /// Number of the stage.
    pub first: u32,
    /// Number of the piece.
    pub origin: u32,
    /// Where in its stage the row starts.
    pub skip: u32,
}

impl<const STAGES: u32, const BYTES: u32, const TILE: u32> Row<STAGES, BYTES, TILE> {
    #[inline(always)]
    fn address(&self, offset: u32) -> u32 {
        let stage = self.first + offset / TILE - self.origin;
        let stage = if stage >= STAGES { stage - STAGES } else { stage };
        self.base + stage * BYTES + self.skip + offset % TILE
    }
}

/// From one offset of a row to another, both multiples of a vector but for the row's end.
#[derive(Clone, Copy)]
pub struct Span {
    /// First byte.
    pub begin: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// Some numbers of one element type.
pub trait Numbers {
    /// How many.
    const COUNT: u32;

    /// Goes over them.
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A;
}

struct One(f32);

impl Numbers for One {
    const COUNT: u32 = 1;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        f(start, self.0)
    }
}

struct Packed<T>([u32; 4], PhantomData<T>);

impl<T: Element> Numbers for Packed<T> {
    const COUNT: u32 = VECTOR / T::BYTES;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        T::fold_v4(self.0, start, f)
    }
}

struct Four<T>(Packed<T>, Packed<T>, Packed<T>, Packed<T>);

impl<T: Element> Numbers for Four<T> {
    const COUNT: u32 = 4 * VECTOR / T::BYTES;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        self.3
            .fold(self.2.fold(self.1.fold(self.0.fold(start, &f), &f), &f), &f)
    }
}

/// What a thread knows of the numbers it has seen.
pub trait Summary: Copy {
    /// Nothing seen.
    const EMPTY: Self;

    /// Takes in some more.
    fn add(self, numbers: &impl Numbers) -> Self;
}

/// Takes this thread's part of a span into `summary`.
///
/// # Safety
/// The span lies in the row, and its stages are filled.
#[inline(always)]
pub unsafe fn summarise<T: Element, S: Summary, const STAGES: u32, const BYTES: u32, const TILE: u32>(
    row: Row<STAGES, BYTES, TILE>,
    span: Span,
    share: Share,
    mut summary: S,
) -> S {
    let end = if row.skip % VECTOR == 0 {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    };
    // SAFETY: callers stay below `end`, so inside the span.
    let load = |offset: u32| Packed::<T>(unsafe { shared::load_v4(row.address(offset)) }, PhantomData);
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    while offset + 3 * step < end {
        let four = Four(
            load(offset),
            load(offset + step),
            load(offset + 2 * step),
            load(offset + 3 * step),
        );
        summary = summary.add(&four);
        offset += 4 * step;
    }
    while offset < end {
        summary = summary.add(&load(offset));
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        // SAFETY: below the span's end.
        summary = summary.add(&One(unsafe { T::load_shared(row.address(offset)) }));
        offset += share.threads * T::BYTES;
    }
    summary
}

/// Writes `affine(f(x))` for this thread's part of a span; offset 0 of the row goes to `to`.
///
/// # Safety
/// As [`summarise`]; `to` takes the row, and the arrays of `affine` that are there are as long.
#[inline(always)]
pub unsafe fn map_row<T: Element, const STAGES: u32, const BYTES: u32, const TILE: u32>(
    row: Row<STAGES, BYTES, TILE>,
    to: u64,
    affine: Affine,
    span: Span,
    share: Share,
    f: impl Fn(f32) -> f32 + Copy,
) {
    let aligned = (u64::from(row.skip) | to | affine.weight | affine.bias) % u64::from(VECTOR) == 0;
    let end = if aligned {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    };
    // SAFETY: callers of these stay below `end`, so inside the span.
    let load = |offset: u32| unsafe { (shared::load_v4(row.address(offset)), affine.load_v4::<T>(offset)) };
    let store = |offset: u32, (packed, (weights, biases)): ([u32; 4], ([u32; 4], [u32; 4]))| {
        let results = T::map3_v4(packed, weights, biases, |x, w, b| Affine::apply(f(x), w, b));
        // SAFETY: as above.
        unsafe { global::store_v4(to + u64::from(offset), results) };
    };
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    while offset + step < end {
        let (a, b) = (load(offset), load(offset + step));
        store(offset, a);
        store(offset + step, b);
        offset += 2 * step;
    }
    while offset < end {
        store(offset, load(offset));
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        let at = u64::from(offset);
        // SAFETY: below the span's end, so inside.
        let (value, (weight, bias)) = unsafe { (f(T::load_shared(row.address(offset))), affine.load::<T>(at)) };
        // SAFETY: as above.
        unsafe { T::store_global(to + at, Affine::apply(value, weight, bias)) };
        offset += share.threads * T::BYTES;
    }
}
