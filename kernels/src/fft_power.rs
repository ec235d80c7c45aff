//! Power of spectra: y = scale * mean(|x|^2) over each group of frames, or ten times its decimal logarithm.
//!
//! One warp copies bands of columns of one group of frames into a ring of stages, four warps add up and store.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

use warpbridge_runtime::element::Element;
use warpbridge_runtime::exponential::log;
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Array, Batch, Control, Loader, Reader, Ring, Rows, Windows, divide, fma, run, shared, warp};

const STAGE: u32 = 16384 + 128; // the manifest's `band` makes a tile fit
const STAGES: u32 = 2;
const COMPUTE_WARPS: u32 = 4;
const NUMBER: u32 = 8; // bytes of a complex64

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    x: Array,
    y: u64,
    columns: u32,
    /// Frames that are averaged.
    group: u32,
    /// Columns of a tile.
    band: u32,
    /// Tiles side by side.
    bands: u32,
    /// `scale / group`.
    factor: f32,
    decibel: bool,
    tiles: Batch,
    control: Control,
}

impl Job {
    /// Where a tile comes from, and its first element of y.
    #[inline(always)]
    fn tile(&self, tile: u32) -> (Rows, u64) {
        let (group, band) = divide(tile, self.bands);
        let column = band * self.band;
        let columns = (self.columns - column).min(self.band);
        let stride = u64::from(self.columns) * u64::from(NUMBER);
        let rows = Rows {
            array: self.x,
            first: self.x.begin + u64::from(group) * u64::from(self.group) * stride + u64::from(column * NUMBER),
            stride,
            count: self.group,
            bytes: columns * NUMBER,
            pitch: (self.band * NUMBER + 30) & !15,
        };
        (rows, u64::from(group) * u64::from(self.columns) + u64::from(column))
    }

    /// The result for a sum of squares.
    #[inline(always)]
    fn result(&self, squares: f32) -> f32 {
        const DECIBEL: f32 = 10.0 / core::f32::consts::LN_10;
        let power = squares * self.factor;
        if self.decibel { DECIBEL * log(power) } else { power }
    }
}

/// Keeps the ring full.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for tile in job.tiles {
        let (rows, _) = job.tile(tile);
        let stage = ring.reserve().await;
        // SAFETY: the frames lie in x, and a band of a group fits a stage.
        unsafe { ring.fill(stage, &rows) };
    }
}

/// Adds up the squares of each column; neighbouring threads have neighbouring columns, each thread two at a time.
async fn add_up<T: Element>(mut ring: Reader<STAGES, STAGE>, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let (rows, first) = job.tile(tile);
        let stage = ring.filled().await.address;
        let columns = rows.bytes / NUMBER;
        let mut column = share.thread;
        while column < columns {
            let other = column + share.threads;
            let (mut a, mut b) = (0.0, 0.0);
            for row in 0..rows.count {
                let from = stage + rows.slot(row) + rows.skew(row);
                a = add_square(a, from + column * NUMBER);
                if other < columns {
                    b = add_square(b, from + other * NUMBER);
                }
            }
            let to = |column: u32| job.y + (first + u64::from(column)) * u64::from(T::BYTES);
            // SAFETY: an element of y.
            unsafe { T::store_global(to(column), job.result(a)) };
            if other < columns {
                // SAFETY: an element of y.
                unsafe { T::store_global(to(other), job.result(b)) };
            }
            column = other + share.threads;
        }
        ring.release();
    }
}

/// `sum` and the square of the number at `from`, which is in a stage that has been filled.
#[inline(always)]
fn add_square(sum: f32, from: u32) -> f32 {
    // SAFETY: a number of the tile; arrays of complex64 are aligned to 8 bytes, and the window keeps that.
    let [real, imaginary] = unsafe { shared::load_v2(from) };
    let (real, imaginary) = (f32::from_bits(real), f32::from_bits(imaginary));
    fma(real, real, fma(imaginary, imaginary, sum))
}

#[inline(always)]
fn fft_power<T: Element>(job: Job) {
    let Some(ring) = Ring::start(COMPUTE_WARPS, job.tiles, job.control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(ring.loader(), job), job.control);
    } else {
        run(add_up::<T>(ring.reader(), job), job.control);
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
            y: u64,
            groups: u32,
            columns: u32,
            band: u32,
            group: u32,
            scale: f32,
            decibel: u32,
            control: Control,
        ) {
            let numbers = u64::from(groups) * u64::from(group) * u64::from(columns);
            let bands = divide(columns + band - 1, band).0;
            fft_power::<$output>(Job {
                x: Array::new(x, numbers * u64::from(NUMBER)),
                y,
                columns,
                group,
                band,
                bands,
                factor: scale / group as f32,
                decibel: decibel != 0,
                tiles: Batch::of(groups * bands),
                control,
            });
        }
    };
}

entry!(fft_power_f32, f32);
entry!(fft_power_f16, f16);
