//! Copy engine for sm_90 and later: bulk copies (PTX ISA 9.7.9.25), counted in bytes by the stage's mbarrier.
//!
//! The same items as `cp_async.rs`; `lib.rs` chooses one of the two.

use core::arch::asm;

use crate::mbarrier::Barrier;
use crate::rows::Windows;
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
///
/// # Safety
/// The stage is reserved, and `rows` lies in its array.
#[inline(always)]
pub unsafe fn copy(rows: &impl Windows, stage: u32, full: Barrier) {
    let mut row = warp::lane();
    while row < rows.count() {
        let interior = rows.interior(row);
        if interior.bytes > 0 {
            // SAFETY: the caller's promise; the interior is 16-byte aligned at both ends.
            unsafe {
                start(
                    stage + rows.slot(row) + interior.skip,
                    interior.address,
                    interior.bytes,
                    full,
                )
            };
        }
        row += warp::LANES;
    }
}

/// Announces the bytes, then copies them: the barrier cannot complete in between, as this lane has yet to arrive.
#[inline(always)]
unsafe fn start(to: u32, from: u64, bytes: u32, full: Barrier) {
    // SAFETY: an initialised barrier of this block.
    unsafe {
        asm!("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [{}], {};", in(reg32) full.0, in(reg32) bytes,
             options(nostack));
    }
    // SAFETY: the caller's promise: both ends valid and 16-byte aligned, the stage drained before the block leaves.
    unsafe {
        asm!("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [{}], [{}], {}, [{}];", in(reg32) to,
             in(reg64) from, in(reg32) bytes, in(reg32) full.0, options(nostack));
    }
}

/// Ends a fill: this lane's arrival, which also releases its plain stores.
#[inline(always)]
pub fn commit(full: Barrier) {
    full.arrive();
}
