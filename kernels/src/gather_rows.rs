//! Rows of a matrix by number: y[i, :] = src[idx[i], :], of any type; numbers of a floating-point type may be scaled.
//!
//! One warp looks the rows up and copies them into a ring of stages. Where all rows are multiples of 16 bytes at multiples of 16, a
//! stage is then just what belongs in y, and one warp stores it by bulk copies (`sm_90`); two warps store what has to be scaled or shifted.
//! sync sm_90: bar.red.or.pred 1, vote.sync.all.pred 3, vote.sync.any.pred 3
//! sync sm_80: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

mod tile;

#[cfg(engine = "bulk")]
use warpbridge_runtime::Storer;
use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::tile::{Share, map};
use warpbridge_runtime::{Array, Control, Loader, Reader, Ring, Windows, divide, global, run, shared, warp};

use self::tile::{Job, LookedUp, Numbers, Tiles};

const STAGE: u32 = 8192 + 512; // the manifest's `band` and `piece` make a tile fit
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 2;
const INDEX_OUTSIDE: u32 = 1; // fault codes
const NOT_SCALABLE: u32 = 2;

/// Keeps the ring full. The numbers are read one tile ahead: `next` are those of the first, `later` the tiles behind it. The copies of a
/// tile cannot start before its numbers are there.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job, mut next: Numbers, mut later: Tiles) {
    for place in job.tiles {
        let numbers = next;
        next = job.look_up(later.next());
        let stage = ring.reserve().await;
        let tile = LookedUp::new(job.tile(place), numbers);
        tile.check();
        // SAFETY: rows of src, and a band of pieces fits a stage.
        unsafe { ring.fill(stage, &tile) };
    }
}

/// Stores each stage as it is.
#[cfg(engine = "bulk")]
async fn store_whole(mut ring: Storer<STAGES, STAGE>, job: Job) {
    const LATER: u32 = 1; // stores that may still read while the loader gets the stage before theirs
    for place in job.tiles {
        let stage = ring.filled().await;
        let tile = job.tile(place).joined();
        // SAFETY: the tile, which has landed, and its place in y; both have no gaps and are multiples of 16.
        unsafe { ring.store(stage, tile.place(), tile.bytes) };
        if ring.held() > LATER {
            ring.read_out::<LATER>().await;
            ring.release();
        }
    }
}

/// Stores each stage's rows; `store` takes from where, to where, how many bytes, and whose share.
async fn store(mut ring: Reader<STAGES, STAGE>, job: Job, store: impl Fn(u32, u64, u32, Share) + Copy) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for place in job.tiles {
        let stage = ring.filled().await.address;
        let tile = job.tile(place).joined();
        let walk = share.over_rows(tile.bytes / 16);
        let part = Share {
            thread: walk.item,
            threads: walk.item_step,
        };
        let mut row = walk.row;
        while row < tile.rows {
            let skew = if job.is_flat() { 0 } else { tile.skew(row) };
            let to = tile.place() + u64::from(row) * job.row_bytes;
            store(stage + tile.slot(row) + skew, to, tile.bytes, part);
            row += walk.row_step;
        }
        ring.release();
    }
}

/// Copies bytes as they are: 16 at a time where both addresses allow it, 4 or 1 otherwise.
#[inline(always)]
fn copy(from: u32, to: u64, bytes: u32, share: Share) {
    let either = u64::from(from) | to;
    let mut done = 0;
    if either % 16 == 0 {
        let mut offset = share.thread * 16;
        while offset + 16 <= bytes {
            // SAFETY: inside the row's piece, in the stage and in y.
            unsafe { global::store_v4(to + u64::from(offset), shared::load_v4(from + offset)) };
            offset += share.threads * 16;
        }
        done = bytes & !15;
    } else if either % 4 == 0 {
        let mut offset = share.thread * 4;
        while offset + 4 <= bytes {
            // SAFETY: as above.
            unsafe { global::store_u32(to + u64::from(offset), shared::load_u32(from + offset)) };
            offset += share.threads * 4;
        }
        done = bytes & !3;
    }
    let mut offset = done + share.thread;
    while offset < bytes {
        // SAFETY: as above.
        unsafe { global::store_u8(to + u64::from(offset), shared::load_u8(from + offset)) };
        offset += share.threads;
    }
}

/// `what` stores, see [`store`]; where the numbers stay `as_they_are`, bulk copies may.
#[inline(always)]
fn gather_rows(job: Job, as_they_are: bool, what: impl Fn(u32, u64, u32, Share) + Copy) {
    let (is_loader, mut later) = (warp::index() == 0, job.tiles);
    // Before all else: the first numbers are on their way while the ring is set up.
    let next = if is_loader {
        job.look_up(later.next())
    } else {
        Numbers::NONE
    };
    let whole = cfg!(engine = "bulk") && as_they_are && job.is_flat();
    let Some(ring) = Ring::start(if whole { 1 } else { COMPUTE_WARPS }, job.tiles.batch, job.control) else {
        return;
    };
    if is_loader {
        run(load(ring.loader(), job, next, later), job.control);
    } else if !whole {
        run(store(ring.reader(), job, what), job.control);
    } else if warp::index() == 1 {
        #[cfg(engine = "bulk")]
        run(store_whole(Storer::of(ring.reader()), job), job.control);
    }
}

/// For numbers that can be scaled; by 1 they are copied.
#[inline(always)]
fn scaled<T: Element>(job: Job, scale: f32) {
    gather_rows(job, scale == 1.0, move |from, to, bytes, share| {
        if scale == 1.0 {
            copy(from, to, bytes, share);
        } else {
            // SAFETY: the row's piece, which has landed, and its place in y.
            unsafe { map::<T, 2>(from, to, bytes / T::BYTES, share, |x| x * scale) };
        }
    });
}

/// For everything else.
#[inline(always)]
fn copied(job: Job, scale: f32) {
    if scale != 1.0 && warp::lane() == 0 {
        job.control.fault(NOT_SCALABLE, [0, 0]);
    }
    gather_rows(job, true, copy);
}

/// What the entries have in common; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $what:expr) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            src: u64,
            idx: u64,
            y: u64,
            rows: u64,
            count: u32,
            row_bytes: u64,
            width: u32,
            band: u32,
            piece: u32,
            pieces: u32,
            scale: f32,
            control: Control,
        ) {
            let job = Job {
                src: Array::new(src, rows * row_bytes),
                rows: rows as i64,
                row_bytes,
                idx,
                width,
                y,
                count,
                band,
                piece,
                tiles: Tiles::of(divide(count + band - 1, band).0, pieces),
                control,
            };
            $what(job, scale);
        }
    };
}

entry!(gather_rows_f32, scaled::<f32>);
entry!(gather_rows_f16, scaled::<f16>);
entry!(gather_rows_bf16, scaled::<BFloat16>);
entry!(gather_rows_any, copied);
