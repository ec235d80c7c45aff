//! mbarriers (PTX ISA 9.7.13.15) and the future that waits for one.
//!
//! A phase completes when the expected arrivals have come and every expected byte has landed. A wait names the parity of the
//! phase it waits for; on a fresh barrier, parity 1 (the phase "before the first") counts as complete.
//!
//! An arrival speaks for its own thread: what a warp has read or written is handed on by all of its lanes, each for itself. One lane
//! behind a warp barrier would do by the PTX ISA, but not by `racecheck`, and is no faster (docs/notes/racecheck.md).

use core::arch::asm;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::{block, engine, warp};

/// An mbarrier: its address in shared memory.
#[derive(Clone, Copy)]
pub struct Barrier(pub u32);

/// Bytes that a barrier takes up.
pub const BARRIER_BYTES: u32 = 8;

impl Barrier {
    /// Makes it a barrier of `arrivals` per phase. One thread calls it, then [`engine::publish_barriers`], then the block syncs.
    #[inline(always)]
    pub fn init(self, arrivals: u32) {
        // SAFETY: the address lies in this block's shared memory; nobody uses the barrier yet.
        unsafe {
            asm!("mbarrier.init.shared::cta.b64 [{}], {};", in(reg32) self.0, in(reg32) arrivals, options(nostack))
        };
    }

    /// Arrives once; releases what this thread wrote before.
    #[inline(always)]
    pub fn arrive(self) {
        // SAFETY: an initialised barrier, whose owner counts on this arrival.
        unsafe { asm!("mbarrier.arrive.shared::cta.b64 _, [{}];", in(reg32) self.0, options(nostack)) };
    }

    /// Whether the phase of this parity is complete; if so, acquires what the arriving threads released.
    #[inline(always)]
    pub fn is_complete(self, parity: u32) -> bool {
        engine::is_complete(self, parity)
    }

    /// Whether the phase of this parity is complete, and then that of `next`, which is not asked before the first has answered.
    ///
    /// The order counts where `next` has completed the phase before the one that is meant only when this one is complete: until then
    /// its parity says yes a round too early. And two questions one behind the other in the PTX are not asked one behind the
    /// other: `try_wait` may suspend a warp, and a GPU asks the second meanwhile unless it needs the first's answer for that.
    #[inline(always)]
    pub fn is_complete_before(self, parity: u32, next: Barrier, next_parity: u32) -> bool {
        self.is_complete(parity) && next.is_complete(next_parity)
    }

    /// Waits, as a warp, for the phase of this parity; then gives `output`.
    #[inline(always)]
    pub fn wait<T: Copy>(self, parity: u32, output: T) -> Wait<T> {
        Wait {
            barrier: self,
            parity,
            output,
        }
    }

    /// Waits without looking at the cancel word. Only for what the hardware completes by itself.
    #[inline(always)]
    pub fn wait_uncancelled(self, parity: u32) {
        while !self.is_complete(parity) {}
    }
}

/// Where some warps meet once, each when it has written its part of something in shared memory that all of them will read.
#[derive(Clone, Copy)]
pub struct Meeting(Barrier);

impl Meeting {
    /// Sets it up at `address`, a multiple of 8, for `warps` warps. Every thread of the block calls it, before the ring is set up.
    #[inline(always)]
    pub fn init(address: u32, warps: u32) -> Self {
        if block::thread() == 0 {
            Barrier(address).init(warps * warp::LANES);
        }
        Self(Barrier(address))
    }

    /// Says that this warp has written its part, each lane its own; when awaited, all have.
    #[inline(always)]
    pub fn arrive(self) -> Wait<()> {
        self.0.arrive();
        self.0.wait(0, ())
    }
}

/// See [`Barrier::wait`]. Holds values only: a future that borrows from the role it is part of keeps the role's state
/// machine in local memory.
pub struct Wait<T> {
    barrier: Barrier,
    parity: u32,
    output: T,
}

impl<T: Copy> Future for Wait<T> {
    type Output = T;

    /// One bare try_wait, and a vote: lanes that were told different things must not part (top of this crate).
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        if warp::all(self.barrier.is_complete(self.parity)) {
            Poll::Ready(self.output)
        } else {
            Poll::Pending
        }
    }
}
