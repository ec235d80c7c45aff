//! What everything on one device shares: the primary context, the slots of tracked launches, and whether the context is lost.
//!
//! The context is retained on first use and kept until the process ends, like every module and event: stream-ordered
//! launches and captured graphs may need them at any time, and nobody can say when they are done.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::context::Current;
use super::control::{Flag, Flights, Slot};
use super::failure::{self, LaunchName, Suspects};
use super::library::Driver;
use super::recent::Recent;
use super::result::{Checked, Failure};
use super::sys::{Api, Context, DeviceNumber, Event};
use crate::backend::control_block::ControlBlock;
use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::{Error, Result};
use crate::process;

/// Control blocks per allocation: 32 KiB of pinned memory with their flags, and as many events.
const SLAB_BLOCKS: usize = 256;

/// Dropped tickets looked after by each tracked launch: more than one, so that they do not pile up, and few, so that a launch
/// does not pay for a thousand of them.
const REAPED_PER_LAUNCH: usize = 4;

/// A tracked launch that the device may still run.
pub(super) struct InFlight {
    pub(super) plan: Arc<LaunchPlan>,
    pub(super) stream: StreamHandle,
}

impl InFlight {
    fn text(&self) -> String {
        failure::launch_text(&self.plan.text, self.stream)
    }
}

/// How and when the context was lost.
struct Lost {
    failure: Failure,
    /// Serial number and name of what was in flight, oldest first.
    in_flight: Vec<(u64, String)>,
    /// The stream-ordered launches that were queued last, oldest first; some may have ended well before.
    queued: Vec<String>,
}

pub(super) struct DeviceState {
    driver: &'static Driver,
    number: DeviceNumber,
    /// `cuda:0`.
    pub(super) name: String,
    /// `sm_90`.
    pub(super) arch: String,
    context: OnceLock<Context>,
    starting: Mutex<()>,
    flights: Mutex<Flights<InFlight>>,
    /// Events for `stream_order`, each lent out for one call; there are as many as calls at once.
    pub(super) order_events: Mutex<Vec<Event>>,
    /// Made by `stream_new` and not freed yet.
    pub(super) streams: Mutex<Vec<StreamHandle>>,
    lost: OnceLock<Lost>,
    /// Stream-ordered launches, which nobody tracks.
    pub(super) recent: Recent,
}

