//! A completion queue: the tokens of ended launches, for host code that would rather fetch them than be called back.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens in the order in which launches ended, each with whether its launch ended well.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tokens: VecDeque<(u64, bool)>,
    woken: bool,
}

impl Queue {
    /// Adds a token.
    pub fn push(&self, token: u64, ended_well: bool) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tokens
            .push_back((token, ended_well));
        self.changed.notify_one();
    }
    /// Makes one `next` return without a token, now or when it is called.
    pub fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_all();
    }
    /// The next token; `None` when `limit` has passed or the queue was woken.
    pub fn next(&self, limit: Duration) -> Option<(u64, bool)> {
        let until = Instant::now().checked_add(limit);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(token) = state.tokens.pop_front() {
                return Some(token);
            }
            if std::mem::take(&mut state.woken) {
                return None;
            }
            let left = until.map_or(Duration::from_secs(3600), |u| {
                u.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_in_order_and_wake_returns_none_once() {
        let queue = Queue::default();
        queue.push(7, true);
        queue.push(8, false);
        queue.wake();
        assert_eq!(queue.next(Duration::from_secs(5)), Some((7, true)));
        assert_eq!(queue.next(Duration::from_secs(5)), Some((8, false)));
        let start = Instant::now();
        assert_eq!(queue.next(Duration::from_secs(5)), None);
        assert!(start.elapsed() < Duration::from_secs(4), "woken, not timed out");
        assert_eq!(queue.next(Duration::from_millis(1)), None);
    }
}
