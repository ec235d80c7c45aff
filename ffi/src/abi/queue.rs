//! Completion queues: ended launches' tokens, in order per stream.

use super::guard::{borrow, free, give, guard, null, put};
use super::pending::limit;
use super::types::wb_queue;

/// An empty queue.
#[no_mangle]
pub unsafe extern "C" fn wb_queue_new(out: *mut *mut wb_queue) -> i32 {
    // SAFETY: the module's contract.
    guard(|| unsafe { give(out, "out", wb_queue(std::sync::Arc::default())) })
}

/// The next token; *got = 0 when `limit_s` passed or the queue was woken, 1 for a launch that ended well, 2 for one whose
/// error wb_pending_result has.
#[no_mangle]
pub unsafe extern "C" fn wb_queue_next(queue: *mut wb_queue, limit_s: f64, token: *mut u64, got: *mut i32) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let queue = unsafe { borrow(queue, "queue") }?;
        if token.is_null() || got.is_null() {
            return Err(null(if token.is_null() { "token" } else { "got" }));
        }
        let next = queue.0.next(limit(limit_s));
        // SAFETY: as above.
        unsafe { put(token, "token", next.map_or(0, |(token, _)| token)) }?;
        // SAFETY: as above.
        unsafe {
            put(
                got,
                "got",
                next.map_or(0, |(_, ended_well)| if ended_well { 1 } else { 2 }),
            )
        }
    })
}

/// Makes one wb_queue_next return without a token.
#[no_mangle]
pub unsafe extern "C" fn wb_queue_wake(queue: *mut wb_queue) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        unsafe { borrow(queue, "queue") }?.0.wake();
        Ok(())
    })
}

/// Frees a queue; NULL is allowed. Tokens that come later are dropped.
#[no_mangle]
pub unsafe extern "C" fn wb_queue_free(queue: *mut wb_queue) {
    // SAFETY: the module's contract.
    unsafe { free(queue) }
}
