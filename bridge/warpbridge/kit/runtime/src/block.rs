//! The thread block: its place in the grid, and the barrier of all its threads.

use core::arch::nvptx::{_block_idx_x, _grid_dim_x, _syncthreads, _thread_idx_x};

/// This block's number.
#[inline(always)]
pub fn index() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _block_idx_x() as u32 }
}

/// Blocks in the grid.
#[inline(always)]
pub fn count() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _grid_dim_x() as u32 }
}

/// This thread's number in its block.
#[inline(always)]
pub fn thread() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _thread_idx_x() as u32 }
}

/// Waits for all threads of the block. Only before roles part: later there is no place that all of them reach.
#[inline(always)]
pub fn sync() {
    // SAFETY: called by kernels before they branch on the warp's index, hence by every thread.
    unsafe { _syncthreads() }
}
