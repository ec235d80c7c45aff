//! Quantised weights times a few vectors: y[b, r] = sum over k of (w[r, k] - zero) * scale * x[b, k], w of 4 or 8 bits.
//!
//! One warp copies 16 rows of w, a kibibyte of each at a time, with their scales and zeros into a ring of stages. Eight warps
//! share each stage along k: they turn integers into exact float16 or bfloat16 (`weights.rs`) and multiply on tensor cores into
//! float32, where a group's sum meets its scale (`product.rs`). x stands in shared memory if it fits (`vector.rs`).
//! sync: bar.sync 1, bar.warp.sync 3, vote.sync.all.pred 4, vote.sync.any.pred 3, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 16
//! sync dequant_matvec_w4_bf16: bar.sync 1, bar.warp.sync 3, vote.sync.all.pred 4, vote.sync.any.pred 3, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 16
//! sync dequant_matvec_w8_bf16: bar.sync 1, bar.warp.sync 3, vote.sync.all.pred 4, vote.sync.any.pred 3, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 16

mod product;
mod tile;
mod vector;
mod weights;

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Control, Loader, Reader, Ring, Stripe, block, run, shared, warp};

use self::product::{Sums, multiply_unit};
use self::tile::{STAGE, Tile};
use self::vector::Vector;
use self::weights::{Bytes, Multiplier, Nibbles, Weights};

/// With a batch of 8 at k = 8192 in shared memory, all that a Hopper has room for; or an sm_86 with x of 30 KiB.
#[cfg(engine = "bulk")]
const STAGES: u32 = 4;
#[cfg(engine = "cp_async")]
const STAGES: u32 = 3;
const COMPUTE_WARPS: u32 = 8;
/// Rows that are worked on at a time, as many as a tensor core's tile has.
const ROWS: u32 = 16;
/// Vectors that a tile has room for.
const COLUMNS: u32 = 8;
/// Numbers of a row that four neighbouring lanes take at a time.
const STEP: u32 = 32;
/// Steps that a warp takes at a time.
const UNIT: u32 = 4;
const PARTIAL_BYTES: u32 = ROWS * COLUMNS * 4; // of one warp
const SET_BYTES: u32 = COMPUTE_WARPS * PARTIAL_BYTES;
const ZERO_OUTSIDE: u32 = 1; // fault code

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
pub struct Job {
    w: u64,
    scales: u64,
    /// Or null.
    zeros: u64,
    y: u64,
    rows: u32,
    /// Steps of a row.
    steps: u32,
    /// Groups of a row.
    groups: u32,
    /// A group has 2 to the power of this many steps; a large number where there is one group.
    group_shift: u32,
    x: Vector,
    control: Control,
}

impl Job {
    /// Stages that a block of rows goes through.
    #[inline(always)]
    fn chunks<W: Weights>(&self) -> u32 {
        self.steps.div_ceil(W::CHUNK_STEPS)
    }

    /// Blocks of rows of this thread block.
    #[inline(always)]
    fn blocks(&self) -> Stripe {
        Stripe::of(self.rows.div_ceil(ROWS))
    }
}

/// Where the compute warps meet, and leave their sums for each other. Two sets of places take turns: nobody writes a set again
/// before everybody has read it.
#[derive(Clone, Copy)]
struct Meeting {
    base: u32,
    parity: u32,
}

impl Meeting {
    const SHARED_BYTES: u32 = 16 + 2 * SET_BYTES;

    /// One thread calls it before the ring is set up, which publishes the barrier.
    #[inline(always)]
    fn init(base: u32) -> Self {
        if block::thread() == 0 {
            Barrier(base).init(COMPUTE_WARPS);
        }
        Self { base, parity: 0 }
    }

    /// Where the sums go that are brought to the next meeting.
    #[inline(always)]
    fn set(&self) -> u32 {
        self.base + 2 * BARRIER_BYTES + self.parity * SET_BYTES
    }

    /// Arrives; when awaited, everybody has. The warp calls it together.
    #[inline(always)]
    fn meet(&mut self) -> Wait<()> {
        warp::sync();
        if warp::lane() == 0 {
            Barrier(self.base).arrive();
        }
        let parity = self.parity;
        self.parity ^= 1;
        Barrier(self.base).wait(parity, ())
    }
}

