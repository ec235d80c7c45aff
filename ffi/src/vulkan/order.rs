//! Ordering a buffer's Vulkan device against a stream, in both directions: by timeline semaphores where CUDA and Vulkan are on
//! the same GPU and both have them, else by waiting on the host. `watch.rs` signals what a lost context cannot.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::watch::Watch;
use super::{refused, Buffer};
use crate::backend::{External, StreamHandle};
use crate::device::{self, Device};
use crate::error::{Error, Kind, Result};

/// How an order was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was not: the limit passed first.
    NotYet,
    /// The host waited.
    ByHost,
    /// A semaphore does; nobody waited.
    BySemaphore,
}

/// The Vulkan device's semaphores, opened in CUDA; dropped with the Vulkan device.
struct Semaphores {
    device: Arc<Device>,
    outgoing: u64,
    incoming: u64,
    /// The stream that signalled last. A timeline must not go backwards, so another one waits for that signal first.
    last: Mutex<Option<StreamHandle>>,
    /// Behind the last signal.
    mark: u64,
    watch: Watch,
}

impl Drop for Semaphores {
    fn drop(&mut self) {
        if let Some(external) = self.device.backend.external() {
            for semaphore in [self.outgoing, self.incoming] {
                // A failure has nobody to go to.
                let _ = external.semaphore_free(semaphore);
            }
        }
    }
}

impl Buffer {
    /// Orders what is queued on `stream` later behind everything that was submitted to the Vulkan device so far.
    pub fn to_stream(&self, index: u32, stream: StreamHandle, limit: Duration) -> Result<Done> {
        let device = device::by_index(index)?;
        refuse_capture(device, stream)?;
        if let Some((external, semaphores)) = self.semaphores(device)? {
            let value = self.shared.signal().map_err(refused)?;
            external.wait(semaphores.outgoing, value, stream)?;
            return Ok(Done::BySemaphore);
        }
        if !self.has(|found| found.timeline.is_ok()) {
            self.shared.wait_idle().map_err(refused)?;
            return Ok(Done::ByHost);
        }
        let value = self.shared.signal().map_err(refused)?;
        let ended = self.shared.wait_host(value, limit).map_err(refused)?;
        Ok(if ended { Done::ByHost } else { Done::NotYet })
    }

    /// Orders everything that is submitted to the Vulkan device later behind what is queued on `stream` so far.
    pub fn from_stream(&self, index: u32, stream: StreamHandle, limit: Duration) -> Result<Done> {
        let device = device::by_index(index)?;
        refuse_capture(device, stream)?;
        if let Some((external, semaphores)) = self.semaphores(device)? {
            self.by_semaphore(external, &semaphores, stream)?;
            return Ok(Done::BySemaphore);
        }
        let start = Instant::now();
        let ended = device
            .backend
            .stream_wait(stream, limit.saturating_sub(start.elapsed()))?;
        Ok(if ended { Done::ByHost } else { Done::NotYet })
    }

    /// Makes Vulkan's queues wait for a value that the stream signals, or the host once the stream cannot.
    fn by_semaphore(&self, external: &dyn External, semaphores: &Semaphores, stream: StreamHandle) -> Result<()> {
        let mut last = semaphores.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        let signal = |value| {
            let others = last.is_some_and(|other| other != stream);
            let ready = if others {
                external.wait(semaphores.incoming, value - 1, stream)
            } else {
                Ok(())
            };
            ready
                .and_then(|()| external.signal(semaphores.incoming, value, stream))
                .inspect(|()| {
                    // A mark that cannot be queued belongs to a lost context: that is what the watch finds.
                    let _ = external.mark(semaphores.mark, stream);
                    semaphores.watch.expect(value);
                })
                .map_err(|error| {
                    let text = error.message.clone();
                    failure = Some(error);
                    text
                })
        };
        let ordered = self.shared.wait_for(signal);
        if let Some(error) = failure {
            return Err(error);
        }
        *last = Some(stream);
        ordered.map_err(refused)
    }

    /// The semaphores in CUDA; `None` where the host has to wait instead.
    fn semaphores<'a>(&self, device: &'a Arc<Device>) -> Result<Option<(&'a dyn External, Arc<Semaphores>)>> {
        let Ok(external) = self.same_gpu(device) else {
            return Ok(None);
        };
        if !self.has(|found| found.timeline_export.is_ok()) {
            return Ok(None);
        }
        let mut failure = None;
        let attached = self.shared.attachment(|fds| {
            open(device, external, fds, self.shared.incoming()).map_err(|error| {
                let text = error.message.clone();
                failure = Some(error);
                text
            })
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let attached = attached.map_err(refused)?.downcast::<Semaphores>();
        Ok(attached.ok().map(|semaphores| (external, semaphores)))
    }

    fn has(&self, ability: impl Fn(&vulkan_layer::DeviceReport) -> bool) -> bool {
        let id = self.shared.device_id;
        vulkan_layer::devices()
            .iter()
            .any(|found| found.id == id && ability(found))
    }
}

fn open(
    device: &Arc<Device>,
    external: &dyn External,
    [outgoing, incoming]: [std::os::fd::OwnedFd; 2],
    watched: vulkan_layer::Incoming,
) -> Result<vulkan_layer::Attachment> {
    let outgoing = external.semaphore(outgoing)?;
    let free_outgoing = |_: &Error| {
        // The failure is the one to report.
        let _ = external.semaphore_free(outgoing);
    };
    let incoming = external.semaphore(incoming).inspect_err(free_outgoing)?;
    let free_both = |error: &Error| {
        let _ = external.semaphore_free(incoming);
        free_outgoing(error);
    };
    let mark = external.mark_new().inspect_err(free_both)?;
    let watch = Watch::start(device, watched, mark).inspect_err(free_both)?;
    Ok(Arc::new(Semaphores {
        device: Arc::clone(device),
        outgoing,
        incoming,
        last: Mutex::new(None),
        mark,
        watch,
    }))
}

fn refuse_capture(device: &Device, stream: StreamHandle) -> Result<()> {
    if !device.backend.is_capturing(stream)? {
        return Ok(());
    }
    let text = format!(
        "ordering a stream of {} with Vulkan: it is being captured into a graph, expected it not to be; a graph would \
         repeat one value of a semaphore",
        device.name()
    );
    Err(Error::new(Kind::Launch, text))
}