/// Nothing here is left half-changed by a panic, so a poisoned lock is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DeviceState {
    pub(super) fn new(driver: &'static Driver, number: DeviceNumber, name: String, arch: String) -> Self {
        Self {
            driver,
            number,
            name,
            arch,
            context: OnceLock::new(),
            starting: Mutex::new(()),
            flights: Mutex::default(),
            order_events: Mutex::default(),
            streams: Mutex::default(),
            lost: OnceLock::new(),
            recent: Recent::default(),
        }
    }

    pub(super) fn api(&self) -> &'static Api {
        &self.driver.api
    }

    pub(super) fn driver_version(&self) -> i32 {
        self.driver.version
    }

    pub(super) fn flights(&self) -> MutexGuard<'_, Flights<InFlight>> {
        lock(&self.flights)
    }

    /// The primary context, retained on first use.
    pub(super) fn context(&self) -> Result<Context> {
        if let Some(context) = self.context.get() {
            return Ok(*context);
        }
        self.check_process()?;
        let _one_at_a_time = lock(&self.starting);
        if let Some(context) = self.context.get() {
            return Ok(*context);
        }
        let retained = self.api().retain_primary(self.number);
        let context = retained.map_err(|f| self.error("opening the device", f))?;
        Ok(*self.context.get_or_init(|| context))
    }

    /// Makes the context current for driver calls that may run beside another thread's capture.
    pub(super) fn enter(&self, doing: &str) -> Result<Current<'static>> {
        self.check_process()?;
        self.check_alive(doing)?;
        let context = self.context()?;
        Current::enter_relaxed(self.api(), context).map_err(|f| self.error(doing, f))
    }

    pub(super) fn check_process(&self) -> Result<()> {
        if self.driver.generation == process::generation() {
            return Ok(());
        }
        Err(failure::forked(&self.name, self.driver.process, std::process::id()))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    pub(super) fn check_alive(&self, doing: &str) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(lost) => Err(failure::lost(&self.name, doing, &lost.failure, &lost.suspects(None))),
        }
    }

    /// The error for a failed call that no launch of ours is to blame for.
    pub(super) fn error(&self, doing: &str, failure: Failure) -> Error {
        if let Err(forked) = self.check_process() {
            return forked;
        }
        if failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            return failure::lost(&self.name, doing, &lost.failure, &lost.suspects(None));
        }
        failure::other(&self.name, doing, &failure)
    }

    /// The error that ended a tracked launch.
    pub(super) fn launch_error(&self, serial: u64, launch: &LaunchName, failure: Failure) -> Error {
        if let Err(forked) = self.check_process() {
            return forked;
        }
        if failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            return failure::kernel_fault(&self.name, &lost.failure, launch, &lost.suspects(Some(serial)));
        }
        failure::other(&self.name, &launch.label, &failure)
    }

    /// The error of a stream-ordered launch that was waited for at once.
    pub(super) fn sync_error(&self, launch: &LaunchName, failure: Failure) -> Error {
        if self.check_process().is_ok() && failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            let mut suspects = lost.suspects(None);
            suspects.queued.clear(); // those before it were waited for, too
            return failure::kernel_fault(&self.name, &lost.failure, launch, &suspects);
        }
        self.error(&launch.label, failure)
    }

    /// The error that came out of waiting for a stream.
    pub(super) fn stream_error(&self, stream: StreamHandle, failure: Failure) -> Error {
        if self.check_process().is_ok() && failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            return failure::stream_fault(&self.name, &lost.failure, stream, &lost.suspects(None));
        }
        self.error("waiting for a stream", failure)
    }

    /// Keeps the first failure that lost the context, with what was in flight then.
    fn lose(&self, failure: Failure) -> &Lost {
        self.lost.get_or_init(|| Lost {
            failure,
            in_flight: self
                .flights()
                .launches()
                .map(|(serial, launch)| (serial, launch.text()))
                .collect(),
            queued: self.recent.texts(),
        })
    }

    /// A free slot. The context is current.
    pub(super) fn take_slot(&self) -> Checked<Slot> {
        let free = self.flights().take_at_once();
        match free {
            Some(slot) => Ok(slot),
            None => self.find_slot(),
        }
    }

    /// The same after looking for ended launches, or making more slots: questions and allocations, so in relaxed mode.
    fn find_slot(&self) -> Checked<Slot> {
        let context = self.context.get().copied().unwrap_or_default();
        let _current = Current::enter_relaxed(self.api(), context)?;
        // An event that cannot be queried any more belongs to a lost context: its slot stays taken.
        let mut is_done = |event| self.api().event_done(event).unwrap_or(false);
        let mut flights = self.flights();
        let mut landed = flights.reap(REAPED_PER_LAUNCH, &mut is_done);
        let mut slot = flights.take();
        if slot.is_none() {
            landed.extend(flights.reap(usize::MAX, &mut is_done));
            slot = flights.take();
        }
        if slot.is_none() {
            self.add_slots(&mut flights)?;
            slot = flights.take();
        }
        drop(flights);
        drop(landed); // may unload modules
        Ok(slot.expect("a slab was added"))
    }

    /// Adds a slab of slots: all of it, or as many as the driver makes events for, but at least one.
    fn add_slots(&self, flights: &mut Flights<InFlight>) -> Checked<()> {
        let block_bytes = SLAB_BLOCKS * size_of::<ControlBlock>();
        let (host, address) = self.api().alloc_mapped(block_bytes + SLAB_BLOCKS * size_of::<Flag>())?;
        let blocks = host.cast::<ControlBlock>();
        // SAFETY: the slab has room for the flags behind the blocks, whose size is a multiple of the flags' alignment.
        let flags = unsafe { host.byte_add(block_bytes) }.cast::<Flag>();
        for index in 0..SLAB_BLOCKS {
            let event = match self.api().new_event() {
                Ok(event) => event,
                Err(_) if index > 0 => return Ok(()),
                Err(failure) => {
                    self.api().free_mapped(host);
                    return Err(failure);
                }
            };
            // SAFETY: the slab has room for `SLAB_BLOCKS` blocks.
            let block = unsafe { blocks.add(index) };
            // SAFETY: pinned memory is page-aligned, readable and writable, and is not freed once a slot refers to it; any
            // bytes are a valid `ControlBlock`, and its fields are atomics, so the device may change them.
            let block = unsafe { &*block };
            // SAFETY: as for the blocks.
            let flag = unsafe { flags.add(index) };
            // SAFETY: as for the blocks.
            let flag = unsafe { &*flag };
            let (block_at, flag_at) = (index * size_of::<ControlBlock>(), index * size_of::<Flag>());
            flights.give(Slot {
                block,
                address: address + block_at as u64,
                flag,
                flag_address: address + (block_bytes + flag_at) as u64,
                event,
            });
        }
        Ok(())
    }
}

impl Lost {
    /// Who may be to blame, but for the launch with this serial number.
    fn suspects(&self, but: Option<u64>) -> Suspects {
        let others = self.in_flight.iter().filter(|(serial, _)| Some(*serial) != but);
        Suspects {
            in_flight: others.map(|(_, text)| text.clone()).collect(),
            queued: self.queued.clone(),
        }
    }
}
