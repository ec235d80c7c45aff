//! Root-mean-square normalisation of the rows of a matrix: y = x / sqrt(mean(x^2) + eps) * weight.
//! What is found of a row and what becomes of it is in the runtime's `norms.rs`, how rows are brought and shared out in
//! its `row_kernel.rs`, short ones in its `short_rows.rs`.
//! block *_f32: at most 1024 threads
//! block *f16: at most 1024 threads
//! block *_wide: at most 512 threads
//! block sm_80 *_wide: at most 384 threads
//! block sm_80 *_f32: at most 640 threads
//! block sm_80 *f16: at most 640 threads
//! blocks sm_90 *_f16_short: at least 10 per multiprocessor
//! blocks sm_90 *_bf16_short: at least 9 per multiprocessor
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 10, vote.sync.all.pred 5, vote.sync.any.pred 2
//! sync rms_norm_bf16_short: bar.red.or.pred 1, shfl.sync.bfly.b32 5, vote.sync.all.pred 2, vote.sync.any.pred 2
//! sync rms_norm_f16_short: bar.red.or.pred 1, shfl.sync.bfly.b32 5, vote.sync.all.pred 2, vote.sync.any.pred 2
//! sync rms_norm_f32_short: bar.red.or.pred 1, shfl.sync.bfly.b32 5, vote.sync.all.pred 2, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::norms::RmsNorm;
use warpbridge_runtime::output::Plain;
use warpbridge_runtime::row_kernel::{Shape, run_rows};
use warpbridge_runtime::short_rows::run_short_rows;
use warpbridge_runtime::source::{One, many};
use warpbridge_runtime::tile::Affine;

/// Of an entry for short rows: bytes of a stage, and warps that read.
const SHORT_STAGE: u32 = 4096 + 128;
const SHORT_READERS: u32 = 2;

/// Three entries per type: wide ones have more registers, and more vectors under way per thread; short ones are for rows of 512 bytes to 2 KiB. What
/// the arguments are, and which rows are for which, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty, $source:expr, $run:path) => {
        /// See the module.
        #[unsafe(no_mangle)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            weight: u64,
            y: u64,
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
            $run(
                kernel,
                $source(x),
                affine,
                Plain(y),
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(rms_norm_f32, f32, One, run_rows);
entry!(rms_norm_f16, f16, One, run_rows);
entry!(rms_norm_bf16, BFloat16, One, run_rows);
entry!(rms_norm_f32_wide, f32, many::<4, 8>, run_rows);
entry!(rms_norm_f16_wide, f16, many::<4, 8>, run_rows);
entry!(rms_norm_bf16_wide, BFloat16, many::<4, 8>, run_rows);
entry!(
    rms_norm_f32_short,
    f32,
    One,
    run_short_rows::<_, SHORT_STAGE, SHORT_READERS>
);
entry!(
    rms_norm_f16_short,
    f16,
    One,
    run_short_rows::<_, SHORT_STAGE, SHORT_READERS>
);
entry!(
    rms_norm_bf16_short,
    BFloat16,
    One,
    run_short_rows::<_, SHORT_STAGE, SHORT_READERS>
);
