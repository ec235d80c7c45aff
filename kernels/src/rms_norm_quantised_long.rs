//! `rms_norm_quantised` for long rows, which are read once: see the runtime's `long_rows.rs`.
//! sync: bar.red.or.pred 1, redux.sync.max.u32 8, shfl.sync.bfly.b32 40, vote.sync.all.pred 14, vote.sync.any.pred 7

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::desk::Desk;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::long_rows::{Plan, Ranged, run_long_rows};
use warpbridge_runtime::norms::RmsNorm;
use warpbridge_runtime::output::Scaled;
use warpbridge_runtime::quantise::{Float8, Int8};
use warpbridge_runtime::row_kernel::Shape;
use warpbridge_runtime::tile::Affine;

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty, $kind:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            weight: u64,
            scale: u64,
            y: u64,
            scales: u64,
            notes: u64,
            rows: u32,
            columns: u32,
            each: u32,
            lookers: u32,
            patience: u32,
            crowd: u32,
            judges: u32,
            eps: f32,
            control: Control,
        ) {
            let kernel = RmsNorm::<$element> {
                eps,
                element: PhantomData,
            };
            run_long_rows(
                Ranged(kernel),
                x,
                Affine { weight, bias: 0 },
                Scaled::<$kind>::new(y, scales, scale),
                Desk(notes),
                Plan {
                    each,
                    lookers,
                    patience,
                    crowd,
                    judges,
                },
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(rms_norm_quantised_long_f32_e4m3, f32, Float8);
entry!(rms_norm_quantised_long_f32_s8, f32, Int8);
entry!(rms_norm_quantised_long_f16_e4m3, f16, Float8);
entry!(rms_norm_quantised_long_f16_s8, f16, Int8);
entry!(rms_norm_quantised_long_bf16_e4m3, BFloat16, Float8);
entry!(rms_norm_quantised_long_bf16_s8, BFloat16, Int8);
