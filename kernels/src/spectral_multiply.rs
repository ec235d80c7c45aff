//! Product of spectra, for convolution and correlation by FFT: y = scale * a * b, or a * conj(b), row by row.
//!
//! One warp copies tiles of a and of b side by side into a ring of stages, four warps multiply and store. b may be a single
//! row, which then goes with each row of a.
//! sync: bar.red.or.pred 1, vote.sync.all.pred 2, vote.sync.any.pred 2

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{
    Array, Batch, Control, Loader, Reader, Ring, Rows, Windows, divide, global, run, shared, warp,
};

const TILE: u32 = 8192; // bytes of a, and of b
const HALF: u32 = TILE + 128; // room for arrays that are not 16-byte aligned
const STAGE: u32 = 2 * HALF;
const STAGES: u32 = 4;
const COMPUTE_WARPS: u32 = 4;

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    a: Array,
    b: Array,
    y: u64,
    /// Bytes of a row.
    row_bytes: u64,
    /// Tiles of a row.
    pieces: u32,
    /// Whether every row of a has a row of b.
    by_row: bool,
    scale: f64,
    conjugate: bool,
    tiles: Batch,
    control: Control,
}

impl Job {
    /// A tile of a, and of b.
    #[inline(always)]
    fn tile(&self, tile: u32) -> (Rows, Rows) {
        let (row, piece) = divide(tile, self.pieces);
        let offset = u64::from(piece) * u64::from(TILE);
        let bytes = (self.row_bytes - offset).min(u64::from(TILE)) as u32;
        let part = |array: Array, row: u32| Rows {
            array,
            first: array.begin + u64::from(row) * self.row_bytes + offset,
            stride: 0,
            count: 1,
            bytes,
            pitch: 0,
        };
        (part(self.a, row), part(self.b, if self.by_row { row } else { 0 }))
    }
}

/// Keeps the ring full.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for tile in job.tiles {
        let (a, b) = job.tile(tile);
        let stage = ring.reserve().await;
        // SAFETY: parts of a and b, each of which fits its half of a stage.
        unsafe { ring.fill_two(stage, &a, &b, HALF) };
    }
}

/// Multiplies each stage's two halves.
async fn multiply<T: Complex>(mut ring: Reader<STAGES, STAGE>, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let (a, b) = job.tile(tile);
        let stage = ring.filled().await.address;
        let (from_a, from_b) = (stage + a.skew(0), stage + HALF + b.skew(0));
        let to = job.y + a.offset();
        let aligned = (u64::from(from_a | from_b) | to) % 16 == 0;
        let vectors = if aligned { a.bytes / 16 } else { 0 };
        let mut vector = share.thread;
        while vector < vectors {
            // SAFETY: inside the tile, which has landed.
            let (a, b) = unsafe {
                (
                    shared::load_v4(from_a + vector * 16),
                    shared::load_v4(from_b + vector * 16),
                )
            };
            // SAFETY: the same elements of y.
            unsafe { global::store_v4(to + u64::from(vector * 16), T::multiply_v4(a, b, &job)) };
            vector += share.threads;
        }
        let mut offset = vectors * 16 + share.thread * T::BYTES;
        while offset < a.bytes {
            // SAFETY: inside the tile, which has landed, and the same element of y.
            unsafe { T::multiply(from_a + offset, from_b + offset, to + u64::from(offset), &job) };
            offset += share.threads * T::BYTES;
        }
        ring.release();
    }
}

/// A type of complex numbers: two parts, the real one first.
trait Complex {
    const BYTES: u32;

    /// Multiplies the numbers packed into 16 bytes.
    fn multiply_v4(a: [u32; 4], b: [u32; 4], job: &Job) -> [u32; 4];

    /// Multiplies one number.
    ///
    /// # Safety
    /// As [`shared::load_u32`] and [`global::store_u32`], for both parts.
    unsafe fn multiply(a: u32, b: u32, to: u64, job: &Job);
}

/// complex64.
struct Single;

