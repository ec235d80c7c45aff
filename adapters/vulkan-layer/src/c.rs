//! The layer's own C functions, for programs that load it without warpbridge (`include/warpbridge_layer.h`). They have to
//! come from the very library that the Vulkan loader loads, as its brackets are the ones that count.
//!
//! Safety contract with the caller: pointers are valid for the call, a handle was made here and is not freed yet.
//! Statuses: 0 is ok; else `wb_layer_error` has the text.
#![allow(clippy::missing_safety_doc)]

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void, CString};
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use crate::{bracket, table, HostMemory, Shared};

/// A buffer made in a bracket.
#[allow(non_camel_case_types)]
pub struct wb_layer_buffer(Arc<Shared>);

/// What is known of a buffer.
#[repr(C)]
#[allow(non_camel_case_types, missing_docs)]
pub struct wb_layer_facts {
    pub device_id: u64,
    pub device: u64,
    pub bytes: u64,
    pub allocation_bytes: u64,
    pub uuid: [u8; 16],
}

/// Called when the memory is not used any more.
type Release = Option<unsafe extern "C" fn(user: *mut c_void)>;
/// Queues a signal of the incoming semaphore; 0: done.
type Signal = Option<unsafe extern "C" fn(user: *mut c_void, value: u64) -> c_int>;

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

fn status(result: Result<(), String>) -> c_int {
    let Err(why) = result else { return 0 };
    ERROR.set(CString::new(why).unwrap_or_default());
    1
}

/// What releases imported memory.
struct Owner {
    release: Release,
    user: *mut c_void,
}

// SAFETY: the header says that `release` is called on any thread.
unsafe impl Send for Owner {}
// SAFETY: nothing is done with it but to drop it.
unsafe impl Sync for Owner {}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the caller of `wb_layer_begin_import` gave both, to be called once.
            unsafe { release(self.user) };
        }
    }
}

/// This thread's last error.
#[no_mangle]
pub extern "C" fn wb_layer_error() -> *const c_char {
    ERROR.with_borrow(|text| text.as_ptr())
}

/// How many Vulkan instances use the layer now.
#[no_mangle]
pub extern "C" fn wb_layer_instances() -> u32 {
    table::live_instances() as u32
}

/// See [`crate::begin_export`].
#[no_mangle]
pub extern "C" fn wb_layer_begin_export(bytes: u64) -> c_int {
    status(bracket::begin_export(bytes))
}

/// See [`crate::begin_import`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_begin_import(
    bytes: u64,
    address: *mut c_void,
    host_bytes: u64,
    release: Release,
    user: *mut c_void,
) -> c_int {
    let memory = HostMemory {
        address: address as usize,
        bytes: host_bytes,
        owner: Arc::new(Owner { release, user }),
    };
    status(bracket::begin_import(bytes, memory))
}

/// See [`crate::end`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_end(out: *mut *mut wb_layer_buffer) -> c_int {
    status(bracket::end().map(|shared| {
        let made = Box::into_raw(Box::new(wb_layer_buffer(shared)));
        // SAFETY: the module's contract.
        unsafe { out.write(made) };
    }))
}

/// Frees a handle; NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn wb_layer_buffer_free(buffer: *mut wb_layer_buffer) {
    if !buffer.is_null() {
        // SAFETY: made in `wb_layer_end`, handed back once.
        drop(unsafe { Box::from_raw(buffer) });
    }
}

/// What is known of a buffer.
#[no_mangle]
pub unsafe extern "C" fn wb_layer_buffer_facts(buffer: *const wb_layer_buffer, out: *mut wb_layer_facts) {
    // SAFETY: the module's contract, here and below.
    let shared = unsafe { &(*buffer).0 };
    let facts = wb_layer_facts {
        device_id: shared.device_id,
        device: shared.device_handle,
        bytes: shared.bytes,
        allocation_bytes: shared.allocation_bytes,
        uuid: shared.uuid,
    };
    // SAFETY: as above.
    unsafe { out.write(facts) };
}

/// A new descriptor of exported memory; the caller closes it or gives it away.
#[no_mangle]
pub unsafe extern "C" fn wb_layer_buffer_fd(buffer: *const wb_layer_buffer, out: *mut c_int) -> c_int {
    // SAFETY: the module's contract, here and below.
    let shared = unsafe { &(*buffer).0 };
    let found = shared.fd().ok_or_else(|| "the buffer lives in host memory".to_owned());
    let copied = found.and_then(|fd| fd.try_clone_to_owned().map_err(|e| e.to_string()));
    // SAFETY: as above.
    status(copied.map(|fd| unsafe { out.write(fd.into_raw_fd()) }))
}

/// See [`Shared::signal`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_signal(buffer: *const wb_layer_buffer, value: *mut u64) -> c_int {
    // SAFETY: the module's contract, here and below.
    let signalled = unsafe { &(*buffer).0 }.signal();
    // SAFETY: as above.
    status(signalled.map(|reached| unsafe { value.write(reached) }))
}

/// See [`Shared::wait_host`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_wait_host(
    buffer: *const wb_layer_buffer,
    value: u64,
    limit_ns: u64,
    reached: *mut c_int,
) -> c_int {
    // SAFETY: the module's contract, here and below.
    let waited = unsafe { &(*buffer).0 }.wait_host(value, Duration::from_nanos(limit_ns));
    // SAFETY: as above.
    status(waited.map(|ended| unsafe { reached.write(c_int::from(ended)) }))
}

/// See [`Shared::wait_for`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_wait_for(buffer: *const wb_layer_buffer, signal: Signal, user: *mut c_void) -> c_int {
    let ask = |value| match signal {
        // SAFETY: the caller gave both for this.
        Some(signal) if unsafe { signal(user, value) } == 0 => Ok(()),
        _ => Err("the signal was not queued".to_owned()),
    };
    // SAFETY: the module's contract.
    status(unsafe { &(*buffer).0 }.wait_for(ask))
}

/// See [`Shared::signal_host`].
#[no_mangle]
pub unsafe extern "C" fn wb_layer_signal_host(buffer: *const wb_layer_buffer, value: u64) -> c_int {
    // SAFETY: the module's contract.
    status(unsafe { &(*buffer).0 }.signal_host(value))
}
