//! A field of numbers to colours, between its own smallest and largest number: x goes by twice in one launch, first for its
//! range, then for its colours.
//!
//! The roles are those of `field_to_rgba.rs`, and so is what becomes of a number (`colours`). Thread blocks take runs of tiles from a
//! counter, in order; the colours wait, by an await like any other, until all tiles were seen. That wait is for lower numbers
//! only, and whoever took those is running and waits for nobody before it has brought in what it saw: no thread block has to
//! be resident beside any other.
//! sync: bar.sync 1, shfl.sync.bfly.b32 30, vote.sync.all.pred 6, vote.sync.any.pred 3

#[path = "field_to_rgba/colours.rs"]
mod colours;
mod numbers;
mod range;
mod runs;

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Array, Control, Loader, Reader, Ring, Stripe, block, run, shared, warp};

use self::colours::{COMPUTE_WARPS, Field, STAGE, Scale, TILE, colour_tile, fill_table};
use self::numbers::{Number, Ranged, scale_between, see_tile};
use self::range::{Corner, Work};
use self::runs::{Note, Runs};

const STAGES: u32 = 5;

type Stages = Ring<STAGES, STAGE>;

/// Keeps the ring full of the tiles that this thread block takes. Behind the last comes a stage with hardly a byte.
async fn load(mut ring: Loader<STAGES, STAGE>, runs: Runs, work: Work, control: Control) {
    let mut run = runs.run(work.take().number());
    let (mut taken, mut cancel, mut is_over) = (work.take(), control.cancel_word(), false);
    while !is_over {
        let stage = ring.reserve().await;
        run.leave_note(stage);
        // SAFETY: a part of x, which fits a stage.
        unsafe { ring.fill(stage, &run.part(runs.x)) };
        is_over = run.is_none();
        run.tile += 1;
        if run.tile >= run.end && !is_over {
            // The next number and the cancel word were asked for a run ago: nobody waits for them.
            let is_cancelled = warp::any(cancel != 0);
            if is_cancelled {
                control.mark_stopped();
            }
            let next = runs.run(taken.number());
            run = if is_cancelled { runs.none() } else { next };
            (taken, cancel) = (work.take(), control.cancel_word());
        }
    }
}

/// Finds the range, waits until all have, then looks colours up.
async fn find_and_colour<T: Ranged>(
    mut ring: Reader<STAGES, STAGE>,
    runs: Runs,
    y: u64,
    given: Scale,
    vmax: f64,
    work: Work,
    corner: Corner,
) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    let (mut seen, mut tiles) = (T::Number::NONE, 0);
    let mut stage = ring.filled().await;
    let mut note = Note::of(stage);
    while note.is_for_range() {
        seen = see_tile::<T>(stage.address, &runs.x.part(note.tile(), TILE), seen, share);
        tiles += 1;
        ring.release();
        stage = ring.filled().await;
        note = Note::of(stage);
    }
    work.bring(seen, tiles, corner, COMPUTE_WARPS);
    // Without a tile to colour the range is nobody's business; whoever was cancelled may never see it complete.
    if note.is_end() {
        return;
    }
    if share.thread < warp::LANES {
        work.complete(u64::from(runs.tiles)).await;
        corner.tell(work);
    }
    corner.known().wait(0, ()).await;
    let scale = scale_between::<T::Number>(given, vmax, corner.range());
    while !note.is_end() {
        colour_tile::<T>(stage.address, &runs.x.part(note.tile(), TILE), y, &scale, share);
        ring.release();
        stage = ring.filled().await;
        note = Note::of(stage);
    }
}

/// One entry per type of x; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $field:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            lut: u64,
            y: u64,
            work: u64,
            n: u64,
            entries: u32,
            vmin: f64,
            vmax: f64,
            nan: u32,
            control: Control,
        ) {
            let runs = Runs::over(Array::new(x, n * u64::from(<$field>::BYTES)));
            let corner = Corner(shared::base() + Stages::SHARED_BYTES);
            if block::thread() == 0 {
                corner.init();
            }
            let table = corner.0 + Corner::BYTES;
            fill_table(table, lut, entries, Share::of_warps(0, 1 + COMPUTE_WARPS));
            // Who takes which run is not known before: twice this block's fair share.
            let ring = Stages::init(COMPUTE_WARPS, 2 * Stripe::of(runs.tiles).remaining(), control);
            let given = Scale {
                table,
                vmin,
                factor: 0.0,
                last: entries - 1,
                nan,
            };
            if warp::index() == 0 {
                run(load(ring.loader(), runs, Work(work), control), control);
            } else {
                run(
                    find_and_colour::<$field>(ring.reader(), runs, y, given, vmax, Work(work), corner),
                    control,
                );
            }
        }
    };
}

entry!(field_to_rgba_own_range_f32, f32);
entry!(field_to_rgba_own_range_f16, f16);
entry!(field_to_rgba_own_range_f64, f64);
entry!(field_to_rgba_own_range_u16, u16);
