//! Rows of a matrix by number: y[i, :] = src[idx[i], :], of any type; numbers of a floating-point type may be scaled.
//!
//! One warp looks the rows up and copies them into a ring of stages, eight warps store them.
//! sync: bar.sync 1, bar.warp.sync 1, vote.sync.all.pred 2, vote.sync.any.pred 3

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::tile::{Share, map};
use warpbridge_runtime::{
    Array, Control, Loader, Reader, Ring, Stripe, Windows, block, divide, global, run, shared, warp,
};

const STAGE: u32 = 16384 + 128; // the manifest's `band` and `piece` make a tile fit
const STAGES: u32 = 6;
const COMPUTE_WARPS: u32 = 8;
const INDEX_OUTSIDE: u32 = 1; // fault codes
const NOT_SCALABLE: u32 = 2;

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    src: Array,
    /// Rows of src.
    rows: i64,
    row_bytes: u64,
    idx: u64,
    /// Bytes of a number in idx: 4 or 8.
    width: u32,
    y: u64,
    /// Rows of y.
    count: u32,
    /// Rows of a tile.
    band: u32,
    /// Bytes of a row in one tile, and how many such pieces a row has.
    piece: u32,
    pieces: u32,
    tiles: Stripe,
    control: Control,
}

/// Some rows of y, and a piece of each.
#[derive(Clone, Copy)]
struct Tile {
    job: Job,
    first: u32,
    rows: u32,
    offset: u64,
    bytes: u32,
}

impl Job {
    #[inline(always)]
    fn tile(self, tile: u32) -> Tile {
        let (band, piece) = divide(tile, self.pieces);
        let (first, offset) = (band * self.band, u64::from(piece) * u64::from(self.piece));
        Tile {
            job: self,
            first,
            rows: (self.count - first).min(self.band),
            offset,
            bytes: (self.row_bytes - offset).min(u64::from(self.piece)) as u32,
        }
    }

    /// Whether all rows start at multiples of 16.
    #[inline(always)]
    fn is_aligned(&self) -> bool {
        (self.src.begin | self.row_bytes) % 16 == 0
    }

    /// Address of row `number` of src. One outside is the first row here; `check` reports it.
    #[inline(always)]
    fn address(&self, number: i64) -> u64 {
        let inside = if self.has(number) { number as u64 } else { 0 };
        self.src.begin + inside * self.row_bytes
    }

    #[inline(always)]
    fn has(&self, number: i64) -> bool {
        number >= 0 && number < self.rows
    }

    /// The numbers for this lane's first two rows of a tile; 0 where there is none.
    #[inline(always)]
    fn first_numbers(&self, tile: u32) -> [i64; 2] {
        let first = divide(tile, self.pieces).0.saturating_mul(self.band);
        let number = |place: u32| {
            let row = first.saturating_add(place);
            if place < self.band && row < self.count {
                self.index(row)
            } else {
                0
            }
        };
        [number(warp::lane()), number(warp::lane() + warp::LANES)]
    }

    #[inline(always)]
    fn index(&self, row: u32) -> i64 {
        let at = self.idx + u64::from(row) * u64::from(self.width);
        if self.width == 8 {
            // SAFETY: a number of idx.
            unsafe { global::load_u64(at) as i64 }
        } else {
            // SAFETY: a number of idx.
            i64::from(unsafe { global::load_u32(at) } as i32)
        }
    }
}

/// A tile as the loader has it: with the numbers for this lane's first two rows, which were read a tile ahead.
struct LookedUp {
    tile: Tile,
    numbers: [i64; 2],
}

impl LookedUp {
    /// The number for a row that is this lane's.
    #[inline(always)]
    fn number(&self, row: u32) -> i64 {
        match row / warp::LANES {
            0 => self.numbers[0],
            1 => self.numbers[1],
            _ => self.tile.job.index(self.tile.first + row),
        }
    }

    /// Reports numbers outside src. The warp calls it together.
    #[inline(always)]
    fn check(&self) {
        let (job, mut row) = (&self.tile.job, warp::lane());
        while row < self.tile.rows {
            let number = self.number(row);
            if !job.has(number) {
                job.control
                    .fault(INDEX_OUTSIDE, [i64::from(self.tile.first + row), number]);
            }
            row += warp::LANES;
        }
    }
}

impl Windows for Tile {
    #[inline(always)]
    fn array(&self) -> Array {
        self.job.src
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        self.rows
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        (self.job.piece + 30) & !15
    }

    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        self.job.address(self.job.index(self.first + row)) + self.offset
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        (self.job.src.begin | self.job.src.end) % 16 != 0
    }
}

impl Windows for LookedUp {
    #[inline(always)]
    fn array(&self) -> Array {
        self.tile.array()
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        self.tile.rows
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.tile.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        self.tile.pitch()
    }

