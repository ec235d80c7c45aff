//! Zeroed memory with the alignment of a shared memory bank line; pages come from the system lazily.

use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout};

/// See the module.
#[derive(Debug)]
pub(crate) struct Block {
    start: *mut u8,
    bytes: usize,
}

/// Alignment of every block.
pub(crate) const ALIGN: usize = 1024;

// SAFETY: a block is plain memory that it alone owns; who may touch which byte when is decided by its users.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` gives only the address.
unsafe impl Sync for Block {}

impl Block {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1).next_multiple_of(ALIGN);
        let Ok(layout) = Layout::from_size_align(bytes, ALIGN) else {
            panic!("{bytes} bytes do not fit the address space");
        };
        // SAFETY: the layout has a size of at least one.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Self { start, bytes }
    }

    /// No memory.
    pub(crate) const fn none() -> Self {
        Self {
            start: std::ptr::without_provenance_mut(ALIGN),
            bytes: 0,
        }
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes themselves.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the block's memory is initialised (zeroed) and as long as `bytes`; without memory that is 0.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    /// A larger block that begins with the same bytes.
    pub(crate) fn grown(&self, bytes: usize) -> Self {
        let block = Self::new(bytes.max(self.bytes));
        // SAFETY: both blocks have at least `self.bytes` and are different memory.
        unsafe { std::ptr::copy_nonoverlapping(self.start, block.start, self.bytes) };
        block
    }

    /// Writes zeros over the first `bytes`.
    pub(crate) fn clear(&mut self, bytes: usize) {
        // SAFETY: the range is inside the block, and `&mut self` means that nobody else uses it now.
        unsafe { self.start.write_bytes(0, bytes.min(self.bytes)) };
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let Ok(layout) = Layout::from_size_align(self.bytes, ALIGN) else {
            return;
        };
        // SAFETY: `start` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.start, layout) };
    }
}
