//! uint8 images to normalised planes in one pass: crop, mirror, `(x/255 - mean)/std`, (n, h, w, 3) to (n, 3, oh, ow).
//!
//! One warp loads, four compute. A tile is a band of rows of one crop, at most `COLUMNS` wide; the loader works out where
//! it comes from and goes to, and leaves that as a note in the stage. There are only 256 input values per channel, so
//! their results stand in a table in shared memory, computed once per block in float64 and rounded once: exact also where
//! `x/255 - mean` cancels, where float32 arithmetic is not.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 3, vote.sync.any.pred 2

mod pixels;
mod quad;

use self::pixels::{convert, fill_table};
use self::quad::Quad;
use crate::images::{CHANNELS, Triple};
use warpbridge_runtime::element::Element;
use warpbridge_runtime::mbarrier::Meeting;
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Array, Batch, Control, Loader, Reader, Ring, Rows, Stage, divide, global, run, shared, warp};

const ROWS_BYTES: u32 = 8192; // the manifest's `band` and `pitch` make a tile fit
const STAGE: u32 = ROWS_BYTES + 128; // the note is behind the rows
const STAGES: u32 = 2;
const COMPUTE_WARPS: u32 = 4;
const COLUMNS: u32 = 2048; // pixels of a row in one tile
const VALUES: u32 = 256;
const OFFSET_OUTSIDE: u32 = 1; // fault code

/// The arguments, and what follows from them; the same in every thread.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    y: u64,
    offsets: u64,
    mirror: u64,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    /// Rows per tile.
    band: u32,
    tiles: Batch,
    control: Control,
}

/// What the readers must know of a tile.
#[derive(Clone, Copy)]
struct Note {
    /// Element of y that the tile's first pixel goes to, in the first plane.
    target: u64,
    rows: u32,
    columns: u32,
    /// Address of the first row's first byte in x, modulo 2^32: its last bits say where rows start in the stage.
    first: u32,
    mirrored: bool,
}

impl Job {
    fn columns(&self) -> u32 {
        self.out_width.min(COLUMNS)
    }

    /// Distance of rows in a stage: a row with up to 15 bytes around either end, in units of 16.
    fn pitch(&self) -> u32 {
        (self.columns() * CHANNELS + 30) & !15
    }

    /// Crop of one image: row and column of its corner. One outside is reported, and moved inside.
    #[inline(always)]
    fn corner(&self, image: u32) -> (u32, u32) {
        if self.offsets == 0 {
            return (0, 0);
        }
        let at = self.offsets + u64::from(image) * 8;
        // SAFETY: the image's two numbers, in an array of n pairs.
        let found = unsafe { (global::load_u32(at) as i32, global::load_u32(at + 4) as i32) };
        let last = (
            (self.height - self.out_height) as i32,
            (self.width - self.out_width) as i32,
        );
        let inside = (found.0.max(0).min(last.0), found.1.max(0).min(last.1));
        if inside != found && warp::lane() == 0 {
            self.control.fault(OFFSET_OUTSIDE, [i64::from(image), 0]);
        }
        (inside.0 as u32, inside.1 as u32)
    }

    /// Where a tile comes from and where it goes.
    #[inline(always)]
    fn tile(&self, tile: u32) -> (Rows, Note) {
        let blocks = self.out_width.div_ceil(COLUMNS);
        let bands = divide(self.out_height + self.band - 1, self.band).0;
        let (strip, block) = divide(tile, blocks);
        let (image, band) = divide(strip, bands);
        let (row, column) = (band * self.band, block * COLUMNS);
        let rows = (self.out_height - row).min(self.band);
        let columns = (self.out_width - column).min(COLUMNS);
        // SAFETY: the image's flag, in an array of n.
        let mirrored = self.mirror != 0 && unsafe { global::load_u8(self.mirror + u64::from(image)) } != 0;
        let (top, left) = self.corner(image);
        let source = left
            + if mirrored {
                self.out_width - column - columns
            } else {
                column
            };
        let pixel = (u64::from(image) * u64::from(self.height) + u64::from(top + row)) * u64::from(self.width);
        let first = self.x.begin + (pixel + u64::from(source)) * u64::from(CHANNELS);
        let plane_row = u64::from(image) * u64::from(CHANNELS) * u64::from(self.out_height) + u64::from(row);
        let target = plane_row * u64::from(self.out_width) + u64::from(column);
        let rows_of_x = Rows {
            array: self.x,
            first,
            stride: u64::from(self.width) * u64::from(CHANNELS),
            count: rows,
            bytes: columns * CHANNELS,
            pitch: self.pitch(),
        };
        (
            rows_of_x,
            Note {
                target,
                rows,
                columns,
                first: first as u32,
                mirrored,
            },
        )
    }
}

