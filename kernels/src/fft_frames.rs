//! Overlapping frames of a signal, windowed, as input of an FFT: y[f, i] = scale * window[i] * x[f * hop + i].
//!
//! One warp copies bands of frames into a ring of stages, as they are in memory; four warps convert, multiply and store.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{
    Array, Batch, Control, Loader, Reader, Ring, Rows, Windows, divide, global, run, shared, warp,
};

const STAGE: u32 = 4096 + 128; // the manifest's `band` and `piece` make a tile fit
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 4;
const NUMBER: u32 = 8; // bytes of a complex64

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    window: u64,
    y: u64,
    frames: u32,
    /// Samples of a frame.
    length: u32,
    /// Samples from a frame to the next.
    hop: u32,
    /// Frames of a tile.
    band: u32,
    /// Samples of a frame in one tile.
    piece: u32,
    /// Tiles side by side.
    pieces: u32,
    scale: f32,
    tiles: Batch,
    control: Control,
}

/// A tile: its frames and where in them it starts.
#[derive(Clone, Copy)]
struct Tile {
    frame: u32,
    frames: u32,
    sample: u32,
    samples: u32,
}

impl Job {
    #[inline(always)]
    fn tile(&self, tile: u32) -> Tile {
        let (band, piece) = divide(tile, self.pieces);
        let (frame, sample) = (band * self.band, piece * self.piece);
        Tile {
            frame,
            frames: (self.frames - frame).min(self.band),
            sample,
            samples: (self.length - sample).min(self.piece),
        }
    }

    /// Where a tile comes from.
    #[inline(always)]
    fn rows<S: Sample>(&self, tile: Tile) -> Rows {
        let first = u64::from(tile.frame) * u64::from(self.hop) + u64::from(tile.sample);
        Rows {
            array: self.x,
            first: self.x.begin + first * u64::from(S::BYTES),
            stride: u64::from(self.hop) * u64::from(S::BYTES),
            count: tile.frames,
            bytes: tile.samples * S::BYTES,
            pitch: (self.piece * S::BYTES + 30) & !15,
        }
    }
}

/// Keeps the ring full.
async fn load<S: Sample>(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for tile in job.tiles {
        let rows = job.rows::<S>(job.tile(tile));
        let stage = ring.reserve().await;
        // SAFETY: the frames lie in x, and a band of them fits a stage.
        unsafe { ring.fill(stage, &rows) };
    }
}

/// Converts and multiplies; a pair of samples at a time, so that 16 bytes are stored.
async fn compute<S: Sample>(mut ring: Reader<STAGES, STAGE>, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let tile = job.tile(tile);
        let rows = job.rows::<S>(tile);
        let stage = ring.filled().await.address;
        let pairs = tile.samples.div_ceil(2);
        let walk = share.over_rows(pairs);
        let window = job.window + u64::from(tile.sample) * 4;
        let mut row = walk.row;
        while row < tile.frames {
            let from = stage + rows.slot(row) + rows.skew(row);
            let number = u64::from(tile.frame + row) * u64::from(job.length) + u64::from(tile.sample);
            let to = job.y + number * u64::from(NUMBER);
            let line = Line {
                from,
                window,
                to,
                scale: job.scale,
            };
            let (mut pair, step) = (walk.item, walk.item_step);
            while line.is_aligned::<S>() && 2 * (pair + step) + 1 < tile.samples {
                // SAFETY: samples of the tile.
                let (a, b) = unsafe { (line.pair::<S>(pair), line.pair::<S>(pair + step)) };
                // SAFETY: their places in y.
                unsafe { global::store_v4(line.place(2 * pair), a) };
                // SAFETY: as above.
                unsafe { global::store_v4(line.place(2 * (pair + step)), b) };
                pair += 2 * step;
            }
            while pair < pairs {
                // SAFETY: samples of the tile, and their places in y.
                unsafe { line.singly::<S>(pair, tile.samples) };
                pair += step;
            }
            row += walk.row_step;
        }
        ring.release();
    }
}

/// What of a frame lies in one tile: where its samples and weights are, and where they go.
#[derive(Clone, Copy)]
struct Line {
    from: u32,
    window: u64,
    to: u64,
    scale: f32,
}

impl Line {
    /// Whether pairs of samples, of weights and of results are at multiples of their sizes.
    #[inline(always)]
    fn is_aligned<S: Sample>(&self) -> bool {
        self.from % (2 * S::BYTES) == 0 && self.window % 8 == 0 && self.to % 16 == 0
    }

    #[inline(always)]
    fn place(&self, sample: u32) -> u64 {
        self.to + u64::from(sample * NUMBER)
    }

    /// Two samples times their weights, as bits.
    ///
    /// # Safety
    /// The line is aligned, and has both.
    #[inline(always)]
    unsafe fn pair<S: Sample>(&self, pair: u32) -> [u32; 4] {
        // SAFETY: the caller's promise.
        let ([a, b, c, d], weights) = unsafe {
            (
                S::load_pair(self.from + 2 * pair * S::BYTES),
                global::load_u64(self.window + u64::from(8 * pair)),
            )
        };
        let weight = |bits: u64| f32::from_bits(bits as u32) * self.scale;
        let (v, w) = (weight(weights), weight(weights >> 32));
        [
            (a * v).to_bits(),
            (b * v).to_bits(),
            (c * w).to_bits(),
            (d * w).to_bits(),
        ]
    }

