//! The thread block: its place in the grid, and the barrier of all its threads.

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _grid_dim_x, _syncthreads, _thread_idx_x};

unsafe extern "unadjusted" {
    #[link_name = "llvm.nvvm.barrier.cta.red.or.aligned.all"]
    fn barrier_red_or(number: i32, value: bool) -> bool;
}

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

/// Threads in the block.
#[inline(always)]
pub fn threads() -> u32 {
    // SAFETY: reads a special register.
    unsafe { _block_dim_x() as u32 }
}

/// Waits for all threads of the block. Only before roles part: later there is no place that all of them reach.
#[inline(always)]
pub fn sync() {
    // SAFETY: called by kernels before they branch on the warp's index, hence by every thread.
    unsafe { _syncthreads() }
}

/// As [`sync`]; whether `value` holds in some thread of the block.
#[inline(always)]
pub fn sync_any(value: bool) -> bool {
    const ALL_THREADS: i32 = 0; // the number of the barrier that is all threads'
    // SAFETY: as in `sync`.
    unsafe { barrier_red_or(ALL_THREADS, value) }
}
