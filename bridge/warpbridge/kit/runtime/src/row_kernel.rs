//! The frame of a row kernel: one warp loads; the others form teams, and each team has a row at a time, summarises it,
//! brings its warps' summaries together, and maps it.
//!
//! A row that fits the ring stays there in between. A longer one goes by once for the summary and once more for the map, and
//! then all warps are one team. An output that wants to know the range of a row's results has it go by, or over, once more.

use crate::element::Element;
use crate::matrix::Matrix;
use crate::output::{Output, map_row, range_row};
use crate::ring::{Reader, Ring};
use crate::row::{Elements, Summary, summarise};
use crate::source::{Source, load};
use crate::tile::{Affine, Share};
use crate::{Control, Stripe, Team, block, divide, lanes, run, shared, warp};

/// Bytes of a stage: 8 KiB of rows, and room for rows that are not 16-byte aligned.
pub const STAGE: u32 = 8192 + 128;
/// Stages: all that a Hopper has room for, or an sm_86.
#[cfg(engine = "bulk")]
pub const STAGES: u32 = 24;
/// Stages: all that a Hopper has room for, or an sm_86.
#[cfg(engine = "cp_async")]
pub const STAGES: u32 = 11;
/// Warps that read; with the loader they make 512 threads, which leaves each 128 registers.
const WARPS: u32 = 15;

/// What is special about a kernel. Its values are the arguments that all rows share.
pub trait RowKernel: Copy {
    /// Type of the rows' elements.
    type Element: Element;
    /// What is found of a row at first.
    type Summary: Summary;
    /// What the map of a row needs to know.
    type Result: Copy;

    /// What follows for row number `row`; `first` is true for one thread of the team.
    fn result(&self, row: u32, found: Found, first: bool) -> Self::Result;

    /// The element of y for one of x.
    fn map(result: Self::Result, x: f32) -> f32;
}

/// What all threads together have found of a row.
#[derive(Clone, Copy)]
pub struct Found {
    /// What they agreed on.
    pub agreed: f32,
    /// The sum of their summands.
    pub sum: f32,
    /// 1 over the length of the row.
    pub per_column: f32,
}

/// The rows of a launch.
#[derive(Clone, Copy)]
pub struct Shape {
    /// How many.
    pub rows: u32,
    /// Elements in each.
    pub columns: u32,
}

/// Runs the kernel on the rows of `source`; results go through `affine` to `output`. Every thread of the block calls it.
#[inline(always)]
pub fn run_rows<K, S, O, const TILE: u32>(
    kernel: K,
    source: S,
    affine: Affine,
    output: O,
    shape: Shape,
    control: Control,
) where
    K: RowKernel,
    S: Source<TILE, Row: Elements<K::Element>>,
    O: Output<K::Element>,
{
    let row_bytes = shape.columns * K::Element::BYTES;
    let stages = row_bytes.div_ceil(TILE);
    let team = Team::<WARPS>::init(
        shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES,
        divide(STAGES, stages).0,
    );
    let most = divide(shape.rows, block::count() * team.teams).0;
    let x = Matrix::<TILE>::new(source.address(), shape.rows, row_bytes, most);
    let units = Stripe::of(x.units());
    let is_long = stages > STAGES;
    let passes = if is_long && O::MAPS {
        2 + u32::from(O::RANGES && output.wants_range())
    } else {
        1
    };
    let ring = Ring::<STAGES, STAGE>::init(team.size, units.remaining() * stages * passes, control);
    if warp::index() == 0 {
        run(load(source, ring.loader(), x, passes, units, control), control);
    } else if !team.is_idle() {
        let work = Work {
            kernel,
            source,
            affine,
            output,
            x,
            share: team.share(),
            per_column: 1.0 / shape.columns as f32,
        };
        run(teamwork(work, ring.reader(), team, units, is_long), control);
    }
}

/// What a team's role is given.
#[derive(Clone, Copy)]
struct Work<K, S, O, const TILE: u32> {
    kernel: K,
    source: S,
    affine: Affine,
    output: O,
    x: Matrix<TILE>,
    share: Share,
    per_column: f32,
}

