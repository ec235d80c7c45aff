//! Layer normalisation of the rows of a matrix: y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias,
//! rounded to 8 bits with a scale per row.
//! What is found of a row and what becomes of it is in the runtime's `norms.rs`, how rows are brought and shared out in
//! its `row_kernel.rs`.
//! block: at most 768 threads
//! block *_held: at most 512 threads
//! block *_packed: at most 512 threads
//! block sm_80: at most 640 threads
//! stack layer_norm_quantised_f16_e4m3_held: 24
//! stack layer_norm_quantised_f16_s8_held: 24
//! stack layer_norm_quantised_bf16_e4m3_held: 24
//! stack layer_norm_quantised_bf16_s8_held: 24
//! stack layer_norm_quantised_f16_e4m3_packed: 16
//! stack layer_norm_quantised_f16_s8_packed: 16
//! stack layer_norm_quantised_bf16_e4m3_packed: 24
//! stack layer_norm_quantised_bf16_s8_packed: 24
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 30, vote.sync.all.pred 6, vote.sync.any.pred 2
//! sync layer_norm_quantised_bf16_e4m3_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_bf16_s8_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f16_e4m3_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f16_s8_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f16_e4m3_packed: bar.red.or.pred 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 32, redux.sync.max.u32 1, shfl.sync.bfly.b32 24, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f16_s8_packed: bar.red.or.pred 1, mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 32, redux.sync.max.u32 1, shfl.sync.bfly.b32 24, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_bf16_e4m3_packed: bar.red.or.pred 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 32, redux.sync.max.u32 1, shfl.sync.bfly.b32 24, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_bf16_s8_packed: bar.red.or.pred 1, mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 32, redux.sync.max.u32 1, shfl.sync.bfly.b32 24, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f32_e4m3_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2
//! sync layer_norm_quantised_f32_s8_held: bar.red.or.pred 1, redux.sync.max.u32 1, shfl.sync.bfly.b32 7, vote.sync.all.pred 3, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::norms::LayerNorm;
use warpbridge_runtime::output::Scaled;
use warpbridge_runtime::quantise::{Float8, Int8};
use warpbridge_runtime::row_kernel::{Shape, run_rows};
use warpbridge_runtime::source::One;
use warpbridge_runtime::tile::Affine;

/// An entry per type and frame; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty, $kind:ty, $run:path) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            weight: u64,
            bias: u64,
            scale: u64,
            y: u64,
            scales: u64,
            rows: u32,
            columns: u32,
            eps: f32,
            control: Control,
        ) {
            let kernel = LayerNorm::<$element> {
                eps,
                element: PhantomData,
            };
            $run(
                kernel,
                One(x),
                Affine { weight, bias },
                Scaled::<$kind>::new(y, scales, scale),
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(layer_norm_quantised_f32_e4m3, f32, Float8, run_rows);
entry!(layer_norm_quantised_f32_s8, f32, Int8, run_rows);
entry!(layer_norm_quantised_f16_e4m3, f16, Float8, run_rows);
entry!(layer_norm_quantised_f16_s8, f16, Int8, run_rows);
entry!(layer_norm_quantised_bf16_e4m3, BFloat16, Float8, run_rows);
entry!(layer_norm_quantised_bf16_s8, BFloat16, Int8, run_rows);

/// Of rows that warps can hold in registers.
#[cfg(engine = "bulk")]
mod held {
    use warpbridge_runtime::held_rows::run_held_rows;

    use super::*;

    entry!(layer_norm_quantised_f32_e4m3_held, f32, Float8, run_held_rows);
    entry!(layer_norm_quantised_f32_s8_held, f32, Int8, run_held_rows);
    entry!(layer_norm_quantised_f16_e4m3_held, f16, Float8, run_held_rows);
    entry!(layer_norm_quantised_f16_s8_held, f16, Int8, run_held_rows);
    entry!(layer_norm_quantised_bf16_e4m3_held, BFloat16, Float8, run_held_rows);
    entry!(layer_norm_quantised_bf16_s8_held, BFloat16, Int8, run_held_rows);
}

/// Of 16-bit rows of whole parts of 8 KiB, which warps can hold as they are.
#[cfg(engine = "bulk")]
mod packed {
    use warpbridge_runtime::packed_rows::run_packed_rows;

    use super::*;

    entry!(layer_norm_quantised_f16_e4m3_packed, f16, Float8, run_packed_rows);
    entry!(layer_norm_quantised_f16_s8_packed, f16, Int8, run_packed_rows);
    entry!(layer_norm_quantised_bf16_e4m3_packed, BFloat16, Float8, run_packed_rows);
    entry!(layer_norm_quantised_bf16_s8_packed, BFloat16, Int8, run_packed_rows);
}
