//! The frame of a row kernel for rows that no thread block has room for: each row is cut into pieces, and shared by thread blocks
//! that have some neighbouring pieces of it each. What a block has of a row stays in its shared memory while the blocks tell each other
//! what they found of theirs (`desk.rs`); then each maps its own. So x is read once.
//!
//! ```text
//!   loader:   this block's pieces of row after row, into the ring (and its columns' weights and biases, once)
//!   lookers:  a piece each; what it holds is noted in global memory
//!   judges:   wait for all notes of a row, bring them together, and leave the result beside the row's pieces; two, a row each in turn
//!   mappers:  a piece each, once it has been judged; it is given back to the loader
//! ```
//!
//! While one row's notes are under way, the rows behind it are loaded and looked at. A row of which a block's ring has no room for the block's
//! own pieces goes by twice: all are only looked at the first time, and only mapped the second. Weights and biases are kept only where
//! they leave enough stages, and else read from global memory for each row.
//!
//! Where a row has many pieces, one judge (then the clerk) brings those of this block together and notes that, and the other reads the blocks' notes only.
//!
//! Blocks take their columns by a counter, in the order in which they come to run.

mod notes;
mod piece;
mod ranged;
mod roles;

use crate::columns::KeptColumns;
use crate::desk::Desk;
use crate::element::Element;
use crate::executor::run_watchful;
use crate::matrix::Matrix;
use crate::mbarrier::{BARRIER_BYTES, Barrier};
use crate::output::Output;
use crate::ring::{ANY_STAGES, Ring};
use crate::row::Summary;
use crate::row_kernel::{RowKernel, Shape};
use crate::tile::Affine;
use crate::turns::Turns;
use crate::{Control, Stripe, anew, block, divide, engine, shared, warp};

pub use ranged::Ranged;

const TILE: u32 = 8192;
const STAGE: u32 = TILE + 128;
const FOUND: u32 = TILE + 64; // place in a stage, behind the tile
const JUDGES: u32 = 2;
const ROLES_BEFORE: u32 = 1 + JUDGES; // the loader, and these
const POLLS: u32 = engine::POLLS_PER_LOOK / 4; // blocks stay long, and must not also leave late
const READERS: u32 = 2; // warps that let go of each stage: one that looks, one that maps

type Stages = Ring<ANY_STAGES, STAGE>;
type Kept = KeptColumns<TILE, STAGE>;

/// What is found of a row in parts, each of which says what its numbers agree on, and their sum. As of numbers, so of parts: they
/// agree on something first, then their summands are added up.
pub trait Mergeable: Summary {
    /// Whether it is on the largest magnitude of elements times their weights that parts agree.
    const RANGES: bool = false;

    /// A part's contribution to what all agree on, the part being `share` of them.
    fn part_opinion(share: f32, agreed: f32) -> f32;

    /// Two contributions together.
    fn join(one: f32, other: f32) -> f32;

    /// The summand of a part of `count` numbers, which has found `sum` relative to what it agreed on, `own`.
    fn part_summand(count: f32, own: f32, sum: f32, agreed: f32) -> f32;
}

/// How the work is shared out.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Pieces of 8 KiB of a row per block.
    pub each: u32,
    /// Warps that look.
    pub lookers: u32,
    /// Polls in vain until a block looks for others, which may not even run.
    pub patience: u32,
    /// The most pieces of a row whose notes everybody reads; of more, each block's are brought together first.
    pub crowd: u32,
    /// Whether there are two judges, a row each in turn, where the ring has room for a row of each.
    pub judges: u32,
}

/// What all roles are given.
#[derive(Clone, Copy)]
struct Job<K, O> {
    kernel: K,
    x: Matrix<TILE>,
    output: O,
    affine: Affine,
    desk: Desk,
    kept: Kept,
    plan: Plan,
    columns: u32,
    /// This block's rows.
    rows: Stripe,
    /// This block's pieces of each: from number `first` on.
    first: u32,
    count: u32,
    /// The number of this block among those that share a row.
    member: u32,
    /// Of the launch.
    all_rows: u32,
    /// How often a row goes by, less one.
    again: u32,
    /// Address of the barriers that say that a stage's row has been judged, one per stage.
    judged: u32,
}

/// Where a warp is that has one piece of some: the row, how often it went by before, the piece.
#[derive(Clone, Copy)]
struct Walk {
    row: u32,
    pass: u32,
    piece: u32,
}

