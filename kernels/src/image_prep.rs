//! uint8 images to normalised planes in one pass: crop, mirror, `(x/255 - mean)/std`, (n, h, w, 3) to (n, 3, oh, ow).
//!
//! One warp loads, eight compute. A tile is a band of rows of one crop, at most `COLUMNS` wide; the loader works out where
//! it comes from and goes to, and leaves that as a note in the stage. There are only 256 input values per channel, so
//! their results stand in a table in shared memory, computed once per block in float64 and rounded once: exact also where
//! `x/255 - mean` cancels, where float32 arithmetic is not.
//! sync: bar.sync 1, bar.warp.sync 1, vote.sync.all.pred 2, vote.sync.any.pred 3

use crate::runtime::element::{Element, Share};
use crate::runtime::{
    Array, Control, Loader, Reader, Ring, Rows, Stage, Stripe, block, divide, global, run, shared, warp,
};

const ROWS_BYTES: u32 = 16384; // the manifest's `band` and `pitch` make a tile fit
const STAGE: u32 = ROWS_BYTES + 128; // the note is behind the rows
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 8;
const COLUMNS: u32 = 4096; // pixels of a row in one tile
const CHANNELS: u32 = 3;
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
    tiles: Stripe,
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

/// A place in a tile: four neighbouring pixels of a row.
#[derive(Clone, Copy)]
struct Quad {
    row: u32,
    number: u32,
}

impl Quad {
    /// The quad with this number, of `quads` in each row.
    #[inline(always)]
    fn of(number: u32, quads: u32) -> Self {
        let (row, number) = divide(number, quads);
        Self { row, number }
    }
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
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for tile in job.tiles.watched(job.control) {
        let (rows, note) = job.tile(tile);
        let stage = ring.reserve().await;
        note.write(stage);
        // SAFETY: the crop lies in x (`corner` sees to it), and a band fits a stage.
        unsafe { ring.fill(stage, &rows) };
    }
}

/// Turns each stage into three planes.
async fn compute<T: Element>(mut ring: Reader<STAGES, STAGE>, job: Job, table: u32) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
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
            at = Quad {
                row: at.row + step.row,
                number: at.number + step.number,
            };
            if at.number >= quads {
                at = Quad {
                    row: at.row + 1,
                    number: at.number - quads,
                };
            }
        }
        ring.release();
    }
}

/// Four pixels, or what is left of them at the end of a row.
#[inline(always)]
fn convert<T: Element>(job: &Job, note: &Note, stage: u32, at: Quad, table: u32) {
    let column = at.number * 4;
    let width = note.columns.saturating_sub(column).min(4);
    let skew = (note.first.wrapping_add(at.row * job.width * CHANNELS)) % 16;
    let source = if note.mirrored {
        note.columns.saturating_sub(column + width)
    } else {
        column
    };
    let from = stage + at.row * job.pitch() + skew + source * CHANNELS;
    let plane = u64::from(job.out_height) * u64::from(job.out_width) * u64::from(T::BYTES);
    let target = note.target + u64::from(at.row) * u64::from(job.out_width) + u64::from(column);
    let to = job.y + target * u64::from(T::BYTES);
    if width == 4 {
        let pixels = load_pixels(from);
        let pixels = if note.mirrored { mirror(pixels) } else { pixels };
        for channel in 0..CHANNELS {
            let value = |pixel: u32| {
                let byte = pixel * CHANNELS + channel;
                look_up(table, channel, pixels[byte as usize / 4] >> (byte % 4 * 8) & 0xff)
            };
            // SAFETY: four elements of a row of y.
            unsafe {
                T::store4(
                    to + plane * u64::from(channel),
                    [value(0), value(1), value(2), value(3)],
                )
            };
        }
        return;
    }
    for pixel in 0..width {
        let pixel_of_x = if note.mirrored { width - 1 - pixel } else { pixel };
        for channel in 0..CHANNELS {
            // SAFETY: a byte of the tile, and an element of y.
            unsafe {
                let byte = shared::load_u8(from + pixel_of_x * CHANNELS + channel);
                T::store_bits(
                    to + plane * u64::from(channel) + u64::from(pixel * T::BYTES),
                    look_up(table, channel, byte.into()),
                );
            }
        }
    }
}

/// Twelve bytes from any address, as three words. Reads no word that holds none of them.
#[inline(always)]
fn load_pixels(from: u32) -> [u32; 3] {
    let (word, shift) = (from & !3, from % 4 * 8);
    // SAFETY: words with bytes of a filled stage; windows are whole units of 16 bytes.
    let load = |number: u32| unsafe { shared::load_u32(word + number * 4) };
    let (a, b, c, d) = (load(0), load(1), load(2), if shift == 0 { 0 } else { load(3) });
    let join = |low: u32, high: u32| ((u64::from(high) << 32 | u64::from(low)) >> shift) as u32;
    [join(a, b), join(b, c), join(c, d)]
}

/// The same four pixels from right to left: bytes 9 10 11 6, 7 8 3 4, 5 0 1 2.
#[inline(always)]
fn mirror([a, b, c]: [u32; 3]) -> [u32; 3] {
    [
        c >> 8 | (b >> 16 & 0xff) << 24,
        b >> 24 | (c & 0xff) << 8 | (a >> 24) << 16 | (b & 0xff) << 24,
        (b >> 8 & 0xff) | a << 8,
    ]
}

#[inline(always)]
fn look_up(table: u32, channel: u32, value: u32) -> u32 {
    // SAFETY: `fill_table` wrote an entry for every value of every channel.
    unsafe { shared::load_u32(table + (channel * VALUES + value) * 4) }
}

/// Writes the table. Every thread of the block calls it, before the ring's setup syncs the block.
#[inline(always)]
fn fill_table<T: Element>(table: u32, mean: Triple, std: Triple, threads: u32) {
    let mut entry = block::thread();
    while entry < CHANNELS * VALUES {
        let (channel, value) = (entry / VALUES, entry % VALUES);
        let result = (f64::from(value) / 255.0 - f64::from(mean.get(channel))) / f64::from(std.get(channel));
        // SAFETY: an entry of the table.
        unsafe { shared::store_u32(table + entry * 4, T::bits_of(result)) };
        entry += threads;
    }
}

/// Three numbers per channel: at an address, or (where that is null) as given.
#[derive(Clone, Copy)]
struct Triple(u64, f32, f32, f32);

impl Triple {
    #[inline(always)]
    fn get(self, channel: u32) -> f32 {
        if self.0 != 0 {
            // SAFETY: one of the array's three numbers.
            return f32::from_bits(unsafe { global::load_u32(self.0 + u64::from(channel) * 4) });
        }
        match channel {
            0 => self.1,
            1 => self.2,
            _ => self.3,
        }
    }
}

#[inline(always)]
fn image_prep<T: Element>(job: Job, mean: Triple, std: Triple) {
    let table = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES;
    fill_table::<T>(table, mean, std, (1 + COMPUTE_WARPS) * warp::LANES);
    let ring = Ring::init(COMPUTE_WARPS, job.tiles, job.control);
    if warp::index() == 0 {
        run(load(ring.loader(), job), job.control);
    } else {
        run(compute::<T>(ring.reader(), job, table), job.control);
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
            let (x, tiles) = (Array::new(x, bytes), Stripe::of(tiles));
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
