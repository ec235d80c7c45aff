// A block reduction in plain Rust: partial sums in shared memory, halved behind barriers; the last block adds them up.
// Exercises: shared memory declared by global_asm, barriers as LLVM intrinsics, core atomics in global memory,
// a fence, 64-bit floating point, generic addresses made from shared ones.

#![no_std]
#![feature(abi_ptx, stdarch_nvptx, link_llvm_intrinsics, asm_experimental_arch)]
#![allow(internal_features)]

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _grid_dim_x, _thread_idx_x, trap};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, Ordering, fence};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { trap() }
}

global_asm!(".extern .shared .align 16 .b8 dynamic_shared[];");

unsafe extern "C" {
    #[link_name = "llvm.nvvm.barrier.cta.sync.aligned.all"]
    safe fn barrier(id: i32);
}

/// The block's dynamic shared memory, as a generic pointer.
fn shared() -> *mut f64 {
    let address: u64;
    unsafe {
        asm!(
            "{{ .reg .u64 s; mov.u64 s, dynamic_shared; cvta.shared.u64 {out}, s; }}",
            out = out(reg64) address,
            options(pure, nomem, nostack),
        );
    }
    address as *mut f64
}

/// Sums this block's values; the result is valid in thread 0. The block has a power of two of threads.
unsafe fn block_sum(value: f64) -> f64 {
    let (thread, sums) = unsafe { (_thread_idx_x() as usize, shared()) };
    unsafe { sums.add(thread).write_volatile(value) };
    barrier(0);
    let mut half = unsafe { _block_dim_x() as usize } / 2;
    while half > 0 {
        if thread < half {
            unsafe { sums.add(thread).write_volatile(sums.add(thread).read_volatile() + sums.add(thread + half).read_volatile()) };
        }
        barrier(0);
        half /= 2;
    }
    unsafe { sums.read_volatile() }
}

/// # Safety
/// `x` points to `n` doubles, `partial` to one double per block, `done` to a zero, `total` to one double.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn sum_of_squares(x: *const f64, partial: *mut f64, done: *const AtomicU32, total: *mut f64, n: u32) {
    let (thread, block, blocks) = unsafe { (_thread_idx_x(), _block_idx_x(), _grid_dim_x()) };
    let threads = unsafe { _block_dim_x() };
    let mut sum = 0.0;
    let mut i = block * threads + thread;
    while i < n {
        let value = unsafe { *x.add(i as usize) };
        sum += value * value;
        i += blocks * threads;
    }
    sum = unsafe { block_sum(sum) };

    // The block that draws the last ticket sees every other block's partial sum: release before, acquire after.
    let flag = unsafe { shared().add(threads as usize) };
    if thread == 0 {
        unsafe { partial.add(block as usize).write_volatile(sum) };
        fence(Ordering::Release);
        let ticket = unsafe { (*done).fetch_add(1, Ordering::Relaxed) };
        fence(Ordering::Acquire);
        unsafe { flag.write_volatile(if ticket + 1 == blocks { 1.0 } else { 0.0 }) };
    }
    barrier(0);
    if unsafe { flag.read_volatile() } == 0.0 {
        return;
    }
    let mine = if thread < blocks { unsafe { partial.add(thread as usize).read_volatile() } } else { 0.0 };
    let sum = unsafe { block_sum(mine) };
    if thread == 0 {
        unsafe { *total = sum };
    }
}
