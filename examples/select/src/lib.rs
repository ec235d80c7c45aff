//! Where an array exceeds a limit: the places of those numbers, in no particular order, and how many there are.
//!
//! One warp copies tiles of x into a ring of stages. Each of four warps counts in its share of a tile, reserves as much room in the
//! result by one addition to a counter in global memory, and writes: the lanes' sums say where each of them begins.
//! sync: bar.sync 1, shfl.sync.bfly.b32 10, shfl.sync.up.b32 5, vote.sync.all.pred 2, vote.sync.any.pred 3

#![no_std]
#![feature(abi_ptx, asm_experimental_arch)]

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{
    Array, Control, Loader, Reader, Ring, Stripe, Windows, global, lanes, run, shared, warp,
};

warpbridge_runtime::kernel_crate!();

const TILE: u32 = 8192; // bytes of x in one stage
const STAGE: u32 = TILE + 128; // room for an x that does not start at a multiple of 16
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 4;
const NUMBER: u32 = 4; // bytes

/// What the roles need to know.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    places: u64,
    count: u64,
    limit: f32,
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

/// Role of warps 1 to 4.
async fn select(mut ring: Reader<STAGES, STAGE>, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let stage = ring.filled().await;
        let part = job.x.part(tile, TILE);
        let (from, numbers) = (stage.address + part.skew(0), part.bytes / NUMBER);
        // SAFETY: a number of the tile, which has landed.
        let exceeds = |at: u32| unsafe { f32::from_bits(shared::load_u32(from + at * NUMBER)) } > job.limit;
        let (mut mine, mut at) = (0, share.thread);
        while at < numbers {
            mine += u32::from(exceeds(at));
            at += share.threads;
        }
        let (before, all) = (lanes::sum_below_u32(mine), lanes::sum_u32(mine));
        let mut first = 0;
        if warp::lane() == 0 && all != 0 {
            // SAFETY: the counter, to which everybody adds.
            first = unsafe { global::fetch_add_u32(job.count, all) };
        }
        // All other lanes have 0.
        let mut next = lanes::sum_u32(first) + before;
        let origin = (part.offset() / u64::from(NUMBER)) as u32;
        at = share.thread;
        while at < numbers {
            if exceeds(at) {
                // SAFETY: places has room for every number of x, and nobody else was given this one's.
                unsafe { global::store_u32(job.places + u64::from(next) * u64::from(NUMBER), origin + at) };
                next += 1;
            }
            at += share.threads;
        }
        ring.release();
    }
}

/// The entry.
#[unsafe(no_mangle)]
pub extern "ptx-kernel" fn select_f32(x: u64, places: u64, count: u64, n: u64, limit: f32, control: Control) {
    let x = Array::new(x, n * u64::from(NUMBER));
    let tiles = Stripe::of(x.parts(TILE));
    let job = Job { x, places, count, limit, tiles, control };
    let ring = Ring::init(COMPUTE_WARPS, tiles.remaining(), control);
    if warp::index() == 0 {
        run(load(ring.loader(), job), control);
    } else {
        run(select(ring.reader(), job), control);
    }
}
