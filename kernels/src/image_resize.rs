//! uint8 images to normalised planes of another size in one pass: a box of each image, resized bilinearly, mirrored, `(x/255 - mean)/std`.
//!
//! One warp loads, four compute. A tile is a band of rows of y, at most `columns` wide; its stage holds the rows of x that the
//! band lies between: all from the first to the last, or (where y is much smaller) only the two that each row of y needs. The loader works
//! out where that is and leaves it as a note in the stage.
//! blocks sm_80: at least 4 per multiprocessor
//! blocks sm_90: at least 5 per multiprocessor
//! sync: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

mod note;
mod pixels;
mod source;

use core::future::Future;

use self::note::{Lines, Note, Plan, STAGE, Scale};
use self::pixels::{Target, resize};
use self::source::{Blend, Box, Ratio};
use crate::images::{CHANNELS, Triple};
use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::{
    Array, Batch, Control, Loader, Reader, Ring, Stage, Windows, divide, global, run, shared, warp,
};

const STAGES: u32 = 2;
const COMPUTE_WARPS: u32 = 4;
const BOX_OUTSIDE: u32 = 1; // fault code

/// The arguments, and what follows from them; the same in every thread.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    boxes: u64,
    mirror: u64,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    /// Rows and columns of y per tile.
    band: u32,
    columns: u32,
    /// Distance of rows in a stage.
    pitch: u32,
    /// Tiles below each other in an image, and beside each other.
    bands: u32,
    blocks: u32,
    /// Whether rows and planes of y are at multiples of four pixels' size.
    is_even: bool,
    tiles: Batch,
    control: Control,
}

/// A tile of y, and the part of x that it lies in.
#[derive(Clone, Copy)]
struct Tile {
    x: Array,
    /// Address of the first byte of the tile's part of the box's first row, and bytes from one row to the next.
    origin: u64,
    stride: u32,
    /// Bytes of a row of the part.
    bytes: u32,
    vertical: Ratio,
    /// First row of y, and first row of the box in the stage.
    row: u32,
    first_row: u32,
    /// Rows of the box in the stage where all are there; 0 where each row of y has two of its own.
    dense: u32,
    /// Bytes from one row of the stage to the next; 0 where they follow each other as in x.
    pitch: u32,
    note: Note,
}

impl Job {
    #[inline(always)]
    fn tile(&self, tile: u32) -> Tile {
        let (strip, block) = if self.blocks > 1 {
            divide(tile, self.blocks)
        } else {
            (tile, 0)
        };
        let (image, band) = divide(strip, self.bands);
        let (row, left) = (band * self.band, block * self.columns);
        let (rows, columns) = (
            (self.out_height - row).min(self.band),
            (self.out_width - left).min(self.columns),
        );
        // SAFETY: the image's flag, in an array of n.
        let mirrored = self.mirror != 0 && unsafe { global::load_u8(self.mirror + u64::from(image)) } != 0;
        let column = if mirrored {
            self.out_width - left - columns
        } else {
            left
        };
        let area = self.area(image);
        let vertical = Ratio::of(area.height, self.out_height);
        let horizontal = Ratio::of(area.width, self.out_width);
        let (first_row, first_column) = (vertical.at(row).first, horizontal.at(column).first);
        let dense = vertical.at(row + rows - 1).second - first_row + 1;
        let pixel = (u64::from(image) * u64::from(self.height) + u64::from(area.top)) * u64::from(self.width)
            + u64::from(area.left + first_column);
        let plane_row = u64::from(image) * u64::from(CHANNELS) * u64::from(self.out_height) + u64::from(row);
        let (origin, stride) = (self.x.begin + pixel * u64::from(CHANNELS), self.width * CHANNELS);
        let bytes = (horizontal.at(column + columns - 1).second - first_column + 1) * CHANNELS;
        let is_dense = dense <= 2 * rows;
        Tile {
            x: self.x,
            origin,
            stride,
            bytes,
            vertical,
            row,
            first_row,
            dense: if is_dense { dense } else { 0 },
            pitch: if is_dense && bytes == stride { 0 } else { self.pitch },
            note: Note {
                target: plane_row * u64::from(self.out_width) + u64::from(left),
                rows,
                columns,
                column,
                mirrored,
                is_even: self.is_even && columns % 4 == 0,
                horizontal,
                first_column,
                plan: Plan::of(rows, columns, is_dense, COMPUTE_WARPS),
            },
        }
    }

    /// The box of an image; all of it where none is given, or where the given one is not inside.
    #[inline(always)]
    fn area(&self, image: u32) -> Box {
        let whole = Box {
            top: 0,
            left: 0,
            height: self.height,
            width: self.width,
        };
        if self.boxes == 0 {
            return whole;
        }
        // SAFETY: the image's four numbers, in an array of n.
        let found = unsafe { Box::load(self.boxes + u64::from(image) * 16) };
        if found.is_inside(&whole) { found } else { whole }
    }

    /// Reports a box that is not inside its image. The loader calls it.
    #[inline(always)]
    fn check(&self, tile: u32) {
        if self.boxes == 0 || warp::lane() != 0 {
            return;
        }
        let image = divide(tile, self.bands * self.blocks).0;
        // SAFETY: as in `area`.
        let found = unsafe { Box::load(self.boxes + u64::from(image) * 16) };
        if !found.is_inside(&Box {
            top: 0,
            left: 0,
            height: self.height,
            width: self.width,
        }) {
            self.control.fault(BOX_OUTSIDE, [i64::from(image), 0]);
        }
    }
}

