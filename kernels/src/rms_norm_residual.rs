//! Root-mean-square normalisation of the rows of a sum, which is written too: z = x + residual,
//! y = z / sqrt(mean(z^2) + eps) * weight.
//! What is found of a row and what becomes of it is in the runtime's `norms.rs`, how rows are brought and shared out in
//! its `row_kernel.rs`.
//! block: at most 1024 threads
//! stack rms_norm_residual_bf16: 8
//! block sm_80: at most 640 threads
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 10, vote.sync.all.pred 5, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::norms::RmsNorm;
use warpbridge_runtime::output::{Plain, WithRows};
use warpbridge_runtime::row_kernel::{Shape, run_rows};
use warpbridge_runtime::source::Two;
use warpbridge_runtime::tile::Affine;

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            residual: u64,
            weight: u64,
            y: u64,
            sum: u64,
            rows: u32,
            columns: u32,
            eps: f32,
            control: Control,
        ) {
            let kernel = RmsNorm::<$element> {
                eps,
                element: PhantomData,
            };
            let affine = Affine { weight, bias: 0 };
            let output = WithRows {
                output: Plain(y),
                rows: sum,
            };
            run_rows(
                kernel,
                Two(x, residual),
                affine,
                output,
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(rms_norm_residual_f32, f32);
entry!(rms_norm_residual_f16, f16);
entry!(rms_norm_residual_bf16, BFloat16);
