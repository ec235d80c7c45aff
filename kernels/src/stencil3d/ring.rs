//! A ring of stages as `warpbridge_runtime::ring`, but with number and size of the stages known at run time only: both
//! depend on the radius. A reader holds several stages at a time.
//!
//! The loader is no guard that waits for copies in flight when it is dropped: a role that awaits in two places and has
//! something to drop is not folded. `drain` waits instead, once the role has ended, by the place that each lane leaves.

use super::job::Plane;
use warpbridge_runtime::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use warpbridge_runtime::{Windows, block, engine, shared, warp};

/// Bytes for where the loader is: a word for each of its lanes.
pub const PLACE_BYTES: u32 = warp::LANES * 4;

/// The loader's place at `base`, then the stages, then their barriers.
#[derive(Clone, Copy)]
pub struct Ring {
    base: u32,
    stages: u32,
    bytes: u32,
}

impl Ring {
    /// Sets up the barriers for stages that `readers` warps release. Every thread of the block calls it, before roles part.
    #[inline(always)]
    pub fn init(base: u32, stages: u32, bytes: u32, readers: u32) -> Self {
        let ring = Self { base, stages, bytes };
        if block::thread() == 0 {
            for stage in 0..stages {
                ring.full(stage).init(warp::LANES * engine::ARRIVALS_PER_LANE);
                ring.empty(stage).init(readers * warp::LANES);
            }
            engine::publish_barriers();
        }
        if warp::index() == 0 {
            ring.leave(Place { stage: 0, parity: 0 });
        }
        block::sync();
        ring
    }

    /// The loader's end. One warp takes it.
    #[inline(always)]
    pub fn loader(self) -> Loader {
        let place = Place { stage: 0, parity: 0 };
        Loader { ring: self, place }
    }

    /// A reader's end. Each of `readers` warps takes one.
    #[inline(always)]
    pub fn reader(self) -> Reader {
        let place = Place { stage: 0, parity: 0 };
        Reader { ring: self, place }
    }

    #[inline(always)]
    fn full(self, stage: u32) -> Barrier {
        Barrier(self.address(self.stages) + stage * BARRIER_BYTES)
    }

    #[inline(always)]
    fn empty(self, stage: u32) -> Barrier {
        Barrier(self.address(self.stages) + (self.stages + stage) * BARRIER_BYTES)
    }

    #[inline(always)]
    fn address(self, stage: u32) -> u32 {
        self.base + PLACE_BYTES + stage * self.bytes
    }

    #[inline(always)]
    fn leave(self, place: Place) {
        // SAFETY: this lane's word.
        unsafe { shared::store_u32(self.base + warp::lane() * 4, place.stage << 1 | place.parity) };
    }

    /// Waits for every copy in flight, whether the loader's role ended or was cancelled: a copy that lands in the shared
    /// memory of a block that has left is undefined. The loader's warp calls it.
    #[inline(always)]
    pub fn drain(self) {
        // SAFETY: this lane's word, written by this lane.
        let place = unsafe { shared::load_u32(self.base + warp::lane() * 4) };
        for stage in 0..self.stages {
            // Stages before the next one to be filled had their last fill in this round, the others in the one before.
            let parity = if stage < place >> 1 { place & 1 } else { place & 1 ^ 1 };
            self.full(stage).wait_uncancelled(parity);
        }
    }
}

/// A stage, and the parity of its round.
#[derive(Clone, Copy)]
struct Place {
    stage: u32,
    parity: u32,
}

impl Place {
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
pub struct Loader {
    ring: Ring,
    place: Place,
}

impl Loader {
    /// Waits until the next stage is free; gives its address.
    #[inline(always)]
    pub fn reserve(&self) -> Wait<u32> {
        // The opposite parity: the readers' release of the round before, which on a fresh barrier counts as done.
        let Place { stage, parity } = self.place;
        self.ring.empty(stage).wait(parity ^ 1, self.ring.address(stage))
    }

    /// Fills the reserved stage and hands it to the readers. No await inside: a fill is whole or not begun.
    ///
    /// # Safety
    /// The rows lie in their array and fit the stage; `reserve` has just given `stage`.
    #[inline(always)]
    pub unsafe fn fill(&mut self, stage: u32, rows: &Plane) {
        let full = self.ring.full(self.place.stage);
        let bytes = if rows.is_inside() {
            // SAFETY: the caller's promise.
            unsafe { rows.copy_inside(stage, full) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { engine::copy(rows, stage, full) }
        };
        // SAFETY: the caller's promise.
        unsafe { rows.copy_edges(stage) };
        engine::commit(full, bytes);
        self.place = self.place.ahead(1, self.ring.stages);
        self.ring.leave(self.place);
    }
}

/// The end that uses stages up.
#[derive(Clone, Copy)]
pub struct Reader {
    ring: Ring,
    place: Place,
}

impl Reader {
    /// Waits until the stage `ahead` behind the next one is full; gives its address.
    #[inline(always)]
    pub fn filled(&self, ahead: u32) -> Wait<u32> {
        let Place { stage, parity } = self.place.ahead(ahead, self.ring.stages);
        self.ring.full(stage).wait(parity, self.ring.address(stage))
    }

    /// Address of the stage `ahead` behind the next one.
    #[inline(always)]
    pub fn stage(&self, ahead: u32) -> u32 {
        self.ring.address(self.place.ahead(ahead, self.ring.stages).stage)
    }

    /// Gives the next `count` stages back, each lane for itself. The warp calls it together.
    #[inline(always)]
    pub fn release(&mut self, count: u32) {
        for _ in 0..count {
            self.ring.empty(self.place.stage).arrive();
            self.place = self.place.ahead(1, self.ring.stages);
        }
    }
}
