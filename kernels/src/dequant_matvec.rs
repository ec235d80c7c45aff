//! Quantised weights times a few vectors: y[b, r] = sum over k of (w[r, k] - zero) * scale * x[b, k], w of 4 or 8 bits.
//!
//! Teams of warps have blocks of 16 rows each. Loader warps copy pieces of them into a ring of stages (`piece.rs`), and the warps of
//! a team share each piece along k: they turn integers into exact float16 or bfloat16 (`weights.rs`) and multiply on tensor cores into
//! float32, where a group's sum meets its scale (`product.rs`, `factors.rs`). At a block's end their sums come together (`meeting.rs`).
//! x stands in shared memory if it fits (`vector.rs`); there are entries for either case. Before sm_90, and in the
//! distant entries, a few registers are spilled.
//! stack dequant_matvec_w4_f16: 40
//! stack dequant_matvec_w4_bf16: 40
//! stack dequant_matvec_w8_f16: 16
//! stack dequant_matvec_w8_bf16: 16
//! stack dequant_matvec_w4_f16_distant: 160
//! stack dequant_matvec_w4_bf16_distant: 160
//! stack dequant_matvec_w8_f16_distant: 160
//! stack dequant_matvec_w8_bf16_distant: 160
//! sync: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 24, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 24
//! sync dequant_matvec_w4_bf16: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 24, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 24
//! sync dequant_matvec_w8_f16: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 16, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 12
//! sync dequant_matvec_w8_bf16: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 16, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 12
//! sync dequant_matvec_w4_bf16_long: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 24, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 24
//! sync dequant_matvec_w8_f16_long: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 16, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 12
//! sync dequant_matvec_w8_bf16_long: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 16, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 12
//! sync dequant_matvec_w4_f16_distant: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 20, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 16
//! sync dequant_matvec_w4_bf16_distant: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 20, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 16
//! sync dequant_matvec_w8_f16_distant: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 16, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 12
//! sync dequant_matvec_w8_bf16_distant: bar.sync 1, vote.sync.all.pred 7, vote.sync.any.pred 4, shfl.sync.idx.b32 12, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 8

mod factors;
mod meeting;
mod piece;
mod product;
mod vector;
mod weights;

use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Control, LoaderInTurn, Reader, Ring, Stripe, run, shared, warp};

use self::meeting::Meeting;
use self::piece::{Piece, STAGE};
use self::product::{Sums, multiply};
use self::vector::Vector;
use self::weights::{Bytes, Multiplier, Nibbles, Weights};

/// Stages, and how many there are room for beside a long x.
#[cfg(engine = "bulk")]
const MANY: u32 = 8;
#[cfg(engine = "cp_async")]
const MANY: u32 = 4;
#[cfg(engine = "bulk")]
const FEW: u32 = 4;
/// Teams of compute warps, each with blocks of rows of its own, and the warps of a team, which share a piece.
const TEAMS: u32 = 2;
const TEAM_WARPS: u32 = 8;
const COMPUTE_WARPS: u32 = TEAMS * TEAM_WARPS;
/// Warps that start copies, a team's in turn: a row's takes one of them some 60 clocks.
const LOADERS: u32 = 4;
const TEAM_LOADERS: u32 = LOADERS / TEAMS;
/// Rows that are worked on at a time, as many as a tensor core's tile has.
const ROWS: u32 = 16;
/// Vectors that a tile has room for.
const COLUMNS: u32 = 8;
/// Numbers of x that a lane takes at a time.
const EIGHT: u32 = 8;
/// Numbers that k is a multiple of: an eight for each of four lanes.
const STEP: u32 = 32;
/// Bytes of each of 16 rows that a warp takes at a time, 16 per lane.
const UNIT_BYTES: u32 = 64;
/// Units that a warp takes of a piece.
const UNITS_PER_WARP: u32 = 2;
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
    /// Bytes of a row of w.
    row_bytes: u32,
    /// Groups of a row.
    groups: u32,
    /// A group has 2 to the power of this many steps; a large number where there is one group.
    group_shift: u32,
    x: Vector,
    control: Control,
}

impl Job {
    /// Blocks of rows of this thread block.
    #[inline(always)]
    fn blocks(&self) -> Stripe {
        Stripe::of(self.rows.div_ceil(ROWS))
    }

    /// Those of a team.
    #[inline(always)]
    fn blocks_of(&self, team: u32) -> Stripe {
        self.blocks().part(team, TEAMS)
    }

    /// The group of a step of a row, or of the last step for one behind the end.
    #[inline(always)]
    fn group<W: Weights>(&self, step: u32) -> u32 {
        step.min(self.row_bytes * W::PER_BYTE / STEP - 1) >> self.group_shift
    }

    /// Pieces that a block of rows has.
    #[inline(always)]
    fn pieces(&self) -> u32 {
        self.row_bytes.div_ceil(piece::BYTES)
    }
}