impl Single {
    #[inline(always)]
    fn product(a: [u32; 2], b: [u32; 2], job: &Job) -> [u32; 2] {
        let ([ar, ai], [br, bi]) = (a.map(f32::from_bits), b.map(f32::from_bits));
        let bi = if job.conjugate { -bi } else { bi };
        let (mul_add, scale) = (core::f32::math::mul_add, job.scale as f32);
        let (real, imaginary) = (mul_add(ar, br, -(ai * bi)), mul_add(ar, bi, ai * br));
        [(real * scale).to_bits(), (imaginary * scale).to_bits()]
    }
}

impl Complex for Single {
    const BYTES: u32 = 8;

    #[inline(always)]
    fn multiply_v4([a0, a1, a2, a3]: [u32; 4], [b0, b1, b2, b3]: [u32; 4], job: &Job) -> [u32; 4] {
        let [c0, c1] = Self::product([a0, a1], [b0, b1], job);
        let [c2, c3] = Self::product([a2, a3], [b2, b3], job);
        [c0, c1, c2, c3]
    }

    #[inline(always)]
    unsafe fn multiply(a: u32, b: u32, to: u64, job: &Job) {
        // SAFETY: the caller's promise.
        let load = |from: u32| unsafe { [shared::load_u32(from), shared::load_u32(from + 4)] };
        let [real, imaginary] = Self::product(load(a), load(b), job);
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(to, real) };
        // SAFETY: the caller's promise.
        unsafe { global::store_u32(to + 4, imaginary) };
    }
}

/// complex128.
struct Double;

impl Complex for Double {
    const BYTES: u32 = 16;

    #[inline(always)]
    fn multiply_v4(a: [u32; 4], b: [u32; 4], job: &Job) -> [u32; 4] {
        let join = |low: u32, high: u32| f64::from_bits(u64::from(high) << 32 | u64::from(low));
        let parts = |[a, b, c, d]: [u32; 4]| (join(a, b), join(c, d));
        let ((ar, ai), (br, bi)) = (parts(a), parts(b));
        let bi = if job.conjugate { -bi } else { bi };
        let mul_add = core::f64::math::mul_add;
        let real = (mul_add(ar, br, -(ai * bi)) * job.scale).to_bits();
        let imaginary = (mul_add(ar, bi, ai * br) * job.scale).to_bits();
        [
            real as u32,
            (real >> 32) as u32,
            imaginary as u32,
            (imaginary >> 32) as u32,
        ]
    }

    #[inline(always)]
    unsafe fn multiply(a: u32, b: u32, to: u64, job: &Job) {
        // SAFETY: the caller's promise.
        let word = |from: u32| unsafe { shared::load_u32(from) };
        let load = |from: u32| [word(from), word(from + 4), word(from + 8), word(from + 12)];
        let [c0, c1, c2, c3] = Self::multiply_v4(load(a), load(b), job);
        // SAFETY: the caller's promise.
        let store = |offset: u64, value: u32| unsafe { global::store_u32(to + offset, value) };
        store(0, c0);
        store(4, c1);
        store(8, c2);
        store(12, c3);
    }
}

#[inline(always)]
fn spectral_multiply<T: Complex>(job: Job) {
    let Some(ring) = Ring::start(COMPUTE_WARPS, job.tiles, job.control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(ring.loader(), job), job.control);
    } else {
        run(multiply::<T>(ring.reader(), job), job.control);
    }
}

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $number:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            a: u64,
            b: u64,
            y: u64,
            rows: u32,
            rows_of_b: u32,
            columns: u64,
            scale: f64,
            conjugate: u32,
            control: Control,
        ) {
            let row_bytes = columns * u64::from(<$number>::BYTES);
            let pieces = row_bytes.div_ceil(u64::from(TILE)) as u32;
            spectral_multiply::<$number>(Job {
                a: Array::new(a, u64::from(rows) * row_bytes),
                b: Array::new(b, u64::from(rows_of_b) * row_bytes),
                y,
                row_bytes,
                pieces,
                by_row: rows_of_b > 1,
                scale,
                conjugate: conjugate != 0,
                tiles: Batch::of(rows * pieces),
                control,
            });
        }
    };
}

entry!(spectral_multiply_c64, Single);
entry!(spectral_multiply_c128, Double);
