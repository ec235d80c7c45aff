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
use super::sys::{Api, Context, DeviceNumber, Event, Stream};
use crate::backend::changes::KeptScalars;
use crate::backend::control_block::ControlBlock;
use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::{Error, Result};
use crate::process;

/// Control blocks per allocation: 48 KiB of pinned memory with their flags and what they are at first, 16 KiB of the device's,
/// and as many events.
const SLAB_BLOCKS: usize = 256;

/// Dropped tickets looked after by each tracked launch: more than one, so that they do not pile up, and few, so that a launch
/// does not pay for a thousand of them.
const REAPED_PER_LAUNCH: usize = 4;

/// A launch that the device may still run; its text is written when somebody asks.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) plan: Arc<LaunchPlan>,
    pub(super) scalars: KeptScalars,
    pub(super) stream: StreamHandle,
}

impl InFlight {
    pub(super) fn name(&self) -> LaunchName {
        LaunchName::of(&self.plan, &self.scalars, self.stream)
    }
    pub(super) fn text(&self) -> String {
        self.name().to_string()
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
    /// For what must not wait behind anybody's kernels; made on first use.
    urgent: OnceLock<Stream>,
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
            urgent: OnceLock::new(),
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
    pub(super) fn launch_error(&self, serial: u64, launch: &InFlight, failure: Failure) -> Error {
        if let Err(forked) = self.check_process() {
            return forked;
        }
        if failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            return failure::kernel_fault(&self.name, &lost.failure, &launch.name(), &lost.suspects(Some(serial)));
        }
        failure::other(&self.name, &launch.plan.label, &failure)
    }

    /// The error of a stream-ordered launch that was waited for at once.
    pub(super) fn sync_error(&self, launch: &InFlight, failure: Failure) -> Error {
        if self.check_process().is_ok() && failure::loses_context(failure.code) {
            let lost = self.lose(failure);
            let mut suspects = lost.suspects(None);
            suspects.queued.clear(); // those before it were waited for, too
            return failure::kernel_fault(&self.name, &lost.failure, &launch.name(), &suspects);
        }
        self.error(&launch.plan.label, failure)
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
                .into_iter()
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
        const BYTES: usize = SLAB_BLOCKS * size_of::<ControlBlock>();
        const { assert!(size_of::<Flag>() == size_of::<ControlBlock>() && align_of::<Flag>() == align_of::<ControlBlock>()) };
        let api = self.api();
        let on_device = api.alloc(BYTES)?;
        let (host, address) = api.alloc_mapped(3 * BYTES)?;
        let blocks = host.cast::<ControlBlock>();
        let mut events = Vec::new();
        for index in 0..SLAB_BLOCKS {
            match api.new_event() {
                Ok(event) => events.push(event),
                Err(_) if index > 0 => break,
                Err(failure) => {
                    api.free_mapped(host);
                    return Err(failure);
                }
            }
        }
        for index in 0..events.len() {
            let mirror = address + (index * size_of::<ControlBlock>()) as u64;
            // SAFETY: the slab has room for three times `SLAB_BLOCKS` items of that size; the last third are templates.
            let template = unsafe { blocks.add(2 * SLAB_BLOCKS + index) };
            // SAFETY: as above; nobody else knows of it yet.
            unsafe { template.write(ControlBlock::with_mirror(mirror)) };
        }
        let templates = host as u64 + 2 * BYTES as u64;
        let urgent = self.urgent_stream()?;
        // SAFETY: both ends are ours, and waited for.
        unsafe { api.copy(on_device, templates, BYTES, urgent) }?;
        api.synchronize(urgent)?;
        for (index, event) in events.into_iter().enumerate() {
            // SAFETY: the slab has room for `SLAB_BLOCKS` blocks.
            let block = unsafe { blocks.add(index) };
            // SAFETY: pinned memory is page-aligned, readable and writable, and is not freed once a slot refers to it; any
            // bytes are a valid `ControlBlock`, and its fields are atomics, so the device may change them.
            let block = unsafe { &*block };
            // SAFETY: as for the blocks; the second third are flags.
            let flag = unsafe { blocks.add(SLAB_BLOCKS + index).cast::<Flag>() };
            // SAFETY: as for the blocks.
            let flag = unsafe { &*flag };
            // SAFETY: as for the blocks.
            let fresh = unsafe { blocks.add(2 * SLAB_BLOCKS + index) };
            // SAFETY: as for the blocks.
            let fresh = unsafe { &*fresh };
            let offset = (index * size_of::<ControlBlock>()) as u64;
            flights.add(|number| Slot {
                number,
                block,
                address: address + offset,
                on_device: on_device + offset,
                fresh,
                flag,
                flag_address: address + BYTES as u64 + offset,
                event,
            });
        }
        Ok(())
    }

    fn urgent_stream(&self) -> Checked<Stream> {
        if let Some(stream) = self.urgent.get() {
            return Ok(*stream);
        }
        let made = self.api().new_urgent_stream()?;
        let kept = *self.urgent.get_or_init(|| made);
        if kept != made {
            self.api().destroy_stream(made)?; // two came first
        }
        Ok(kept)
    }

    /// Tells the device's own block of a slot that its kernel is to stop, and waits until it has been told: later the slot may
    /// be another launch's.
    pub(super) fn tell_to_stop(&self, slot: &Slot) {
        let told = || {
            let context = self.context.get().copied().unwrap_or_default();
            let _current = Current::enter_relaxed(self.api(), context)?;
            let urgent = self.urgent_stream()?;
            let word = std::ptr::from_ref(slot.block) as u64; // it begins with the cancel word, which is set
                                                              // SAFETY: both are never freed, and the copy is waited for.
            unsafe { self.api().copy(slot.on_device, word, size_of::<u32>(), urgent) }?;
            self.api().synchronize(urgent)
        };
        // A failure has nobody to go to, and means that the context is lost: the launch ends with that.
        let _ = told();
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
