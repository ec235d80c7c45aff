//! The frame of a row kernel for rows of up to 2 KiB: a warp has a row at a time, all of it in registers, and the weights of
//! its columns from before the first row until after the last.
//!
//! One warp loads tiles of some rows; the others take the rows of each tile in turn. `row_kernel.rs` is for all lengths: it reads a row
//! from its stage twice, and weights from the L1 with each row.

use core::future::Future;
use core::marker::PhantomData;

use crate::element::Element;
use crate::output::Plain;
use crate::row::{Packed, Summary, VECTOR};
use crate::row_kernel::{Found, RowKernel, Shape};
use crate::source::One;
use crate::tile::Affine;
use crate::{Array, Batch, Control, Loader, Reader, Ring, Windows, anew, divide, global, lanes, run, shared, warp};

const STAGES: u32 = 2;
/// Of a stage, for rows that are not 16-byte aligned.
const ROOM: u32 = 128;
/// The most bytes of a row: four vectors per lane.
const MOST: u32 = 4 * STEP;
/// Bytes from a lane's vector to its next one.
const STEP: u32 = warp::LANES * VECTOR;

/// Runs the kernel on the rows of `x`, of at most 2 KiB and a multiple of 16 bytes; results go through `affine` to `y`. Every thread of
/// the block calls it, of which the manifest gives `READERS` warps and one. A tile is as many whole rows as
/// fit a stage of `STAGE` bytes, of which it leaves 128.
#[inline(always)]
pub fn run_short_rows<K: RowKernel, const STAGE: u32, const READERS: u32>(
    kernel: K,
    One(x): One,
    affine: Affine,
    Plain(y): Plain,
    shape: Shape,
    control: Control,
) {
    const { assert!(STAGE >= MOST + ROOM) };
    let row_bytes = (shape.columns * K::Element::BYTES).min(MOST);
    let group = divide(STAGE - ROOM, row_bytes).0;
    let x = Array::new(x, u64::from(shape.rows) * u64::from(row_bytes));
    let tiles = Batch::of(divide(shape.rows + group - 1, group).0);
    let Some(ring) = Ring::<STAGES, STAGE>::start(READERS, tiles, control) else {
        return;
    };
    let work = Work {
        kernel,
        x,
        affine,
        y,
        rows: shape.rows,
        group,
        row_bytes,
        per_column: 1.0 / shape.columns as f32,
    };
    if warp::index() == 0 {
        run(load(ring.loader(), x, group * row_bytes, tiles), control);
    } else {
        run(compute::<K, STAGE, READERS>(ring.reader(), work, tiles), control);
    }
}

/// Keeps the ring full.
async fn load<const STAGE: u32>(mut ring: Loader<STAGES, STAGE>, x: Array, bytes: u32, tiles: Batch) {
    for tile in tiles {
        let stage = ring.reserve().await;
        // SAFETY: a part of x, which fits a stage.
        unsafe { ring.fill(stage, &x.part(tile, bytes)) };
    }
}

/// What a reader is given.
#[derive(Clone, Copy)]
struct Work<K> {
    kernel: K,
    x: Array,
    affine: Affine,
    y: u64,
    rows: u32,
    /// Rows of a tile.
    group: u32,
    row_bytes: u32,
    per_column: f32,
}

/// This lane's vectors of a row.
#[derive(Clone, Copy)]
struct Four([u32; 4], [u32; 4], [u32; 4], [u32; 4]);

impl Four {
    /// Each as `f` says, which is given its offset in the row; zeros for those that are not there.
    #[inline(always)]
    fn of(row_bytes: u32, f: impl Fn(u32) -> [u32; 4]) -> Self {
        let one = |number: u32| {
            let offset = warp::lane() * VECTOR + number * STEP;
            if offset < row_bytes { f(offset) } else { [0; 4] }
        };
        Self(one(0), one(1), one(2), one(3))
    }

    /// The same, still packed: LLVM would keep what it has unpacked, in twice as many registers.
    #[inline(always)]
    fn anew(self) -> Self {
        let one = |[a, b, c, d]: [u32; 4]| [anew(a), anew(b), anew(c), anew(d)];
        Self(one(self.0), one(self.1), one(self.2), one(self.3))
    }
}

/// A reader's role. Not an `async fn`, which would keep its arguments twice.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
fn compute<K: RowKernel, const STAGE: u32, const READERS: u32>(
    mut ring: Reader<STAGES, STAGE>,
    work: Work<K>,
    tiles: Batch,
) -> impl Future<Output = ()> {
    async move {
        // Asked for before the first rows have landed.
        // SAFETY: vectors of arrays as long as a row.
        let (weights, biases) = unsafe { work.affine() };
        for tile in tiles {
            let rows = (work.rows - tile * work.group).min(work.group);
            let stage = ring.filled().await;
            let skew = (work.x.begin as u32).wrapping_add(tile * work.group * work.row_bytes) % VECTOR;
            let mut row = warp::index() - 1;
            while row < rows {
                // SAFETY: a row of the tile, which has landed, and the same row of y.
                unsafe { work.row(stage.address + skew, tile * work.group, row, weights, biases) };
                row += READERS;
            }
            ring.release();
        }
    }
}