/// Keeps the ring full.
async fn load<W: Weights>(mut ring: Loader<STAGES, STAGE>, job: Job) {
    for block in job.blocks().watched(job.control) {
        for chunk in 0..job.chunks::<W>() {
            let stage = ring.reserve().await;
            // SAFETY: parts of w, scales and zeros, which fit a stage.
            unsafe { ring.fill(stage, &Tile::new::<W>(&job, block, chunk)) };
        }
    }
}

/// Multiplies: each warp its part of every stage; for each block of rows the warps' sums come together.
async fn multiply<W: Weights, T: Multiplier>(mut ring: Reader<STAGES, STAGE>, mut meeting: Meeting, job: Job) {
    let share = Share::of_warps(1, COMPUTE_WARPS);
    let first_unit = warp::index() - 1;
    if job.x.is_resident {
        job.x.bring::<W>(share);
        meeting.meet().await;
    }
    for block in job.blocks() {
        let mut sums = Sums::ZERO;
        for chunk in 0..job.chunks::<W>() {
            let tile = Tile::new::<W>(&job, block, chunk);
            let stage = ring.filled().await.address;
            let mut unit = first_unit;
            while unit * UNIT < tile.steps {
                sums = multiply_unit::<W, T>(&job, &tile, stage, unit * UNIT, sums);
                unit += COMPUTE_WARPS;
            }
            ring.release();
        }
        let set = meeting.set();
        sums.leave(set + first_unit * PARTIAL_BYTES);
        meeting.meet().await;
        finish::<T>(&job, set, block, share);
    }
}

/// Adds the warps' sums up, always in the same order, and stores them.
#[inline(always)]
fn finish<T: Element>(job: &Job, set: u32, block: u32, share: Share) {
    let (row, column) = (share.thread % ROWS, share.thread / ROWS);
    let number = block * ROWS + row;
    if column >= job.x.batch || number >= job.rows {
        return;
    }
    let at = set + (row * COLUMNS + column) * 4;
    let mut sum = 0.0;
    for warp in 0..COMPUTE_WARPS {
        // SAFETY: a sum that a warp has left.
        sum += f32::from_bits(unsafe { shared::load_u32(at + warp * PARTIAL_BYTES) });
    }
    let element = u64::from(column) * u64::from(job.rows) + u64::from(number);
    // SAFETY: an element of y.
    unsafe { T::store_global(job.y + element * u64::from(T::BYTES), sum) };
}

#[inline(always)]
fn dequant_matvec<W: Weights, T: Multiplier>(job: Job) {
    let meeting = Meeting::init(shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES);
    let fills = job.blocks().remaining() * job.chunks::<W>();
    let ring = Ring::init(COMPUTE_WARPS, fills, job.control);
    if warp::index() == 0 {
        run(load::<W>(ring.loader(), job), job.control);
    } else {
        run(multiply::<W, T>(ring.reader(), meeting, job), job.control);
    }
}

/// One entry per type of w and x; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $weights:ty, $element:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            w: u64,
            scales: u64,
            x: u64,
            zeros: u64,
            y: u64,
            rows: u32,
            numbers: u32,
            groups: u32,
            batch: u32,
            control: Control,
        ) {
            let steps = numbers / STEP;
            let group = steps.checked_div(groups).unwrap_or(0).max(1);
            let place = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES + Meeting::SHARED_BYTES;
            let job = Job {
                w,
                scales,
                zeros,
                y,
                rows,
                steps,
                groups,
                group_shift: if groups == 1 {
                    31
                } else {
                    31 - group.leading_zeros()
                },
                x: Vector::new(x, place, batch, steps),
                control,
            };
            dequant_matvec::<$weights, $element>(job);
        }
    };
}

entry!(dequant_matvec_w4_f16, Nibbles, f16);
entry!(dequant_matvec_w4_bf16, Nibbles, BFloat16);
entry!(dequant_matvec_w8_f16, Bytes, f16);
entry!(dequant_matvec_w8_bf16, Bytes, BFloat16);
