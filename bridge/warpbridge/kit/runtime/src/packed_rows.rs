//! The frame of layer normalisation of 16-bit rows to 8 bits, for rows of whole parts of 8 KiB: a warp's part is in registers as it was
//! read, mean and root are found at once by the matrix units, and each row's team agrees twice. Other rows are `held_rows.rs`'s, which
//! has half as much of a row per warp, and its numbers widened: fewer instructions, so faster where a team has few warps.
//!
//! Loader, blocks and progress are as there.

use core::future::Future;

use crate::element::Multiplied;
use crate::held_course::NEAR;
use crate::held_part::Arrays;
use crate::held_rows::{HeldTeam, Rounded, To, load};
use crate::matrix::Matrix;
use crate::norms::LayerNorm;
use crate::output::Output;
use crate::packed_part::PackedPart;
use crate::packed_row::PART;
use crate::quantise::Quantised;
use crate::ring::{ANY_STAGES, Ring};
use crate::row_kernel::{STAGE, Shape};
use crate::source::{One, Source};
use crate::tile::Affine;
use crate::turns::Turns;
use crate::{Batch, Control, Stripe, anew, block, divide, fma, maximum_of, rsqrt, run, shared, warp};

/// What is agreed on next.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// Mean and mean square.
    Mean,
    /// The squares around the mean, where that is too far from zero, or squares are not finite.
    Root,
    /// The range.
    Range,
}

/// Runs the norm on the rows of `source`, a part of a row per warp and stage. Every thread of the block calls it.
#[inline(always)]
pub fn run_packed_rows<T, O>(norm: LayerNorm<T>, source: One, affine: Affine, output: O, shape: Shape, control: Control)
where
    T: Multiplied,
    O: Rounded,
{
    let row_bytes = shape.columns * T::BYTES;
    let x = Matrix::<PART>::new(source.address(), shape.rows, row_bytes, 1);
    let stage_bytes = Ring::<ANY_STAGES, STAGE>::shared_bytes(1);
    let stages = divide(shared::bytes() - HeldTeam::SHARED_BYTES, stage_bytes).0;
    let teams = divide(block::threads() / warp::LANES - 1, x.stages).0;
    let team = HeldTeam::init(shared::base() + stages * stage_bytes, teams, x.stages);
    let units = Batch::of(x.units());
    let Some(ring) = Ring::<ANY_STAGES, STAGE>::start_to_stay(stages, 1, control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(source, ring.loader(), x, units, control.report()), control);
    } else if !team.is_idle() {
        let work = Work {
            norm,
            source,
            affine,
            to: output.to(),
            x,
            per_column: 1.0 / shape.columns as f32,
        };
        let own = units.part(team.number, team.teams);
        run(teamwork(work, Turns::new(ring), team, own), control);
    }
}

/// What a team's role is given.
#[derive(Clone, Copy)]
struct Work<T, Q> {
    norm: LayerNorm<T>,
    source: One,
    affine: Affine,
    to: To<Q>,
    x: Matrix<PART>,
    per_column: f32,
}

/// A team's role. Not an `async fn`: those keep their arguments twice, as given and as variables, and registers are short.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
fn teamwork<T: Multiplied, Q: Quantised>(
    work: Work<T, Q>,
    mut ring: Turns<STAGE>,
    mut team: HeldTeam,
    units: Stripe,
) -> impl Future<Output = ()> {
    // Too large to be inlined by itself.
    #[inline(always)]
    async move {
        ring.skip(team.number * work.x.stages + team.rank);
        for unit in units {
            let place = ring.next();
            let stage = ring.turn(place).await;
            let piece = work.source.piece(stage.wrapping_sub(team.rank * PART), work.x, unit, 0);
            let arrays = Arrays {
                output: Output::<T>::at(work.to.output, work.x.offset(unit)),
                affine: work.affine,
                copy: 0,
            };
            // SAFETY: the row's elements, which have landed, and the arrays' that belong to them.
            let mut part = unsafe { PackedPart::<T, _, _>::new(piece, work.x.span(anew(team.rank), 1), arrays) };
            if part.is_held() {
                ring.give_back(place);
            }
            // One await for all that the team has to agree on: LLVM keeps what follows an await, also if nobody comes there.
            let (mut step, mut root) = (Step::Mean, 0.0);
            let range = loop {
                let (mut sum, mut second) = match step {
                    Step::Mean => part.sums(),
                    Step::Root => (part.squares(), 0.0),
                    Step::Range => (0.0, part.range(root)),
                };
                if team.size > 1 {
                    let slots = team.exchange_two(sum, second).await;
                    let both = |a, b| if step == Step::Mean { a + b } else { maximum_of(a, b) };
                    (sum, second) = slots.fold_two(|a, b| a + b, both);
                }
                if step == Step::Range {
                    break second;
                }
                let (mean, square) = (sum * work.per_column, second * work.per_column);
                let mut variance = mean;
                if step == Step::Mean {
                    part.mean = mean;
                    variance = fma(-mean, mean, square);
                    if !(variance * NEAR >= square && square < f32::INFINITY) {
                        step = Step::Root;
                        continue;
                    }
                }
                root = rsqrt(variance + work.norm.eps);
                step = Step::Range;
            };
            let speaks = team.rank == 0 && warp::lane() == 0;
            part.put(work.x.number(unit, 0), range, speaks);
            if !part.is_held() {
                ring.give_back(place);
            }
            ring.skip(team.teams * work.x.stages);
        }
    }
}
