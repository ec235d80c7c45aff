//! Overlapping frames of a signal, windowed, as input of an FFT: y[f, i] = scale * window[i] * x[f * hop + i].
//!
//! One warp copies bands of frames into a ring of stages, as they are in memory; eight warps convert, multiply and store.
//! sync: bar.sync 1, bar.warp.sync 1, vote.sync.all.pred 2, vote.sync.any.pred 3

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{
    Array, Control, Loader, Reader, Ring, Rows, Stripe, Windows, divide, global, run, shared, warp,
};

const STAGE: u32 = 16384 + 128; // the manifest's `band` and `piece` make a tile fit
const STAGES: u32 = 6;
const COMPUTE_WARPS: u32 = 8;
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
    tiles: Stripe,
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
    for tile in job.tiles.watched(job.control) {
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
            let mut pair = walk.item;
            while pair < pairs {
                let sample = pair * 2;
                let [a, b] = weigh::<S>(from, window, sample, job.scale);
                let to = to + u64::from(sample * NUMBER);
                if sample + 1 < tile.samples {
                    let [c, d] = weigh::<S>(from, window, sample + 1, job.scale);
                    // SAFETY: two numbers of y.
                    unsafe { store_pair(to, [a, b, c, d]) };
                } else {
                    // SAFETY: a number of y.
                    unsafe { global::store_v2(to, [a, b]) };
                }
                pair += walk.item_step;
            }
            row += walk.row_step;
        }
        ring.release();
    }
}

/// Both parts of a sample times its weight, as bits.
#[inline(always)]
fn weigh<S: Sample>(from: u32, window: u64, sample: u32, scale: f32) -> [u32; 2] {
    // SAFETY: a sample of the tile, and its weight.
    let (parts, weight) = unsafe {
        (
            S::load(from + sample * S::BYTES),
            f32::from_bits(global::load_u32(window + u64::from(sample) * 4)),
        )
    };
    let factor = weight * scale;
    [(parts[0] * factor).to_bits(), (parts[1] * factor).to_bits()]
}

/// # Safety
/// As [`global::store_v2`], for 16 bytes.
#[inline(always)]
unsafe fn store_pair(to: u64, [a, b, c, d]: [u32; 4]) {
    if to % 16 == 0 {
        // SAFETY: the caller's promise, and the test above.
        unsafe { global::store_v4(to, [a, b, c, d]) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { global::store_v2(to, [a, b]) };
        // SAFETY: the caller's promise.
        unsafe { global::store_v2(to + 8, [c, d]) };
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
}

impl Sample for f32 {
    const BYTES: u32 = 4;

    #[inline(always)]
    unsafe fn load(from: u32) -> [f32; 2] {
        // SAFETY: the caller's promise.
        [f32::from_bits(unsafe { shared::load_u32(from) }), 0.0]
    }
}

#[inline(always)]
fn fft_frames<S: Sample>(job: Job) {
    let ring = Ring::init(COMPUTE_WARPS, job.tiles.remaining(), job.control);
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
                tiles: Stripe::of(divide(frames + band - 1, band).0 * pieces),
                control,
            });
        }
    };
}

entry!(fft_frames_i8, Pair8);
entry!(fft_frames_i16, Pair16);
entry!(fft_frames_f32, f32);
