//! Copy engine for sm_80 and later: cp.async, 16 bytes per lane (PTX ISA 9.7.9.25), completing on the stage's mbarrier.
//!
//! The same items as `bulk.rs`; `lib.rs` chooses one of the two.

use core::arch::asm;

use crate::mbarrier::Barrier;
use crate::rows::{EvenRows, Windows};
use crate::warp;

/// Arrivals per fill and loader lane: one by the copies when they have landed, one for the plain stores.
pub const ARRIVALS_PER_LANE: u32 = 2;

/// Pending polls between two looks at the cancel word: test_wait does not suspend, a poll takes some 20 ns.
pub const POLLS_PER_LOOK: u32 = 4096;

/// Nothing: there is no async proxy before sm_90.
#[inline(always)]
pub fn publish_barriers() {}

/// Nothing: there is no async proxy before sm_90.
#[inline(always)]
pub fn order_plain_stores() {}

/// See [`Barrier::is_complete`]. try_wait came with sm_90.
#[inline(always)]
pub fn is_complete(barrier: Barrier, parity: u32) -> bool {
    let done: u32;
    // SAFETY: an initialised barrier of this block.
    unsafe {
        asm!("{{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [{}], {}; selp.u32 {}, 1, 0, p; }}",
             in(reg32) barrier.0, in(reg32) parity, out(reg32) done, options(nostack));
    }
    done != 0
}

/// Starts copying the interior of all rows into a stage; the lanes share each row. The warp calls it together. Gives 0: the
/// barrier counts these copies as arrivals, not as bytes.
///
/// # Safety
/// The stage is reserved, and `rows` lies in its array.
#[inline(always)]
#[must_use]
pub unsafe fn copy(rows: &impl Windows, stage: u32, _: Barrier) -> u32 {
    for row in 0..rows.count() {
        let interior = rows.interior(row);
        let to = stage + rows.slot(row) + interior.skip;
        let mut offset = warp::lane() * 16;
        while offset < interior.bytes {
            // SAFETY: the caller's promise; the interior is 16-byte aligned at both ends.
            unsafe { start(to + offset, interior.address + u64::from(offset)) };
            offset += warp::LANES * 16;
        }
    }
    0
}

/// As [`copy`], `ROWS` even rows, `pitch` bytes apart in the stage.
///
/// # Safety
/// The stage is reserved, and the rows lie in their array.
#[inline(always)]
pub unsafe fn copy_even<const ROWS: u32>(rows: &EvenRows, stage: u32, pitch: u32, _: Barrier) -> u32 {
    let mut offset = warp::lane() * 16;
    while offset < rows.bytes {
        let (mut to, mut from) = (stage + offset, rows.first + u64::from(offset));
        for row in 0..ROWS {
            // SAFETY: the caller's promise.
            unsafe { start(to, from) };
            to += pitch;
            from += if row + 1 < rows.count { rows.stride } else { 0 };
        }
        offset += warp::LANES * 16;
    }
    0
}

#[inline(always)]
unsafe fn start(to: u32, from: u64) {
    // SAFETY: the caller's promise: both ends valid and 16-byte aligned, the stage drained before the block leaves.
    unsafe { asm!("cp.async.cg.shared.global [{}], [{}], 16;", in(reg32) to, in(reg64) from, options(nostack)) };
}

/// Ends a fill: one arrival by the copies of this lane when they have landed (`noinc`: the barrier's count includes it),
/// and one plain arrival, which releases the lane's plain stores.
#[inline(always)]
pub fn commit(full: Barrier, _: u32) {
    // SAFETY: an initialised barrier whose count includes this arrival.
    unsafe { asm!("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [{}];", in(reg32) full.0, options(nostack)) };
    full.arrive();
}
