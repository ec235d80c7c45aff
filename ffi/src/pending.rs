//! A tracked launch as callers see it: waiting, cancelling, its deadline, and how it ended.
//!
//! Whoever looks first settles the outcome: a waiting thread or the dispatcher (`dispatch.rs`). The backend's
//! [`Ticket`] says only what the device saw; that an early end means "timeout" or "cancelled" is decided here.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::changes::KeptScalars;
use crate::backend::{Ending, StreamHandle, Ticket};
use crate::bound::Bound;
use crate::dispatch;
use crate::error::{Error, Kind, Result};
use crate::manifest::DETAILS;

/// How long a kernel that was asked to stop may take before its timeout is reported without it.
const GRACE: Duration = Duration::from_millis(500);

const ASKED_NOT: u8 = 0;
const ASKED_BY_CANCEL: u8 = 1;
const ASKED_BY_DEADLINE: u8 = 2;

/// A tracked launch.
pub struct Pending {
    bound: Arc<Bound>,
    /// What it had in place of the bound call's numbers.
    scalars: KeptScalars,
    /// `None`: there was nothing to do.
    ticket: Option<Arc<dyn Ticket>>,
    stream: StreamHandle,
    started: Instant,
    deadline: Option<Instant>,
    /// Who asked the kernel to stop first.
    asked: AtomicU8,
    /// When the deadline's request was made.
    stop_asked_at: Mutex<Option<Instant>>,
    /// The most that was said of the share done, as the number's bits.
    shown: AtomicU64,
    outcome: OnceLock<Result<()>>,
}

