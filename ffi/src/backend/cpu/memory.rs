//! Host memory that warpbridge owns itself, aligned as a GPU's allocator would align it; whole pages begin at a page, so that
//! Vulkan can import them.

use std::alloc::{alloc, dealloc, Layout};

use crate::error::{Error, Kind, Result};
use crate::process::page_bytes;

/// What `cuMemAlloc` gives: code that vectorises by it runs here too.
const ALIGN: usize = 256;

fn layout(bytes: u64) -> Option<Layout> {
    let page_bytes = page_bytes();
    let align = if bytes != 0 && bytes.is_multiple_of(page_bytes) {
        usize::try_from(page_bytes).ok()?
    } else {
        ALIGN
    };
    Layout::from_size_align(usize::try_from(bytes.max(1)).ok()?, align).ok()
}

pub fn allocate(bytes: u64, pinned: bool) -> Result<u64> {
    if pinned {
        let text = "cpu: pinned memory belongs to a CUDA device, expected pinned memory to be asked of one";
        return Err(Error::new(Kind::Device, text));
    }
    let none = || {
        Error::new(
            Kind::Device,
            format!("cpu: {bytes} bytes of memory cannot be allocated"),
        )
    };
    let layout = layout(bytes).ok_or_else(none)?;
    // SAFETY: the layout's size is not zero.
    let address = unsafe { alloc(layout) };
    if address.is_null() {
        return Err(none());
    }
    Ok(address as u64)
}

pub fn free(address: u64, bytes: u64) {
    if let Some(layout) = layout(bytes) {
        // SAFETY: `Backend::memory_free` is called once, with the address that `allocate` returned for this size.
        unsafe { dealloc(address as *mut u8, layout) };
    }
}

pub fn copy(to: u64, from: u64, bytes: u64) {
    let Ok(bytes) = usize::try_from(bytes) else { return };
    if bytes != 0 {
        // SAFETY: the caller's arrays hold `bytes` at both addresses; they may overlap.
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
    }
}

pub fn zero(address: u64, bytes: u64) {
    let Ok(bytes) = usize::try_from(bytes) else { return };
    if bytes != 0 {
        // SAFETY: an array of a launch, which its caller keeps until the launch has ended.
        unsafe { std::ptr::write_bytes(address as *mut u8, 0, bytes) };
    }
}
