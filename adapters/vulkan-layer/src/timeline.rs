//! Our own submissions: empty batches that only signal a timeline semaphore, or only wait for one.
//!
//! Vulkan's submission order makes them cover everything ("Synchronization and Cache Control", semaphore signalling and
//! waiting): a signal's first scope has all that was submitted to the queue earlier, a wait's second scope all that is
//! submitted later. There are two semaphores, as a timeline must never be signalled backwards and the two sides do not wait
//! for each other: `outgoing` is signalled by the queues, `incoming` by others.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ash::vk;

use crate::device::Device;
use crate::fns::need;
use crate::queue::Queue;
use crate::shared::Attachment;

/// Kept below this, so that a wait on the host can be given up.
const SLICE_NS: u64 = 20_000_000;

/// A device's two semaphores, made on first use.
#[derive(Default)]
pub(crate) struct Timeline {
    pair: Mutex<Option<Arc<Pair>>>,
    attachment: Mutex<Option<Attachment>>,
}

struct Pair {
    outgoing: vk::Semaphore,
    incoming: vk::Semaphore,
    /// The last values given out, each locked until what it stands for is submitted.
    outgoing_value: Mutex<u64>,
    incoming_value: Mutex<u64>,
}

/// A semaphore and its value.
type Point = (vk::Semaphore, u64);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Timeline {
    /// See [`crate::Shared::signal`].
    pub(crate) fn signal(&self, device: &Device) -> Result<u64, String> {
        let queues = queues(device)?;
        let pair = self.pair(device)?;
        let mut value = lock(&pair.outgoing_value);
        for queue in &queues {
            let before = (pair.outgoing, *value);
            let after = (pair.outgoing, *value + 1);
            // One queue signals in order; several are chained, so that the last value stands for all of them.
            submit(device, queue, (queues.len() > 1).then_some(before), Some(after))?;
            *value += 1;
        }
        Ok(*value)
    }

    /// See [`crate::Shared::wait_host`].
    pub(crate) fn wait_host(&self, device: &Device, value: u64, limit: Duration) -> Result<bool, String> {
        let point = (self.pair(device)?.outgoing, value);
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let slice = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).min(SLICE_NS);
            if is_reached(device, point, slice)? {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    /// See [`crate::Shared::wait_for`].
    pub(crate) fn wait_for(
        &self,
        device: &Device,
        signal: impl FnOnce(u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let queues = queues(device)?;
        let pair = self.pair(device)?;
        let mut value = lock(&pair.incoming_value);
        signal(*value + 1)?;
        *value += 1;
        let point = (pair.incoming, *value);
        queues
            .iter()
            .try_for_each(|queue| submit(device, queue, Some(point), None))
    }

    /// See [`crate::Shared::signal_host`].
    pub(crate) fn signal_host(&self, device: &Device, value: u64) -> Result<(), String> {
        let semaphore = self.pair(device)?.incoming;
        if is_reached(device, (semaphore, value), 0)? {
            return Ok(()); // a value must not be signalled twice
        }
        let signal = device
            .fns
            .signal_semaphore
            .ok_or("the device has no vkSignalSemaphore")?;
        let info = vk::SemaphoreSignalInfo::default().semaphore(semaphore).value(value);
        // SAFETY: lib.rs; the semaphore lives until the device goes, which `Shared::with` holds up.
        let result = unsafe { signal(device.handle, &raw const info) };
        result
            .result()
            .map_err(|code| format!("vkSignalSemaphore returned {code:?}"))
    }

    /// See [`crate::Shared::attachment`].
    pub(crate) fn attachment(
        &self,
        device: &Device,
        make: impl FnOnce([OwnedFd; 2]) -> Result<Attachment, String>,
    ) -> Result<Attachment, String> {
        let mut attachment = lock(&self.attachment);
        if let Some(found) = &*attachment {
            return Ok(found.clone());
        }
        let new = make(self.fds(device)?)?;
        *attachment = Some(new.clone());
        Ok(new)
    }

    fn fds(&self, device: &Device) -> Result<[OwnedFd; 2], String> {
        device.abilities.timeline_export.clone()?;
        let pair = self.pair(device)?;
        Ok([export(device, pair.outgoing)?, export(device, pair.incoming)?])
    }

    fn pair(&self, device: &Device) -> Result<Arc<Pair>, String> {
        device.abilities.timeline.clone()?;
        let mut pair = lock(&self.pair);
        if let Some(pair) = &*pair {
            return Ok(Arc::clone(pair));
        }
        let outgoing = create(device)?;
        let incoming = create(device).inspect_err(|_| {
            // SAFETY: just made, and used by nobody.
            unsafe { need(device.fns.destroy_semaphore)(device.handle, outgoing, std::ptr::null()) };
        })?;
        let made = Arc::new(Pair {
            outgoing,
            incoming,
            outgoing_value: Mutex::default(),
            incoming_value: Mutex::default(),
        });
        *pair = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Before the device is destroyed, when nothing of it is in use any more.
    pub(crate) fn close(&self, device: &Device) {
        drop(lock(&self.attachment).take());
        if let Some(pair) = lock(&self.pair).take() {
            let destroy = need(device.fns.destroy_semaphore);
            for semaphore in [pair.outgoing, pair.incoming] {
                // SAFETY: lib.rs: whoever destroys a device has waited for its queues.
                unsafe { destroy(device.handle, semaphore, std::ptr::null()) };
            }
        }
    }
}

/// Whether a semaphore reaches its value within so many nanoseconds.
fn is_reached(device: &Device, (semaphore, value): Point, limit_ns: u64) -> Result<bool, String> {
    let wait = device.fns.wait_semaphores.ok_or("the device has no vkWaitSemaphores")?;
    let (semaphores, values) = ([semaphore], [value]);
    let info = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&values);
    // SAFETY: lib.rs; the semaphore lives until the device goes, which `Shared::with` holds up.
    match unsafe { wait(device.handle, &raw const info, limit_ns) } {
        vk::Result::SUCCESS => Ok(true),
        vk::Result::TIMEOUT => Ok(false),
        code => Err(format!("vkWaitSemaphores returned {code:?}")),
    }
}

fn queues(device: &Device) -> Result<Vec<Arc<Queue>>, String> {
    let queues = device.queues.all();
    if queues.is_empty() {
        return Err("the application has taken no queue of the device, expected one".into());
    }
    Ok(queues)
}

fn create(device: &Device) -> Result<vk::Semaphore, String> {
    let mut kind = vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
    let mut export =
        vk::ExportSemaphoreCreateInfo::default().handle_types(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD);
    let mut info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
    if device.abilities.timeline_export.is_ok() {
        info = info.push_next(&mut export);
    }
    let mut semaphore = vk::Semaphore::null();
    // SAFETY: lib.rs; the out-pointer is a local.
    let result = unsafe {
        need(device.fns.create_semaphore)(device.handle, &raw const info, std::ptr::null(), &raw mut semaphore)
    };
    let made = result.result_with_success(semaphore);
    made.map_err(|code| format!("vkCreateSemaphore returned {code:?}"))
}

fn export(device: &Device, semaphore: vk::Semaphore) -> Result<OwnedFd, String> {
    let get = device.fns.semaphore_fd.ok_or("the device has no vkGetSemaphoreFdKHR")?;
    let info = vk::SemaphoreGetFdInfoKHR::default()
        .semaphore(semaphore)
        .handle_type(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD);
    let mut fd = -1;
    // SAFETY: lib.rs; the out-pointer is a local.
    let result = unsafe { get(device.handle, &raw const info, &raw mut fd) };
    result
        .result()
        .map_err(|code| format!("vkGetSemaphoreFdKHR returned {code:?}"))?;
    // SAFETY: Vulkan hands the descriptor over.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An empty batch on a queue.
fn submit(device: &Device, queue: &Queue, wait: Option<Point>, signal: Option<Point>) -> Result<(), String> {
    let split = |point: Option<Point>| -> (Vec<vk::Semaphore>, Vec<u64>) { point.into_iter().unzip() };
    let ((waits, wait_values), (signals, signal_values)) = (split(wait), split(signal));
    let stages = vec![vk::PipelineStageFlags::ALL_COMMANDS; waits.len()];
    let mut values = vk::TimelineSemaphoreSubmitInfo::default()
        .wait_semaphore_values(&wait_values)
        .signal_semaphore_values(&signal_values);
    let batch = vk::SubmitInfo::default()
        .wait_semaphores(&waits)
        .wait_dst_stage_mask(&stages)
        .signal_semaphores(&signals)
        .push_next(&mut values);
    let _turn = queue.turn();
    // SAFETY: lib.rs; the queue's turn is ours.
    let result = unsafe { need(device.fns.queue_submit)(queue.handle, 1, &raw const batch, vk::Fence::null()) };
    result
        .result()
        .map_err(|code| format!("vkQueueSubmit returned {code:?}"))
}
