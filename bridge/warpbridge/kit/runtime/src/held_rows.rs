//! The frame of norms whose results are rounded to 8 bits, for rows that a team of warps can hold in registers: each warp reads
//! its part of a row once, gives its stage back, and works on until the results are stored. Rows that are longer, or so short that
//! a warp has several, are `row_kernel.rs`'s, which goes over shared memory once per step.
//!
//! Thread blocks stay, as many as there is room for at a time, each with as many rows, one behind the other: what a block that comes
//! and goes has to do before its first row is stored takes as long as several rows here. Block 0 says how far all are.

use core::future::Future;

use crate::control::Report;
use crate::element::{Element, Multiplied};
use crate::held_course::{AtOnce, Norm, Step};
use crate::held_part::{Arrays, PART, Part};
use crate::matrix::Matrix;
use crate::norms::LayerNorm;
use crate::output::{Output, Scaled, WithRows};
use crate::quantise::Quantised;
use crate::ring::{ANY_STAGES, Ring};
use crate::row::{Elements, Span};
use crate::row_kernel::{STAGE, Shape};
use crate::source::{RowLoader, Source};
use crate::tile::Affine;
use crate::turns::Turns;
use crate::{Batch, Control, Stripe, Team, anew, block, divide, lanes, rsqrt, run, shared, warp};

/// The most warps that read.
const WARPS: u32 = 16;

pub(crate) type HeldTeam = Team<WARPS, 8>;

/// Where a norm's rows and results go.
#[derive(Clone, Copy)]
pub struct To<Q> {
    /// The results, and the rows' scales.
    pub(crate) output: Scaled<Q>,
    /// Address of an array for the rows as they were read, or 0.
    rows: u64,
}

/// What [`run_held_rows`] takes for it.
pub trait Rounded: Copy {
    /// Type of the results.
    type Kind: Quantised;

    /// The two parts.
    fn to(self) -> To<Self::Kind>;
}

impl<Q: Quantised> Rounded for Scaled<Q> {
    type Kind = Q;

    #[inline(always)]
    fn to(self) -> To<Q> {
        To { output: self, rows: 0 }
    }
}

impl<Q: Quantised> Rounded for WithRows<Scaled<Q>> {
    type Kind = Q;

    #[inline(always)]
    fn to(self) -> To<Q> {
        To {
            output: self.output,
            rows: self.rows,
        }
    }
}

/// Runs the norm on the rows of `source`, a part of a row per warp, one or two of them in a stage. Every thread of the block calls it.
#[inline(always)]
pub fn run_held_rows<N, S, O, const TILE: u32>(
    norm: N,
    source: S,
    affine: Affine,
    output: O,
    shape: Shape,
    control: Control,
) where
    N: Norm,
    S: Source<TILE, Piece: Elements<N::Element>>,
    O: Rounded,
{
    run_to(norm, source, affine, output.to(), shape, control);
}

/// The same, with mean and root found at once: see `held_moments.rs`.
#[inline(always)]
pub fn run_held_rows_at_once<T, S, O, const TILE: u32>(
    norm: LayerNorm<T>,
    source: S,
    affine: Affine,
    output: O,
    shape: Shape,
    control: Control,
) where
    T: Multiplied,
    S: Source<TILE, Piece: Elements<T>>,
    O: Rounded,
{
    run_to(AtOnce(norm), source, affine, output.to(), shape, control);
}

/// The same for any norm and either output.
#[inline(always)]
fn run_to<N, S, Q, const TILE: u32>(norm: N, source: S, affine: Affine, to: To<Q>, shape: Shape, control: Control)
where
    N: Norm,
    S: Source<TILE, Piece: Elements<N::Element>>,
    Q: Quantised,
{
    let row_bytes = shape.columns * N::Element::BYTES;
    let x = Matrix::<TILE>::new(source.address(), shape.rows, row_bytes, 1);
    let stage_bytes = Ring::<ANY_STAGES, STAGE>::shared_bytes(1);
    let stages = divide(shared::bytes() - HeldTeam::SHARED_BYTES, stage_bytes).0;
    let size = x.stages * (TILE / PART);
    let teams = divide(block::threads() / warp::LANES - 1, size).0;
    let team = HeldTeam::init(shared::base() + stages * stage_bytes, teams, size);
    let units = Batch::of(x.units());
    let Some(ring) = Ring::<ANY_STAGES, STAGE>::start_to_stay(stages, TILE / PART, control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(source, ring.loader(), x, units, control.report()), control);
    } else if !team.is_idle() {
        let work = Work {
            norm,
            source,
            affine,
            to,
            x,
            per_column: 1.0 / shape.columns as f32,
        };
        let own = units.part(team.number, team.teams);
        run(teamwork(work, Turns::new(ring), team, own), control);
    }
}

