//! Buffers of Vulkan that kernels share.

use std::ffi::c_char;
use std::sync::Arc;

use super::guard::{borrow, free, give, guard, null, put, put_json};
use super::pending::limit;
use super::types::{wb_memory, wb_vulkan_buffer};
use crate::backend::StreamHandle;
use crate::device;
use crate::vulkan::{self, Done};

/// What the Vulkan layer knows, as JSON: live (a Vulkan instance uses it), instances, and for each device its id, name, uuid,
/// what it can (export, import, timeline, timeline_export) and why not.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_json(json: *mut *const c_char) -> i32 {
    // SAFETY: the module's contract.
    guard(|| unsafe { put_json(json, "json", &vulkan::report()) })
}

/// New host memory that a Vulkan buffer of `bytes` can live in: whole pages with room for padding. `pinned` not 0: memory
/// that the device, a GPU, reaches; else the device is the CPU device.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_memory_new(device: u32, bytes: u64, pinned: i32, out: *mut *mut wb_memory) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        let made = vulkan::host_memory(device::by_index(device)?, bytes, pinned != 0)?;
        // SAFETY: the module's contract.
        unsafe { give(out, "out", wb_memory(Arc::new(made))) }
    })
}

/// Opens a bracket on this thread: the next Vulkan buffer of `bytes` that it makes gets exportable memory of its own.
#[no_mangle]
pub extern "C" fn wb_vulkan_begin_export(bytes: u64) -> i32 {
    guard(|| vulkan::begin_export(bytes))
}

/// The same: the buffer lives in host memory, which is kept until Vulkan has destroyed the buffer.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_begin_import(bytes: u64, memory: *const wb_memory) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let memory = unsafe { borrow(memory, "memory") }?;
        vulkan::begin_import(bytes, &memory.0)
    })
}

/// Closes this thread's bracket, also when it fails: then no buffer was made so, the text says why, and a buffer that was
/// made meanwhile is an ordinary one.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_end(out: *mut *mut wb_vulkan_buffer) -> i32 {
    guard(|| {
        let ended = vulkan::end()?;
        // SAFETY: the module's contract.
        unsafe { give(out, "out", wb_vulkan_buffer(ended)) }
    })
}

/// What is known of the buffer, as JSON: its device's id, VkDevice, name and uuid; bytes; allocation_bytes; kind.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_buffer_json(buffer: *const wb_vulkan_buffer, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let buffer = unsafe { borrow(buffer, "buffer") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &buffer.0.describe()) }
    })
}

/// Frees a handle; NULL is allowed. Vulkan's buffer and memory got from it stay.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_buffer_free(buffer: *mut wb_vulkan_buffer) {
    // SAFETY: the module's contract.
    unsafe { free(buffer) }
}

/// The buffer's bytes as memory of a device: the same GPU for exported memory, any for imported host memory. They stay when
/// Vulkan destroys the buffer.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_buffer_memory(
    buffer: *const wb_vulkan_buffer,
    device: u32,
    out: *mut *mut wb_memory,
) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the module's contract, here and below.
        let buffer = unsafe { borrow(buffer, "buffer") }?;
        let memory = buffer.0.memory(device)?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_memory(memory)) }
    })
}

/// Orders what is queued on the stream later behind what was submitted to the buffer's Vulkan device so far. *how = 0: not
/// within `limit_s`; 1: the host waited; 2: a timeline semaphore does it, and nobody waited.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_to_stream(
    buffer: *const wb_vulkan_buffer,
    device: u32,
    stream: u64,
    limit_s: f64,
    how: *mut i32,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let buffer = unsafe { borrow(buffer, "buffer") }?;
        let done = buffer.0.to_stream(device, StreamHandle(stream), limit(limit_s))?;
        // SAFETY: as above.
        unsafe { put(how, "how", number(done)) }
    })
}

/// Orders what is submitted to the buffer's Vulkan device later behind what is queued on the stream so far. *how as above.
#[no_mangle]
pub unsafe extern "C" fn wb_vulkan_from_stream(
    buffer: *const wb_vulkan_buffer,
    device: u32,
    stream: u64,
    limit_s: f64,
    how: *mut i32,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let buffer = unsafe { borrow(buffer, "buffer") }?;
        let done = buffer.0.from_stream(device, StreamHandle(stream), limit(limit_s))?;
        // SAFETY: as above.
        unsafe { put(how, "how", number(done)) }
    })
}

fn number(done: Done) -> i32 {
    match done {
        Done::NotYet => 0,
        Done::ByHost => 1,
        Done::BySemaphore => 2,
    }
}
