//! The names of the stream-ordered launches that were queued last: nobody tracks those, so when the context is lost these are
//! the suspects. Written on the hot path, hence no wait and no allocation: a place that another thread is writing is skipped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::failure;
use super::state::lock;
use crate::backend::StreamHandle;

/// As many as a person wants to read.
const KEPT: usize = 8;

/// Number in order, text of the launch, stream.
type Queued = (usize, Arc<str>, StreamHandle);

#[derive(Default)]
pub(super) struct Recent {
    count: AtomicUsize,
    places: [Mutex<Option<Queued>>; KEPT],
}

impl Recent {
    pub(super) fn note(&self, text: &Arc<str>, stream: StreamHandle) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut place) = self.places[number % KEPT].try_lock() {
            *place = Some((number, Arc::clone(text), stream));
        }
    }

    /// Oldest first.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut found: Vec<Queued> = self.places.iter().filter_map(|place| lock(place).clone()).collect();
        found.sort_by_key(|(number, ..)| *number);
        let text = |(_, text, stream): &Queued| failure::launch_text(text, *stream);
        found.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_recent_keeps_the_last_launches_in_order() {
        let recent = Recent::default();
        assert!(recent.texts().is_empty());
        for number in 0..KEPT + 2 {
            recent.note(&format!("k(n={number})").into(), StreamHandle(0x10));
        }
        let expected: Vec<_> = (2..KEPT + 2).map(|n| format!("k(n={n}) on stream 0x10")).collect();
        assert_eq!(recent.texts(), expected);
    }
}
