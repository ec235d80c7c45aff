//! The frame of a row kernel for rows that no thread block has room for: each row is cut into chunks, which go by twice, once for
//! what is found of the row and once for its map. The second time comes so soon behind the first that the L2 still has it.
//!
//! Each thread block takes one chunk from a counter, in order: `lead` chunks to look at, then by turns one to look at and one
//! to map. What was found of a chunk is noted in global memory; whoever maps waits, by an await, until all of its row's chunks
//! have been noted, and brings the notes together itself. That wait is for lower numbers only, and whoever took those is running
//! and waits for nobody before it has noted what it found: no thread block has to be resident beside any other.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::element::Element;
use crate::matrix::Matrix;
use crate::mbarrier::{BARRIER_BYTES, Barrier};
use crate::output::{Output, Plain, map_row};
use crate::ring::{Loader, Reader, Ring};
use crate::row::{Row, Summary, summarise};
use crate::row_kernel::{Found, RowKernel, Shape};
use crate::tile::Affine;
use crate::{Batch, Control, Team, block, divide, global, lanes, run, shared, warp};

const TILE: u32 = 8192;
const STAGE: u32 = TILE + 128;
const STAGES: u32 = 4;
const NOTE: u32 = TILE + 64; // place in the first stage, behind the tile
const WARPS: u32 = 4;

type Stages = Ring<STAGES, STAGE>;
type OneTeam = Team<WARPS>;

/// What is found of a part of a row, as numbers that may be brought together with others.
pub trait Mergeable: Summary {
    /// That of `count` numbers, of which the team has found this.
    fn of(count: f32, agreed: f32, sum: f32) -> Self;

    /// Both together.
    fn merge(self, other: Self) -> Self;
}

/// Where thread blocks meet: a counter, a count per row, and two numbers per chunk.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Address of the counter, and of the rows' counts behind it; zeros at first.
    pub counts: u64,
    /// Address of the notes.
    pub notes: u64,
}

/// How the chunks follow each other.
#[derive(Clone, Copy)]
struct Order {
    /// Chunks of all rows.
    chunks: u32,
    /// Chunks of a row.
    per_row: u32,
    /// How many are looked at before the first is mapped.
    lead: u32,
}

/// A chunk, and what is to be done with it.
#[derive(Clone, Copy)]
struct Task {
    row: u32,
    /// In its row.
    chunk: u32,
    is_map: bool,
}

impl Order {
    #[inline(always)]
    fn task(&self, number: u32) -> Task {
        let behind = number.saturating_sub(self.lead);
        let paired = 2 * (self.chunks - self.lead);
        let (chunk, is_map) = if number < self.lead {
            (number, false)
        } else if behind >= paired {
            (behind - paired / 2, true)
        } else if behind % 2 == 0 {
            (self.lead + behind / 2, false)
        } else {
            (behind / 2, true)
        };
        let (row, chunk) = divide(chunk, self.per_row);
        Task { row, chunk, is_map }
    }
}

/// What both roles are given.
#[derive(Clone, Copy)]
struct Job<K> {
    kernel: K,
    x: Matrix<TILE>,
    y: u64,
    affine: Affine,
    desk: Desk,
    order: Order,
    columns: u32,
    /// Complete once the row's chunks have all been noted; one warp's lanes arrive.
    known: Barrier,
}

/// Runs the kernel. Every thread of the block calls it, in a grid of two blocks per chunk.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub fn run_long_rows<K: RowKernel>(
    kernel: K,
    x: u64,
    affine: Affine,
    y: u64,
    desk: Desk,
    lead: u32,
    shape: Shape,
    control: Control,
) where
    K::Summary: Mergeable,
{
    let x = Matrix::<TILE>::new(x, shape.rows, shape.columns * K::Element::BYTES, 1);
    let per_row = x.stages.div_ceil(STAGES);
    let chunks = shape.rows * per_row;
    let order = Order {
        chunks,
        per_row,
        lead: lead.max(per_row).min(chunks),
    };
    let base = shared::base() + Stages::SHARED_BYTES;
    let team = OneTeam::init(base, 1, WARPS);
    let known = Barrier(base + OneTeam::SHARED_BYTES);
    if block::thread() == 0 {
        known.init(warp::LANES);
    }
    let Some(ring) = Stages::start(WARPS, Batch::of(2 * chunks), control) else {
        return;
    };
    let job = Job {
        kernel,
        x,
        y,
        affine,
        desk,
        order,
        columns: shape.columns,
        known,
    };
    if warp::index() == 0 {
        run(load(ring.loader(), job), control);
    } else {
        run(work(ring.reader(), team, job), control);
    }
}

/// Shared memory of the frame.
pub const SHARED_BYTES: u32 = Stages::SHARED_BYTES + OneTeam::SHARED_BYTES + BARRIER_BYTES;

