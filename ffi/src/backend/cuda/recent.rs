//! The names of the stream-ordered launches that were queued last: nobody tracks those, so when the context is lost these are
//! the suspects. Written on the hot path, hence no wait and no allocation: a place that another thread is writing is skipped,
//! and a launch like the one before, as in a loop, is not written again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::failure::LaunchName;
use super::launch::Named;
use super::state::lock;
use crate::backend::changes::{self, ScalarsInPlace};
use crate::backend::{LaunchPlan, StreamHandle};

/// As many as a person wants to read.
const KEPT: usize = 8;

/// Number in order, and the launch.
type Queued = (usize, Arc<LaunchPlan>, ScalarsInPlace, StreamHandle);

#[derive(Default)]
pub(super) struct Recent {
    /// Plan, by address, because a plan that is noted is not freed; stream and numbers of the launch that was noted last.
    /// Another thread may come between; then a name is written twice, or a repetition of one that stands there already is not.
    last_plan: AtomicUsize,
    last_stream: AtomicU64,
    last_scalars: AtomicU64,
    count: AtomicUsize,
    places: [Mutex<Option<Queued>>; KEPT],
}

impl Recent {
    pub(super) fn note(&self, launch: &Named<'_>) {
        let plan = Arc::as_ptr(launch.plan) as usize;
        let last = [
            (&self.last_stream, launch.stream.0),
            (&self.last_scalars, changes::mixed(launch.scalars)),
        ];
        let is_last = |(place, value): &(&AtomicU64, u64)| place.load(Ordering::Relaxed) == *value;
        if self.last_plan.load(Ordering::Relaxed) == plan && last.iter().all(is_last) {
            return;
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut place) = self.places[number % KEPT].try_lock() {
            let before = place.replace((
                number,
                Arc::clone(launch.plan),
                changes::in_place(launch.scalars),
                launch.stream,
            ));
            self.last_plan.store(plan, Ordering::Relaxed);
            last.iter()
                .for_each(|(place, value)| place.store(*value, Ordering::Relaxed));
            drop(place);
            drop(before); // perhaps the last of its plan
        }
    }

    /// Oldest first.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut found: Vec<Queued> = self.places.iter().filter_map(|place| lock(place).clone()).collect();
        found.sort_by_key(|(number, ..)| *number);
        let text = |(_, plan, scalars, stream): &Queued| LaunchName::of(plan, scalars, *stream).to_string();
        found.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::changes::Given;
    use crate::backend::cuda::launch::tests::plan_with_a_scalar;

    #[test]
    fn test_recent_keeps_the_last_launches_in_order() {
        let recent = Recent::default();
        assert!(recent.texts().is_empty());
        let plan = Arc::new(plan_with_a_scalar());
        let note = |number: i64, stream| {
            let scalars = [plan.scalars[0].rule.accept(Given::Int(number))];
            recent.note(&Named {
                plan: &plan,
                scalars: &scalars,
                stream: StreamHandle(stream),
            });
        };
        (0..KEPT as i64 + 2).for_each(|number| note(number, 0x10));
        let expected: Vec<_> = (2..KEPT + 2).map(|n| format!("k(n = {n}) on stream 0x10")).collect();
        assert_eq!(recent.texts(), expected);
        for stream in [0x10, 0x10, 0x20, 0x10] {
            note(70, stream);
        }
        let expected = [
            "k(n = 70) on stream 0x10",
            "k(n = 70) on stream 0x20",
            "k(n = 70) on stream 0x10",
        ];
        assert_eq!(recent.texts()[KEPT - 3..], expected, "a repetition is not written");
    }
}
