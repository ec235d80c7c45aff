//! The device runtime: what an async kernel needs and CUDA's headers would otherwise give.
//!
//! A kernel starts one role per group of warps and hands each role's future to [`run`]. Roles meet in a [`Ring`]: the
//! [`Loader`] fills stages of shared memory by asynchronous copies, [`Reader`]s use them up. Every wait is an await, so
//! the executor can stop a role between polls when the host says so in the [`Control`] block.
//!
//! Rule of the house: a role is a whole warp, and whatever decides its way (a poll, a cancel) is voted on by its 32 lanes,
//! so that lanes never part. Convergent operations are LLVM intrinsics, never `asm!`, which LLVM may duplicate
//! (`asm!` is not convergent on nvptx).
//!
//! Everything here is generic or `#[inline(always)]`: a kernel's crate takes it in as MIR, and no function of this crate
//! is ever called or linked. Built for `nvptx64-nvidia-cuda` only, with one cfg: `engine`.

#![no_std]
#![feature(
    abi_unadjusted,
    asm_experimental_arch,
    core_float_math,
    f16,
    link_llvm_intrinsics,
    stdarch_nvptx,
    stmt_expr_attributes
)]
// The features are why the build sets RUSTC_BOOTSTRAP; `link_llvm_intrinsics` warns by default.
#![allow(internal_features)]
#![allow(unused, dead_code)]
#![deny(clippy::undocumented_unsafe_blocks, missing_docs, unsafe_op_in_unsafe_fn)]

pub mod block;
pub mod columns;
pub mod control;
pub mod desk;
pub mod element;
pub mod executor;
pub mod exponential;
pub mod global;
pub mod held_course;
pub mod held_moments;
pub mod held_part;
pub mod held_row;
pub mod held_rows;
pub mod lanes;
pub mod long_rows;
pub mod matrix;
pub mod mbarrier;
pub mod norms;
pub mod output;
pub mod packed_part;
pub mod packed_row;
pub mod packed_rows;
pub mod quantise;
pub mod ring;
pub mod row;
pub mod row_kernel;
pub mod rows;
pub mod scaled;
pub mod shared;
pub mod short_rows;
pub mod softmax;
pub mod source;
pub mod team;
pub mod tile;
pub mod tiles;
pub mod turns;
pub mod warp;

#[cfg(engine = "bulk")]
pub mod bulk;
#[cfg(engine = "bulk")]
pub use bulk as engine;
#[cfg(engine = "cp_async")]
pub mod cp_async;
#[cfg(engine = "bulk")]
pub mod storer;
#[cfg(engine = "cp_async")]
pub use cp_async as engine;

pub use control::Control;
pub use executor::run;
pub use matrix::Matrix;
pub use ring::{Loader, LoaderInTurn, Reader, Ring, Stage};
pub use rows::{Array, EvenRows, Interior, Rows, Windows};
#[cfg(engine = "bulk")]
pub use storer::Storer;
pub use team::Team;
pub use tiles::{Batch, Stripe};

/// What every kernel's crate has once, at its top: the symbol of dynamic shared memory ([`shared`]), and a panic handler,
/// which ends the launch with an error if the gates have let a panic through. Both belong to the crate that is compiled to PTX.
#[macro_export]
macro_rules! kernel_crate {
    () => {
        core::arch::global_asm!(".extern .shared .align 128 .b8 warpbridge_shared[];");

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            // SAFETY: ends the launch with an error; touches nothing.
            unsafe { core::arch::asm!("trap;", options(noreturn)) }
        }
    };
}

/// The larger of a value and another's magnitude; NaN if one is. The machine takes the magnitude on the way; what Rust makes of `abs` is
/// an instruction of its own.
#[inline(always)]
pub fn magnitude_of(a: f32, b: f32) -> f32 {
    let larger: f32;
    // SAFETY: arithmetic.
    unsafe {
        core::arch::asm!("{{ .reg .f32 m; abs.f32 m, {}; max.NaN.f32 {}, {}, m; }}", in(reg32) b, out(reg32) larger, in(reg32) a,
                         options(pure, nomem, nostack))
    };
    larger
}

/// The same number, of which the compiler knows nothing: what is computed from it is computed where it is needed, instead of
/// being kept in a register from before a role's loops.
#[inline(always)]
pub fn anew(number: u32) -> u32 {
    let same: u32;
    // SAFETY: arithmetic. Not `pure`, or it could be moved out of loops.
    unsafe { core::arch::asm!("mov.b32 {}, {};", out(reg32) same, in(reg32) number, options(nomem, nostack)) };
    same
}

/// `a * b + c`, rounded once.
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    core::f32::math::mul_add(a, b, c)
}

/// Quotient and remainder; 0 and `a` for a division by zero, which must not become a panic.
#[inline(always)]
pub fn divide(a: u32, b: u32) -> (u32, u32) {
    let quotient = a.checked_div(b).unwrap_or(0);
    (quotient, a - quotient * b)
}

/// `1 / sqrt(x)`: the hardware's approximation and a Newton step, off by one unit in the last place at most; 0 for infinity.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    let near: f32;
    // SAFETY: arithmetic.
    unsafe {
        core::arch::asm!("rsqrt.approx.f32 {}, {};", out(reg32) near, in(reg32) x, options(pure, nomem, nostack))
    };
    let better = fma(fma(-x * near, near, 1.0), 0.5 * near, near);
    // At 0 and infinity the approximation is exact, and the step is NaN.
    if better.is_nan() { near } else { better }
}

/// `1 / x`: the hardware's approximation and a Newton step, which is the nearest number but where that is subnormal.
#[inline(always)]
pub fn reciprocal(x: f32) -> f32 {
    let near: f32;
    // SAFETY: arithmetic.
    unsafe { core::arch::asm!("rcp.approx.f32 {}, {};", out(reg32) near, in(reg32) x, options(pure, nomem, nostack)) };
    let better = fma(fma(-x, near, 1.0), near, near);
    // At 0 and infinity the approximation is exact, and the step is NaN.
    if better.is_nan() { near } else { better }
}

/// The larger of two values; NaN if one is (`f32::maximum` becomes a chain of branches here).
#[inline(always)]
pub fn maximum_of(a: f32, b: f32) -> f32 {
    let larger: f32;
    // SAFETY: arithmetic.
    unsafe {
        core::arch::asm!("max.NaN.f32 {}, {}, {};", out(reg32) larger, in(reg32) a, in(reg32) b,
                         options(pure, nomem, nostack))
    };
    larger
}
