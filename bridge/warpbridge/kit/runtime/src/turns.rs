//! The readers' end of a ring whose stages they share out: each stage is one warp's, the others leave it alone.
//!
//! A barrier's parity tells two rounds apart and no more. Whoever skipped a round would take the copies of the round before last for
//! those of this one while the last round's are still in flight; so a reader waits until the last round was given back, too.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::mbarrier::{BARRIER_BYTES, Barrier, Wait};
use crate::ring::{ANY_STAGES, Ring};
use crate::warp;

/// A stage in one of two rounds that take turns: its number in the first, and behind those in the second. One register.
#[derive(Clone, Copy)]
pub struct Place(u32);

/// One warp's end. See the top of this module.
#[derive(Clone, Copy)]
pub struct Turns<const BYTES: u32> {
    ring: Ring<ANY_STAGES, BYTES>,
    next: Place,
}

impl<const BYTES: u32> Turns<BYTES> {
    /// At the first stage.
    #[inline(always)]
    pub fn new(ring: Ring<ANY_STAGES, BYTES>) -> Self {
        Self { ring, next: Place(0) }
    }

    /// The next stage.
    #[inline(always)]
    pub fn next(&self) -> Place {
        self.next
    }

    /// The stage `by` behind another, at most as many as the ring has.
    #[inline(always)]
    pub fn behind(&self, place: Place, by: u32) -> Place {
        let (there, rounds) = (place.0 + by, 2 * self.ring.stages());
        Place(if there >= rounds { there - rounds } else { there })
    }

    /// Whether the ring has fewer stages.
    #[inline(always)]
    pub fn is_short_of(&self, stages: u32) -> bool {
        crate::anew(stages) > self.ring.stages()
    }

    /// Goes on from a stage.
    #[inline(always)]
    pub fn go_to(&mut self, place: Place) {
        self.next = place;
    }

    /// Leaves the next `by` stages to others, at most as many as the ring has.
    #[inline(always)]
    pub fn skip(&mut self, by: u32) {
        self.next = self.behind(self.next, by);
    }

    /// Waits until a stage is full; then gives its address.
    #[inline(always)]
    pub fn turn(&self, place: Place) -> Turn<BYTES> {
        Turn { ring: self.ring, place }
    }

    /// Of some barriers, one per stage, at `barriers`: that of a stage.
    #[inline(always)]
    pub fn barrier(&self, barriers: u32, place: Place) -> Barrier {
        Barrier(barriers + place.split(self.ring.stages()).0 * BARRIER_BYTES)
    }

    /// Waits until such a barrier has completed in the stage's round, which has begun: `turn` has been awaited.
    #[inline(always)]
    pub fn also(&self, barriers: u32, place: Place) -> Wait<()> {
        let (_, parity) = place.split(self.ring.stages());
        self.barrier(barriers, place).wait(parity, ())
    }

    /// Gives a stage back. The warp calls it together.
    #[inline(always)]
    pub fn give_back(&self, place: Place) {
        let ring = self.ring;
        ring.empty(place.split(ring.stages()).0).arrive();
    }
}

impl Place {
    /// The stage's number, and the parity of its round.
    #[inline(always)]
    pub(crate) fn split(self, stages: u32) -> (u32, u32) {
        if self.0 >= stages {
            (self.0 - stages, 1)
        } else {
            (self.0, 0)
        }
    }
}

/// See [`Turns::turn`].
pub struct Turn<const BYTES: u32> {
    ring: Ring<ANY_STAGES, BYTES>,
    place: Place,
}

impl<const BYTES: u32> Future for Turn<BYTES> {
    type Output = u32;

    /// Given back, then full: both stay true until this reader gives the stage back.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        let ring = self.ring;
        let (stage, parity) = self.place.split(ring.stages());
        let is_there = ring
            .empty(stage)
            .is_complete_before(parity ^ 1, ring.full(stage), parity);
        if warp::all(is_there) {
            Poll::Ready(ring.stage(stage).address)
        } else {
            Poll::Pending
        }
    }
}
