//! Tracked launches.

use super::guard::{borrow, free, guard, put};
use super::types::wb_pending;
use crate::error::{Error, Kind};

use std::time::Duration;

/// A limit in seconds as a duration; what no clock can say is for ever.
pub(super) fn limit(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// Waits at most `limit_s`; *done = 1 when ended (also after a timeout has been enforced), else 0.
#[no_mangle]
pub unsafe extern "C" fn wb_pending_wait(pending: *const wb_pending, limit_s: f64, done: *mut i32) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let pending = unsafe { borrow(pending, "pending") }?;
        let ended = pending.0.wait(limit(limit_s));
        // SAFETY: as above.
        unsafe { put(done, "done", i32::from(ended)) }
    })
}

/// The outcome as a status; only after done.
#[no_mangle]
pub unsafe extern "C" fn wb_pending_result(pending: *const wb_pending) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let pending = unsafe { borrow(pending, "pending") }?;
        pending.0.poll();
        let running = || {
            Err(Error::new(
                Kind::Launch,
                "the launch has not ended; wait for it before asking for its result",
            ))
        };
        pending.0.outcome().cloned().unwrap_or_else(running)
    })
}

/// Share done in [0, 1].
#[no_mangle]
pub unsafe extern "C" fn wb_pending_progress(pending: *const wb_pending, progress: *mut f64) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let pending = unsafe { borrow(pending, "pending") }?;
        // SAFETY: as above.
        unsafe { put(progress, "progress", pending.0.progress()) }
    })
}

/// Asks the kernel to stop; no effect after its end.
#[no_mangle]
pub unsafe extern "C" fn wb_pending_cancel(pending: *const wb_pending) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        unsafe { borrow(pending, "pending") }?.0.cancel();
        Ok(())
    })
}

/// Frees a tracked launch; NULL is allowed. The launch goes on, and its callback still comes.
#[no_mangle]
pub unsafe extern "C" fn wb_pending_free(pending: *mut wb_pending) {
    // SAFETY: the module's contract.
    unsafe { free(pending) }
}
