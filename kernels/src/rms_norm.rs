//! Root-mean-square normalisation of the rows of a matrix: y = x / sqrt(mean(x^2) + eps) * weight.
//!
//! A row stays in the ring while its team goes over it twice; only rows longer than the ring are read twice.
//! sync: bar.sync 1, bar.warp.sync 3, shfl.sync.bfly.b32 20, vote.sync.all.pred 7, vote.sync.any.pred 4

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
    /// What a row is multiplied by, given the sum of its squares.
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
            let mut squares = 0.0;
            for number in 0..x.stages {
                let from = ring.ahead(number).await.address + skip;
                // SAFETY: the row's elements, which have landed.
                squares = unsafe { fold::<T, f32>(from, x.bytes_in(number) / T::BYTES, share, squares, add_square) };
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
                unsafe { map_affine::<T>(from, to, affine, x.bytes_in(number) / T::BYTES, share, |x| x * factor) };
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
        let mut squares = 0.0;
        for number in 0..x.stages {
            let from = ring.filled().await.address + x.skew(unit);
            // SAFETY: the row's elements, which have landed.
            squares = unsafe { fold::<T, f32>(from, x.bytes_in(number) / T::BYTES, share, squares, add_square) };
            ring.release();
        }
        squares = lanes::sum(team.exchange(lanes::sum(squares)).await.by_lane(0.0));
        let factor = job.factor(squares);
        for number in 0..x.stages {
            let from = ring.filled().await.address + x.skew(unit);
            let to = job.y + x.offset(unit) + u64::from(number * TILE);
            let affine = job.affine.offset(number * TILE);
            // SAFETY: as above, and the same elements of y.
            unsafe { map_affine::<T>(from, to, affine, x.bytes_in(number) / T::BYTES, share, |x| x * factor) };
            ring.release();
        }
    }
}

#[inline(always)]
fn add_square(sum: f32, x: f32) -> f32 {
    fma(x, x, sum)
}

#[inline(always)]
fn rms_norm<T: Element>(x: u64, affine: Affine, y: u64, rows: u32, columns: u32, eps: f32, control: Control) {
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
            y: u64,
            rows: u32,
            columns: u32,
            eps: f32,
            control: Control,
        ) {
            rms_norm::<$element>(x, Affine { weight, bias: 0 }, y, rows, columns, eps, control);
        }
    };
}

entry!(rms_norm_f32, f32);
entry!(rms_norm_f16, f16);
entry!(rms_norm_bf16, BFloat16);
