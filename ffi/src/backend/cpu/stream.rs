//! A stream of the CPU device: a queue of jobs and one worker thread that runs them in order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault;
use super::ticket::{self, Tracked};
use crate::backend::{CpuSettings, LaunchPlan, StreamHandle};
use crate::error::{Error, Kind, Result};

/// Something to do in order.
pub enum Job {
    /// A launch that somebody watches.
    Tracked(Arc<Tracked>),
    /// A stream-ordered launch; its error is kept for the next wait.
    Untracked(Arc<LaunchPlan>, StreamHandle, CpuSettings),
    /// Go on when another stream has done so many jobs.
    WaitFor(Mark),
    /// The stream was freed.
    End,
}

/// A point in a stream's order.
pub struct Mark {
    stream: Arc<Stream>,
    jobs: u64,
}

/// The queue and its worker.
pub struct Stream {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    pushed: u64,
    done: u64,
    error: Option<Error>,
    has_worker: bool,
    name: String,
}

impl Stream {
    /// An idle stream; its thread starts with its first job.
    pub fn start(name: &str) -> Arc<Self> {
        let state = State {
            name: format!("warpbridge-cpu-{name}"),
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Queues a job.
    pub fn push(self: &Arc<Self>, job: Job) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.has_worker {
            let worker = Arc::clone(self);
            let thread = std::thread::Builder::new().name(state.name.clone());
            let no_thread = |e| Error::new(Kind::Device, format!("cpu: no thread for a stream: {e}"));
            thread.spawn(move || worker.work()).map_err(no_thread)?;
            state.has_worker = true;
        }
        state.jobs.push_back(job);
        state.pushed += 1;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The end of what is queued now.
    pub fn tail(self: &Arc<Self>) -> Mark {
        let jobs = self.state.lock().unwrap_or_else(PoisonError::into_inner).pushed;
        Mark {
            stream: Arc::clone(self),
            jobs,
        }
    }

    /// Jobs ever queued, and those done; in order, so the first ones are.
    pub fn position(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.pushed, state.done)
    }

    /// Waits at most `limit` for everything queued; an untracked launch's error comes out here, once.
    pub fn wait(&self, limit: Duration) -> Result<bool> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (goal, until) = (state.pushed, Instant::now().checked_add(limit));
        while state.done < goal {
            let left = until.map_or(Duration::from_secs(3600), |u| {
                u.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Ok(false);
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.error.take().map_or(Ok(true), Err)
    }

    fn work(&self) {
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let job = loop {
                match state.jobs.pop_front() {
                    Some(job) => break job,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            let is_end = matches!(job, Job::End);
            let error = run(job);
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.done += 1;
            if state.error.is_none() {
                state.error = error;
            }
            drop(state);
            self.changed.notify_all();
            if is_end {
                return;
            }
        }
    }
}

/// Runs a job; the error of an untracked launch comes back.
fn run(job: Job) -> Option<Error> {
    match job {
        Job::Tracked(tracked) => {
            tracked.run();
            None
        }
        Job::Untracked(plan, stream, settings) => {
            let stop = emulator::Stop::new(None);
            let end = ticket::execute(&plan, &plan.params, None, settings, &stop, None);
            end.err().map(|fault| fault::error(&plan, stream, &fault))
        }
        Job::WaitFor(Mark { stream, jobs }) => {
            let mut state = stream.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.done < jobs {
                state = stream.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            None
        }
        Job::End => None,
    }
}