impl<K: RowKernel> Work<K> {
    /// This lane's weights and biases.
    #[inline(always)]
    unsafe fn affine(&self) -> (Four, Four) {
        let (none, zero) = (K::Element::splat(1.0), K::Element::splat(-0.0));
        let four = |address: u64, missing: u32| {
            Four::of(self.row_bytes, |offset| {
                if address == 0 {
                    [missing; 4]
                } else {
                    // SAFETY: the caller's promise.
                    unsafe { load_global::<K::Element>(address + u64::from(offset)) }
                }
            })
        };
        (four(self.affine.weight, none), four(self.affine.bias, zero))
    }

    /// Row number `row` of a tile whose first row is number `first`, at `from` in shared memory.
    #[inline(always)]
    unsafe fn row(&self, from: u32, first: u32, row: u32, weights: Four, biases: Four) {
        let (from, number) = (from + row * self.row_bytes, first + row);
        // SAFETY: the caller's promise.
        let x = Four::of(self.row_bytes, |offset| unsafe {
            load_shared::<K::Element>(from + offset)
        });
        let add = |summary: K::Summary, packed, place: u32| {
            if warp::lane() * VECTOR + place * STEP < self.row_bytes {
                summary.add(&Packed::<K::Element>(packed, PhantomData))
            } else {
                summary
            }
        };
        let summary = add(add(add(add(K::Summary::EMPTY, x.0, 0), x.1, 1), x.2, 2), x.3, 3);
        let agreed = if K::Summary::AGREES {
            K::Summary::agree(summary.opinion(self.per_column), warp::LANES)
        } else {
            0.0
        };
        let found = Found {
            agreed,
            sum: lanes::sum(summary.summand(agreed)),
            per_column: self.per_column,
        };
        let result = self.kernel.result(number, found, warp::lane() == 0);
        let to = self.y + u64::from(number) * u64::from(self.row_bytes);
        let (x, weights, biases) = (x.anew(), weights.anew(), biases.anew());
        let put = |packed, weights, biases, place: u32| {
            let offset = warp::lane() * VECTOR + place * STEP;
            if offset < self.row_bytes {
                let results = K::Element::map3_v4(packed, weights, biases, |x, w, b| {
                    Affine::apply(K::map(result, x), w, b)
                });
                // SAFETY: the caller's promise.
                unsafe { store_global::<K::Element>(to + u64::from(offset), results) };
            }
        };
        put(x.0, weights.0, biases.0, 0);
        put(x.1, weights.1, biases.1, 1);
        put(x.2, weights.2, biases.2, 2);
        put(x.3, weights.3, biases.3, 3);
    }
}

/// 16 bytes of elements; in one go where the address allows it.
///
/// # Safety
/// As [`global::load_v4`], but for any multiple of an element.
#[inline(always)]
unsafe fn load_global<T: Element>(address: u64) -> [u32; 4] {
    if address % u64::from(VECTOR) == 0 {
        // SAFETY: the caller's promise, and the test above.
        return unsafe { global::load_v4(address) };
    }
    let word = |number: u64| {
        let at = address + number * 4;
        if T::BYTES == 4 {
            // SAFETY: the caller's promise.
            unsafe { global::load_u32(at) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { global::load_u16_wide(at) | global::load_u16_wide(at + 2) << 16 }
        }
    };
    [word(0), word(1), word(2), word(3)]
}

/// The same in shared memory.
///
/// # Safety
/// As [`shared::load_v4`], but for any multiple of an element.
#[inline(always)]
unsafe fn load_shared<T: Element>(address: u32) -> [u32; 4] {
    if address % VECTOR == 0 {
        // SAFETY: the caller's promise, and the test above.
        return unsafe { shared::load_v4(address) };
    }
    let word = |number: u32| {
        let at = address + number * 4;
        if T::BYTES == 4 {
            // SAFETY: the caller's promise.
            unsafe { shared::load_u32(at) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { u32::from(shared::load_u16(at)) | u32::from(shared::load_u16(at + 2)) << 16 }
        }
    };
    [word(0), word(1), word(2), word(3)]
}

/// Stores 16 bytes of elements; in one go where the address allows it.
///
/// # Safety
/// As [`global::store_v4`], but for any multiple of an element.
#[inline(always)]
unsafe fn store_global<T: Element>(address: u64, packed: [u32; 4]) {
    if address % u64::from(VECTOR) == 0 {
        // SAFETY: the caller's promise, and the test above.
        return unsafe { global::store_v4(address, packed) };
    }
    let store = |number: u64, word: u32| {
        let at = address + number * 4;
        // SAFETY: the caller's promise.
        unsafe { T::store_bits(at, word) };
        if T::BYTES == 2 {
            // SAFETY: the caller's promise.
            unsafe { T::store_bits(at + 2, word >> 16) };
        }
    };
    let [a, b, c, d] = packed;
    store(0, a);
    store(1, b);
    store(2, c);
    store(3, d);
}