/// Goes over the pieces of a row, `count` stages from number `number` on at a time: so many that each thread has several
/// vectors. `ring.row` knows the row while `$origin` is the number of the piece in the next stage. `$leaves` says whether a
/// piece that is done is given back.
macro_rules! over_row {
    ($ring:ident, $stages:expr, $batch:expr, $leaves:expr, |$origin:ident, $number:ident, $count:ident| $body:expr) => {{
        let mut $number = 0;
        while $number < $stages {
            let $count = ($stages - $number).min($batch);
            for ahead in 0..$count {
                $ring.ahead(if $leaves { ahead } else { $number + ahead }).await;
            }
            let $origin = if $leaves { $number } else { 0 };
            $body;
            if $leaves {
                $ring.release_many($count);
            }
            $number += $count;
        }
    }};
}

/// A team's role.
async fn teamwork<K, S, O, const TILE: u32>(
    work: Work<K, S, O, TILE>,
    mut ring: Reader<STAGES, STAGE>,
    mut team: Team<WARPS>,
    units: Stripe,
    is_long: bool,
) where
    K: RowKernel,
    S: Source<TILE, Row: Elements<K::Element>>,
    O: Output<K::Element>,
{
    let Work { x, share, affine, .. } = work;
    let batch = team.size.div_ceil(4);
    ring.skip(team.number * x.stages);
    for unit in units.part(team.number, team.teams) {
        let rows = x.rows_of(unit);
        let mut row = 0;
        while row < rows {
            let is_last = row + 1 == rows;
            let mut summary = K::Summary::EMPTY;
            over_row!(
                ring,
                x.stages,
                batch,
                is_long || (!O::MAPS && is_last),
                |origin, number, count| {
                    let place = work.source.row(&ring, x, unit, row, origin);
                    // SAFETY: the row's elements, which have landed.
                    summary = unsafe { summarise::<K::Element, _>(place, x.span(number, count), share, summary) };
                }
            );
            let mut agreed = 0.0;
            if K::Summary::AGREES {
                agreed = K::Summary::agree(summary.opinion(work.per_column));
                if team.size > 1 {
                    let warps = team.exchange(agreed).await;
                    agreed = K::Summary::agree(warps.by_lane(K::Summary::NEUTRAL));
                }
            }
            let mut sum = lanes::sum(summary.summand(agreed));
            if team.size > 1 {
                sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
            }
            let per_column = work.per_column;
            let found = Found {
                agreed,
                sum,
                per_column,
            };
            let (number, first) = (x.number(unit, row), share.thread == 0);
            let result = work.kernel.result(number, found, first);
            if O::MAPS {
                let to = x.offset(unit) + u64::from(row) * u64::from(x.row_bytes);
                let mut output = work.output.at(to);
                let mut ranges = O::RANGES && output.wants_range();
                if !ranges {
                    output = output.ranged(number, 0.0, first);
                }
                // One loop for both: LLVM keeps the states of a loop that no kernel without ranges ever comes to.
                loop {
                    let mut range = 0.0;
                    let leaves = if ranges { is_long } else { is_last };
                    over_row!(ring, x.stages, batch, leaves, |origin, number, count| {
                        let place = work.source.row(&ring, x, unit, row, origin);
                        let (span, f) = (x.span(number, count), move |x| K::map(result, x));
                        if ranges {
                            // SAFETY: as above.
                            range = unsafe { range_row(place, affine, span, share, f, range) };
                        } else {
                            // SAFETY: as above, and the same elements of the outputs.
                            unsafe { map_row(place, output, affine, span, share, f) };
                        }
                    });
                    if !ranges {
                        break;
                    }
                    range = lanes::maximum(range);
                    if team.size > 1 {
                        range = lanes::maximum(team.exchange(range).await.by_lane(0.0));
                    }
                    output = output.ranged(number, range, first);
                    ranges = false;
                }
            }
            row += 1;
        }
        ring.skip((team.teams - 1) * x.stages);
    }
}
