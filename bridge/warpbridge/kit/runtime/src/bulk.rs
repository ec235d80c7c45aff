//! Copy engine for sm_90 and later: bulk copies (PTX ISA 9.7.9.25), counted in bytes by the stage's mbarrier.
//!
//! The same items as `cp_async.rs`; `lib.rs` chooses one of the two.

use core::arch::asm;

use crate::mbarrier::Barrier;
use crate::rows::{EvenRows, Windows};
use crate::warp;

/// Arrivals per fill and loader lane: the plain one; copies count as bytes.
pub const ARRIVALS_PER_LANE: u32 = 1;

/// Pending polls between two looks at the cancel word: a poll that fails has suspended the warp for some 4 us (H200).
pub const POLLS_PER_LOOK: u32 = 32;

/// Makes initialised barriers known to the async proxy. The initialising thread calls it before the block syncs.
#[inline(always)]
pub fn publish_barriers() {
    // SAFETY: orders memory, touches none.
    unsafe { asm!("fence.mbarrier_init.release.cluster;", options(nostack)) };
}

/// Orders this thread's plain stores to shared memory before later bulk copies into the same bytes.
#[inline(always)]
pub fn order_plain_stores() {
    // SAFETY: orders memory, touches none.
    unsafe { asm!("fence.proxy.async.shared::cta;", options(nostack)) };
}

/// See [`Barrier::is_complete`]. try_wait may suspend the warp for a while.
#[inline(always)]
pub fn is_complete(barrier: Barrier, parity: u32) -> bool {
    let done: u32;
    // SAFETY: an initialised barrier of this block.
    unsafe {
        asm!("{{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [{}], {}; selp.u32 {}, 1, 0, p; }}",
             in(reg32) barrier.0, in(reg32) parity, out(reg32) done, options(nostack));
    }
    done != 0
}

/// Starts copying the interior of all rows into a stage; each row is one copy, issued by one lane. The warp calls it together.
/// Gives the bytes that this lane has on their way, for [`commit`].
///
/// # Safety
/// The stage is reserved, and `rows` lies in its array.
#[inline(always)]
#[must_use]
pub unsafe fn copy(rows: &impl Windows, stage: u32, full: Barrier) -> u32 {
    let mut row = warp::lane();
    let mut bytes = 0;
    while row < rows.count() {
        let interior = rows.interior(row);
        if interior.bytes > 0 {
            let to = stage + rows.slot(row) + interior.skip;
            // SAFETY: the caller's promise; the interior is 16-byte aligned at both ends.
            unsafe { start(to, interior.address, interior.bytes, full) };
        }
        bytes += interior.bytes;
        row += warp::LANES;
    }
    bytes
}

/// As [`copy`], `ROWS` even rows, `pitch` bytes apart in the stage; one lane starts them all.
///
/// # Safety
/// The stage is reserved, and the rows lie in their array.
#[inline(always)]
#[must_use]
pub unsafe fn copy_even<const ROWS: u32>(rows: &EvenRows, stage: u32, pitch: u32, full: Barrier) -> u32 {
    if !elected() {
        return 0;
    }
    let (mut to, mut from) = (stage, rows.first);
    for row in 0..ROWS {
        // SAFETY: the caller's promise.
        unsafe { start(to, from, rows.bytes, full) };
        to += pitch;
        from += if row + 1 < rows.count { rows.stride } else { 0 };
    }
    ROWS * rows.bytes
}

/// Whether this lane is the one that the warp elects. The warp calls it together.
///
/// A bulk copy takes its operands from registers that the warp shares. Where lanes have operands of their own, ptxas makes a loop over
/// them, of ten instructions and a wait each; behind an election it knows that there is one lane only, and a copy takes four.
#[inline(always)]
#[must_use]
pub fn elected() -> bool {
    let is_elected: u32;
    // SAFETY: all 32 lanes come here. Not an intrinsic, as its result is a pair that Rust has no type for: the gates count it,
    // should it be copied.
    unsafe {
        asm!("{{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 {}, 1, 0, p; }}", out(reg32) is_elected,
             options(nomem, nostack));
    }
    is_elected != 0
}

/// Starts one copy of bytes into shared memory; for an [`elected`] lane, which then announces them all.
///
/// # Safety
/// Both ends are valid and multiples of 16, and so are the bytes; the stage is reserved, and drained before the block leaves.
#[inline(always)]
pub unsafe fn start(to: u32, from: u64, bytes: u32, full: Barrier) {
    // SAFETY: the caller's promise: both ends valid and 16-byte aligned, the stage drained before the block leaves.
    unsafe {
        asm!("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [{}], [{}], {}, [{}];", in(reg32) to,
             in(reg64) from, in(reg32) bytes, in(reg32) full.0, options(nostack));
    }
}

/// Ends a fill: this lane's arrival, which releases its plain stores and announces the bytes that it has on their way. Some
/// may have landed: the barrier cannot complete before this arrival, and its count of bytes may be below zero until then.
#[inline(always)]
pub fn commit(full: Barrier, bytes: u32) {
    // SAFETY: an initialised barrier, which counts on this arrival.
    unsafe {
        asm!("mbarrier.arrive.expect_tx.shared::cta.b64 _, [{}], {};", in(reg32) full.0, in(reg32) bytes,
             options(nostack));
    }
}
