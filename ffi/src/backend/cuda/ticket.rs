//! A tracked launch after it was queued: has it ended, and how.
//!
//! The ending is found once, by whoever polls first; at that moment the slot goes back to the pool, and from then on the
//! control block may belong to another launch, so nothing here touches it any more. A deadline is not enforced here: the
//! dispatcher calls `request_stop`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::context::Current;
use super::control::Slot;
use super::failure::LaunchName;
use super::result::Failure;
use super::state::{lock, DeviceState};
use super::wait::{poll_until, spin_until};
use crate::backend::{Ending, Ticket};

pub(super) struct CudaTicket {
    state: Arc<DeviceState>,
    serial: u64,
    slot: Slot,
    launch: LaunchName,
    /// `None` while it runs, and only then may `slot` be used.
    ending: Mutex<Option<Ending>>,
}

impl CudaTicket {
    pub(super) fn new(state: Arc<DeviceState>, serial: u64, slot: Slot, launch: LaunchName) -> Self {
        Self {
            state,
            serial,
            slot,
            launch,
            ending: Mutex::new(None),
        }
    }

    /// Asks the driver, unless the ending is known.
    fn settle(&self, ending: &mut Option<Ending>) {
        if ending.is_some() {
            return;
        }
        match self.query() {
            Ok(false) => {}
            Ok(true) => {
                *ending = Some(self.slot.block.ending());
                let landed = self.state.flights().land(self.serial);
                drop(landed); // the lock is free again
            }
            // The flight stays in the books: the device may still write to its control block.
            Err(failure) => {
                *ending = Some(Ending::Failed(self.state.launch_error(
                    self.serial,
                    &self.launch,
                    failure,
                )));
            }
        }
    }

    fn query(&self) -> Result<bool, Failure> {
        if self.slot.flag.is_set() {
            return Ok(true);
        }
        let api = self.state.api();
        let context = self.state.context().ok();
        let _current = context.map(|c| Current::enter_relaxed(api, c)).transpose()?;
        api.event_done(self.slot.event)
    }
}

impl Ticket for CudaTicket {
    fn is_done(&self) -> bool {
        let mut ending = lock(&self.ending);
        self.settle(&mut ending);
        ending.is_some()
    }

    fn wait(&self, limit: Duration) -> bool {
        // While the slot is another launch's, because somebody else saw this one's end, the flag says nothing wrong: it only
        // ends the spinning.
        if spin_until(limit, || self.slot.flag.is_set()) && self.is_done() {
            return true;
        }
        poll_until(limit, || self.is_done().then_some(())).is_some()
    }

    fn request_stop(&self) {
        let ending = lock(&self.ending);
        if ending.is_none() {
            self.slot.block.request_stop();
        }
    }

    fn progress(&self) -> f64 {
        let mut ending = lock(&self.ending);
        self.settle(&mut ending);
        match *ending {
            None => self.slot.block.progress(),
            Some(_) => 1.0,
        }
    }

    fn ending(&self) -> Option<Ending> {
        let mut ending = lock(&self.ending);
        self.settle(&mut ending);
        ending.clone()
    }
}

impl Drop for CudaTicket {
    fn drop(&mut self) {
        // A fork of the process has no launches, and the locks may be held by threads that it has not.
        if self.state.check_process().is_ok() && lock(&self.ending).is_none() {
            self.state.flights().orphan(self.serial);
        }
    }
}
