//! The weights and biases of a map, by the offset of their column: read from global memory each time, or from shared memory,
//! where a thread block keeps those of its own columns for all of its rows.

use crate::element::Element;
use crate::mbarrier::Barrier;
use crate::rows::Windows;
use crate::tile::Affine;
use crate::{Matrix, engine, shared, warp};

/// A weight and a bias per column; of what is missing, what changes nothing.
pub trait Columns<T: Element>: Copy {
    /// 0 modulo a vector if vectors may be read.
    fn skip(self) -> u32;

    /// A vector of both.
    ///
    /// # Safety
    /// `offset` is that of a vector in the row, in bytes; `skip` allows it.
    unsafe fn load_v4(self, offset: u32) -> ([u32; 4], [u32; 4]);

    /// One of both.
    ///
    /// # Safety
    /// The same of an element.
    unsafe fn load(self, offset: u32) -> (f32, f32);
}

impl<T: Element> Columns<T> for Affine {
    #[inline(always)]
    fn skip(self) -> u32 {
        (self.weight | self.bias) as u32
    }

    #[inline(always)]
    unsafe fn load_v4(self, offset: u32) -> ([u32; 4], [u32; 4]) {
        // SAFETY: the caller's promise.
        unsafe { Affine::load_v4::<T>(self, offset) }
    }

    #[inline(always)]
    unsafe fn load(self, offset: u32) -> (f32, f32) {
        // SAFETY: the caller's promise.
        unsafe { Affine::load::<T>(self, u64::from(offset)) }
    }
}

/// Those of some columns that follow each other, in `each` stages of shared memory for either array that is there.
#[derive(Clone, Copy)]
pub struct KeptColumns<const TILE: u32, const STAGE: u32> {
    affine: Affine,
    /// Address of the stages, biases behind weights; 0 where none are kept.
    base: u32,
    each: u32,
    landed: Barrier,
}

/// A piece of both, in shared memory.
#[derive(Clone, Copy)]
pub struct PieceOfColumns {
    is_weighted: bool,
    is_biased: bool,
    /// Where the first column's would be, if all were as far from it as the piece is. May wrap around.
    weight: u32,
    bias: u32,
}

impl<const TILE: u32, const STAGE: u32> KeptColumns<TILE, STAGE> {
    /// Of `affine`, in stages from `base` on, or none where that is 0; `landed` is a barrier.
    #[inline(always)]
    pub fn new(affine: Affine, each: u32, base: u32, landed: Barrier) -> Self {
        Self {
            affine,
            base,
            each,
            landed,
        }
    }

    /// Bytes that so many stages of each take up.
    #[inline(always)]
    pub fn shared_bytes(affine: Affine, each: u32) -> u32 {
        (u32::from(affine.weight != 0) + u32::from(affine.bias != 0)) * each * STAGE
    }

    /// Whether any columns are kept.
    #[inline(always)]
    pub fn are_there(self) -> bool {
        self.base != 0
    }

    /// Sets the barrier up. One thread calls it, before the block's barriers are published.
    #[inline(always)]
    pub fn init(self) {
        self.landed.init(warp::LANES * engine::ARRIVALS_PER_LANE);
    }

    /// Starts the copies of `count` pieces from number `first` on; the warp calls it together, and waits for
    /// [`Self::landed`] before it ends.
    ///
    /// # Safety
    /// There are arrays of `row_bytes` bytes each.
    #[inline(always)]
    pub unsafe fn copy(self, row_bytes: u32, first: u32, count: u32) {
        let copy = |address: u64, base: u32| {
            let mut bytes = 0;
            if address != 0 {
                let array = Matrix::<TILE>::new(address, 1, row_bytes, 1);
                for piece in 0..count {
                    let (part, to) = (array.part(0, first + piece), base + piece * STAGE);
                    // SAFETY: a part of the array, which fits a stage.
                    bytes += unsafe { engine::copy(&part, to, self.landed) };
                    // SAFETY: as above.
                    unsafe { part.copy_edges(to) };
                }
            }
            bytes
        };
        let bytes = copy(self.affine.weight, self.base) + copy(self.affine.bias, self.biases());
        engine::commit(self.landed, bytes);
    }

    /// Completes, in its first phase, when all has been copied.
    #[inline(always)]
    pub fn landed(self) -> Barrier {
        self.landed
    }

    /// Piece number `first + piece` of all, `first` being the first of those that are here.
    #[inline(always)]
    pub fn piece(self, first: u32, piece: u32) -> PieceOfColumns {
        let at = (piece * STAGE).wrapping_sub((first + piece) * TILE);
        let of = |base: u32, address: u64| base.wrapping_add(at).wrapping_add(address as u32 % 16);
        PieceOfColumns {
            is_weighted: self.affine.weight != 0,
            is_biased: self.affine.bias != 0,
            weight: of(self.base, self.affine.weight),
            bias: of(self.biases(), self.affine.bias),
        }
    }

    #[inline(always)]
    fn biases(self) -> u32 {
        self.base + u32::from(self.affine.weight != 0) * self.each * STAGE
    }
}

impl<T: Element> Columns<T> for PieceOfColumns {
    #[inline(always)]
    fn skip(self) -> u32 {
        (if self.is_weighted { self.weight } else { 0 }) | (if self.is_biased { self.bias } else { 0 })
    }

    #[inline(always)]
    unsafe fn load_v4(self, offset: u32) -> ([u32; 4], [u32; 4]) {
        let load = |is_there, address: u32, missing| {
            if is_there {
                // SAFETY: the caller's promise.
                unsafe { shared::load_v4(address.wrapping_add(offset)) }
            } else {
                [T::splat(missing); 4]
            }
        };
        (
            load(self.is_weighted, self.weight, Affine::NO_WEIGHT),
            load(self.is_biased, self.bias, Affine::NO_BIAS),
        )
    }

    #[inline(always)]
    unsafe fn load(self, offset: u32) -> (f32, f32) {
        let load = |is_there, address: u32, missing| {
            if is_there {
                // SAFETY: the caller's promise.
                unsafe { T::load_shared(address.wrapping_add(offset)) }
            } else {
                missing
            }
        };
        (
            load(self.is_weighted, self.weight, Affine::NO_WEIGHT),
            load(self.is_biased, self.bias, Affine::NO_BIAS),
        )
    }
}