    /// Bulk copies: a row is its lane's. Lanes that share each row read the number again, from the cache.
    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        if cfg!(engine = "bulk") {
            self.tile.job.address(self.number(row)) + self.tile.offset
        } else {
            self.tile.row(row)
        }
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        self.tile.reaches_edges()
    }

    #[inline(always)]
    unsafe fn copy_edges(&self, stage: u32) {
        // SAFETY: the caller's promise. Every lane looks at every row there.
        unsafe { self.tile.copy_edges(stage) };
    }
}

/// Keeps the ring full. The numbers are read one tile ahead: the copies of a tile cannot start before they are there.
async fn load(mut ring: Loader<STAGES, STAGE>, job: Job) {
    let mut next = job.first_numbers(block::index());
    for number in job.tiles.watched(job.control) {
        let numbers = next;
        next = job.first_numbers(number.saturating_add(block::count()));
        let stage = ring.reserve().await;
        let tile = job.tile(number);
        let tile = LookedUp { tile, numbers };
        tile.check();
        // SAFETY: rows of src, and a band of pieces fits a stage.
        unsafe { ring.fill(stage, &tile) };
    }
}

/// Stores each stage's rows; `store` takes from where, to where, how many bytes, and whose share.
async fn store(mut ring: Reader<STAGES, STAGE>, job: Job, store: impl Fn(u32, u64, u32, Share) + Copy) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    for tile in job.tiles {
        let stage = ring.filled().await.address;
        let tile = job.tile(tile);
        let walk = share.over_rows(tile.bytes / 16);
        let part = Share {
            thread: walk.item,
            threads: walk.item_step,
        };
        let mut row = walk.row;
        while row < tile.rows {
            let skew = if job.is_aligned() { 0 } else { tile.skew(row) };
            let from = stage + tile.slot(row) + skew;
            let to = job.y + u64::from(tile.first + row) * job.row_bytes + tile.offset;
            store(from, to, tile.bytes, part);
            row += walk.row_step;
        }
        ring.release();
    }
}

/// Copies bytes as they are: 16 at a time where both addresses allow it, 4 or 1 otherwise.
#[inline(always)]
fn copy(from: u32, to: u64, bytes: u32, share: Share) {
    let either = u64::from(from) | to;
    let mut done = 0;
    if either % 16 == 0 {
        let mut offset = share.thread * 16;
        while offset + 16 <= bytes {
            // SAFETY: inside the row's piece, in the stage and in y.
            unsafe { global::store_v4(to + u64::from(offset), shared::load_v4(from + offset)) };
            offset += share.threads * 16;
        }
        done = bytes & !15;
    } else if either % 4 == 0 {
        let mut offset = share.thread * 4;
        while offset + 4 <= bytes {
            // SAFETY: as above.
            unsafe { global::store_u32(to + u64::from(offset), shared::load_u32(from + offset)) };
            offset += share.threads * 4;
        }
        done = bytes & !3;
    }
    let mut offset = done + share.thread;
    while offset < bytes {
        // SAFETY: as above.
        unsafe { global::store_u8(to + u64::from(offset), shared::load_u8(from + offset)) };
        offset += share.threads;
    }
}

#[inline(always)]
fn gather_rows(job: Job, what: impl Fn(u32, u64, u32, Share) + Copy) {
    let ring = Ring::init(COMPUTE_WARPS, job.tiles.remaining(), job.control);
    if warp::index() == 0 {
        run(load(ring.loader(), job), job.control);
    } else {
        run(store(ring.reader(), job, what), job.control);
    }
}

/// For numbers that can be scaled; by 1 they are copied.
#[inline(always)]
fn scaled<T: Element>(job: Job, scale: f32) {
    gather_rows(job, move |from, to, bytes, share| {
        if scale == 1.0 {
            copy(from, to, bytes, share);
        } else {
            // SAFETY: the row's piece, which has landed, and its place in y.
            unsafe { map::<T, 2>(from, to, bytes / T::BYTES, share, |x| x * scale) };
        }
    });
}

/// For everything else.
#[inline(always)]
fn copied(job: Job, scale: f32) {
    if scale != 1.0 && warp::lane() == 0 {
        job.control.fault(NOT_SCALABLE, [0, 0]);
    }
    gather_rows(job, copy);
}

/// What the entries have in common; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $what:expr) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            src: u64,
            idx: u64,
            y: u64,
            rows: u64,
            count: u32,
            row_bytes: u64,
            width: u32,
            band: u32,
            piece: u32,
            pieces: u32,
            scale: f32,
            control: Control,
        ) {
            let job = Job {
                src: Array::new(src, rows * row_bytes),
                rows: rows as i64,
                row_bytes,
                idx,
                width,
                y,
                count,
                band,
                piece,
                pieces,
                tiles: Stripe::of(divide(count + band - 1, band).0 * pieces),
                control,
            };
            $what(job, scale);
        }
    };
}

entry!(gather_rows_f32, scaled::<f32>);
entry!(gather_rows_f16, scaled::<f16>);
entry!(gather_rows_bf16, scaled::<BFloat16>);
entry!(gather_rows_any, copied);
