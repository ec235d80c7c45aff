//! Many steps of a star-shaped stencil on a three-dimensional field, in one launch.
//!
//! One warp copies planes of a tile into a ring, seven warps march through them along z, each of their 32 lanes with four
//! numbers of a row. Thread blocks take numbered pieces of work (a tile at a step) from a counter, in order; a piece waits
//! until the pieces around it have done the step before, by an await like any other. A piece waits for lower numbers
//! only, and whoever took those is running: so no barrier of the whole grid is needed, and no thread block has to be
//! resident beside any other.
//! blocks sm_90: at least 2 per multiprocessor
//! sync: bar.sync 1, bar.warp.sync 2, shfl.sync.bfly.b32 5, vote.sync.all.pred 5, vote.sync.any.pred 3
//! sync sm_90: bar.sync 1, bar.warp.sync 2, elect.sync 1, shfl.sync.bfly.b32 5, vote.sync.all.pred 5, vote.sync.any.pred 3

mod grid;
mod job;
mod pack;
mod ring;
mod star;

use warpbridge_runtime::{Control, run, shared, warp};

use self::grid::Work;
use self::job::{Job, divide};
use self::ring::{Loader, Reader, Ring};
use self::star::{TABLE_BYTES, fill_table};

const COMPUTE_WARPS: u32 = 7; // with the loader, two blocks of 128 registers fit a multiprocessor
const NUMBER: u32 = 4; // bytes of a float32
const COLUMNS: u32 = 128; // numbers of a row in one tile: four per lane
const MOST_RADIUS: u32 = 4;
const NO_MORE: u32 = u32::MAX;

/// Takes pieces of work, waits until each may begin, and keeps the ring full of its planes. Behind the last piece comes
/// one stage without rows.
async fn load(mut ring: Loader, job: Job) {
    let mut taken = job.work.take();
    let mut is_over = false;
    while !is_over {
        let piece = taken.number();
        let is_last = piece >= job.pieces();
        // The next number and the cancel word are asked for now and looked at after this piece: nobody waits for them.
        taken = job.work.take();
        let cancel = job.control.cancel_word();
        let tile = job.tile(piece);
        job.work.ready(&job, &tile, is_last).await;
        grid::acquire_for_copies();
        let planes = if is_last { 1 } else { tile.planes() + 2 * job.radius };
        for plane in 0..planes {
            let stage = ring.reserve().await;
            job.leave_note(stage, if is_last { NO_MORE } else { piece });
            // SAFETY: the rows lie in the field that the step reads, and fit a stage.
            unsafe { ring.fill(stage, &job.plane(&tile, plane, is_last)) };
        }
        let is_cancelled = warp::any(cancel != 0);
        if is_cancelled {
            job.control.mark_stopped();
        }
        is_over = is_last || is_cancelled;
    }
}

/// Marches through the planes of each piece; says that it is done.
async fn compute(mut ring: Reader, job: Job, table: u32) {
    loop {
        let stage = ring.filled(0).await;
        let piece = job.note(stage);
        if piece == NO_MORE {
            return;
        }
        let tile = job.tile(piece);
        // Copies may land in any order, so each plane is waited for.
        for ahead in 1..2 * job.radius {
            ring.filled(ahead).await;
        }
        for z in tile.z.begin..tile.z.end {
            ring.filled(2 * job.radius).await;
            star::plane(&job, &tile, z, ring, table);
            ring.release(1);
        }
        ring.release(2 * job.radius);
        job.work.finish(tile.number);
        if warp::index() == 1 && warp::lane() == 0 {
            job.control.set_progress(piece + 1);
        }
    }
}

/// float32. What the arguments are, the manifest says.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub extern "ptx-kernel" fn stencil3d_f32(
    u: u64,
    weights: u64,
    y: u64,
    spare: u64,
    work: u64,
    nz: u32,
    ny: u32,
    nx: u32,
    radius: u32,
    depth: u32,
    height: u32,
    stages: u32,
    steps: u32,
    periodic: u32,
    control: Control,
) {
    let job = Job {
        u,
        y,
        spare,
        work: Work::at(work),
        nz,
        ny,
        nx,
        radius,
        height,
        tiles_z: divide(nz + depth - 1, depth).0,
        tiles_y: divide(ny + height - 1, height).0,
        tiles_x: nx.div_ceil(COLUMNS),
        steps,
        periodic: periodic != 0,
        is_aligned: (u | y | spare) % 16 == 0 && nx % 4 == 0,
        control,
    };
    control.begin(job.pieces());
    let table = shared::base();
    fill_table(table, weights, radius, (1 + COMPUTE_WARPS) * warp::LANES);
    let ring = Ring::init(table + TABLE_BYTES, stages, job.stage_bytes(), COMPUTE_WARPS);
    if warp::index() == 0 {
        run(load(ring.loader(), job), control);
        ring.drain();
    } else {
        run(compute(ring.reader(), job, table), control);
    }
}
