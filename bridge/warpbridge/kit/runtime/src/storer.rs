//! The end of a ring that stores stages as they are: bulk copies from shared to global memory (PTX ISA 9.7.9.25), `sm_90` and later.
//!
//! One warp takes it, and one lane of it starts each copy. What such copies read is waited for in order, by their number: a stage
//! goes back to the loader when the copy out of it has read it, while those after it are still under way.
//!
//! ```text
//!   storer: filled (wait full) -> store (start a copy) -> read_out (wait for an earlier one's reads) -> release -> next stage
//! ```
//!
//! Bytes that bulk copies brought need no fence before bulk copies read them; those that a thread wrote would.

use core::arch::asm;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::ring::{Reader, Stage, Turn};
use crate::warp;

/// See the module.
pub struct Storer<const STAGES: u32, const BYTES: u32> {
    ring: Reader<STAGES, BYTES>,
    /// Stages that copies may still read.
    held: u32,
}

impl<const STAGES: u32, const BYTES: u32> Storer<STAGES, BYTES> {
    /// Makes it of a reader's end; the ring has no other reader.
    #[inline(always)]
    pub fn of(ring: Reader<STAGES, BYTES>) -> Self {
        Self { ring, held: 0 }
    }

    /// Waits until the next stage is full.
    #[inline(always)]
    pub fn filled(&self) -> Turn {
        self.ring.ahead(self.held)
    }

    /// How many stages it holds.
    #[inline(always)]
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Starts storing the first `bytes` of the stage at `to`. The warp calls it together.
    ///
    /// # Safety
    /// `filled` has just given `stage`, which has the bytes and got them by bulk copies; `to` takes as many; both are multiples of 16.
    #[inline(always)]
    pub unsafe fn store(&mut self, stage: Stage, to: u64, bytes: u32) {
        if warp::lane() == 0 {
            // SAFETY: the caller's promise; the stage is not given back before the copy has read it.
            unsafe {
                asm!("cp.async.bulk.global.shared::cta.bulk_group [{}], [{}], {};", "cp.async.bulk.commit_group;",
                     in(reg64) to, in(reg32) stage.address, in(reg32) bytes, options(nostack));
            }
        }
        self.held += 1;
    }

    /// Waits until at most the last `LATER` stores still read their stages.
    #[inline(always)]
    pub fn read_out<const LATER: u32>(&self) -> ReadOut<LATER> {
        ReadOut
    }

    /// Gives the oldest stage back, which must have been read out, and counts it as progress. The warp calls it together.
    #[inline(always)]
    pub fn release(&mut self) {
        self.ring.release();
        self.held -= 1;
    }
}

impl<const STAGES: u32, const BYTES: u32> Drop for Storer<STAGES, BYTES> {
    /// Waits for every copy's reads, whether the role ended or was cancelled: a copy must not read the shared memory of a block that
    /// has left. What is written is there when the launch has ended.
    #[inline(always)]
    fn drop(&mut self) {
        wait_for_reads::<0>();
    }
}

/// See [`Storer::read_out`].
pub struct ReadOut<const LATER: u32>;

impl<const LATER: u32> Future for ReadOut<LATER> {
    type Output = ();

    /// Never pending: there is no instruction that asks, only one that waits, and what it waits for needs no other role.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        wait_for_reads::<LATER>();
        Poll::Ready(())
    }
}

#[inline(always)]
fn wait_for_reads<const LATER: u32>() {
    // SAFETY: waits, touches nothing; lanes that started no copy go on at once.
    unsafe { asm!("cp.async.bulk.wait_group.read {};", const LATER, options(nostack)) };
}
