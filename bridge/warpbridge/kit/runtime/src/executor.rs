//! The executor: polls one role's future until it is ready, or until the host cancels.
//!
//! There is no queue and no waker: a warp runs one role, and a barrier in shared memory cannot call anybody. A pending
//! poll is followed by the next one at once. The compiler folds this loop and the role's state machine together, so
//! that what is left of an await is the barrier's try_wait loop.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};

use crate::{Control, engine};

/// Runs `role` to its end, or to the first await after the host has cancelled.
///
/// The cancel word is read once per `engine::POLLS_PER_LOOK` pending polls, counted over the whole role, so that a role
/// which waits often but never long sees it too.
#[inline(always)]
pub fn run<F: Future<Output = ()>>(role: F, control: Control) {
    run_watchful::<{ engine::POLLS_PER_LOOK }, F>(role, control);
}

/// As [`run`], looking once per `POLLS` pending polls: for grids of blocks that stay, which end late by the time of that many.
#[inline(always)]
pub fn run_watchful<const POLLS: u32, F: Future<Output = ()>>(role: F, control: Control) {
    let mut role = pin!(role);
    let mut context = Context::from_waker(Waker::noop());
    let mut pending = 0u32;
    while role.as_mut().poll(&mut context).is_pending() {
        pending = pending.wrapping_add(1);
        if pending % POLLS == 0 && control.is_cancelled() {
            control.mark_stopped();
            return;
        }
    }
}
