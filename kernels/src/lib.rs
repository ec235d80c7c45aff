//! Warp-specialised kernels in async Rust, compiled to PTX by `build.py`.
//!
//! Each module is one kernel with its manifest `<name>.toml` beside this crate; what they stand on is the crate
//! `runtime/`. The build sets two cfgs: `kernel` (one PTX file per kernel) and `engine` (how bytes reach shared memory:
//! `bulk` from sm_90 on, `cp_async` from sm_80 on). Nothing here depends on the host side.
//! Start reading at `scale.rs`, then `runtime/src/lib.rs`.

#![no_std]
// These features are why the build sets RUSTC_BOOTSTRAP; not every kernel uses each.
#![allow(unused_features)]
#![feature(abi_ptx, asm_experimental_arch, core_float_math, f16, stdarch_nvptx)]
#![deny(clippy::undocumented_unsafe_blocks, missing_docs, unsafe_op_in_unsafe_fn)]

#[cfg(kernel = "cross_entropy")]
pub mod cross_entropy;
#[cfg(kernel = "deadlock_demo")]
pub mod deadlock_demo;
#[cfg(kernel = "dequant_matvec")]
pub mod dequant_matvec;
#[cfg(kernel = "fft_frames")]
pub mod fft_frames;
#[cfg(kernel = "fft_power")]
pub mod fft_power;
#[cfg(kernel = "field_to_rgba")]
pub mod field_to_rgba;
#[cfg(kernel = "field_to_rgba_own_range")]
pub mod field_to_rgba_own_range;
#[cfg(kernel = "gather_rows")]
pub mod gather_rows;
#[cfg(kernel = "image_prep")]
pub mod image_prep;
#[cfg(kernel = "image_resize")]
pub mod image_resize;
#[cfg(any(kernel = "image_prep", kernel = "image_resize"))]
mod images;
#[cfg(kernel = "layer_norm")]
pub mod layer_norm;
#[cfg(kernel = "layer_norm_long")]
pub mod layer_norm_long;
#[cfg(kernel = "layer_norm_quantised")]
pub mod layer_norm_quantised;
#[cfg(kernel = "layer_norm_residual")]
pub mod layer_norm_residual;
#[cfg(kernel = "layer_norm_residual_quantised")]
pub mod layer_norm_residual_quantised;
#[cfg(kernel = "rms_norm")]
pub mod rms_norm;
#[cfg(kernel = "rms_norm_long")]
pub mod rms_norm_long;
#[cfg(kernel = "rms_norm_quantised")]
pub mod rms_norm_quantised;
#[cfg(kernel = "rms_norm_quantised_long")]
pub mod rms_norm_quantised_long;
#[cfg(kernel = "rms_norm_residual")]
pub mod rms_norm_residual;
#[cfg(kernel = "rms_norm_residual_quantised")]
pub mod rms_norm_residual_quantised;
#[cfg(kernel = "scale")]
pub mod scale;
#[cfg(kernel = "softmax")]
pub mod softmax;
#[cfg(kernel = "softmax_long")]
pub mod softmax_long;
#[cfg(kernel = "spectral_multiply")]
pub mod spectral_multiply;
#[cfg(kernel = "stencil3d")]
pub mod stencil3d;

warpbridge_runtime::kernel_crate!();
