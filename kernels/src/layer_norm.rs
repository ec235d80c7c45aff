//! Layer normalisation of the rows of a matrix: y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias.
//!
//! A row stays in the ring while its team goes over it three times (mean, variance, result). Only rows longer than the ring
//! are read twice; their mean and variance are found in one go, relative to the row's first element.
//! sync: bar.sync 1, bar.warp.sync 3, shfl.sync.bfly.b32 40, vote.sync.all.pred 10, vote.sync.any.pred 4

use crate::runtime::element::{BFloat16, Element};
use crate::runtime::tile::{Affine, fold, map_affine};
use crate::runtime::{Control, Matrix, Plan, Reader, Stripe, Team, fma, lanes, rsqrt};

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
    affine: Affine,
    /// 1 over the elements of a row.
    per_column: f32,
    eps: f32,
    /// Of this block.
    units: Stripe,
}

impl Job {
    /// What a row's distances from its mean are multiplied by, given the sum of their squares.
    #[inline(always)]
    fn factor(&self, squares: f32) -> f32 {
        rsqrt(fma(squares, self.per_column, self.eps))
    }
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
            let mut sum = 0.0;
            for number in 0..x.stages {
                let from = ring.ahead(number).await.address + skip;
                // SAFETY: the row's elements, which have landed.
                sum = unsafe { fold::<T, f32>(from, x.bytes_in(number) / T::BYTES, share, sum, |sum, x| sum + x) };
            }
            sum = lanes::sum(sum);
            if team.size > 1 {
                sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
            }
            let mean = sum * job.per_column;
            let mut squares = 0.0;
            for number in 0..x.stages {
                let from = ring.ahead(number).await.address + skip;
                let count = x.bytes_in(number) / T::BYTES;
                // SAFETY: as above.
                squares = unsafe { fold::<T, f32>(from, count, share, squares, |sum, x| add_square(sum, x - mean)) };
            }
            squares = lanes::sum(squares);
            if team.size > 1 {
                squares = lanes::sum(team.exchange(squares).await.by_lane(0.0));
            }
            let factor = job.factor(squares);
            for number in 0..x.stages {
                let from = ring.ahead(if row + 1 == rows { 0 } else { number }).await.address + skip;
                let (to, affine) = (to + u64::from(number * TILE), job.affine.offset(number * TILE));
                // SAFETY: as above, and the same elements of y.
                unsafe {
                    map_affine::<T>(from, to, affine, x.bytes_in(number) / T::BYTES, share, |x| {
                        (x - mean) * factor
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
        let (mut sum, mut squares, mut origin) = (0.0, 0.0, 0.0);
        for number in 0..x.stages {
            let from = ring.filled().await.address + x.skew(unit);
            let count = x.bytes_in(number) / T::BYTES;
            if number == 0 {
                // SAFETY: the row's first element, which has landed.
                origin = unsafe { T::load_shared(from) };
            }
            let add = |(sum, squares), x| (sum + (x - origin), add_square(squares, x - origin));
            // SAFETY: the row's elements, which have landed.
            (sum, squares) = unsafe { fold::<T, (f32, f32)>(from, count, share, (sum, squares), add) };
            ring.release();
        }
        sum = lanes::sum(team.exchange(lanes::sum(sum)).await.by_lane(0.0));
        squares = lanes::sum(team.exchange(lanes::sum(squares)).await.by_lane(0.0));
        let shift = sum * job.per_column;
        // The squares about the origin, less those of the mean about it.
        squares = (squares - sum * shift).max(0.0);
        let mean = origin + shift;
        let factor = job.factor(squares);
        for number in 0..x.stages {
            let from = ring.filled().await.address + x.skew(unit);
            let to = job.y + x.offset(unit) + u64::from(number * TILE);
            let affine = job.affine.offset(number * TILE);
            // SAFETY: as above, and the same elements of y.
            unsafe {
                map_affine::<T>(from, to, affine, x.bytes_in(number) / T::BYTES, share, |x| {
                    (x - mean) * factor
                })
            };
            ring.release();
        }
    }
}

#[inline(always)]
fn add_square(sum: f32, x: f32) -> f32 {
    fma(x, x, sum)
}

#[inline(always)]
fn layer_norm<T: Element>(x: u64, affine: Affine, y: u64, rows: u32, columns: u32, eps: f32, control: Control) {
    let plan = Plan::<STAGES, STAGE, TILE, WARPS>::init(x, rows, columns * T::BYTES, 2, control);
    let job = Job {
        x: plan.matrix,
        y,
        affine,
        per_column: 1.0 / columns as f32,
        eps,
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
        pub extern "ptx-kernel" fn $name(
            x: u64,
            weight: u64,
            bias: u64,
            y: u64,
            rows: u32,
            columns: u32,
            eps: f32,
            control: Control,
        ) {
            layer_norm::<$element>(x, Affine { weight, bias }, y, rows, columns, eps, control);
        }
    };
}

entry!(layer_norm_f32, f32);
entry!(layer_norm_f16, f16);
entry!(layer_norm_bf16, BFloat16);
