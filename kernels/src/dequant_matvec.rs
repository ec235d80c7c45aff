//! Quantised weights times a few vectors: y[b, r] = sum over k of (w[r, k] - zero) * scale * x[b, k], w of 4 or 8 bits.
//!
//! Teams of four warps have blocks of 16 rows each. A loader warp per team copies pieces of them into stages (`piece.rs`), and the warps
//! of the team share each piece along k: they hand integers as float16 or bfloat16 (`weights.rs`, `multiplier.rs`) to the tensor cores, which
//! sum into float32, where a group's sum meets its scale (`product.rs`, `factors.rs`). The sums of 16 rows come together while the next
//! 16 are under way (`meeting.rs`). x stands in shared memory if it fits (`vector.rs`); there are entries for either case.
//! jump tables: no
//! stack dequant_matvec_w8_bf16: 8
//! sync: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 208, shfl.sync.idx.b32 46, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w4_bf16: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 208, shfl.sync.idx.b32 46, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w4_bf16_distant: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 48, shfl.sync.idx.b32 22, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w4_bf16_distant: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 48, shfl.sync.idx.b32 22, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w4_f16: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 208, shfl.sync.idx.b32 46, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w4_f16: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 208, shfl.sync.idx.b32 46, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w4_f16_distant: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 48, shfl.sync.idx.b32 22, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w4_f16_distant: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 48, shfl.sync.idx.b32 22, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w8_bf16: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 44, shfl.sync.idx.b32 38, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w8_bf16: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 44, shfl.sync.idx.b32 38, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w8_bf16_distant: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 12, shfl.sync.idx.b32 14, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w8_bf16_distant: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 12, shfl.sync.idx.b32 14, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w8_f16: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 104, shfl.sync.idx.b32 38, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w8_f16: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 104, shfl.sync.idx.b32 38, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync dequant_matvec_w8_f16_distant: bar.sync 1, elect.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 24, shfl.sync.idx.b32 14, vote.sync.all.pred 13, vote.sync.any.pred 5
//! sync sm_80 dequant_matvec_w8_f16_distant: bar.sync 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 24, shfl.sync.idx.b32 14, vote.sync.all.pred 13, vote.sync.any.pred 5

mod bring;
mod factors;
mod meeting;
mod multiplier;
mod piece;
mod product;
mod vector;
mod weights;

use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::{Control, LoaderInTurn, Reader, Ring, Stripe, run, shared, warp};

use self::bring::Bring;
use self::factors::Ahead;
use self::meeting::Meeting;
use self::multiplier::Multiplier;
use self::piece::{PITCH, Piece, STAGE, UNITS};
use self::product::{Sums, load_whole, multiply, multiply_whole};
use self::vector::Vector;
use self::weights::{Bytes, Nibbles, Weights};

/// Stages: two for each team. More are no faster (H200; eight are slower), and a long x has room beside these.
const STAGES: u32 = 4;
/// Teams of compute warps, each with blocks of rows of its own, and the warps of a team, which share a piece. Few warps, for whom there
/// are registers: each has the weights of a whole piece on their way from shared memory at once.
const TEAMS: u32 = 2;
const TEAM_WARPS: u32 = 4;
const COMPUTE_WARPS: u32 = TEAMS * TEAM_WARPS;
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
const UNITS_PER_WARP: u32 = 4;
const ZERO_OUTSIDE: u32 = 1; // fault code
/// No block of rows.
const NO_BLOCK: u32 = u32::MAX;

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

/// Keeps a team's stages full.
async fn load(mut ring: LoaderInTurn<STAGES, STAGE, TEAMS>, team: u32, job: Job) {
    for block in job.blocks_of(team).watched(job.control) {
        for number in 0..job.pieces() {
            let stage = ring.reserve().await;
            // SAFETY: a part of w, which fits a stage.
            unsafe { ring.fill_even::<ROWS>(stage, &piece::rows_of(&job, block, number), piece::PITCH) };
        }
    }
}

