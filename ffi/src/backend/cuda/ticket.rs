//! A tracked launch after it was queued: has it ended, and how.
//!
//! The ending is found once, by whoever polls first; at that moment the slot goes back to the pool, and from then on the
//! control block may belong to another launch, so nothing here touches it any more. A deadline is not enforced here: the
//! dispatcher calls `request_stop`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::Current;
use super::control::Slot;
use super::result::Failure;
use super::state::{lock, DeviceState, InFlight};
use super::wait::{poll_until, spin_until};
use crate::backend::{Ending, Ticket};

/// How often the driver is asked about a launch whose end the stream will report: behind a fault nothing is reported. Each
/// question takes the driver's locks, which other threads launch under.
const ASK_EVERY: Duration = Duration::from_micros(500);

pub(super) struct CudaTicket {
    state: Arc<DeviceState>,
    serial: u64,
    slot: Slot,
    launch: InFlight,
    ends: Ends,
    progress: Mutex<Progress>,
}

/// How a launch's end is seen and brought about.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Whether the stream sets the slot's flag at the end.
    pub(super) reports: bool,
    /// Whether the kernel looks at the block in the device's memory.
    pub(super) control_on_device: bool,
}

struct Progress {
    /// `None` while it runs, and only then may `slot` be used.
    ending: Option<Ending>,
    /// When the driver was asked last.
    asked: Instant,
}

impl CudaTicket {
    pub(super) fn new(state: Arc<DeviceState>, serial: u64, slot: Slot, launch: InFlight, ends: Ends) -> Self {
        Self {
            state,
            serial,
            slot,
            launch,
            ends,
            progress: Mutex::new(Progress {
                ending: None,
                asked: Instant::now(),
            }),
        }
    }

    /// Looks, unless the ending is known.
    fn settle(&self, progress: &mut Progress) {
        if progress.ending.is_some() {
            return;
        }
        match self.look(&mut progress.asked) {
            Ok(false) => {}
            Ok(true) => {
                progress.ending = Some(self.slot.block.ending());
                let landed = self.state.flights().land(&self.slot, self.serial);
                drop(landed); // the lock is free again
            }
            // The flight stays in the books: the device may still write to its control block.
            Err(failure) => {
                let error = self.state.launch_error(self.serial, &self.launch, failure);
                progress.ending = Some(Ending::Failed(error));
            }
        }
    }

    /// Whether the launch has ended: by the flag, and now and then by asking the driver.
    fn look(&self, asked: &mut Instant) -> Result<bool, Failure> {
        if self.slot.flag.is_set() {
            return Ok(true);
        }
        if self.ends.reports && asked.elapsed() < ASK_EVERY {
            return Ok(false);
        }
        *asked = Instant::now();
        let api = self.state.api();
        let context = self.state.context().ok();
        let _current = context.map(|c| Current::enter_relaxed(api, c)).transpose()?;
        api.event_done(self.slot.event)
    }
}

impl Ticket for CudaTicket {
    fn is_done(&self) -> bool {
        let mut progress = lock(&self.progress);
        self.settle(&mut progress);
        progress.ending.is_some()
    }

    fn wait(&self, limit: Duration) -> bool {
        // A flag that is set says so also where the slot is another launch's by now, because somebody else saw this one's end.
        if spin_until(limit, || self.slot.flag.is_set()) {
            return true;
        }
        poll_until(limit, || self.is_done().then_some(())).is_some()
    }

    fn request_stop(&self) {
        let progress = lock(&self.progress);
        if progress.ending.is_none() && self.slot.block.request_stop() && self.ends.control_on_device {
            self.state.tell_to_stop(&self.slot);
        }
    }

    fn progress(&self) -> f64 {
        let mut progress = lock(&self.progress);
        self.settle(&mut progress);
        match progress.ending {
            None => self.slot.block.progress(),
            Some(_) => 1.0,
        }
    }

    fn ending(&self) -> Option<Ending> {
        let mut progress = lock(&self.progress);
        self.settle(&mut progress);
        progress.ending.clone()
    }
}

impl Drop for CudaTicket {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A fork of the process has no launches, and the lock of the flights may be held by a thread that it has not.
        if progress.ending.is_none() && self.state.check_process().is_ok() {
            self.state.flights().orphan(&self.slot, self.serial);
        }
    }
}
