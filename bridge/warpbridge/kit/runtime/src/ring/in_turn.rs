//! Several loader warps that fill a ring's stages in turn: the time that one takes to start the copies of a stage hides behind the
//! others'. A stage always has the same loader, so that a barrier's parity tells its rounds apart.

use super::{Place, Ring, Stage};
use crate::engine;
use crate::mbarrier::Wait;
use crate::rows::EvenRows;

/// The end of one of `LOADERS` loaders, which fills every `LOADERS`th stage.
pub struct LoaderInTurn<const STAGES: u32, const BYTES: u32, const LOADERS: u32> {
    ring: Ring<STAGES, BYTES>,
    place: Place,
    first: u32,
}

impl<const STAGES: u32, const BYTES: u32> Ring<STAGES, BYTES> {
    /// The end of loader `number`, which fills stage `number` first. One warp takes it; `LOADERS` divides `STAGES`.
    #[inline(always)]
    pub fn loader_in_turn<const LOADERS: u32>(self, number: u32) -> LoaderInTurn<STAGES, BYTES, LOADERS> {
        const { assert!(STAGES % LOADERS == 0) };
        LoaderInTurn {
            ring: self,
            place: Place {
                stage: number,
                parity: 0,
            },
            first: number,
        }
    }
}

impl<const STAGES: u32, const BYTES: u32, const LOADERS: u32> LoaderInTurn<STAGES, BYTES, LOADERS> {
    /// As [`super::Loader::reserve`], for the next stage that is this loader's.
    #[inline(always)]
    pub fn reserve(&self) -> Wait<Stage> {
        let Place { stage, parity } = self.place;
        self.ring.empty(stage).wait(parity ^ 1, self.ring.stage(stage))
    }

    /// As [`super::Loader::fill`], with `ROWS` even rows, `pitch` bytes apart in the stage.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub unsafe fn fill_even<const ROWS: u32>(&mut self, stage: Stage, rows: &EvenRows, pitch: u32) {
        // SAFETY: the caller's promise.
        let bytes = unsafe { engine::copy_even::<ROWS>(rows, stage.address, pitch, stage.full) };
        engine::commit(stage.full, bytes);
        self.place = self.place.ahead(LOADERS, STAGES);
    }
}

impl<const STAGES: u32, const BYTES: u32, const LOADERS: u32> Drop for LoaderInTurn<STAGES, BYTES, LOADERS> {
    /// As for [`super::Loader`]: waits for the copies in flight, those that this loader has started.
    #[inline(always)]
    fn drop(&mut self) {
        let mut stage = self.first;
        while stage < STAGES {
            let round = if stage < self.place.stage { 0 } else { 1 };
            self.ring.full(stage).wait_uncancelled(self.place.parity ^ round);
            stage += LOADERS;
        }
    }
}
