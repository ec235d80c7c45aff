//! A ring of stages in shared memory between one loader warp (warp 0) and any number of reader warps (from warp 1 on).
//!
//! Each stage has two mbarriers: `full` completes when the loader's 32 lanes have arrived and the copies have landed, `empty`
//! when every lane of every reader warp has let go, each for itself (`mbarrier.rs`). Both sides go round in the same order; the
//! parity to wait for flips with each round.
//!
//! ```text
//!   loader:  reserve (wait empty) -> load (start copies) -> publish (arrive full) -> next stage
//!   reader:  filled  (wait full)  -> read                -> release (arrive empty) -> next stage
//! ```
//!
//! A reader's reads are ordered before the next round's copies by the `empty` barrier; that needs no proxy fence.

mod in_turn;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::control::{Look, Report};
use crate::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use crate::row::Row;
use crate::rows::{Rows, Windows};
use crate::{Batch, Control, block, engine, shared, warp};

pub use in_turn::LoaderInTurn;

/// A ring with `ANY_STAGES` has as many stages as it was started with.
pub const ANY_STAGES: u32 = 0;

/// `STAGES` stages of `BYTES` each (a multiple of 128) at the start of dynamic shared memory, the barriers behind them.
#[derive(Clone, Copy)]
pub struct Ring<const STAGES: u32, const BYTES: u32> {
    base: u32,
    /// How many stages; not looked at where `STAGES` says it.
    stages: u32,
    report: Report,
}

/// A stage that its holder may use: its address in shared memory.
#[derive(Clone, Copy)]
pub struct Stage {
    /// Address of its first byte; a multiple of 128.
    pub address: u32,
    full: Barrier,
}

impl<const STAGES: u32, const BYTES: u32> Ring<STAGES, BYTES> {
    /// Shared memory that the ring takes up; what a kernel adds comes behind it.
    pub const SHARED_BYTES: u32 = Self::shared_bytes(STAGES);

    /// The same of a ring of so many stages.
    #[inline(always)]
    pub const fn shared_bytes(stages: u32) -> u32 {
        stages * (BYTES + 2 * BARRIER_BYTES)
    }

    /// Sets up the barriers for stages that `reader_warps` warps release, and tells the host how many `fills` will come. Every
    /// thread of the block calls it, before roles part.
    #[inline(always)]
    pub fn init(reader_warps: u32, fills: u32, control: Control) -> Self {
        let report = control.report();
        report.begin(fills);
        let ring = Self {
            base: shared::base(),
            stages: STAGES,
            report,
        };
        ring.set_up(reader_warps);
        block::sync();
        ring
    }

    /// As [`Ring::init`], for blocks that take a [`Batch`] each: none where the host cancelled before the block began, which then ends.
    /// The host is told how far the launch is by the batches, not by the tiles that readers release.
    #[inline(always)]
    pub fn start(reader_warps: u32, batch: Batch, control: Control) -> Option<Self> {
        Self::start_sized(STAGES, reader_warps, batch, control)
    }

    /// As [`Ring::start`], with so many stages where `STAGES` is [`ANY_STAGES`].
    #[inline(always)]
    pub fn start_sized(stages: u32, reader_warps: u32, batch: Batch, control: Control) -> Option<Self> {
        // One thread looks, and before all else: the answer is under way while the barriers are set up.
        let look = if block::thread() == 0 {
            control.look()
        } else {
            Look::NOTHING
        };
        let ring = Self {
            base: shared::base(),
            stages,
            report: Report::NONE,
        };
        ring.set_up(reader_warps);
        if block::sync_any(look.stops()) {
            look.mark_stopped(control);
            return None;
        }
        batch.report(control);
        Some(ring)
    }

    /// As [`Ring::start_sized`], for blocks that stay, and tell the host themselves how far they are.
    #[inline(always)]
    pub fn start_to_stay(stages: u32, reader_warps: u32, control: Control) -> Option<Self> {
        // As above, but here: called, it changes the PTX of every kernel (order of branches), for nothing.
        let look = if block::thread() == 0 {
            control.look()
        } else {
            Look::NOTHING
        };
        let ring = Self {
            base: shared::base(),
            stages,
            report: Report::NONE,
        };
        ring.set_up(reader_warps);
        if block::sync_any(look.stops()) {
            look.mark_stopped(control);
            return None;
        }
        Some(ring)
    }

