//! The names of the stream-ordered launches that were queued last: nobody tracks those, so when the context is lost these are
//! the suspects. Written on the hot path, hence no wait and no allocation: a place that another thread is writing is skipped,
//! and a launch like the one before, as in a loop, is not written again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// Text and stream of the launch that was noted last, by address: a text that is noted is not freed. Another thread may
    /// come between the two; then a name is written twice, or a repetition of one that stands there already is not.
    last_text: AtomicUsize,
    last_stream: AtomicU64,
    count: AtomicUsize,
    places: [Mutex<Option<Queued>>; KEPT],
}

impl Recent {
    pub(super) fn note(&self, text: &Arc<str>, stream: StreamHandle) {
        let address = text.as_ptr() as usize;
        if self.last_text.load(Ordering::Relaxed) == address && self.last_stream.load(Ordering::Relaxed) == stream.0 {
            return;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut place) = self.places[number % KEPT].try_lock() {
            *place = Some((number, Arc::clone(text), stream));
            self.last_text.store(address, Ordering::Relaxed);
            self.last_stream.store(stream.0, Ordering::Relaxed);
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
        let again: Arc<str> = "again".into();
        for stream in [0x10, 0x10, 0x20, 0x10] {
            recent.note(&again, StreamHandle(stream));
        }
        let expected = ["again on stream 0x10", "again on stream 0x20", "again on stream 0x10"];
        assert_eq!(recent.texts()[KEPT - 3..], expected, "a repetition is not written");
    }
}
