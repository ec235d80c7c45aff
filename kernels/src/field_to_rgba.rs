//! A field of numbers to colours: y = lut[(x - vmin) / (vmax - vmin) * k], clamped to the table's ends.
//!
//! One warp copies tiles of x into a ring of stages, eight warps look up and store. The table stands in shared memory: a block takes
//! the more tiles, the larger it is. What a number's colour is stands in `field_to_rgba/colours.rs`.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 3, vote.sync.any.pred 2

mod colours;

use warpbridge_runtime::mbarrier::Meeting;
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Array, Batch, Control, Loader, Reader, Ring, run, shared, warp};

use self::colours::{COMPUTE_WARPS, Field, STAGE, Scale, TILE, colour_tile, fill_table};

const STAGES: u32 = 2;

type Stages = Ring<STAGES, STAGE>;

/// Keeps the ring full.
async fn load(mut ring: Loader<STAGES, STAGE>, x: Array, tiles: Batch) {
    for tile in tiles {
        let stage = ring.reserve().await;
        // SAFETY: the tile is a part of x, and fits a stage.
        unsafe { ring.fill(stage, &x.part(tile, TILE)) };
    }
}

/// Copies the table, while the first tile is on its way, then looks colours up.
async fn colour<T: Field>(
    mut ring: Reader<STAGES, STAGE>,
    x: Array,
    y: u64,
    (lut, scale): (u64, Scale),
    ready: Meeting,
    tiles: Batch,
) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    fill_table(scale.table, lut, scale.last + 1, share);
    ready.arrive().await;
    for tile in tiles {
        let part = x.part(tile, TILE);
        let stage = ring.filled().await.address;
        colour_tile::<T>(stage, &part, y, &scale, share);
        ring.release();
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
            n: u64,
            entries: u32,
            vmin: f64,
            vmax: f64,
            nan: u32,
            control: Control,
        ) {
            let x = Array::new(x, n * u64::from(<$field>::BYTES));
            let tiles = Batch::of(x.parts(TILE));
            let behind = shared::base() + Stages::SHARED_BYTES;
            let ready = Meeting::init(behind, COMPUTE_WARPS);
            let Some(ring) = Stages::start(COMPUTE_WARPS, tiles, control) else {
                return;
            };
            let scale = Scale {
                table: behind + 16,
                vmin,
                factor: f64::from(entries) / (vmax - vmin),
                last: entries - 1,
                nan,
            };
            if warp::index() == 0 {
                run(load(ring.loader(), x, tiles), control);
            } else {
                run(
                    colour::<$field>(ring.reader(), x, y, (lut, scale), ready, tiles),
                    control,
                );
            }
        }
    };
}

entry!(field_to_rgba_f32, f32);
entry!(field_to_rgba_f16, f16);
entry!(field_to_rgba_f64, f64);
entry!(field_to_rgba_u16, u16);
