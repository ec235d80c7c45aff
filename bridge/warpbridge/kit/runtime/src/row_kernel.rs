//! The frame of a row kernel: one warp loads; the others form teams, and each team has a row at a time, summarises it,
//! brings its warps' summaries together, and maps it.
//!
//! A row that fits the ring stays there in between. A longer one goes by once for the summary and once more for the map, and
//! then all warps are one team.

use crate::element::Element;
use crate::matrix::{Matrix, load};
use crate::ring::{Reader, Ring};
use crate::row::{Summary, map_row, summarise};
use crate::tile::Affine;
use crate::{Control, Stripe, Team, block, divide, lanes, run, shared, warp};

/// Bytes of a row in one stage.
const TILE: u32 = 8192;
/// Room for rows that are not 16-byte aligned.
const STAGE: u32 = TILE + 128;
/// All that a Hopper has room for, or an sm_86.
#[cfg(engine = "bulk")]
const STAGES: u32 = 24;
#[cfg(engine = "cp_async")]
const STAGES: u32 = 11;
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
    /// Whether there is a map; without one a row goes by once.
    const MAPS: bool;
    /// Whether warps need to agree on something before they add up.
    const AGREES: bool;

    /// What changes nothing that is agreed on.
    const NEUTRAL: f32;

    /// This lane's contribution to what the warps agree on.
    fn opinion(&self, summary: Self::Summary) -> f32;

    /// The warps' contributions together, out of the lanes' or the warps'; the same in all lanes.
    fn agree(&self, opinion: f32) -> f32;

    /// This lane's summand, given what was agreed on.
    fn summand(&self, summary: Self::Summary, agreed: f32) -> f32;

    /// What follows for row number `row`; `first` is true for one thread of the team.
    fn result(&self, row: u32, agreed: f32, sum: f32, first: bool) -> Self::Result;

    /// The element of y for one of x.
    fn map(result: Self::Result, x: f32) -> f32;
}

/// The arrays of a kernel that maps rows.
#[derive(Clone, Copy)]
pub struct Output {
    /// Address of y.
    pub y: u64,
    /// What comes behind the map.
    pub affine: Affine,
}

/// Runs the kernel on `rows` rows of `row_bytes` at `x`. Every thread of the block calls it.
#[inline(always)]
pub fn run_rows<K: RowKernel>(kernel: K, x: u64, output: Output, rows: u32, row_bytes: u32, control: Control) {
    let stages = row_bytes.div_ceil(TILE);
    let team = Team::<WARPS>::init(
        shared::base() + Ring::<STAGES, STAGE>::SHARED_BYTES,
        divide(STAGES, stages).0,
    );
    let x = Matrix::<TILE>::new(x, rows, row_bytes, divide(rows, block::count() * team.teams).0);
    let units = Stripe::of(x.units());
    let is_long = stages > STAGES;
    let passes = if is_long && K::MAPS { 2 } else { 1 };
    let ring = Ring::<STAGES, STAGE>::init(team.size, units.remaining() * stages * passes, control);
    if warp::index() == 0 {
        run(load(ring.loader(), x, passes, units, control), control);
    } else if !team.is_idle() {
        run(work(kernel, ring.reader(), team, x, output, units, is_long), control);
    }
}

/// A team's role. Stages are waited for, and given back, a few at a time: so many that each thread has several vectors.
async fn work<K: RowKernel>(
    kernel: K,
    mut ring: Reader<STAGES, STAGE>,
    mut team: Team<WARPS>,
    x: Matrix<TILE>,
    output: Output,
    units: Stripe,
    is_long: bool,
) {
    let share = team.share();
    let batch = team.size.div_ceil(4);
    ring.skip(team.number * x.stages);
    for unit in units.part(team.number, team.teams) {
        let rows = x.rows_of(unit);
        let mut row = 0;
        while row < rows {
            let skip = x.skew(unit) + row * x.row_bytes;
            let mut summary = K::Summary::EMPTY;
            let mut number = 0;
            while number < x.stages {
                let count = (x.stages - number).min(batch);
                for ahead in 0..count {
                    ring.ahead(if is_long { ahead } else { number + ahead }).await;
                }
                let place = ring.row::<TILE>(if is_long { number } else { 0 }, skip);
                // SAFETY: the row's elements, which have landed.
                summary = unsafe { summarise::<K::Element, _, _, _, _>(place, x.span(number, count), share, summary) };
                number += count;
                if is_long || (!K::MAPS && row + 1 == rows && number == x.stages) {
                    ring.release_many(if is_long { count } else { x.stages });
                }
            }
            let mut agreed = 0.0;
            if K::AGREES {
                agreed = kernel.agree(kernel.opinion(summary));
                if team.size > 1 {
                    let warps = team.exchange(agreed).await;
                    agreed = kernel.agree(warps.by_lane(K::NEUTRAL));
                }
            }
            let mut sum = lanes::sum(kernel.summand(summary, agreed));
            if team.size > 1 {
                sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
            }
            let result = kernel.result(x.number(unit, row), agreed, sum, share.thread == 0);
            if K::MAPS {
                let to = output.y + x.offset(unit) + u64::from(row) * u64::from(x.row_bytes);
                let mut number = 0;
                while number < x.stages {
                    let count = (x.stages - number).min(batch);
                    let is_last = row + 1 == rows;
                    for ahead in 0..count {
                        ring.ahead(if is_last { ahead } else { number + ahead }).await;
                    }
                    let place = ring.row::<TILE>(if is_last { number } else { 0 }, skip);
                    let f = |x| K::map(result, x);
                    // SAFETY: as above, and the same elements of y.
                    unsafe {
                        map_row::<K::Element, _, _, _>(place, to, output.affine, x.span(number, count), share, f)
                    };
                    if is_last {
                        ring.release_many(count);
                    }
                    number += count;
                }
            }
            row += 1;
        }
        ring.skip((team.teams - 1) * x.stages);
    }
}
