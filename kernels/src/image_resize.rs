//! uint8 images to normalised planes of another size in one pass: a box of each image, resized bilinearly, mirrored, `(x/255 - mean)/std`.
//!
//! One warp loads, eight compute. A tile is a band of rows of y, at most `columns` wide; its stage holds the rows of x that the
//! band lies between: all from the first to the last, or (where y is much smaller) only the two that each row of y needs.
//! sync: bar.sync 1, bar.warp.sync 1, vote.sync.all.pred 2, vote.sync.any.pred 3

mod source;

use self::source::{Blend, Box, Ratio};
use crate::images::{CHANNELS, Quad, Triple};
use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Array, Control, Loader, Reader, Ring, Stripe, Windows, divide, global, run, shared, warp};

const STAGE: u32 = 16384; // the manifest's `band`, `columns` and `pitch` make a tile fit
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 8;

/// The arguments, and what follows from them; the same in every thread.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    y: u64,
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
    tiles: Stripe,
    control: Control,
}

/// A tile of y, and the part of x that it lies in.
#[derive(Clone, Copy)]
struct Tile {
    x: Array,
    /// Address of the box's first byte, and bytes from one row to the next.
    origin: u64,
    stride: u64,
    vertical: Ratio,
    horizontal: Ratio,
    /// First row and column of y, before mirroring, and how many.
    row: u32,
    column: u32,
    rows: u32,
    columns: u32,
    /// First row and column of the box in the stage, and bytes of a row.
    first_row: u32,
    first_column: u32,
    bytes: u32,
    /// Rows of the box in the stage where all are there; 0 where each row of y has two of its own.
    dense: u32,
    pitch: u32,
    mirrored: bool,
    /// Element of y that the tile's first pixel goes to, in the first plane.
    target: u64,
}

