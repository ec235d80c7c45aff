//! Vulkan's queues wait for a value that a stream is to signal. A kernel that loses the context takes that signal along, and
//! the queues would wait for ever: so a thread watches the signals under way, and the host gives the one that cannot come.
//!
//! One thread for each Vulkan device that shares semaphores with a GPU, asleep while nothing is under way. It looks at a mark
//! behind the last signal, which stands for all before: they are chained (`order.rs`).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vulkan_layer::Incoming;

use super::refused;
use crate::device::Device;
use crate::error::Result;

/// How long a signal that cannot come holds Vulkan's queues up, and how often one is looked for.
const PERIOD: Duration = Duration::from_millis(10);

/// What the thread and its owner share.
struct State {
    device: Arc<Device>,
    incoming: Incoming,
    mark: u64,
    awaited: Mutex<Awaited>,
    changed: Condvar,
}

#[derive(Default)]
struct Awaited {
    /// The last value that a stream is to signal, until it has.
    value: Option<u64>,
    closed: bool,
}

/// Watches one semaphore, until it is dropped.
pub(super) struct Watch(Arc<State>);

impl Watch {
    /// Starts the thread. `device` has an [`External`](crate::backend::External) side.
    pub(super) fn start(device: &Arc<Device>, incoming: Incoming, mark: u64) -> Result<Self> {
        let state = Arc::new(State {
            device: Arc::clone(device),
            incoming,
            mark,
            awaited: Mutex::default(),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&state);
        std::thread::Builder::new()
            .name("warpbridge-vulkan".into())
            .spawn(move || watched.work())
            .map_err(|e| refused(format!("no thread can be started to watch a semaphore of Vulkan: {e}")))?;
        Ok(Self(state))
    }

    /// Expects this value, behind which the mark was queued.
    pub(super) fn expect(&self, value: u64) {
        let mut awaited = self.0.lock();
        if awaited.value.replace(value).is_none() {
            self.0.changed.notify_all();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl State {
    /// Every change is one assignment, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(value) = self.next() {
            if self.has_ended(value) {
                let mut awaited = self.lock();
                if awaited.value == Some(value) {
                    awaited.value = None;
                }
            }
        }
        if let Some(external) = self.device.backend.external() {
            external.mark_free(self.mark);
        }
    }

    /// The value to look at, a period after the last look; `None` once the watch is dropped.
    fn next(&self) -> Option<u64> {
        let is_idle = |awaited: &mut Awaited| awaited.value.is_none() && !awaited.closed;
        let awaited = self.changed.wait_while(self.lock(), is_idle);
        let awaited = awaited.unwrap_or_else(PoisonError::into_inner);
        let later = self
            .changed
            .wait_timeout_while(awaited, PERIOD, |awaited| !awaited.closed);
        let (awaited, _) = later.unwrap_or_else(PoisonError::into_inner);
        if awaited.closed {
            return None;
        }
        awaited.value
    }

    /// Whether a value is signalled; by the host, where the stream never will.
    fn has_ended(&self, value: u64) -> bool {
        let Some(external) = self.device.backend.external() else {
            return true;
        };
        match external.is_reached(self.mark) {
            Ok(reached) => reached,
            Err(_) => {
                // The loss is said by whatever uses the GPU next. A Vulkan device that is gone has no queue that waits.
                let _ = self.incoming.signal_host(value);
                true
            }
        }
    }
}
