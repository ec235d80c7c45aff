//! Cross entropy of the rows of a matrix: loss = log(sum(exp(x))) - x[target].
//!
//! A row is read once: a row that fits the ring stays there for maximum and sum, of a longer one both are found in one go.
//! sync: bar.sync 1, bar.warp.sync 2, shfl.sync.bfly.b32 40, vote.sync.all.pred 8, vote.sync.any.pred 4

use crate::runtime::element::{BFloat16, Element};
use crate::runtime::exponential::{Partial, base, exp, log};
use crate::runtime::tile::{Share, fold};
use crate::runtime::{Control, Matrix, Plan, Reader, Stripe, Team, global, lanes};

const TILE: u32 = 8192; // bytes of x
const STAGE: u32 = TILE + 128; // room for rows that are not 16-byte aligned
#[cfg(engine = "bulk")]
const STAGES: u32 = 24;
#[cfg(engine = "cp_async")]
const STAGES: u32 = 11; // what an sm_86 has room for
const WARPS: u32 = 15;
const CLASS_OUTSIDE: u32 = 1; // fault code

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
struct Job {
    x: Matrix<TILE>,
    elements: u64,
    target: Targets,
    y: u64,
    control: Control,
    /// Of this block.
    units: Stripe,
}

/// The array of classes.
#[derive(Clone, Copy)]
struct Targets {
    address: u64,
    /// Bytes per number: 4 or 8.
    width: u32,
    classes: u32,
    /// The class whose rows have a loss of 0.
    ignored: i64,
}

impl Job {
    /// Writes the loss of a row, given its maximum and the sum of its exponentials. The team calls it; one lane works.
    #[inline(always)]
    fn finish<T: Element>(&self, row: u32, max: f32, sum: f32, share: Share) {
        if share.thread == 0 {
            // SAFETY: the row's number, and its element of y.
            unsafe {
                let class = self.target.load(row);
                let loss = if class == self.target.ignored {
                    0.0
                } else if class < 0 || class >= i64::from(self.target.classes) {
                    self.control.fault(CLASS_OUTSIDE, [i64::from(row), class]);
                    f32::NAN
                } else {
                    let element = u64::from(row) * u64::from(self.target.classes) + class as u64;
                    log(sum) + (base(max) - T::load_global(self.elements + element * u64::from(T::BYTES)))
                };
                f32::store_global(self.y + u64::from(row) * 4, loss);
            }
        }
    }
}

impl Targets {
    /// The class of a row.
    ///
    /// # Safety
    /// The array has that many rows.
    #[inline(always)]
    unsafe fn load(&self, row: u32) -> i64 {
        let address = self.address + u64::from(row) * u64::from(self.width);
        if self.width == 8 {
            // SAFETY: the caller's promise.
            unsafe { global::load_u64(address) as i64 }
        } else {
            // SAFETY: the caller's promise.
            i64::from(unsafe { global::load_u32(address) } as i32)
        }
    }
}

/// The rows of one team, each of which fits the ring as a whole.
async fn resident<T: Element>(mut ring: Reader<STAGES, STAGE>, mut team: Team<WARPS>, job: Job) {
    let (x, share) = (job.x, team.share());
    ring.skip(team.number * x.stages);
    for unit in job.units.part(team.number, team.teams) {
        let rows = x.rows_of(unit);
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
                let stage = ring.ahead(if row + 1 == rows { 0 } else { number }).await;
                let count = x.bytes_in(number) / T::BYTES;
                // SAFETY: as above.
                sum = unsafe { fold::<T, f32>(stage.address + skip, count, share, sum, |sum, x| sum + exp(x - base)) };
                if row + 1 == rows {
                    ring.release();
                }
            }
            sum = lanes::sum(sum);
            if team.size > 1 {
                sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
            }
            job.finish::<T>(unit * x.group + row, max, sum, share);
        }
        ring.skip((team.teams - 1) * x.stages);
    }
}

/// The rows of all warps together, each of which is longer than the ring.
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
        job.finish::<T>(unit, max, sum, share);
    }
}

#[inline(always)]
fn cross_entropy<T: Element>(elements: u64, target: Targets, y: u64, rows: u32, control: Control) {
    let plan = Plan::<STAGES, STAGE, TILE, WARPS>::init(elements, rows, target.classes * T::BYTES, 1, control);
    let job = Job {
        x: plan.matrix,
        elements,
        target,
        y,
        control,
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
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            address: u64,
            y: u64,
            rows: u32,
            classes: u32,
            width: u32,
            ignored: i64,
            control: Control,
        ) {
            let target = Targets {
                address,
                width,
                classes,
                ignored,
            };
            cross_entropy::<$element>(x, target, y, rows, control);
        }
    };
}

entry!(cross_entropy_f32, f32);
entry!(cross_entropy_f16, f16);
entry!(cross_entropy_bf16, BFloat16);
