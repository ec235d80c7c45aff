//! Intercepted queue calls. A queue is "externally synchronised": the application guards its own calls, and cannot know of
//! ours. So every call that takes a queue takes a mutex of that queue here, and `timeline.rs` submits under the same one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ash::vk;

use crate::device::{device_of, Device};
use crate::fns::need;
use crate::table::{read, write};

/// A queue that the application has taken.
pub(crate) struct Queue {
    pub(crate) handle: vk::Queue,
    turn: Mutex<()>,
}

impl Queue {
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queues that the application has taken, in that order.
#[derive(Default)]
pub(crate) struct Queues(RwLock<Vec<Arc<Queue>>>);

impl Queues {
    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        read(&self.0).clone()
    }

    fn add(&self, handle: vk::Queue) {
        let mut queues = write(&self.0);
        if handle != vk::Queue::null() && queues.iter().all(|queue| queue.handle != handle) {
            let turn = Mutex::new(());
            queues.push(Arc::new(Queue { handle, turn }));
        }
    }

    fn of(&self, handle: vk::Queue) -> Option<Arc<Queue>> {
        read(&self.0).iter().find(|queue| queue.handle == handle).cloned()
    }

    /// Waits for what was submitted so far.
    pub(crate) fn wait_idle(&self, device: &Device) -> Result<(), String> {
        for queue in self.all() {
            let _turn = queue.turn();
            // SAFETY: lib.rs; the queue's turn is ours.
            let result = unsafe { need(device.fns.queue_wait_idle)(queue.handle) };
            result
                .result()
                .map_err(|code| format!("vkQueueWaitIdle returned {code:?}"))?;
        }
        Ok(())
    }
}

/// `vkGetDeviceQueue`.
pub(crate) unsafe extern "system" fn get_queue(handle: vk::Device, family: u32, index: u32, out: *mut vk::Queue) {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above.
    unsafe { need(device.fns.get_queue)(handle, family, index, out) };
    // SAFETY: as above; it was written.
    device.queues.add(unsafe { *out });
}

/// `vkGetDeviceQueue2`.
pub(crate) unsafe extern "system" fn get_queue2(
    handle: vk::Device,
    info: *const vk::DeviceQueueInfo2<'_>,
    out: *mut vk::Queue,
) {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above.
    unsafe { need(device.fns.get_queue2)(handle, info, out) };
    // SAFETY: as above; it was written.
    device.queues.add(unsafe { *out });
}

/// Declares calls that pass through while the queue's turn is held.
macro_rules! in_turn {
    ($($(#[$doc:meta])* $name:ident = $field:ident ( $($argument:ident: $type:ty),* );)*) => { $(
        $(#[$doc])*
        pub(crate) unsafe extern "system" fn $name(queue: vk::Queue $(, $argument: $type)*) -> vk::Result {
            // SAFETY: lib.rs, here and below; a queue has its device's key.
            let device = unsafe { device_of(queue) };
            let known = device.queues.of(queue);
            let _turn = known.as_ref().map(|queue| queue.turn());
            // SAFETY: as above.
            unsafe { need(device.fns.$field)(queue $(, $argument)*) }
        }
    )* };
}

in_turn! {
    /// `vkQueueSubmit`.
    submit = queue_submit(count: u32, batches: *const vk::SubmitInfo<'_>, fence: vk::Fence);
    /// `vkQueueSubmit2`, `vkQueueSubmit2KHR`.
    submit2 = queue_submit2(count: u32, batches: *const vk::SubmitInfo2<'_>, fence: vk::Fence);
    /// `vkQueueBindSparse`.
    bind_sparse = queue_bind_sparse(count: u32, batches: *const vk::BindSparseInfo<'_>, fence: vk::Fence);
    /// `vkQueuePresentKHR`.
    present = queue_present(info: *const vk::PresentInfoKHR<'_>);
    /// `vkQueueWaitIdle`.
    wait_idle = queue_wait_idle();
}

/// `vkDeviceWaitIdle`: stands for a wait on every queue.
pub(crate) unsafe extern "system" fn device_wait_idle(handle: vk::Device) -> vk::Result {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    let queues = device.queues.all();
    let _turns: Vec<_> = queues.iter().map(|queue| queue.turn()).collect();
    // SAFETY: as above.
    unsafe { need(device.fns.device_wait_idle)(handle) }
}