impl Note {
    /// Leaves the note in a reserved stage. One lane writes; `fill` hands it over with the rows.
    #[inline(always)]
    fn write(&self, stage: Stage) {
        if warp::lane() == 0 {
            let target = [self.target as u32, (self.target >> 32) as u32, 0, 0];
            let tile = [self.rows, self.columns, self.first, u32::from(self.mirrored)];
            // SAFETY: behind the rows, where no copy goes.
            unsafe { shared::store_v4(stage.address + ROWS_BYTES, target) };
            // SAFETY: as above.
            unsafe { shared::store_v4(stage.address + ROWS_BYTES + 16, tile) };
        }
    }

    #[inline(always)]
    fn read(stage: Stage) -> Self {
        // SAFETY: the stage is filled, and its note written before.
        let (low, high) = unsafe {
            (
                shared::load_u32(stage.address + ROWS_BYTES),
                shared::load_u32(stage.address + ROWS_BYTES + 4),
            )
        };
        // SAFETY: as above.
        let [rows, columns, first, mirrored] = unsafe { shared::load_v4(stage.address + ROWS_BYTES + 16) };
        Self {
            target: u64::from(high) << 32 | u64::from(low),
            rows,
            columns,
            first,
            mirrored: mirrored != 0,
        }
    }
}

/// Keeps the ring full.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job, std: Triple) {
    std.check_divisor(job.control);
    for tile in job.tiles {
        let (rows, note) = job.tile(tile);
        let stage = ring.reserve().await;
        note.write(stage);
        // SAFETY: the crop lies in x (`corner` sees to it), and a band fits a stage.
        unsafe { ring.fill(stage, &rows) };
    }
}

/// Computes the table, while the first rows are on their way, then turns each stage into three planes.
async fn compute<T: Element>(
    mut ring: Reader<STAGES, STAGE>,
    job: Job,
    (mean, std): (Triple, Triple),
    ready: Meeting,
    table: u32,
) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    fill_table::<T>(table, mean, std, share);
    ready.arrive().await;
    // Threads go over the quads of a tile row by row, all of them; steps instead of a division per quad.
    let quads = job.columns().div_ceil(4);
    let start = Quad::of(share.thread, quads);
    let step = Quad::of(share.threads, quads);
    for _ in job.tiles {
        let stage = ring.filled().await;
        let note = Note::read(stage);
        let mut at = start;
        while at.row < note.rows {
            convert::<T>(&job, &note, stage.address, at, table);
            at = at.after(step, quads);
        }
        ring.release();
    }
}

#[inline(always)]
fn image_prep<T: Element>(job: Job, mean: Triple, std: Triple) {
    let behind = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES;
    let ready = Meeting::init(behind, COMPUTE_WARPS);
    let Some(ring) = Ring::start(COMPUTE_WARPS, job.tiles, job.control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(ring.loader(), job, std), job.control);
    } else {
        run(
            compute::<T>(ring.reader(), job, (mean, std), ready, behind + 16),
            job.control,
        );
    }
}

/// One entry per output type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $output:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            mean: u64,
            mean0: f32,
            mean1: f32,
            mean2: f32,
            std: u64,
            std0: f32,
            std1: f32,
            std2: f32,
            offsets: u64,
            mirror: u64,
            y: u64,
            n: u32,
            height: u32,
            width: u32,
            out_height: u32,
            out_width: u32,
            band: u32,
            control: Control,
        ) {
            let bytes = u64::from(n) * u64::from(height) * u64::from(width) * u64::from(CHANNELS);
            let tiles = n * divide(out_height + band - 1, band).0 * out_width.div_ceil(COLUMNS);
            let (x, tiles) = (Array::new(x, bytes), Batch::of(tiles));
            let job = Job {
                x,
                y,
                offsets,
                mirror,
                height,
                width,
                out_height,
                out_width,
                band,
                tiles,
                control,
            };
            image_prep::<$output>(
                job,
                Triple(mean, mean0, mean1, mean2),
                Triple(std, std0, std1, std2),
            );
        }
    };
}

entry!(image_prep_f32, f32);
entry!(image_prep_f16, f16);