impl Pending {
    /// A launch that was just queued.
    #[must_use]
    pub fn new(
        bound: Arc<Bound>,
        ticket: Option<Arc<dyn Ticket>>,
        stream: StreamHandle,
        started: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            bound,
            scalars: KeptScalars::default(),
            ticket,
            stream,
            started,
            deadline,
            asked: AtomicU8::new(ASKED_NOT),
            stop_asked_at: Mutex::new(None),
            shown: AtomicU64::new(0),
            outcome: OnceLock::new(),
        }
    }

    /// The same with other numbers than the bound call's.
    #[must_use]
    pub fn with(self, scalars: KeptScalars) -> Self {
        Self { scalars, ..self }
    }

    fn arguments(&self) -> String {
        let plan = self.bound.plan.as_ref();
        plan.map_or_else(
            || self.bound.arguments.clone(),
            |plan| plan.arguments_with(&self.scalars),
        )
    }

    /// The stream and the device that it was queued on.
    #[must_use]
    pub fn queue_key(&self) -> (u32, StreamHandle) {
        (self.bound.device.index, self.stream)
    }

    /// Calls `waker` at the end, if the device can do that; false: poll.
    pub fn on_end(&self, waker: Box<dyn FnOnce() + Send>) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| ticket.on_end(waker))
    }

    /// Whether the outcome is known. Enforces the deadline; never blocks.
    pub fn poll(&self) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let Some(ticket) = &self.ticket else {
            return self.outcome.get_or_init(|| Ok(())).is_ok();
        };
        if let Some(ending) = ticket.ending() {
            self.outcome.get_or_init(|| self.judge(ending));
            return true;
        }
        let now = Instant::now();
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        let mut asked_at = self.stop_asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = *asked_at else {
            *asked_at = Some(now);
            drop(asked_at);
            self.ask(ASKED_BY_DEADLINE, ticket);
            return false;
        };
        if now < at + GRACE {
            return false;
        }
        self.outcome.get_or_init(|| Err(self.timed_out(true)));
        true
    }

    /// When `poll` next has something to do although the kernel has not ended.
    #[must_use]
    pub fn next_event(&self) -> Option<Instant> {
        if self.outcome.get().is_some() {
            return None;
        }
        let asked_at = *self.stop_asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        asked_at.map(|at| at + GRACE).or(self.deadline)
    }

    /// Waits at most `limit`; true when the outcome is known.
    pub fn wait(&self, limit: Duration) -> bool {
        let until = Instant::now().checked_add(limit);
        loop {
            if self.poll() {
                return true;
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return false;
            }
            let event = [until, self.next_event()].into_iter().flatten().min();
            let slice = event.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(now));
            if let Some(ticket) = &self.ticket {
                ticket.wait(slice);
            }
        }
    }

    /// The outcome, once known.
    #[must_use]
    pub fn outcome(&self) -> Option<&Result<()>> {
        self.outcome.get()
    }

    /// Whether it ended ahead of what was queued before it: by timeout or cancellation.
    #[must_use]
    pub fn ended_early(&self) -> bool {
        matches!(self.outcome.get(), Some(Err(e)) if matches!(e.kind, Kind::Timeout | Kind::Cancelled))
    }

    /// Share done in [0, 1]; never less than it was. Thread blocks say how far they are, and what one says may come after what
    /// a later one has said.
    #[must_use]
    pub fn progress(&self) -> f64 {
        match (&self.ticket, self.outcome.get()) {
            (None, _) | (_, Some(Ok(()))) => 1.0,
            (Some(ticket), _) => {
                // Bits of numbers that are not negative are in the order of the numbers.
                let share = ticket.progress().to_bits();
                f64::from_bits(self.shown.fetch_max(share, Ordering::Relaxed).max(share))
            }
        }
    }

    /// Asks the kernel to stop.
    pub fn cancel(&self) {
        if let (Some(ticket), None) = (&self.ticket, self.outcome.get()) {
            self.ask(ASKED_BY_CANCEL, ticket);
            dispatch::expect_end();
        }
    }

    fn ask(&self, who: u8, ticket: &Arc<dyn Ticket>) {
        // The first reason stands: a cancelled launch that also runs out of time was cancelled.
        let _ = self
            .asked
            .compare_exchange(ASKED_NOT, who, Ordering::AcqRel, Ordering::Acquire);
        ticket.request_stop();
    }

    fn judge(&self, ending: Ending) -> Result<()> {
        match ending {
            Ending::Finished => Ok(()),
            Ending::Stopped if self.asked.load(Ordering::Acquire) == ASKED_BY_CANCEL => {
                let text = format!("{}: cancelled after {}, as asked", self.place(), self.age());
                Err(self.fields(Error::new(Kind::Cancelled, text)))
            }
            Ending::Stopped => Err(self.timed_out(false)),
            Ending::Reported { code, detail } => Err(self.reported(code, detail)),
            Ending::Failed(error) => Err(self.fields(error)),
        }
    }

    fn timed_out(&self, still_running: bool) -> Error {
        let limit = self
            .deadline
            .map_or(0.0, |d| d.saturating_duration_since(self.started).as_secs_f64());
        let end = if still_running {
            "the kernel did not stop when asked: it stays on the device, and its arrays stay in use, until it ends"
        } else {
            "the kernel was stopped; raise timeout if it needs longer"
        };
        let text = format!(
            "{}: not finished after {}, expected at most {limit:.3} s; {end}; its arguments were {}",
            self.place(),
            self.age(),
            self.arguments()
        );
        self.fields(Error::new(Kind::Timeout, text))
            .with("timeout_s", limit)
            .with("still_running", still_running)
    }

    fn reported(&self, code: u32, detail: [i64; 2]) -> Error {
        let message = match self.bound.faults.iter().find(|(known, _)| *known == code) {
            Some((_, text)) => DETAILS.iter().zip(detail).fold(text.clone(), |text, (name, number)| {
                text.replace(&format!("{{{name}}}"), &number.to_string())
            }),
            None => format!(
                "the kernel reported fault {code} with details {} and {}",
                detail[0], detail[1]
            ),
        };
        let error = Error::new(Kind::KernelFault, format!("{}: {message}", self.bound.label));
        self.fields(error)
            .with("code", code)
            .with("detail", vec![detail[0], detail[1]])
    }

    fn place(&self) -> String {
        format!(
            "{} on {}, stream {}",
            self.bound.label,
            self.bound.device.name(),
            self.stream.0
        )
    }

    fn age(&self) -> String {
        format!("{:.3} s", self.started.elapsed().as_secs_f64())
    }

    fn fields(&self, error: Error) -> Error {
        error
            .with("kernel", self.bound.label.as_str())
            .with("device", self.bound.device.name())
            .with("stream", self.stream.0)
            .with("arguments", self.arguments())
            .with("age_s", self.started.elapsed().as_secs_f64())
    }
}