/// Takes a chunk, and has it copied.
async fn load<K: RowKernel>(mut ring: Loader<STAGES, STAGE>, job: Job<K>) {
    let mut taken = 0;
    if warp::lane() == 0 {
        // SAFETY: the counter.
        taken = unsafe { global::fetch_add_u32(job.desk.counts, 1) };
    }
    let number = lanes::sum_u32(taken); // all other lanes have 0
    let task = job.order.task(number);
    let first = task.chunk * STAGES;
    let count = (job.x.stages - first).min(STAGES);
    for piece in 0..count {
        let stage = ring.reserve().await;
        if piece == 0 && warp::lane() == 0 {
            // SAFETY: behind the tile, where no copy goes; the warp's arrival, which comes behind, releases it.
            unsafe { shared::store_u32(stage.address + NOTE, number) };
        }
        // SAFETY: a part of the row, which fits a stage.
        unsafe { ring.fill(stage, &job.x.part(task.row, first + piece)) };
    }
}

/// Looks at a chunk, or maps it.
async fn work<K: RowKernel>(ring: Reader<STAGES, STAGE>, mut team: OneTeam, job: Job<K>)
where
    K::Summary: Mergeable,
{
    let stage = ring.filled().await;
    // SAFETY: left before the stage was filled.
    let task = job.order.task(unsafe { shared::load_u32(stage.address + NOTE) });
    let first = task.chunk * STAGES;
    let count = (job.x.stages - first).min(STAGES);
    for ahead in 1..count {
        ring.ahead(ahead).await;
    }
    let span = job.x.span(first, count);
    let share = team.share();
    let place: Row<STAGES, STAGE, TILE> = ring.row(first, job.x.skew(task.row));
    if task.is_map {
        if warp::index() == 1 {
            job.desk.complete(task.row, job.order.per_row).await;
            job.known.arrive();
        }
        job.known.wait(0, ()).await;
        let result = found_of(&job, task.row, share.thread == 0);
        let to = job.x.offset(task.row);
        // SAFETY: the chunk's elements, which have landed, and the same elements of y.
        unsafe {
            map_row::<K::Element>(
                place,
                Output::<K::Element>::at(Plain(job.y), to),
                job.affine,
                span,
                share,
                move |x| K::map(result, x),
            );
        }
    } else {
        let of_span = ((span.end - span.begin) / K::Element::BYTES) as f32;
        // SAFETY: the chunk's elements, which have landed.
        let summary = unsafe { summarise::<K::Element, _>(place, span, share, K::Summary::EMPTY) };
        let mut agreed = 0.0;
        if K::Summary::AGREES {
            agreed = K::Summary::agree(summary.opinion(1.0 / of_span), warp::LANES);
            let warps = team.exchange(agreed).await;
            agreed = K::Summary::agree(warps.by_lane(K::Summary::NEUTRAL), warp::LANES);
        }
        let sum = lanes::sum(summary.summand(agreed));
        let sum = lanes::sum(team.exchange(sum).await.by_lane(0.0));
        if share.thread == 0 {
            job.desk.note(task, job.order.per_row, agreed, sum);
        }
    }
}

/// What is found of a row, out of the notes; and what follows.
#[inline(always)]
fn found_of<K: RowKernel>(job: &Job<K>, row: u32, first: bool) -> K::Result
where
    K::Summary: Mergeable,
{
    let mut summary = K::Summary::EMPTY;
    let mut chunk = warp::lane();
    while chunk < job.order.per_row {
        let span = job.x.span(chunk * STAGES, STAGES);
        let (agreed, sum) = job.desk.read(row * job.order.per_row + chunk);
        summary = summary.merge(K::Summary::of(
            ((span.end - span.begin) / K::Element::BYTES) as f32,
            agreed,
            sum,
        ));
        chunk += warp::LANES;
    }
    let per_column = 1.0 / job.columns as f32;
    let mut agreed = 0.0;
    if K::Summary::AGREES {
        agreed = K::Summary::agree(summary.opinion(per_column), warp::LANES);
    }
    let sum = lanes::sum(summary.summand(agreed));
    let found = Found {
        agreed,
        sum,
        per_column,
    };
    job.kernel.result(row, found, first)
}

impl Desk {
    #[inline(always)]
    fn count_of(self, row: u32) -> u64 {
        self.counts + u64::from(1 + row) * 4
    }

    /// Notes what was found of a chunk, and counts it. One thread calls it.
    #[inline(always)]
    fn note(self, task: Task, per_row: u32, agreed: f32, sum: f32) {
        let at = self.notes + u64::from(task.row * per_row + task.chunk) * 8;
        // SAFETY: the chunk's note, which nobody else writes.
        unsafe { global::store_v2(at, [agreed.to_bits(), sum.to_bits()]) };
        // SAFETY: the row's count.
        unsafe { global::add_release_u32(self.count_of(task.row), 1) };
    }

    /// A note, behind the await of `complete` by this warp or one that has arrived for it.
    #[inline(always)]
    fn read(self, chunk: u32) -> (f32, f32) {
        // SAFETY: a note.
        let [agreed, sum] = unsafe { global::load_written_v2(self.notes + u64::from(chunk) * 8) };
        (f32::from_bits(agreed), f32::from_bits(sum))
    }

    /// Waits until all `count` chunks of a row have been noted.
    #[inline(always)]
    fn complete(self, row: u32, count: u32) -> Complete {
        Complete {
            address: self.count_of(row),
            count,
        }
    }
}

struct Complete {
    address: u64,
    count: u32,
}

impl Future for Complete {
    type Output = ();

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the row's count.
        if warp::all(unsafe { global::load_acquire_u32(self.address) } >= self.count) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
