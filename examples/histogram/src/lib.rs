//! How often each of 256 values occurs: counted in shared memory by each thread block, then added up in global memory.
//!
//! One warp copies tiles of x into a ring of stages, four warps count; when all four are through, they add what they have.
//! sync: bar.sync 1, vote.sync.all.pred 3, vote.sync.any.pred 3

#![no_std]
#![feature(abi_ptx, asm_experimental_arch)]

use warpbridge_runtime::mbarrier::Barrier;
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{
    Array, Control, Loader, Reader, Ring, Stripe, Windows, block, global, run, shared, warp,
};

warpbridge_runtime::kernel_crate!();

const TILE: u32 = 8192; // bytes of x in one stage
const STAGE: u32 = TILE + 128; // room for an x that does not start at a multiple of 16
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 4;
const THREADS: u32 = (1 + COMPUTE_WARPS) * warp::LANES;
const BINS: u32 = 256;
const COUNT: u32 = 4; // bytes

/// What the roles need to know, and the block's own counters behind the ring: the bins, then a barrier.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    y: u64,
    bins: u32,
    counted: Barrier,
    tiles: Stripe,
    control: Control,
}

/// Role of warp 0.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for tile in job.tiles.watched(job.control) {
        let stage = ring.reserve().await;
        // SAFETY: the tile is a part of x, and fits a stage.
        unsafe { ring.fill(stage, &job.x.part(tile, TILE)) };
    }
}

/// Role of warps 1 to 4: counts tile by tile, waits until the others have counted too, adds its share of the bins to y.
async fn count(mut ring: Reader<STAGES, STAGE>, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let stage = ring.filled().await;
        let part = job.x.part(tile, TILE);
        let (from, mut at) = (stage.address + part.skew(0), share.thread);
        while at < part.bytes {
            // SAFETY: an element of the tile, which has landed, and its bin.
            unsafe { shared::add_u32(job.bins + u32::from(shared::load_u8(from + at)) * COUNT, 1) };
            at += share.threads;
        }
        ring.release();
    }
    job.counted.arrive();
    job.counted.wait(0, ()).await;
    let mut bin = share.thread;
    while bin < BINS {
        // SAFETY: a bin that nobody adds to any more, and the same bin of y.
        unsafe { global::add_u32(job.y + u64::from(bin * COUNT), shared::load_u32(job.bins + bin * COUNT)) };
        bin += share.threads;
    }
}

/// The entry.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn histogram(x: u64, y: u64, n: u64, control: Control) {
    let x = Array::new(x, n);
    let tiles = Stripe::of(x.parts(TILE));
    let bins = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES;
    let counted = Barrier(bins + BINS * COUNT);
    let mut bin = block::thread();
    while bin < BINS {
        // SAFETY: a bin, behind the ring.
        unsafe { shared::store_u32(bins + bin * COUNT, 0) };
        bin += THREADS;
    }
    if block::thread() == 0 {
        counted.init(COMPUTE_WARPS * warp::LANES);
    }
    let job = Job { x, y, bins, counted, tiles, control };
    let ring = Ring::init(COMPUTE_WARPS, tiles.remaining(), control); // publishes the barrier too, and syncs the block
    if warp::index() == 0 {
        run(load(ring.loader(), job), control);
    } else {
        run(count(ring.reader(), job), control);
    }
}
