//! Softmax over the rows of a matrix: y = exp(x - max(x)) / sum(exp(x - max(x))).
//!
//! A row is read from global memory once: it stays in the ring while its team goes over it three times (maximum, sum, result).
//! Only rows longer than the ring are read twice, and their maximum and sum are found in one go.
//! sync: bar.sync 1, bar.warp.sync 3, shfl.sync.bfly.b32 40, vote.sync.all.pred 10, vote.sync.any.pred 4

use crate::runtime::element::{BFloat16, Element};
use crate::runtime::exponential::{Partial, base, exp};
use crate::runtime::tile::{fold, map};
use crate::runtime::{Control, Matrix, Plan, Reader, Stripe, Team, Windows, lanes};

const TILE: u32 = 8192; // bytes of x
const STAGE: u32 = TILE + 128; // room for rows that are not 16-byte aligned
#[cfg(engine = "bulk")]
const STAGES: u32 = 24;
#[cfg(engine = "cp_async")]
const STAGES: u32 = 11; // what an sm_86 has room for
const WARPS: u32 = 15;

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    x: Matrix<TILE>,
    y: u64,
    /// Of this block.
    units: Stripe,
}

/// The rows of one team, each of which fits the ring as a whole.
async fn resident<T: Element>(mut ring: Reader<STAGES, STAGE>, mut team: Team<WARPS>, job: Job) {
    let (x, share) = (job.x, team.share());
    ring.skip(team.number * x.stages);
    for unit in job.units.part(team.number, team.teams) {
        let rows = x.rows_of(unit);
        let mut to = job.y + x.offset(unit);
        for row in 0..rows {
            // Where the row starts in its stage.
            let skip = x.skew(unit) + row * x.row_bytes;
            let mut max = f32::NEG_INFINITY;
            for number in 0..x.stages {
                let stage = ring.ahead(number).await;
                let count = x.bytes_in(number) / T::BYTES;
                // SAFETY: the row's elements, which have landed.
                max = unsafe { fold::<T, f32>(stage.address + skip, count, share, max, f32::max) };
            }
            max = lanes::max(max);
            if team.size > 1 {
                max = lanes::max(team.exchange(max).await.by_lane(max));
            }
            let base = base(max);
            let mut sum = 0.0;
            for number in 0..x.stages {
                let stage = ring.ahead(number).await;
                let count = x.bytes_in(number) / T::BYTES;
                // SAFETY: as above.
                sum = unsafe { fold::<T, f32>(stage.address + skip, count, share, sum, |sum, x| sum + exp(x - base)) };
            }
            sum = lanes::sum(sum);
            if team.size > 1 {
                sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
            }
            let factor = 1.0 / sum;
            for number in 0..x.stages {
                let stage = ring.ahead(if row + 1 == rows { 0 } else { number }).await;
                let count = x.bytes_in(number) / T::BYTES;
                // SAFETY: as above, and the same elements of y.
                unsafe {
                    map::<T, 2>(stage.address + skip, to + u64::from(number * TILE), count, share, |x| {
                        exp(x - base) * factor
                    })
                };
                if row + 1 == rows {
                    ring.release();
                }
            }
            to += u64::from(x.row_bytes);
        }
        ring.skip((team.teams - 1) * x.stages);
    }
}

/// The rows of all warps together, each of which is longer than the ring and comes twice.
async fn streamed<T: Element>(mut ring: Reader<STAGES, STAGE>, mut team: Team<WARPS>, job: Job) {
    let (x, share) = (job.x, team.share());
    for unit in job.units {
        let mut seen = Partial::EMPTY;
        for number in 0..x.stages {
            let stage = ring.filled().await;
            let rows = x.part(unit, number);
            let (from, count) = (stage.address + rows.skew(0), rows.bytes / T::BYTES);
            // SAFETY: the tile's elements, which have landed.
            let max = unsafe { fold::<T, f32>(from, count, share, seen.max, f32::max) };
            seen = seen.raise(max);
            let base = base(max);
            // SAFETY: as above.
            seen.sum = unsafe { fold::<T, f32>(from, count, share, seen.sum, |sum, x| sum + exp(x - base)) };
            ring.release();
        }
        let max = lanes::max(seen.max);
        let max = lanes::max(team.exchange(max).await.by_lane(max));
        let sum = lanes::sum(seen.raise(max).sum);
        let sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
        let (base, factor) = (base(max), 1.0 / sum);
        for number in 0..x.stages {
            let stage = ring.filled().await;
            let rows = x.part(unit, number);
            let to = job.y + rows.offset();
            // SAFETY: the tile's elements, which have landed, and the same elements of y.
            unsafe {
                map::<T, 2>(stage.address + rows.skew(0), to, rows.bytes / T::BYTES, share, |x| {
                    exp(x - base) * factor
                })
            };
            ring.release();
        }
    }
}

#[inline(always)]
fn softmax<T: Element>(x: u64, y: u64, rows: u32, columns: u32, control: Control) {
    let plan = Plan::<STAGES, STAGE, TILE, WARPS>::init(x, rows, columns * T::BYTES, 2, control);
    let job = Job {
        x: plan.matrix,
        y,
        units: plan.units,
    };
    plan.run(
        |ring, team| resident::<T>(ring, team, job),
        |ring, team| streamed::<T>(ring, team, job),
    );
}

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        pub extern "ptx-kernel" fn $name(x: u64, y: u64, rows: u32, columns: u32, control: Control) {
            softmax::<$element>(x, y, rows, columns, control);
        }
    };
}

entry!(softmax_f32, f32);
entry!(softmax_f16, f16);
entry!(softmax_bf16, BFloat16);