    #[inline(always)]
    fn set_up(self, reader_warps: u32) {
        if block::thread() == 0 {
            for stage in 0..self.stages() {
                self.full(stage).init(warp::LANES * engine::ARRIVALS_PER_LANE);
                self.empty(stage).init(reader_warps * warp::LANES);
            }
            engine::publish_barriers();
        }
    }

    /// The loader's end. One warp takes it.
    #[inline(always)]
    pub fn loader(self) -> Loader<STAGES, BYTES> {
        Loader {
            ring: self,
            place: Place { stage: 0, parity: 0 },
        }
    }

    /// A reader's end. Each of `reader_warps` warps takes one.
    #[inline(always)]
    pub fn reader(self) -> Reader<STAGES, BYTES> {
        Reader {
            ring: self,
            place: Place { stage: 0, parity: 0 },
            done: 0,
        }
    }

    /// See [`anew`](crate::anew).
    #[inline(always)]
    pub(crate) fn anew(self) -> Self {
        Self {
            stages: crate::anew(self.stages),
            ..self
        }
    }

    #[inline(always)]
    pub(crate) fn stages(self) -> u32 {
        if STAGES == ANY_STAGES { self.stages } else { STAGES }
    }

    #[inline(always)]
    pub(crate) fn full(self, stage: u32) -> Barrier {
        Barrier(self.base + self.stages() * BYTES + stage * BARRIER_BYTES)
    }

    #[inline(always)]
    pub(crate) fn empty(self, stage: u32) -> Barrier {
        Barrier(self.base + self.stages() * (BYTES + BARRIER_BYTES) + stage * BARRIER_BYTES)
    }

    #[inline(always)]
    fn wait_full(self, place: Place) -> Wait<Stage> {
        self.full(place.stage).wait(place.parity, self.stage(place.stage))
    }

    #[inline(always)]
    pub(crate) fn stage(self, stage: u32) -> Stage {
        Stage {
            address: self.base + stage * BYTES,
            full: self.full(stage),
        }
    }
}

/// Where one end of the ring is: the stage it uses next, and the parity of that stage's round.
#[derive(Clone, Copy)]
struct Place {
    stage: u32,
    parity: u32,
}

impl Place {
    #[inline(always)]
    fn advance(&mut self, stages: u32) {
        *self = self.ahead(1, stages);
    }

    /// The place `by` stages further, `by` being at most `stages`.
    #[inline(always)]
    fn ahead(self, by: u32, stages: u32) -> Self {
        let stage = self.stage + by;
        if stage < stages {
            Self { stage, ..self }
        } else {
            Self {
                stage: stage - stages,
                parity: self.parity ^ 1,
            }
        }
    }
}

/// The end that fills stages.
pub struct Loader<const STAGES: u32, const BYTES: u32> {
    ring: Ring<STAGES, BYTES>,
    place: Place,
}

impl<const STAGES: u32, const BYTES: u32> Loader<STAGES, BYTES> {
    /// Waits until the next stage is free.
    #[inline(always)]
    pub fn reserve(&self) -> Wait<Stage> {
        // The opposite parity: the readers' release of the round before, which on a fresh barrier counts as done.
        let Place { stage, parity } = self.place;
        self.ring.empty(stage).wait(parity ^ 1, self.ring.stage(stage))
    }

    /// As [`Loader::fill`], with rows of two arrays; the `second` start `offset` bytes into the stage, a multiple of 16.
    ///
    /// # Safety
    /// As for `fill`, for both; what the first take up ends before `offset`.
    #[inline(always)]
    pub unsafe fn fill_two(&mut self, stage: Stage, first: &Rows, second: &Rows, offset: u32) {
        // SAFETY: the caller's promise.
        let bytes = unsafe { copy(first, stage.address, stage.full) };
        // SAFETY: the caller's promise.
        unsafe { self.fill_at(stage, second, offset, bytes) };
    }

