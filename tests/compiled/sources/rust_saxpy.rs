// y = a * x + y, and a polynomial whose coefficients come by value, in plain Rust for nvptx64.
// Exercises: what rustc emits without a device library: extern "ptx-kernel", special registers, slices, a bounds
// check that ends in trap, fused multiply-add, a structure passed by value, u64 index arithmetic.

#![no_std]
#![feature(abi_ptx, core_float_math, stdarch_nvptx)]

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _grid_dim_x, _thread_idx_x, trap};
use core::f32::math::mul_add;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { trap() }
}

fn thread_index() -> usize {
    unsafe { _block_idx_x() as usize * _block_dim_x() as usize + _thread_idx_x() as usize }
}

/// # Safety
/// `x` and `y` point to `n` floats each.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn saxpy(a: f32, x: *const f32, y: *mut f32, n: usize) {
    let stride = unsafe { _grid_dim_x() as usize * _block_dim_x() as usize };
    let mut i = thread_index();
    while i < n {
        unsafe { *y.add(i) = mul_add(a, *x.add(i), *y.add(i)) };
        i += stride;
    }
}

/// A polynomial times a scale; only the first `terms` coefficients count.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cubic {
    coefficients: [f64; 4],
    scale: f32,
    terms: u32,
}

/// Evaluates the polynomial at each point of `x`.
///
/// # Safety
/// `x` and `y` point to `n` doubles each; `cubic.terms` above 4 traps.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn polynomial(cubic: Cubic, x: *const f64, y: *mut f64, n: usize) {
    let i = thread_index();
    if i >= n {
        return;
    }
    let point = unsafe { *x.add(i) };
    let mut value = 0.0;
    for term in (0..cubic.terms as usize).rev() {
        let Some(coefficient) = cubic.coefficients.get(term) else {
            unsafe { trap() }
        };
        value = value * point + coefficient;
    }
    unsafe { *y.add(i) = value * f64::from(cubic.scale) };
}
