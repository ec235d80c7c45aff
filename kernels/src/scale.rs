//! y = a*x + b: the tutorial kernel. One warp copies tiles of x into a ring of stages, four warps compute and store.
//! `scale` starts the roles, `load` and `compute` are the roles, everything else is in `runtime/`.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

use warpbridge_runtime::element::Element;
use warpbridge_runtime::tile::{Share, map};
use warpbridge_runtime::{Array, Batch, Control, Loader, Reader, Ring, Windows, fma, run, warp};

const TILE: u32 = 8192; // bytes of x
const STAGE: u32 = TILE + 128; // room for an x that is not 16-byte aligned
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 4;

/// Keeps the ring full: waits for a free stage, starts the copy of the next tile.
async fn load(mut ring: Loader<STAGES, STAGE>, x: Array, tiles: Batch) {
    for tile in tiles {
        let stage = ring.reserve().await;
        // SAFETY: the tile is a part of x, and fits a stage.
        unsafe { ring.fill(stage, &x.part(tile, TILE)) };
    }
}

/// Uses stages up: waits for the next tile, computes, stores, gives the stage back.
async fn compute<T: Element>(mut ring: Reader<STAGES, STAGE>, x: Array, y: u64, line: (f32, f32), tiles: Batch) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in tiles {
        let part = x.part(tile, TILE);
        let stage = ring.filled().await;
        let (from, to) = (stage.address + part.skew(0), y + part.offset());
        // SAFETY: the tile's elements, which have landed, and the same elements of y.
        unsafe { map::<T, 4>(from, to, part.bytes / T::BYTES, share, |x| fma(line.0, x, line.1)) };
        ring.release();
    }
}

#[inline(always)]
fn scale<T: Element>(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    let x = Array::new(x, n * u64::from(T::BYTES));
    let tiles = Batch::of(x.parts(TILE));
    let Some(ring) = Ring::start(COMPUTE_WARPS, tiles, control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(ring.loader(), x, tiles), control);
    } else {
        run(compute::<T>(ring.reader(), x, y, (a, b), tiles), control);
    }
}

/// float32: rounded once. What the arguments are, the manifest says.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn scale_f32(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    scale::<f32>(x, y, n, a, b, control);
}

/// float16: computed in float32, rounded once.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn scale_f16(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    scale::<f16>(x, y, n, a, b, control);
}