/// Multiplies a team's blocks of rows: each warp a part of each piece.
async fn compute<W: Weights, T: Multiplier, const NEAR: bool, const RESIDENT: bool, const ZEROS: bool>(
    mut ring: Reader<STAGES, STAGE>,
    mut meeting: Meeting,
    mut ahead: Ahead,
    job: Job,
) {
    let (team, part) = (warp::index() / TEAM_WARPS, warp::index() % TEAM_WARPS);
    if RESIDENT {
        meeting.of_all(0).await;
        // Asked again, as what is behind an await is compiled in any case.
        if RESIDENT && !W::subtracts::<T>() {
            let zero = W::offsets::<T>(W::ZERO)[0];
            bring::sum_up::<W, T>(&job.x, if ZEROS { T::MINUS_ONE } else { zero });
            meeting.of_all(1).await;
        }
    }
    ring.skip(team);
    let row = warp::lane() / 4 * PITCH + part * UNITS_PER_WARP * UNIT_BYTES + warp::lane() % 4 * 16;
    let mut blocks = job.blocks_of(team);
    let mut before = NO_BLOCK;
    loop {
        let block = blocks.next().unwrap_or(NO_BLOCK);
        let mut sums = Sums::ZERO;
        let mut x = job.x.cursor::<W>(part * UNITS_PER_WARP);
        let pieces = if block == NO_BLOCK { 0 } else { job.pieces() };
        for number in 0..pieces {
            let piece = Piece { block, number };
            let stage = ring.filled().await.address;
            let now = ahead.take::<W, NEAR, ZEROS>(&job);
            sums = if NEAR && RESIDENT && piece.is_whole(&job) {
                let loaded = load_whole(stage + row);
                // What is left is done with registers: the next copy need not wait for it.
                ring.release();
                multiply_whole::<W, T, ZEROS>(&job, x, loaded, now, sums)
            } else {
                let sums = multiply::<W, T, NEAR, RESIDENT, ZEROS>(&job, piece, part, stage, now, sums);
                ring.release();
                sums
            };
            x = job.x.behind::<W>(x, UNITS);
            ring.skip(TEAMS - 1);
        }
        if before != NO_BLOCK {
            let set = meeting.last().await;
            meeting::finish::<T>(&job, set, before, part);
        }
        if block == NO_BLOCK {
            return;
        }
        sums.leave(meeting.place(part));
        meeting.arrive();
        before = block;
        if ZEROS {
            factors::check_zeros::<W>(&job, block, sums.zeros);
        }
    }
}

#[inline(always)]
fn dequant_matvec<W: Weights, T: Multiplier, const RESIDENT: bool>(job: Job) {
    let (is_near, is_compute) = (W::is_near(job.group_shift), warp::index() < COMPUTE_WARPS);
    // Before any weights: behind those of all thread blocks, x and the first scales would come late.
    let bring = if RESIDENT && is_compute {
        Bring::start::<W>(job.x, is_near)
    } else {
        Bring::none(job.x)
    };
    let (team, part) = (warp::index() / TEAM_WARPS, warp::index() % TEAM_WARPS);
    let ahead = Ahead::start::<W>(&job, team, part, is_near && is_compute);
    let meeting = Meeting::init(shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES);
    // The first team's warps report, and count the other's pieces with theirs.
    let fills = if job.control.is_null() {
        0
    } else {
        job.blocks_of(0).remaining() * job.pieces() * TEAMS
    };
    let ring = Ring::<STAGES, STAGE>::init(TEAM_WARPS, fills, job.control);
    if !is_compute {
        let team = warp::index() - COMPUTE_WARPS;
        run(load(ring.loader_in_turn(team), team, job), job.control);
        return;
    }
    let reader = ring.reader();
    if RESIDENT {
        // Once for all forms of the role: instructions come behind weights, too.
        bring.finish::<W>();
    }
    if !is_near {
        run(
            compute::<W, T, false, RESIDENT, true>(reader, meeting, ahead, job),
            job.control,
        );
    } else if job.zeros != 0 {
        run(
            compute::<W, T, true, RESIDENT, true>(reader, meeting, ahead, job),
            job.control,
        );
    } else {
        run(
            compute::<W, T, true, RESIDENT, false>(reader, meeting, ahead, job),
            job.control,
        );
    }
}

/// One entry per type of w and x; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $weights:ty, $element:ty, $is_resident:literal) => {
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
            // The steps of a row are a multiple of the groups, by a power of two.
            let group_shift = if groups == 1 {
                31
            } else {
                groups.leading_zeros() - (numbers / STEP).leading_zeros()
            };
            let place = shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES + Meeting::SHARED_BYTES;
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
            dequant_matvec::<$weights, $element, $is_resident>(job);
        }
    };
}

entry!(dequant_matvec_w4_f16, Nibbles, f16, true);
entry!(dequant_matvec_w4_bf16, Nibbles, BFloat16, true);
entry!(dequant_matvec_w8_f16, Bytes, f16, true);
entry!(dequant_matvec_w8_bf16, Bytes, BFloat16, true);

/// Where x does not fit shared memory. The manifest chooses.
mod distant {
    use super::*;

    entry!(dequant_matvec_w4_f16_distant, Nibbles, f16, false);
    entry!(dequant_matvec_w4_bf16_distant, Nibbles, BFloat16, false);
    entry!(dequant_matvec_w8_f16_distant, Bytes, f16, false);
    entry!(dequant_matvec_w8_bf16_distant, Bytes, BFloat16, false);
}