/// Keeps a team's stages full, in turn with the team's other loaders.
async fn load<const STAGES: u32>(mut ring: LoaderInTurn<STAGES, STAGE, LOADERS>, number: u32, job: Job) {
    let (team, mut others) = (number % TEAMS, number / TEAMS);
    for block in job.blocks_of(team).watched(job.control) {
        for number in 0..job.pieces() {
            if others > 0 {
                others -= 1;
                continue;
            }
            others = TEAM_LOADERS - 1;
            let stage = ring.reserve().await;
            // SAFETY: a part of w, which fits a stage.
            unsafe { ring.fill_even::<ROWS>(stage, &piece::rows_of(&job, block, number), piece::PITCH) };
        }
    }
}

/// Multiplies a team's blocks of rows: each warp a part of each piece.
async fn compute<W: Weights, T: Multiplier, const STAGES: u32, const NEAR: bool, const RESIDENT: bool>(
    mut ring: Reader<STAGES, STAGE>,
    mut meeting: Meeting,
    job: Job,
) {
    let (team, part) = (warp::index() / TEAM_WARPS, warp::index() % TEAM_WARPS);
    let first = Piece {
        block: job.blocks_of(team).next().unwrap_or(0),
        number: 0,
    };
    let mut scales = factors::scales::<W, NEAR>(&job, first, part);
    let mut zeros = factors::zeros::<W, NEAR>(&job, first, part);
    if RESIDENT {
        job.x.bring::<W>(Share::of_warps(0, COMPUTE_WARPS), NEAR);
        meeting.of_all().await;
    }
    ring.skip(team);
    for block in job.blocks_of(team) {
        let mut sums = Sums::ZERO;
        for number in 0..job.pieces() {
            let piece = Piece { block, number };
            let stage = ring.filled().await.address;
            let now = (scales, zeros);
            let next = piece.next(&job);
            scales = factors::scales::<W, NEAR>(&job, next, part);
            zeros = factors::zeros::<W, NEAR>(&job, next, part);
            sums = multiply::<W, T, NEAR, RESIDENT>(&job, piece, part, stage, now.0, now.1, sums);
            ring.release();
            ring.skip(TEAMS - 1);
        }
        sums.leave(meeting.place(part));
        let set = meeting.of_team().await;
        meeting::finish::<T>(&job, set, block, part);
        factors::check_zeros::<W>(&job, block, sums.zeros);
    }
}

#[inline(always)]
fn dequant_matvec<W: Weights, T: Multiplier, const STAGES: u32, const RESIDENT: bool>(job: Job) {
    let meeting = Meeting::init(shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES);
    // The first team's warps report, and count the other's pieces with theirs.
    let fills = job.blocks_of(0).remaining() * job.pieces() * TEAMS;
    let ring = Ring::<STAGES, STAGE>::init(TEAM_WARPS, fills, job.control);
    if warp::index() >= COMPUTE_WARPS {
        let number = warp::index() - COMPUTE_WARPS;
        run(load(ring.loader_in_turn(number), number, job), job.control);
    } else if W::is_near(job.group_shift) {
        run(
            compute::<W, T, STAGES, true, RESIDENT>(ring.reader(), meeting, job),
            job.control,
        );
    } else {
        run(
            compute::<W, T, STAGES, false, RESIDENT>(ring.reader(), meeting, job),
            job.control,
        );
    }
}

/// One entry per type of w and x; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $weights:ty, $element:ty, $stages:ident, $is_resident:literal) => {
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
            let group = (numbers / STEP).checked_div(groups).unwrap_or(0).max(1);
            let group_shift = if groups == 1 {
                31
            } else {
                31 - group.leading_zeros()
            };
            let place = shared::base() + Ring::<$stages, STAGE>::SHARED_BYTES + Meeting::SHARED_BYTES;
            let job = Job {
                w,
                scales,
                zeros,
                y,
                rows,
                row_bytes: numbers / <$weights>::PER_BYTE,
                groups,
                group_shift,
                x: Vector::new::<$weights>(x, place, batch, numbers),
                control,
            };
            dequant_matvec::<$weights, $element, $stages, $is_resident>(job);
        }
    };
}

entry!(dequant_matvec_w4_f16, Nibbles, f16, MANY, true);
entry!(dequant_matvec_w4_bf16, Nibbles, BFloat16, MANY, true);
entry!(dequant_matvec_w8_f16, Bytes, f16, MANY, true);
entry!(dequant_matvec_w8_bf16, Bytes, BFloat16, MANY, true);

/// Where x does not fit shared memory. The manifest chooses.
mod distant {
    use super::*;

    entry!(dequant_matvec_w4_f16_distant, Nibbles, f16, MANY, false);
    entry!(dequant_matvec_w4_bf16_distant, Nibbles, BFloat16, MANY, false);
    entry!(dequant_matvec_w8_f16_distant, Bytes, f16, MANY, false);
    entry!(dequant_matvec_w8_bf16_distant, Bytes, BFloat16, MANY, false);
}

/// Where x is long, and fits beside fewer stages.
#[cfg(engine = "bulk")]
mod long {
    use super::*;

    entry!(dequant_matvec_w4_f16_long, Nibbles, f16, FEW, true);
    entry!(dequant_matvec_w4_bf16_long, Nibbles, BFloat16, FEW, true);
    entry!(dequant_matvec_w8_f16_long, Bytes, f16, FEW, true);
    entry!(dequant_matvec_w8_bf16_long, Bytes, BFloat16, FEW, true);
}