    /// Fills the reserved stage with rows and hands it to the readers. No await inside: a fill is whole or not begun.
    ///
    /// # Safety
    /// The rows lie in their array and fit the stage; `reserve` has just given `stage`.
    #[inline(always)]
    pub unsafe fn fill(&mut self, stage: Stage, rows: &impl Windows) {
        // SAFETY: the caller's promise.
        unsafe { self.fill_at(stage, rows, 0, 0) };
    }

    /// The last copies of a fill, of which `before` bytes are on their way.
    #[inline(always)]
    unsafe fn fill_at(&mut self, stage: Stage, rows: &impl Windows, offset: u32, before: u32) {
        // SAFETY: the caller's promise.
        let bytes = unsafe { copy(rows, stage.address + offset, stage.full) };
        engine::commit(stage.full, before + bytes);
        self.place.advance(self.ring.stages());
    }
}

/// Starts copying all of the rows, counted by `full`; gives the bytes that this lane is to announce.
#[inline(always)]
unsafe fn copy(rows: &impl Windows, to: u32, full: Barrier) -> u32 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { engine::copy(rows, to, full) };
    // SAFETY: the caller's promise.
    unsafe { rows.copy_edges(to) };
    bytes
}

impl<const STAGES: u32, const BYTES: u32> Drop for Loader<STAGES, BYTES> {
    /// Waits for every copy in flight, whether the role ended or was cancelled: a copy that lands in the shared memory
    /// of a block that has left is undefined.
    #[inline(always)]
    fn drop(&mut self) {
        for stage in 0..self.ring.stages() {
            // Stages before the current place were last filled in this round, the others in the round before.
            let round = if stage < self.place.stage { 0 } else { 1 };
            self.ring.full(stage).wait_uncancelled(self.place.parity ^ round);
        }
    }
}

/// The end that uses stages up.
pub struct Reader<const STAGES: u32, const BYTES: u32> {
    ring: Ring<STAGES, BYTES>,
    place: Place,
    done: u32,
}

impl<const STAGES: u32, const BYTES: u32> Reader<STAGES, BYTES> {
    /// Waits until the next stage is full.
    #[inline(always)]
    pub fn filled(&self) -> Wait<Stage> {
        self.ring.wait_full(self.place)
    }

    /// Waits until the stage `by` behind the next one is full, `by` being less than `STAGES`. For readers that want more than
    /// one stage at a time, or leave some to others.
    #[inline(always)]
    pub fn ahead(&self, by: u32) -> Turn {
        let Place { stage, parity } = self.place.ahead(by, self.ring.stages());
        Turn {
            empty: self.ring.empty(stage),
            parity,
            stage: self.ring.stage(stage),
        }
    }

    /// Leaves the next `by` stages, at most as many as there are, to other readers.
    #[inline(always)]
    pub fn skip(&mut self, by: u32) {
        self.place = self.place.ahead(by, self.ring.stages());
        self.done += by;
    }

    /// A row whose piece number `origin` is in the next stage; it starts `skip` bytes into its stages.
    #[inline(always)]
    pub fn row<const TILE: u32>(&self, origin: u32, skip: u32) -> Row<STAGES, BYTES, TILE> {
        Row {
            base: self.ring.base,
            first: self.place.stage,
            origin,
            skip,
        }
    }

    /// Gives the stage back, and counts it as progress. The warp calls it together.
    #[inline(always)]
    pub fn release(&mut self) {
        self.ring.empty(self.place.stage).arrive();
        self.done += 1;
        if block::thread() == warp::LANES {
            self.ring.report.set_progress(self.done);
        }
        self.place.advance(self.ring.stages());
    }
}

/// A wait for a stage that others may have used in the round before: see [`Reader::ahead`].
///
/// A barrier's parity tells two rounds apart and no more. Whoever skipped a round would take the copies of the round before last for
/// those of this one while the last round's are still in flight; so the last round must have been given back first.
pub struct Turn {
    empty: Barrier,
    parity: u32,
    stage: Stage,
}

impl Future for Turn {
    type Output = Stage;

    /// Given back, then full: both stay true until this reader gives the stage back.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Stage> {
        let is_there = self
            .empty
            .is_complete_before(self.parity ^ 1, self.stage.full, self.parity);
        if warp::all(is_there) {
            Poll::Ready(self.stage)
        } else {
            Poll::Pending
        }
    }
}
