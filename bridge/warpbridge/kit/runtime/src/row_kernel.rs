//! The frame of a row kernel: one warp loads; the others form teams, and each team has a row at a time, summarises it,
//! brings its warps' summaries together, and maps it.
//!
//! A row is cut into pieces, a stage of the ring each, and a piece is one warp's. Where a stage has several rows, that warp has
//! up to four of them at a time. A row that fits the ring stays there until it is mapped. A longer one goes by once for the
//! summary and once more for the map. An output that wants to know the range of a row's results has it go by, or over, once more.
//!
//! The manifest decides on the geometry: warps, stages (by the shared memory), and by the grid how many rows a thread block has
//! before it ends. Few rows per block, so that blocks soon end and those at work are close together in memory, and several
//! blocks per multiprocessor are fastest (docs/notes/kernels-speed.md).

use core::future::Future;

use crate::element::Element;
use crate::matrix::Matrix;
use crate::output::{Output, map_row_by, range_row, summarise_ranged};
use crate::ring::{ANY_STAGES, Ring};
use crate::row::{Elements, Span, Summary, summarise};
use crate::source::{Source, load};
use crate::tile::{Affine, Share};
use crate::turns::Turns;
use crate::{Batch, Control, Stripe, Team, anew, block, divide, lanes, run, shared, warp};

/// Bytes of a stage: 8 KiB of rows, and room for rows that are not 16-byte aligned.
pub const STAGE: u32 = 8192 + 128;
/// The most warps that read.
const WARPS: u32 = 16;

/// What is special about a kernel. Its values are the arguments that all rows share.
pub trait RowKernel: Copy {
    /// Type of the rows' elements.
    type Element: Element;
    /// What is found of a row at first.
    type Summary: Summary;
    /// What the map of a row needs to know.
    type Result: Copy;
    /// Lanes that have a row together where four to seven rows share a stage.
    const LANES_OF_FOUR: u32 = 8;

    /// Whether an element of y is that of x times a factor of the row, times its weight, and biases there are none.
    const MULTIPLIES: bool = false;

    /// What follows for row number `row`; `first` is true for one thread of the team.
    fn result(&self, row: u32, found: Found, first: bool) -> Self::Result;

    /// The element of y for one of x.
    fn map(result: Self::Result, x: f32) -> f32;

