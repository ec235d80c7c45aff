//! y = a*x + b: the tutorial kernel. One warp copies tiles of x into a ring of stages, eight warps compute and store.
//! Reading guide: `scale` starts the roles, `load` and `compute` are the roles, the rest is in `runtime/`.
//! sync: bar.sync 1, bar.warp.sync 1, vote.sync.all.pred 2, vote.sync.any.pred 3

use crate::runtime::element::{Element, Share, map};
use crate::runtime::{Array, Control, Loader, Reader, Ring, Rows, Stripe, block, fma, run, warp};

const TILE: u32 = 16384; // bytes of x
const STAGES: u32 = 6;
const STAGE: u32 = TILE + 128; // room for an x that is not 16-byte aligned
const COMPUTE_WARPS: u32 = 8;

/// Keeps the ring full: waits for a free stage, starts the copy of the next tile.
async fn load(mut ring: Loader<STAGES, STAGE>, x: Array, tiles: Stripe, control: Control) {
    for tile in tiles.watched(control) {
        let stage = ring.reserve().await;
        let first = x.begin + u64::from(tile) * u64::from(TILE);
        let bytes = (x.end - first).min(u64::from(TILE)) as u32;
        // SAFETY: the rows (a single one) are the part of x that belongs to this tile.
        unsafe {
            ring.fill(
                stage,
                &Rows {
                    array: x,
                    first,
                    stride: 0,
                    count: 1,
                    bytes,
                    pitch: 0,
                },
            )
        };
    }
}

/// Uses stages up: waits for the next tile, computes, stores, gives the stage back.
async fn compute<T: Element>(
    mut ring: Reader<STAGES, STAGE>,
    x: Array,
    y: u64,
    a: f32,
    b: f32,
    tiles: Stripe,
    control: Control,
) {
    let share = Share {
        thread: block::thread() - warp::LANES,
        threads: COMPUTE_WARPS * warp::LANES,
    };
    for (done, tile) in (1..).zip(tiles) {
        let stage = ring.filled().await;
        let offset = u64::from(tile) * u64::from(TILE);
        let count = (x.end - x.begin - offset).min(u64::from(TILE)) as u32 / T::BYTES;
        // SAFETY: the tile's elements, which have landed, and the same elements of y.
        unsafe {
            map::<T>(stage.address + x.begin as u32 % 16, y + offset, count, share, |x| {
                fma(a, x, b)
            })
        };
        ring.release();
        if share.thread == 0 {
            control.set_progress(done);
        }
    }
}

#[inline(always)]
fn scale<T: Element>(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    let x = Array {
        begin: x,
        end: x + n * u64::from(T::BYTES),
    };
    let tiles = Stripe::of((x.end - x.begin).div_ceil(u64::from(TILE)) as u32);
    control.begin(tiles);
    let ring = Ring::init(COMPUTE_WARPS);
    if warp::index() == 0 {
        run(load(ring.loader(), x, tiles, control), control);
    } else {
        run(compute::<T>(ring.reader(), x, y, a, b, tiles, control), control);
    }
}

/// float32: rounded once. The manifest says what the arguments are.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn scale_f32(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    scale::<f32>(x, y, n, a, b, control);
}

/// float16: computed in float32, rounded once.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn scale_f16(x: u64, y: u64, n: u64, a: f32, b: f32, control: Control) {
    scale::<f16>(x, y, n, a, b, control);
}
