//! The dispatcher: one thread, started with the first launch that wants to be reported, that tells the host about ends.
//!
//! Never inside a driver callback: CUDA calls are illegal there and it deadlocks with the GIL (numba-cuda#317). The
//! thread polls [`Pending::poll`]; a device that can wake it (the CPU device) does, for others it spins briefly and then
//! sleeps, for longer the longer nothing has happened. Order is kept per stream; only timeouts and cancellations overtake, because what they
//! would wait for may never end.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{faults_at_once, StreamHandle};
use crate::error::Result;
use crate::pending::Pending;
use crate::process::{Lazy, PerProcess};

/// What to do at the end of a launch; called exactly once, on the dispatcher thread.
pub type Report = Box<dyn FnOnce(&Result<()>) + Send>;

/// How long to poll without sleeping after something has happened: about what a short kernel takes.
const SPIN: Duration = Duration::from_micros(50);
/// The same where cores are plenty: to wake a sleeping thread takes up to 0.2 ms there (H200's host). CUDA's own waits decide
/// likewise.
const LONG_SPIN: Duration = Duration::from_millis(4);
const PLENTY_OF_CORES: usize = 8;
/// Between polls later: this share of the time since something happened, so that an end is seen late by a thousandth of
/// the kernel's time, between these limits. The shorter one costs a few hundredths of a core while a launch is under way.
const SLEEP_SHARE: u32 = 1000;
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

struct Entry {
    pending: Arc<Pending>,
    report: Report,
    /// Whether its device wakes the dispatcher at its end.
    wakes: bool,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Entry>,
    woken: bool,
    has_worker: bool,
}

#[derive(Default)]
struct Dispatcher {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

/// How long a thread that waits for the end of a launch polls before it sleeps.
pub fn spin_limit() -> Duration {
    static LIMIT: Lazy<Duration> = Lazy::new();
    *LIMIT.get_or_init(|| match std::thread::available_parallelism() {
        Ok(cores) if cores.get() >= PLENTY_OF_CORES => LONG_SPIN,
        _ => SPIN,
    })
}

static DISPATCHER: PerProcess<Arc<Dispatcher>> = PerProcess::new();

/// Polls often again: a launch was asked to stop.
pub fn expect_end() {
    DISPATCHER.get(|_| Arc::default()).wake();
}

/// Reports the end of a launch to `report`.
pub fn watch(pending: Arc<Pending>, report: Report) {
    if faults_at_once() {
        pending.wait(Duration::MAX);
    }
    let dispatcher = DISPATCHER.get(|_| Arc::default());
    let waker = Arc::clone(dispatcher);
    let wakes = pending.on_end(Box::new(move || waker.wake()));
    let mut inbox = dispatcher.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    if !std::mem::replace(&mut inbox.has_worker, true) {
        let worker = Arc::clone(dispatcher);
        let thread = std::thread::Builder::new().name("warpbridge-dispatch".into());
        // Without threads there is no way to report anything: like an allocation, this failure is fatal.
        thread.spawn(move || worker.run()).expect("a thread for the dispatcher");
    }
    inbox.entries.push(Entry { pending, report, wakes });
    inbox.woken = true;
    drop(inbox);
    dispatcher.changed.notify_one();
}

impl Dispatcher {
    fn wake(&self) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_one();
    }

    fn run(&self) {
        sleep_exactly();
        let mut streams: HashMap<(u32, StreamHandle), VecDeque<Entry>> = HashMap::new();
        let mut last_event = Instant::now();
        loop {
            let (new, woken) = self.receive(&streams, last_event);
            if woken {
                last_event = Instant::now();
            }
            for entry in new {
                streams.entry(entry.pending.queue_key()).or_default().push_back(entry);
            }
            let ended: Vec<Entry> = streams.values_mut().flat_map(take_ended).collect();
            if ended.is_empty() {
                continue;
            }
            streams.retain(|_, queue| !queue.is_empty());
            for Entry { pending, report, .. } in ended {
                if let Some(outcome) = pending.outcome() {
                    report(outcome);
                }
            }
            last_event = Instant::now();
        }
    }

    /// Waits for something to do; returns what is new, and whether anybody has woken this thread.
    fn receive(
        &self,
        streams: &HashMap<(u32, StreamHandle), VecDeque<Entry>>,
        last_event: Instant,
    ) -> (Vec<Entry>, bool) {
        let waiting = || streams.values().flatten();
        let must_poll = waiting().any(|entry| !entry.wakes);
        let event = waiting().filter_map(|entry| entry.pending.next_event()).min();
        let quiet = last_event.elapsed();
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if must_poll && quiet < spin_limit() {
            let woken = std::mem::take(&mut inbox.woken);
            let new = std::mem::take(&mut inbox.entries);
            drop(inbox);
            std::hint::spin_loop();
            return (new, woken);
        }
        let sleep = (quiet / SLEEP_SHARE).clamp(SHORTEST_SLEEP, LONGEST_SLEEP);
        while !inbox.woken {
            let until_event = event.map(|at| at.saturating_duration_since(Instant::now()));
            let limit = [until_event, must_poll.then_some(sleep)].into_iter().flatten().min();
            inbox = match limit {
                None => self.changed.wait(inbox).unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    inbox = self
                        .changed
                        .wait_timeout(inbox, limit)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    break;
                }
            };
        }
        let woken = std::mem::take(&mut inbox.woken);
        (std::mem::take(&mut inbox.entries), woken)
    }
}

/// Lets this thread's sleeps end when they should: Linux lets them last 50 us longer unless asked.
fn sleep_exactly() {
    #[cfg(target_os = "linux")]
    {
        const PR_SET_TIMERSLACK: i32 = 29;
        extern "C" {
            fn prctl(option: i32, ...) -> i32;
        }
        // SAFETY: sets a number of the calling thread; a failure leaves the sleeps a little longer.
        let _ = unsafe { prctl(PR_SET_TIMERSLACK, 1_u64) };
    }
}

/// Removes what may be reported now: ended launches from the front, timed-out and cancelled ones from anywhere.
fn take_ended(queue: &mut VecDeque<Entry>) -> Vec<Entry> {
    let mut ended = Vec::new();
    while queue.front().is_some_and(|entry| entry.pending.poll()) {
        ended.extend(queue.pop_front());
    }
    let mut index = 1;
    while index < queue.len() {
        if queue[index].pending.poll() && queue[index].pending.ended_early() {
            ended.extend(queue.remove(index));
        } else {
            index += 1;
        }
    }
    ended
}