    /// As `pair`, at any alignment and one sample at a time.
    ///
    /// # Safety
    /// The line has the sample.
    #[inline(always)]
    unsafe fn one<S: Sample>(&self, sample: u32) -> [u32; 2] {
        // SAFETY: the caller's promise.
        let ([a, b], weight) = unsafe {
            (
                S::load(self.from + sample * S::BYTES),
                global::load_u32(self.window + u64::from(sample * 4)),
            )
        };
        let weight = f32::from_bits(weight) * self.scale;
        [(a * weight).to_bits(), (b * weight).to_bits()]
    }

    /// Does a pair, or half of it where the line ends, at any alignment.
    ///
    /// # Safety
    /// The line has `samples` samples, and the pair's first is one of them.
    #[inline(always)]
    unsafe fn singly<S: Sample>(&self, pair: u32, samples: u32) {
        let (sample, to) = (2 * pair, self.place(2 * pair));
        // SAFETY: the caller's promise.
        let [a, b] = unsafe { self.one::<S>(sample) };
        if sample + 1 == samples {
            // SAFETY: the sample's place.
            return unsafe { global::store_v2(to, [a, b]) };
        }
        // SAFETY: the caller's promise, and the test above.
        let [c, d] = unsafe { self.one::<S>(sample + 1) };
        if to % 16 == 0 {
            // SAFETY: both samples' places.
            unsafe { global::store_v4(to, [a, b, c, d]) };
        } else {
            // SAFETY: as above.
            unsafe { global::store_v2(to, [a, b]) };
            // SAFETY: as above.
            unsafe { global::store_v2(to + 8, [c, d]) };
        }
    }
}

/// A type of samples.
trait Sample {
    const BYTES: u32;

    /// Real and imaginary part of the sample at an address.
    ///
    /// # Safety
    /// As [`shared::load_u8`], for a whole sample at a multiple of its parts' size.
    unsafe fn load(from: u32) -> [f32; 2];

    /// Two samples at once.
    ///
    /// # Safety
    /// As `load`, for both, at a multiple of their size together.
    unsafe fn load_pair(from: u32) -> [f32; 4];
}

/// Pairs of int8.
struct Pair8;

impl Sample for Pair8 {
    const BYTES: u32 = 2;

    #[inline(always)]
    unsafe fn load(from: u32) -> [f32; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                shared::load_u8(from) as i8 as f32,
                shared::load_u8(from + 1) as i8 as f32,
            ]
        }
    }

    #[inline(always)]
    unsafe fn load_pair(from: u32) -> [f32; 4] {
        // SAFETY: the caller's promise.
        let word = unsafe { shared::load_u32(from) };
        let part = |shift: u32| (word >> shift) as i8 as f32;
        [part(0), part(8), part(16), part(24)]
    }
}

/// Pairs of int16.
struct Pair16;

impl Sample for Pair16 {
    const BYTES: u32 = 4;

    #[inline(always)]
    unsafe fn load(from: u32) -> [f32; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            [
                shared::load_u16(from) as i16 as f32,
                shared::load_u16(from + 2) as i16 as f32,
            ]
        }
    }

    #[inline(always)]
    unsafe fn load_pair(from: u32) -> [f32; 4] {
        // SAFETY: the caller's promise.
        let [a, b] = unsafe { shared::load_v2(from) };
        let part = |bits: u32| bits as i16 as f32;
        [part(a), part(a >> 16), part(b), part(b >> 16)]
    }
}

impl Sample for f32 {
    const BYTES: u32 = 4;

    #[inline(always)]
    unsafe fn load(from: u32) -> [f32; 2] {
        // SAFETY: the caller's promise.
        [f32::from_bits(unsafe { shared::load_u32(from) }), 0.0]
    }

    #[inline(always)]
    unsafe fn load_pair(from: u32) -> [f32; 4] {
        // SAFETY: the caller's promise.
        let [a, b] = unsafe { shared::load_v2(from) };
        [f32::from_bits(a), 0.0, f32::from_bits(b), 0.0]
    }
}

#[inline(always)]
fn fft_frames<S: Sample>(job: Job) {
    let Some(ring) = Ring::start(COMPUTE_WARPS, job.tiles, job.control) else {
        return;
    };
    if warp::index() == 0 {
        run(load::<S>(ring.loader(), job), job.control);
    } else {
        run(compute::<S>(ring.reader(), job), job.control);
    }
}

/// One entry per type of samples; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $sample:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            window: u64,
            y: u64,
            samples: u64,
            frames: u32,
            length: u32,
            hop: u32,
            band: u32,
            piece: u32,
            scale: f32,
            control: Control,
        ) {
            let pieces = divide(length + piece - 1, piece).0;
            fft_frames::<$sample>(Job {
                x: Array::new(x, samples * u64::from(<$sample>::BYTES)),
                window,
                y,
                frames,
                length,
                hop,
                band,
                piece,
                pieces,
                scale,
                tiles: Batch::of(divide(frames + band - 1, band).0 * pieces),
                control,
            });
        }
    };
}

entry!(fft_frames_i8, Pair8);
entry!(fft_frames_i16, Pair16);
entry!(fft_frames_f32, f32);