impl Job {
    #[inline(always)]
    fn tile(&self, tile: u32) -> Tile {
        let blocks = divide(self.out_width + self.columns - 1, self.columns).0;
        let bands = divide(self.out_height + self.band - 1, self.band).0;
        let (strip, block) = divide(tile, blocks);
        let (image, band) = divide(strip, bands);
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
            + u64::from(area.left);
        let plane_row = u64::from(image) * u64::from(CHANNELS) * u64::from(self.out_height) + u64::from(row);
        Tile {
            x: self.x,
            origin: self.x.begin + pixel * u64::from(CHANNELS),
            stride: u64::from(self.width) * u64::from(CHANNELS),
            vertical,
            horizontal,
            row,
            column,
            rows,
            columns,
            first_row,
            first_column,
            bytes: (horizontal.at(column + columns - 1).second - first_column + 1) * CHANNELS,
            dense: if dense <= 2 * rows { dense } else { 0 },
            pitch: self.pitch,
            mirrored,
            target: plane_row * u64::from(self.out_width) + u64::from(left),
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
        let tiles = divide(self.out_height + self.band - 1, self.band).0
            * divide(self.out_width + self.columns - 1, self.columns).0;
        let image = divide(tile, tiles).0;
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

const BOX_OUTSIDE: u32 = 1; // fault code

impl Tile {
    /// Row of the box in slot number `slot` of the stage.
    #[inline(always)]
    fn source_row(&self, slot: u32) -> u32 {
        if self.dense > 0 {
            return self.first_row + slot;
        }
        let blend = self.vertical.at(self.row + slot / 2);
        if slot % 2 == 0 { blend.first } else { blend.second }
    }

    /// Where the two rows that row `row` of the tile lies between start in the stage, and the weight of the second.
    #[inline(always)]
    fn lines(&self, stage: u32, row: u32) -> (u32, u32, f32) {
        let Blend { first, second, weight } = self.vertical.at(self.row + row);
        let (upper, lower) = if self.dense > 0 {
            (first - self.first_row, second - self.first_row)
        } else {
            (2 * row, 2 * row + 1)
        };
        let line = |slot: u32, row: u32| stage + self.slot(slot) + self.address(row) as u32 % 16;
        (line(upper, first), line(lower, second), weight)
    }

    #[inline(always)]
    fn address(&self, row: u32) -> u64 {
        self.origin + u64::from(row) * self.stride + u64::from(self.first_column * CHANNELS)
    }
}

impl Windows for Tile {
    #[inline(always)]
    fn array(&self) -> Array {
        self.x
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        if self.dense > 0 { self.dense } else { 2 * self.rows }
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.bytes
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
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for number in job.tiles.watched(job.control) {
        job.check(number);
        let tile = job.tile(number);
        let stage = ring.reserve().await;
        // SAFETY: rows of a box that lies in x (`area` sees to it), and a band of them fits a stage.
        unsafe { ring.fill(stage, &tile) };
    }
}

/// Per channel, what a value of x is multiplied by and what is added: `(x/255 - mean)/std`.
#[derive(Clone, Copy)]
struct Line {
    factor: f32,
    summand: f32,
}

impl Line {
    #[inline(always)]
    fn of(mean: Triple, std: Triple, channel: u32) -> Self {
        let std = std.get(channel);
        Self {
            factor: 1.0 / (255.0 * std),
            summand: -mean.get(channel) / std,
        }
    }
}

/// Turns each stage into three planes, four pixels at a time.
async fn compute<T: Element>(mut ring: Reader<STAGES, STAGE>, job: Job, lines: (Line, Line, Line)) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    let quads = job.columns.div_ceil(4);
    let start = Quad::of(share.thread, quads);
    let step = Quad::of(share.threads, quads);
    for number in job.tiles {
        let tile = job.tile(number);
        let stage = ring.filled().await;
        let mut at = start;
        while at.row < tile.rows {
            if at.number * 4 < tile.columns {
                resize::<T>(&job, &tile, stage.address, at, lines);
            }
            at = at.after(step, quads);
        }
        ring.release();
    }
}

/// Four pixels, or what is left of them at the end of a row.
#[inline(always)]
fn resize<T: Element>(job: &Job, tile: &Tile, stage: u32, at: Quad, lines: (Line, Line, Line)) {
    let column = at.number * 4;
    let (upper, lower, weight) = tile.lines(stage, at.row);
    let pixel = |number: u32| {
        let column = (column + number).min(tile.columns - 1);
        let column = tile.column
            + if tile.mirrored {
                tile.columns - 1 - column
            } else {
                column
            };
        let Blend {
            first,
            second,
            weight: across,
        } = tile.horizontal.at(column);
        let place = |column: u32| (column - tile.first_column) * CHANNELS;
        let (left, right) = (place(first), place(second));
        let channel = |channel: u32, line: Line| {
            // SAFETY: bytes of the tile.
            let byte = |address: u32| f32::from(unsafe { shared::load_u8(address + channel) });
            let above = blend(byte(upper + left), byte(upper + right), across);
            let below = blend(byte(lower + left), byte(lower + right), across);
            warpbridge_runtime::fma(blend(above, below, weight), line.factor, line.summand)
        };
        (channel(0, lines.0), channel(1, lines.1), channel(2, lines.2))
    };
    let (a, b, c, d) = (pixel(0), pixel(1), pixel(2), pixel(3));
    let plane = u64::from(job.out_height) * u64::from(job.out_width) * u64::from(T::BYTES);
    let target = tile.target + u64::from(at.row) * u64::from(job.out_width) + u64::from(column);
    let to = job.y + target * u64::from(T::BYTES);
    // SAFETY: the pixels' places in y.
    let store = |to: u64, values| unsafe { store::<T>(to, values, tile.columns - column) };
    store(to, [a.0, b.0, c.0, d.0]);
    store(to + plane, [a.1, b.1, c.1, d.1]);
    store(to + 2 * plane, [a.2, b.2, c.2, d.2]);
}

#[inline(always)]
fn blend(a: f32, b: f32, weight: f32) -> f32 {
    warpbridge_runtime::fma(b - a, weight, a)
}

/// Stores the first `count` of four neighbours, or all four.
///
/// # Safety
/// As [`Element::store_global`], for as many elements.
#[inline(always)]
unsafe fn store<T: Element>(to: u64, [a, b, c, d]: [f32; 4], count: u32) {
    if count >= 4 {
        // SAFETY: the caller's promise.
        return unsafe { T::store_four(to, [a, b, c, d]) };
    }
    // SAFETY: the caller's promise, and the tests below.
    let one = |number: u32, value| unsafe { T::store_global(to + u64::from(number * T::BYTES), value) };
    one(0, a);
    if count > 1 {
        one(1, b);
    }
    if count > 2 {
        one(2, c);
    }
}

#[inline(always)]
fn image_resize<T: Element>(job: Job, mean: Triple, std: Triple) {
    let line = |channel| Line::of(mean, std, channel);
    let lines = (line(0), line(1), line(2));
    let ring = Ring::init(COMPUTE_WARPS, job.tiles.remaining(), job.control);
    if warp::index() == 0 {
        run(load(ring.loader(), job), job.control);
    } else {
        run(compute::<T>(ring.reader(), job, lines), job.control);
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
            control: Control,
        ) {
            let bytes = u64::from(n) * u64::from(height) * u64::from(width) * u64::from(CHANNELS);
            let tiles = n * divide(out_height + band - 1, band).0 * divide(out_width + columns - 1, columns).0;
            let job = Job {
                x: Array::new(x, bytes),
                y,
                boxes,
                mirror,
                height,
                width,
                out_height,
                out_width,
                band,
                columns,
                pitch,
                tiles: Stripe::of(tiles),
                control,
            };
            image_resize::<$output>(
                job,
                Triple(mean, mean0, mean1, mean2),
                Triple(std, std0, std1, std2),
            );
        }
    };
}

entry!(image_resize_f32, f32);
entry!(image_resize_f16, f16);
entry!(image_resize_bf16, BFloat16);