/// Runs the kernel. Every thread of the block calls it.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub fn run_long_rows<K: RowKernel, O: Output<K::Element>>(
    kernel: K,
    x: u64,
    affine: Affine,
    output: O,
    desk: Desk,
    plan: Plan,
    shape: Shape,
    control: Control,
) where
    K::Summary: Mergeable,
{
    // The range of results is that of x times its weights, times the factor.
    const { assert!(O::RANGES == <K::Summary as Mergeable>::RANGES && (!O::RANGES || K::MULTIPLIES)) };
    const FIXED: u32 = 2 * BARRIER_BYTES + 16; // the columns' barrier, the number, and what an alignment takes
    let per_stage = Stages::shared_bytes(1) + BARRIER_BYTES;
    let room = shared::bytes() - FIXED;
    // A warp that looks or maps skips as many stages as there are such warps, which must not be more than all stages: `Turns::skip`.
    let most_skipped = block::threads() / warp::LANES - ROLES_BEFORE - 1;
    let enough = plan.each.max(most_skipped) * per_stage;
    let columns_bytes = Kept::shared_bytes(affine, plan.each);
    let keeps_columns = columns_bytes + enough <= room;
    let stages = divide(if keeps_columns { room - columns_bytes } else { room }, per_stage).0;
    let judged = shared::base() + Stages::shared_bytes(stages);
    let landed = Barrier(judged + stages * BARRIER_BYTES);
    let number_at = landed.0 + BARRIER_BYTES;
    let columns_at = (number_at + BARRIER_BYTES).next_multiple_of(16);
    let kept = Kept::new(affine, plan.each, if keeps_columns { columns_at } else { 0 }, landed);
    if block::thread() == 0 {
        for stage in 0..stages {
            Barrier(judged + stage * BARRIER_BYTES).init(warp::LANES);
        }
        kept.init();
    }
    if block::thread() == warp::LANES {
        // SAFETY: nobody else's before the block syncs.
        unsafe { shared::store_u32(number_at, desk.take_number()) };
    }
    let Some(ring) = Stages::start_to_stay(stages, READERS, control) else {
        return;
    };
    let x = Matrix::<TILE>::new(x, shape.rows, shape.columns * K::Element::BYTES, 1);
    let blocks = divide(x.stages + plan.each - 1, plan.each).0;
    // SAFETY: written before the block synced.
    let (group, member) = divide(unsafe { shared::load_u32(number_at) }, blocks);
    let first = member * plan.each;
    let job = Job {
        kernel,
        x,
        output,
        affine,
        desk,
        kept,
        plan,
        columns: shape.columns,
        // Rows of no elements have no pieces.
        rows: Stripe::between(
            group,
            divide(block::count(), blocks).0,
            if blocks == 0 { 0 } else { shape.rows },
        ),
        first,
        count: (x.stages - first).min(plan.each),
        member,
        all_rows: shape.rows,
        again: u32::from(stages < plan.each),
        judged,
    };
    let readers = warp::index().wrapping_sub(ROLES_BEFORE);
    let mappers = block::threads() / warp::LANES - ROLES_BEFORE - plan.lookers;
    if warp::index() == 0 {
        run_watchful::<POLLS, _>(roles::load(ring.loader(), job, control), control);
    } else if warp::index() == JUDGES && job.is_by_block() {
        run_watchful::<POLLS, _>(roles::clerk(job), control);
    } else if warp::index() <= JUDGES {
        let judge = roles::judge(Turns::new(ring), job, warp::index() - 1, control);
        run_watchful::<POLLS, _>(judge, control);
    } else if readers < plan.lookers {
        if job.wants_ranges() {
            // By itself: in the role it would be a state of all kernels, also of those that never come to it.
            run_watchful::<POLLS, _>(job.kept.landed().wait(0, ()), control);
        }
        run_watchful::<POLLS, _>(roles::look(Turns::new(ring), job, readers, plan.lookers), control);
    } else {
        run_watchful::<POLLS, _>(
            roles::map(Turns::new(ring), job, readers - plan.lookers, mappers),
            control,
        );
    }
}

impl<K, O> Job<K, O> {
    #[inline(always)]
    fn rows_end(&self) -> u32 {
        self.rows.end()
    }

    /// How many rows this block has a part of.
    #[inline(always)]
    fn rows_of_block(&self) -> u32 {
        let (rows, step) = (self.rows, self.rows.step());
        divide(rows.end().saturating_sub(rows.first()) + step - 1, step).0
    }

    /// How many of them there are up to this one, and the next if it is judged by `others`.
    #[inline(always)]
    fn rows_up_to(&self, row: u32, others: u32) -> u32 {
        let (rows, step) = (self.rows, anew(self.rows.step()));
        let is_last = row.saturating_add(step) >= rows.end();
        divide(row - rows.first(), step).0 + 1 + if is_last { 0 } else { others }
    }

    /// Where warp number `rank` of a role begins.
    #[inline(always)]
    fn walk(&self, rank: u32) -> Walk {
        let start = Walk {
            row: self.rows.first(),
            pass: 0,
            piece: 0,
        };
        self.behind(start, rank)
    }

    /// `by` pieces further on.
    #[inline(always)]
    fn behind(&self, walk: Walk, by: u32) -> Walk {
        let (times, piece) = divide(walk.piece + by, self.count);
        let passes = walk.pass + times;
        Walk {
            row: walk
                .row
                .saturating_add((passes >> self.again).saturating_mul(self.rows.step())),
            pass: passes & self.again,
            piece,
        }
    }

    #[inline(always)]
    fn per_column(&self) -> f32 {
        1.0 / self.columns as f32
    }
}
