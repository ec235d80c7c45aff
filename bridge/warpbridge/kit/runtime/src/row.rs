//! A row in the ring: its elements by offset, over as many stages as it takes up; folded by a team. What becomes of the
//! elements afterwards is in `output.rs`.
//!
//! What hides the latencies of loads is that many warps are at it.

use core::marker::PhantomData;

use crate::element::Element;
use crate::shared;
use crate::tile::Share;

/// Bytes of a vector.
pub const VECTOR: u32 = 16;

/// The elements of a row, by offset in bytes.
pub trait Elements<T: Element>: Copy {
    /// 0 modulo [`VECTOR`] if vectors may be read.
    fn skip(&self) -> u32;

    /// How many vectors there are registers for at a time, where they are summed up: four, two or one.
    #[inline(always)]
    fn at_once(&self) -> u32 {
        4
    }

    /// The same where they are mapped, with their weights: eight, four, two or one.
    #[inline(always)]
    fn mapped_at_once(&self) -> u32 {
        if self.at_once() == 4 { 2 } else { 1 }
    }

    /// A vector of elements.
    ///
    /// # Safety
    /// The offset is a multiple of a vector, which lies in the row, whose stages are filled; `skip` allows it.
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4];

    /// One element.
    ///
    /// # Safety
    /// The same of an element.
    unsafe fn load(&self, offset: u32) -> f32;
}

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

impl<T: Element, const STAGES: u32, const BYTES: u32, const TILE: u32> Elements<T> for Row<STAGES, BYTES, TILE> {
    #[inline(always)]
    fn skip(&self) -> u32 {
        self.skip
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        unsafe { shared::load_v4(self.address(offset)) }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { T::load_shared(self.address(offset)) }
    }
}

/// A piece of a row, in one stage.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Where the row's first byte would be, if all of the row were as far from it as the piece is. May wrap around.
    pub address: u32,
}

impl<T: Element> Elements<T> for Piece {
    /// As many numbers either way; more would not fit the 64 registers that leave room for ten small blocks per multiprocessor.
    #[inline(always)]
    fn at_once(&self) -> u32 {
        if T::BYTES == 4 { 2 } else { 1 }
    }

    #[inline(always)]
    fn skip(&self) -> u32 {
        self.address
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        unsafe { shared::load_v4(self.address.wrapping_add(offset)) }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { T::load_shared(self.address.wrapping_add(offset)) }
    }
}

/// The same for entries whose launch bounds (`//! block`) leave more registers, or fewer: `SUMMED` vectors at once where they are
/// summed up, `MAPPED` where they are mapped.
#[derive(Clone, Copy)]
pub struct AtOnce<E, const SUMMED: u32, const MAPPED: u32>(pub E);

impl<T: Element, E: Elements<T>, const SUMMED: u32, const MAPPED: u32> Elements<T> for AtOnce<E, SUMMED, MAPPED> {
    #[inline(always)]
    fn skip(&self) -> u32 {
        self.0.skip()
    }

    #[inline(always)]
    fn at_once(&self) -> u32 {
        SUMMED
    }

    #[inline(always)]
    fn mapped_at_once(&self) -> u32 {
        MAPPED
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        unsafe { self.0.load_v4(offset) }
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.load(offset) }
    }
}

/// The sum of two rows, element by element, rounded to their type.
#[derive(Clone, Copy)]
pub struct Sum<R>(pub R, pub R);

impl<T: Element, R: Elements<T>> Elements<T> for Sum<R> {
    #[inline(always)]
    fn skip(&self) -> u32 {
        self.0.skip() | self.1.skip()
    }

    /// Not on an sm_86, beside the copy engine's loop.
    #[inline(always)]
    fn at_once(&self) -> u32 {
        if cfg!(engine = "bulk") { self.0.at_once() } else { 1 }
    }

    #[inline(always)]
    unsafe fn load_v4(&self, offset: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        let (a, b) = unsafe { (self.0.load_v4(offset), self.1.load_v4(offset)) };
        T::add_v4(a, b)
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32) -> f32 {
        // SAFETY: the caller's promise.
        T::rounded(unsafe { self.0.load(offset) + self.1.load(offset) })
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

/// One number.
pub(crate) struct One(pub f32);

impl Numbers for One {
    const COUNT: u32 = 1;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        f(start, self.0)
    }
}

/// Those of a vector.
pub(crate) struct Packed<T>(pub(crate) [u32; 4], pub(crate) PhantomData<T>);

impl<T: Element> Numbers for Packed<T> {
    const COUNT: u32 = VECTOR / T::BYTES;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        T::fold_v4(self.0, start, f)
    }
}

struct Two<N>(N, N);

impl<N: Numbers> Numbers for Two<N> {
    const COUNT: u32 = 2 * N::COUNT;

    #[inline(always)]
    fn fold<A>(&self, start: A, f: impl Fn(A, f32) -> A) -> A {
        self.1.fold(self.0.fold(start, &f), &f)
    }
}

/// What a thread knows of the numbers it has seen, and how what all threads know comes together: they may agree on
/// something first, then their summands are added up.
pub trait Summary: Copy {
    /// Nothing seen.
    const EMPTY: Self;
    /// Whether there is something to agree on.
    const AGREES: bool = false;
    /// What changes nothing that is agreed on.
    const NEUTRAL: f32 = 0.0;

    /// Takes in some more.
    fn add(self, numbers: &impl Numbers) -> Self;

    /// This lane's contribution to what is agreed on; `per_column` is 1 over the length of the row.
    #[inline(always)]
    fn opinion(self, _per_column: f32) -> f32 {
        0.0
    }

    /// The contributions together, out of the lanes' or the warps'; the same in each group of `lanes` lanes.
    #[inline(always)]
    fn agree(opinion: f32, _lanes: u32) -> f32 {
        opinion
    }

    /// This lane's summand, given what was agreed on.
    fn summand(self, agreed: f32) -> f32;
}

/// Takes this thread's part of a span into `summary`.
///
/// # Safety
/// The span lies in the row, and its stages are filled.
#[inline(always)]
pub unsafe fn summarise<T: Element, S: Summary>(row: impl Elements<T>, span: Span, share: Share, mut summary: S) -> S {
    let end = if row.skip() % VECTOR == 0 {
        span.end / VECTOR * VECTOR
    } else {
        span.begin
    };
    // SAFETY: callers stay below `end`, so inside the span.
    let load = |offset: u32| Packed::<T>(unsafe { row.load_v4(offset) }, PhantomData);
    let (mut offset, step) = (span.begin + share.thread * VECTOR, share.threads * VECTOR);
    while row.at_once() == 4 && offset + 3 * step < end {
        let four = Two(
            Two(load(offset), load(offset + step)),
            Two(load(offset + 2 * step), load(offset + 3 * step)),
        );
        summary = summary.add(&four);
        offset += 4 * step;
    }
    while row.at_once() == 2 && offset + step < end {
        summary = summary.add(&Two(load(offset), load(offset + step)));
        offset += 2 * step;
    }
    while offset < end {
        summary = summary.add(&load(offset));
        offset += step;
    }
    let mut offset = end + share.thread * T::BYTES;
    while offset < span.end {
        // SAFETY: below the span's end.
        summary = summary.add(&One(unsafe { row.load(offset) }));
        offset += share.threads * T::BYTES;
    }
    summary
}
