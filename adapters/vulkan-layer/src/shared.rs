//! A buffer that was made as asked, as its caller sees it. It outlives the buffer and the device; what needs the device says
//! so when it is gone.

use std::any::Any;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::bracket::HostMemory;
use crate::device::Device;
use crate::table::read;

/// What a caller keeps with a device and wants dropped with it.
pub type Attachment = Arc<dyn Any + Send + Sync>;

/// What kind of memory the buffer has.
pub enum Kind {
    /// Device memory; the descriptor stands for all of it (`OPAQUE_FD`, dedicated).
    Export(OwnedFd),
    /// Host memory.
    Import(HostMemory),
}

/// A buffer made in a bracket.
pub struct Shared {
    pub(crate) device: Weak<Device>,
    /// Number of its device in this process.
    pub device_id: u64,
    /// Its `VkDevice`.
    pub device_handle: u64,
    /// Its physical device's UUID.
    pub uuid: [u8; 16],
    /// Its physical device's name.
    pub device_name: String,
    /// The buffer's size in bytes, as the application asked for it.
    pub bytes: u64,
    /// What was allocated or imported, in bytes.
    pub allocation_bytes: u64,
    /// Its memory.
    pub kind: Kind,
}

/// The semaphore of a device that its queues wait for, as who may have to signal it sees it; keeps nothing alive.
pub struct Incoming {
    device: Weak<Device>,
    device_name: String,
}

impl Incoming {
    /// See [`Shared::signal_host`].
    ///
    /// # Errors
    /// As there.
    pub fn signal_host(&self, value: u64) -> Result<(), String> {
        with(&self.device, &self.device_name, |device| {
            device.timeline.signal_host(device, value)
        })
    }
}

/// Calls `work` with a device, which is not destroyed meanwhile.
fn with<R>(device: &Weak<Device>, name: &str, work: impl FnOnce(&Device) -> Result<R, String>) -> Result<R, String> {
    let gone = || format!("the Vulkan device ({name}) was destroyed");
    let device = device.upgrade().ok_or_else(gone)?;
    let alive = read(&device.alive);
    if *alive {
        work(&device)
    } else {
        Err(gone())
    }
}

impl Shared {
    /// The descriptor of exported memory.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        match &self.kind {
            Kind::Export(fd) => Some(fd.as_fd()),
            Kind::Import(_) => None,
        }
    }

    fn with<R>(&self, work: impl FnOnce(&Device) -> Result<R, String>) -> Result<R, String> {
        with(&self.device, &self.device_name, work)
    }

    /// The device's incoming semaphore, for who watches whether it is signalled.
    #[must_use]
    pub fn incoming(&self) -> Incoming {
        Incoming {
            device: Weak::clone(&self.device),
            device_name: self.device_name.clone(),
        }
    }

    /// Makes the device's queues signal a value of its outgoing semaphore behind all that was submitted to them so far.
    ///
    /// # Errors
    /// The device has no timeline semaphores, is gone, or refuses.
    pub fn signal(&self) -> Result<u64, String> {
        self.with(|device| device.timeline.signal(device))
    }

    /// Waits on the host until the outgoing semaphore has reached a value; false when the limit has passed.
    ///
    /// # Errors
    /// As [`Shared::signal`].
    pub fn wait_host(&self, value: u64, limit: Duration) -> Result<bool, String> {
        self.with(|device| device.timeline.wait_host(device, value, limit))
    }

    /// Calls `signal` with the next value of the incoming semaphore, of which it must queue a signal behind that of the value
    /// before; then makes the device's queues wait for it before all that is submitted to them later.
    ///
    /// # Errors
    /// As [`Shared::signal`], or those of `signal`.
    pub fn wait_for(&self, signal: impl FnOnce(u64) -> Result<(), String>) -> Result<(), String> {
        self.with(|device| device.timeline.wait_for(device, signal))
    }

    /// Signals a value of the incoming semaphore from the host, which `wait_for` has asked for and nobody else signals any
    /// more; one that is reached already is left alone.
    ///
    /// # Errors
    /// As [`Shared::signal`].
    pub fn signal_host(&self, value: u64) -> Result<(), String> {
        self.with(|device| device.timeline.signal_host(device, value))
    }

    /// What is attached to the device until it goes; `make` makes it the first time, from new descriptors of the outgoing and
    /// of the incoming semaphore (`OPAQUE_FD`, timeline).
    ///
    /// # Errors
    /// The device cannot export them or is gone, or those of `make`.
    pub fn attachment(
        &self,
        make: impl FnOnce([OwnedFd; 2]) -> Result<Attachment, String>,
    ) -> Result<Attachment, String> {
        self.with(|device| device.timeline.attachment(device, make))
    }

    /// Waits on the host until all that was submitted to the device so far is done.
    ///
    /// # Errors
    /// The device is gone or lost.
    pub fn wait_idle(&self) -> Result<(), String> {
        self.with(|device| device.queues.wait_idle(device))
    }
}
