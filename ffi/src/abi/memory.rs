//! Memory that warpbridge owns.

use std::ffi::c_void;
use std::sync::Arc;

use super::guard::{borrow, free, give, guard, null, put, read_tensor};
use super::types::{wb_memory, wb_tensor};
use crate::backend::StreamHandle;
use crate::device;
use crate::memory::{self, Memory};

/// New memory of a device, aligned to 256 bytes. `pinned` not 0: host memory that the device, a GPU, reaches.
#[no_mangle]
pub unsafe extern "C" fn wb_memory_new(device: u32, bytes: u64, pinned: i32, out: *mut *mut wb_memory) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        let made = Memory::new(device::by_index(device)?, bytes, pinned != 0)?;
        // SAFETY: the module's contract.
        unsafe { give(out, "out", wb_memory(Arc::new(made))) }
    })
}

/// Where it is.
#[no_mangle]
pub unsafe extern "C" fn wb_memory_address(memory: *const wb_memory, address: *mut u64) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let memory = unsafe { borrow(memory, "memory") }?;
        // SAFETY: as above.
        unsafe { put(address, "address", memory.0.address()) }
    })
}

/// Frees a handle; NULL is allowed. The memory is freed with its last handle or exported tensor.
#[no_mangle]
pub unsafe extern "C" fn wb_memory_free(memory: *mut wb_memory) {
    // SAFETY: the module's contract.
    unsafe { free(memory) }
}

/// Makes a DLPack tensor that owns a share of the memory: a DLManagedTensorVersioned (1.3), or with `versioned` 0 a
/// DLManagedTensor. `tensor` lies in that memory; `flags` are DLPack's. Whoever has it calls its deleter once, on any thread.
#[no_mangle]
pub unsafe extern "C" fn wb_memory_export(
    memory: *const wb_memory,
    tensor: *const wb_tensor,
    flags: u64,
    versioned: i32,
    out: *mut *mut c_void,
) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: the module's contract, here and below.
        let memory = unsafe { borrow(memory, "memory") }?;
        // SAFETY: as above.
        let tensor = unsafe { read_tensor(tensor, 0, "tensor") }?;
        let exported = memory::export(&memory.0, &tensor, flags, versioned != 0);
        // SAFETY: as above.
        unsafe { put(out, "out", exported) }
    })
}

/// Copies bytes in the order of a stream of that device, from and to its memory or the host's. Returns when it is done.
#[no_mangle]
pub unsafe extern "C" fn wb_memory_copy(device: u32, to: u64, from: u64, bytes: u64, stream: u64) -> i32 {
    guard(|| memory::copy(device::by_index(device)?, to, from, bytes, StreamHandle(stream)))
}
