//! Memory and timeline semaphores that a Vulkan device exported, as this device sees them, and marks behind work (events).
//!
//! A descriptor is taken over by the driver when an import succeeds; else it is closed here. Whether both APIs mean the same
//! GPU is the caller's to check (`vulkan/`), as only it knows Vulkan's UUID.

use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};

use super::device::CudaDevice;
use super::state::{lock, DeviceState};
use super::sys::{Event, ExternalMemory, ExternalSemaphore, Stream};
use crate::backend::{External, Mapped, StreamHandle};
use crate::error::Result;

const IMPORTING: &str = "importing memory of Vulkan";
const FREEING: &str = "freeing memory of Vulkan";
const ORDERING: &str = "ordering a stream with Vulkan";

impl External for CudaDevice {
    fn map(&self, fd: OwnedFd, bytes: u64) -> Result<Mapped> {
        let state = self.state();
        let _current = state.enter(IMPORTING)?;
        let api = state.api();
        let memory = api
            .import_memory(fd.as_raw_fd(), bytes)
            .map_err(|f| state.error(IMPORTING, f))?;
        let _taken_over = fd.into_raw_fd();
        match api.map_external_memory(memory, bytes) {
            Ok(address) => Ok(Mapped {
                address,
                handle: memory.0 as u64,
            }),
            Err(failure) => {
                // The failure above is the one to report.
                let _ = api.destroy_external_memory(memory);
                Err(state.error(IMPORTING, failure))
            }
        }
    }

    fn unmap(&self, mapped: Mapped) -> Result<()> {
        let state = self.state();
        let _current = state.enter(FREEING)?;
        // SAFETY: `map` returned it, and `External::unmap` is called once.
        let freed = unsafe { state.api().free(mapped.address) };
        let destroyed = state
            .api()
            .destroy_external_memory(ExternalMemory(mapped.handle as usize));
        freed.and(destroyed).map_err(|f| state.error(FREEING, f))
    }

    fn semaphore(&self, fd: OwnedFd) -> Result<u64> {
        let state = self.state();
        let _current = state.enter(ORDERING)?;
        let semaphore = state
            .api()
            .import_semaphore(fd.as_raw_fd())
            .map_err(|f| state.error(ORDERING, f))?;
        let _taken_over = fd.into_raw_fd();
        Ok(semaphore.0 as u64)
    }

    fn semaphore_free(&self, semaphore: u64) -> Result<()> {
        on(self.state(), |state| {
            state
                .api()
                .destroy_external_semaphore(ExternalSemaphore(semaphore as usize))
        })
    }

    fn signal(&self, semaphore: u64, value: u64, stream: StreamHandle) -> Result<()> {
        on(self.state(), |state| {
            let stream = Stream(stream.0 as usize);
            state.api().signal(ExternalSemaphore(semaphore as usize), value, stream)
        })
    }

    fn wait(&self, semaphore: u64, value: u64, stream: StreamHandle) -> Result<()> {
        on(self.state(), |state| {
            let stream = Stream(stream.0 as usize);
            state
                .api()
                .wait_for_semaphore(ExternalSemaphore(semaphore as usize), value, stream)
        })
    }

    fn mark_new(&self) -> Result<u64> {
        on(self.state(), |state| {
            let pooled = lock(&state.order_events).pop();
            pooled.map_or_else(|| state.api().new_event(), Ok)
        })
        .map(|event| event.0 as u64)
    }

    fn mark_free(&self, mark: u64) {
        lock(&self.state().order_events).push(Event(mark as usize));
    }

    fn mark(&self, mark: u64, stream: StreamHandle) -> Result<()> {
        on(self.state(), |state| {
            state.api().record(Event(mark as usize), Stream(stream.0 as usize))
        })
    }

    fn is_reached(&self, mark: u64) -> Result<bool> {
        let asked = on(self.state(), |state| state.api().event_done(Event(mark as usize)));
        if asked.is_err() && !self.state().is_lost() {
            return Ok(false); // the question failed, not the work: somebody else must not signal in its place
        }
        asked
    }
}

/// A call in the device's context.
fn on<T>(state: &DeviceState, call: impl FnOnce(&DeviceState) -> super::result::Checked<T>) -> Result<T> {
    let _current = state.enter(ORDERING)?;
    call(state).map_err(|f| state.error(ORDERING, f))
}