/// The loader's role. Not an `async fn`, as the readers' is not.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
pub(crate) fn load<S: Source<TILE>, const TILE: u32>(
    source: S,
    mut ring: RowLoader,
    matrix: Matrix<TILE>,
    units: Batch,
    report: Report,
) -> impl Future<Output = ()> {
    async move {
        let (mut done, all) = (0, units.remaining());
        report.begin(all);
        for unit in units {
            for number in 0..matrix.stages {
                let stage = ring.reserve().await;
                // SAFETY: the stage is reserved; the parts are inside.
                unsafe { source.fill(&mut ring, stage, matrix, unit, number) };
            }
            // Rows that are under way count as done, but for the last ones.
            done += 1;
            if warp::lane() == 0 && done < all {
                report.set_progress(done);
            }
        }
    }
}

/// What a team's role is given.
#[derive(Clone, Copy)]
struct Work<N, S, Q, const TILE: u32> {
    norm: N,
    source: S,
    affine: Affine,
    to: To<Q>,
    x: Matrix<TILE>,
    per_column: f32,
}

impl<N, S, Q, const TILE: u32> Work<N, S, Q, TILE> {
    /// What a row has in part `number`; nothing beyond its end.
    #[inline(always)]
    fn span(&self, number: u32) -> Span {
        // Anew for each row: LLVM would keep a register for all that follows from it.
        let (number, bytes) = (anew(number), anew(self.x.row_bytes));
        let begin = number * PART;
        if begin >= bytes {
            return Span { begin: 0, end: 0 };
        }
        Span {
            begin,
            end: (begin + PART).min(bytes),
        }
    }
}

/// A team's role. Not an `async fn`: those keep their arguments twice, as given and as variables, and registers are short.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
fn teamwork<N, S, Q, const TILE: u32>(
    work: Work<N, S, Q, TILE>,
    mut ring: Turns<STAGE>,
    mut team: HeldTeam,
    units: Stripe,
) -> impl Future<Output = ()>
where
    N: Norm,
    S: Source<TILE, Piece: Elements<N::Element>>,
    Q: Quantised,
{
    async move {
        let number = team.rank / (TILE / PART);
        ring.skip(team.number * work.x.stages + number);
        for unit in units {
            let place = ring.next();
            let stage = ring.turn(place).await;
            let piece = work.source.piece(stage.wrapping_sub(number * TILE), work.x, unit, 0);
            let offset = work.x.offset(unit);
            let copy = if work.to.rows == 0 { 0 } else { work.to.rows + offset };
            let arrays = Arrays {
                output: Output::<N::Element>::at(work.to.output, offset),
                affine: work.affine,
                copy,
            };
            // SAFETY: the row's elements, which have landed, and the arrays' that belong to them.
            let mut part = unsafe { Part::<_, _, _, N::Moments>::new(piece, work.span(team.rank), arrays) };
            if part.is_held() {
                ring.give_back(place);
            }
            // One await for all that the team has to agree on: LLVM keeps what follows an await, also if nobody comes there.
            let has_bias = N::CENTRES && work.affine.bias != 0;
            let (mut step, mut at) = (if N::CENTRES { Step::Mean } else { Step::Root }, 0.0);
            let range = loop {
                let (mut sum, mut second) = match (N::find(step, at, has_bias, &mut part), step) {
                    (Some(found), _) => found,
                    (None, Step::Mean) => (part.sum(), 0.0),
                    (None, Step::Root) if has_bias => (part.squares(at), 0.0),
                    (None, Step::Root) => part.weighed(at),
                    (None, Step::Range) => (0.0, part.through(at)),
                };
                sum = lanes::sum(sum);
                second = N::over_lanes(step, second);
                if team.size > 1 {
                    let slots = team.exchange_two(sum, second).await;
                    (sum, second) = slots.fold_two(|a, b| a + b, N::both(step));
                }
                let mean = sum * work.per_column;
                let root = rsqrt(mean + work.norm.eps());
                (step, at) = match step {
                    Step::Mean => work.norm.behind_mean(mean, second * work.per_column, &mut part),
                    Step::Root if N::AT_ONCE || has_bias => (Step::Range, root),
                    Step::Root => break second * part.multiply(root),
                    Step::Range => break second,
                };
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
