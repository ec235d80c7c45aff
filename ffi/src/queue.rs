//! A completion queue: the tokens of ended launches, for host code that would rather fetch them than be called back.
//!
//! While launches are under way whoever fetches polls for a while before it sleeps, as the dispatcher does: waking a thread
//! takes longer than many a kernel.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dispatch::spin_limit;

/// Tokens in the order in which launches ended, each with whether its launch ended well.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Tokens pushed so far, without the lock.
    pushed: AtomicUsize,
}

#[derive(Default)]
struct State {
    tokens: VecDeque<(u64, bool)>,
    woken: bool,
    /// Launches under way whose tokens will come.
    expected: usize,
    /// When the last one was announced.
    since: Option<Instant>,
}

impl Queue {
    /// A launch is under way whose token will be pushed.
    pub fn expect(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.expected += 1;
        state.since = Some(Instant::now());
        drop(state);
        self.changed.notify_one();
    }
    /// Adds a token.
    pub fn push(&self, token: u64, ended_well: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.expected = state.expected.saturating_sub(1);
        state.tokens.push_back((token, ended_well));
        drop(state);
        self.pushed.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
    }
    /// Makes one `next` return without a token, now or when it is called.
    pub fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_all();
    }
    /// Looks for a token for some microseconds, without the lock.
    fn poll(&self) {
        const LOOKS: u32 = 64;
        let before = self.pushed.load(Ordering::Acquire);
        for _ in 0..LOOKS {
            if self.pushed.load(Ordering::Acquire) != before {
                return;
            }
            std::hint::spin_loop();
        }
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
            let spin = spin_limit().min(left);
            if state.expected > 0 && state.since.is_some_and(|since| since.elapsed() < spin) {
                drop(state);
                self.poll();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
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
        assert_eq!(queue.next(Duration::from_secs(60)), Some((7, true)));
        assert_eq!(queue.next(Duration::from_secs(60)), Some((8, false)));
        let start = Instant::now();
        assert_eq!(queue.next(Duration::from_secs(60)), None);
        assert!(start.elapsed() < Duration::from_secs(4), "woken, not timed out");
        assert_eq!(queue.next(Duration::from_millis(1)), None);
    }

    #[test]
    fn expected_token_is_seen_while_polling_and_after_it() {
        for delay in [Duration::from_micros(20), Duration::from_millis(30)] {
            let queue = std::sync::Arc::new(Queue::default());
            queue.expect();
            let pusher = std::sync::Arc::clone(&queue);
            let thread = std::thread::spawn(move || {
                std::thread::sleep(delay);
                pusher.push(9, true);
            });
            assert_eq!(queue.next(Duration::from_secs(60)), Some((9, true)));
            thread.join().expect("the pusher");
            assert_eq!(
                queue.next(Duration::from_millis(1)),
                None,
                "an expectation ends with its token"
            );
        }
    }
}