    /// The same with all of y multiplied with `by`. Only called if the kernel multiplies.
    #[inline(always)]
    fn scaled(result: Self::Result, _by: f32) -> Self::Result {
        result
    }
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
    S: Source<TILE, Piece: Elements<K::Element>>,
    O: Output<K::Element>,
{
    let row_bytes = shape.columns * K::Element::BYTES;
    let pieces = row_bytes.div_ceil(TILE);
    let stage_bytes = Ring::<ANY_STAGES, STAGE>::shared_bytes(1);
    let stages = divide(shared::bytes() - Team::<WARPS>::SHARED_BYTES, stage_bytes).0;
    let teams = divide(stages, pieces).0;
    let is_long = pieces > stages;
    // A warp's next piece must not be further off than the ring has stages (`turns.rs`): from pass to pass, up to two teams' sizes less one.
    let most = if is_long { divide(stages + 1, 2).0 } else { pieces };
    let team = Team::<WARPS>::init(shared::base() + stages * stage_bytes, teams, most);
    let most = divide(shape.rows, block::count() * team.teams).0;
    let x = Matrix::<TILE>::new(source.address(), shape.rows, row_bytes, most);
    let units = Batch::of(x.units());
    let passes = if is_long && O::MAPS {
        2 + u32::from(O::RANGES && !K::MULTIPLIES && output.wants_range())
    } else {
        1
    };
    const READERS: u32 = 1; // a stage is one warp's
    let Some(ring) = Ring::<ANY_STAGES, STAGE>::start_sized(stages, READERS, units, control) else {
        return;
    };
    if warp::index() == 0 {
        run(load(source, ring.loader(), x, passes, units), control);
    } else if !team.is_idle() {
        let work = Work {
            kernel,
            source,
            affine,
            output,
            x,
            lanes: lanes_per_row(x.group, K::LANES_OF_FOUR),
            per_column: 1.0 / shape.columns as f32,
        };
        let own = units.part(team.number, team.teams);
        run(teamwork(work, Turns::new(ring), team, own), control);
    }
}

/// Lanes that have a row together, of which `group` share a stage. Eight lanes read 128 bytes that follow each other: fewer, and
/// the rows' places would collide in the banks of shared memory.
#[inline(always)]
fn lanes_per_row(group: u32, of_four: u32) -> u32 {
    match group {
        0 | 1 => warp::LANES,
        2 | 3 => 16,
        4..=7 => of_four,
        _ => 8,
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
    /// That have a row together.
    lanes: u32,
    per_column: f32,
}

impl<K, S, O, const TILE: u32> Work<K, S, O, TILE> {
    /// `number` by the lanes that have a row together, which are a power of two.
    #[inline(always)]
    fn over_lanes(&self, number: u32) -> u32 {
        number >> anew(self.lanes).trailing_zeros()
    }

    #[inline(always)]
    fn share(&self) -> Share {
        let lanes = anew(self.lanes);
        Share {
            thread: warp::lane() & (lanes - 1),
            threads: lanes,
        }
    }

    /// What a row has in piece `number`; nothing if it is not there.
    #[inline(always)]
    fn span(&self, number: u32, is_there: bool) -> Span {
        if is_there {
            self.x.span(number, 1)
        } else {
            Span { begin: 0, end: 0 }
        }
    }
}

/// Goes over this warp's pieces of a row, `$number` being that of the piece in `$stage`. `$leaves` says whether a piece that is
/// done is given back, `$goes_on` whether the row's pieces, or the next row's, come by behind it: if not, the ring stays where it was.
macro_rules! over_row {
    ($ring:ident, $work:ident, $team:ident, $leaves:expr, $goes_on:expr, |$stage:ident, $number:ident| $body:expr) => {{
        let (mut $number, mut place) = ($team.rank, $ring.next());
        let end = $work.x.stages + $team.rank;
        while $number < $work.x.stages {
            let $stage = $ring.turn(place).await;
            $body;
            if $leaves {
                $ring.give_back(place);
            }
            let step = $team.size.min(end - $number);
            place = $ring.behind(place, step);
            $number += step;
        }
        if $goes_on {
            $ring.go_to($ring.behind(place, end - $number));
        }
    }};
}

/// A team's role. Not an `async fn`: those keep their arguments twice, as given and as variables, and registers are short.
#[allow(clippy::manual_async_fn)]
#[inline(always)]
fn teamwork<K, S, O, const TILE: u32>(
    work: Work<K, S, O, TILE>,
    mut ring: Turns<STAGE>,
    mut team: Team<WARPS>,
    units: Stripe,
) -> impl Future<Output = ()>
where
    K: RowKernel,
    S: Source<TILE, Piece: Elements<K::Element>>,
    O: Output<K::Element>,
{
    async move {
        ring.skip(team.number * work.x.stages + team.rank);
        for unit in units {
            let rows = work.x.rows_of(unit);
            let mut first = 0;
            while first < rows {
                // Lanes beyond the last row have none, but stay with the others.
                let row = first + work.over_lanes(warp::lane());
                first += work.over_lanes(warp::LANES);
                let is_last = first >= rows;
                let (mut summary, mut range) = (K::Summary::EMPTY, 0.0);
                // The range of y is that of x times its weights, times the factor: no need to go over the row for it.
                let is_ranged = O::RANGES && K::MULTIPLIES && work.output.wants_range();
                let leaves = ring.is_short_of(work.x.stages) || (!O::MAPS && is_last);
                over_row!(
                    ring,
                    work,
                    team,
                    leaves,
                    ring.is_short_of(work.x.stages),
                    |stage, number| {
                        let piece = work.source.piece(stage.wrapping_sub(number * TILE), work.x, unit, row);
                        if is_ranged {
                            let (span, share) = (work.span(number, row < rows), work.share());
                            // SAFETY: the row's elements, which have landed; weights are as many.
                            (summary, range) = unsafe {
                                summarise_ranged::<K::Element, _>(piece, work.affine, span, share, summary, range)
                            };
                        } else {
                            // SAFETY: as above.
                            summary = unsafe {
                                summarise::<K::Element, _>(piece, work.span(number, row < rows), work.share(), summary)
                            };
                        }
                    }
                );
                let mut agreed = 0.0;
                if K::Summary::AGREES {
                    agreed = K::Summary::agree(summary.opinion(work.per_column), work.lanes);
                    if team.size > 1 {
                        let warps = team.exchange(agreed).await;
                        agreed = K::Summary::agree(warps.by_lane(K::Summary::NEUTRAL), warp::LANES);
                    }
                }
                let mut sum = lanes::sum_in(summary.summand(agreed), work.lanes);
                if team.size > 1 {
                    sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
                }
                let found = Found {
                    agreed,
                    sum,
                    per_column: work.per_column,
                };
                let speaks = work.share().thread == 0 && team.rank == 0 && row < rows;
                let result = work.kernel.result(work.x.number(unit, row), found, speaks);
                if O::MAPS {
                    let to = work.x.offset(unit) + u64::from(row) * u64::from(work.x.row_bytes);
                    let mut output = work.output.at(to);
                    let mut ranges = O::RANGES && output.wants_range();
                    if !ranges {
                        output = output.ranged(work.x.number(unit, row), 0.0, speaks);
                    }
                    // One loop for both: LLVM keeps the states of a loop that no kernel without ranges ever comes to.
                    loop {
                        let leaves = if ranges {
                            ring.is_short_of(work.x.stages)
                        } else {
                            is_last
                        };
                        if !(ranges && is_ranged) {
                            over_row!(
                                ring,
                                work,
                                team,
                                leaves,
                                ring.is_short_of(work.x.stages),
                                |stage, number| {
                                    let piece = work.source.piece(stage.wrapping_sub(number * TILE), work.x, unit, row);
                                    let (span, f) = (work.span(number, row < rows), move |x| K::map(result, x));
                                    let by = output.factor();
                                    if ranges {
                                        // SAFETY: as above.
                                        range = unsafe { range_row(piece, work.affine, span, work.share(), f, range) };
                                    } else if O::RANGES && K::MULTIPLIES {
                                        let scaled = K::scaled(result, by);
                                        let g = |x, w, _| K::map(scaled, x) * w;
                                        // SAFETY: as above, and the same elements of the outputs.
                                        unsafe { map_row_by(piece, output, work.affine, span, work.share(), g) };
                                    } else {
                                        let g = |x, w, b| Affine::apply(f(x), w, b) * by;
                                        // SAFETY: as above.
                                        unsafe { map_row_by(piece, output, work.affine, span, work.share(), g) };
                                    }
                                }
                            );
                        }
                        if !ranges {
                            break;
                        }
                        range = lanes::maximum_in(range, work.lanes);
                        if team.size > 1 {
                            range = lanes::maximum(team.exchange(range).await.by_lane(0.0));
                        }
                        if is_ranged {
                            range = K::map(result, range);
                        }
                        output = output.ranged(work.x.number(unit, row), range, speaks);
                        ranges = false;
                    }
                }
            }
            if !ring.is_short_of(work.x.stages) {
                ring.skip(team.teams * work.x.stages);
            }
        }
    }
}