impl Tile {
    /// Row of the box that is in place number `slot` of the stage.
    #[inline(always)]
    fn source_row(&self, slot: u32) -> u32 {
        if self.dense > 0 {
            return self.first_row + slot;
        }
        let blend = self.vertical.at(self.row + slot / 2);
        if slot % 2 == 0 { blend.first } else { blend.second }
    }

    #[inline(always)]
    fn address(&self, row: u32) -> u64 {
        self.origin + u64::from(row) * u64::from(self.stride)
    }

    /// Rows that follow each other without a gap, all of which are there, are one long row to the copies.
    #[inline(always)]
    fn is_in_one_piece(&self) -> bool {
        self.pitch == 0
    }

    /// What row `row` of the tile lies between.
    #[inline(always)]
    fn lines(&self, stage: u32, row: u32) -> Lines {
        let Blend { first, second, weight } = self.vertical.at(self.row + row);
        let line = |slot: u32, row: u32| {
            if self.is_in_one_piece() {
                stage + self.address(self.first_row) as u32 % 16 + slot * self.stride
            } else {
                stage + slot * self.pitch + self.address(row) as u32 % 16
            }
        };
        let (upper, lower) = if self.dense > 0 {
            (first - self.first_row, second - self.first_row)
        } else {
            (2 * row, 2 * row + 1)
        };
        let before = self.vertical.at(self.row + row.saturating_sub(1)).first;
        Lines {
            upper: line(upper, first),
            lower: line(lower, second),
            weight,
            step: if self.dense > 0 { (first - before).min(2) } else { 2 },
        }
    }

    /// Leaves in the reserved stage what readers must know. The warp calls it together.
    #[inline(always)]
    fn describe(&self, stage: Stage) {
        self.note.write(stage);
        let mut row = warp::lane();
        while row < self.note.rows {
            self.lines(stage.address, row).write(stage, row);
            row += warp::LANES;
        }
    }
}

impl Windows for Tile {
    #[inline(always)]
    fn array(&self) -> Array {
        self.x
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        if self.is_in_one_piece() {
            1
        } else if self.dense > 0 {
            self.dense
        } else {
            2 * self.note.rows
        }
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        if self.is_in_one_piece() {
            self.dense * self.bytes
        } else {
            self.bytes
        }
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        self.pitch
    }

    #[inline(always)]
    fn row(&self, slot: u32) -> u64 {
        self.address(self.source_row(slot))
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        (self.x.begin | self.x.end) % 16 != 0
    }
}

/// Keeps the ring full.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job, scales: u32, mean: Triple, std: Triple) {
    Scale::write_all(scales, mean, std);
    std.check_divisor(job.control);
    for number in job.tiles {
        job.check(number);
        let tile = job.tile(number);
        let stage = ring.reserve().await;
        tile.describe(stage);
        // SAFETY: rows of a box that lies in x (`area` sees to it), and a band of them fits a stage.
        unsafe { ring.fill(stage, &tile) };
    }
}

/// Turns each stage into three planes. Not an `async fn`, which would keep its arguments twice.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
fn compute<T: Element>(mut ring: Reader<STAGES, STAGE>, target: Target, tiles: Batch) -> impl Future<Output = ()> {
    async move {
        for _ in tiles {
            let stage = ring.filled().await;
            resize::<T, COMPUTE_WARPS>(&target, stage.address, warp::index() - 1);
            ring.release();
        }
    }
}

#[inline(always)]
fn image_resize<T: Element>(job: Job, y: u64, mean: Triple, std: Triple) {
    let scales = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES;
    let Some(ring) = Ring::start(COMPUTE_WARPS, job.tiles, job.control) else {
        return;
    };
    if warp::index() == 0 {
        return run(load(ring.loader(), job, scales, mean, std), job.control);
    }
    let target = Target {
        y,
        width: job.out_width,
        plane: u64::from(job.out_height) * u64::from(job.out_width),
        scales,
    };
    run(compute::<T>(ring.reader(), target, job.tiles), job.control);
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
            boxes: u64,
            mirror: u64,
            y: u64,
            n: u32,
            height: u32,
            width: u32,
            out_height: u32,
            out_width: u32,
            band: u32,
            columns: u32,
            pitch: u32,
            bands: u32,
            blocks: u32,
            control: Control,
        ) {
            let bytes = u64::from(n) * u64::from(height) * u64::from(width) * u64::from(CHANNELS);
            let row = u64::from(out_width) * u64::from(<$output>::BYTES);
            let job = Job {
                x: Array::new(x, bytes),
                boxes,
                mirror,
                height,
                width,
                out_height,
                out_width,
                band,
                columns,
                pitch,
                bands,
                blocks,
                is_even: (y | row) % u64::from(4 * <$output>::BYTES) == 0,
                tiles: Batch::of(n * bands * blocks),
                control,
            };
            image_resize::<$output>(
                job,
                y,
                Triple(mean, mean0, mean1, mean2),
                Triple(std, std0, std1, std2),
            );
        }
    };
}

entry!(image_resize_f32, f32);
entry!(image_resize_f16, f16);
entry!(image_resize_bf16, BFloat16);
