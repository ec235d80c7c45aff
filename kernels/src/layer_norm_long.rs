//! `layer_norm` for rows that fit no thread block: see the runtime's `long_rows.rs`.
//! block: at most 1024 threads
//! block sm_80: at most 896 threads
//! stack layer_norm_long_f16: 8
//! stack layer_norm_long_bf16: 8
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 35, vote.sync.all.pred 7, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::long_rows::{Desk, run_long_rows};
use warpbridge_runtime::norms::LayerNorm;
use warpbridge_runtime::row_kernel::Shape;
use warpbridge_runtime::tile::Affine;

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments)]
        pub extern "ptx-kernel" fn $name(
            x: u64,
            weight: u64,
            bias: u64,
            y: u64,
            counts: u64,
            notes: u64,
            rows: u32,
            columns: u32,
            lead: u32,
            eps: f32,
            control: Control,
        ) {
            let kernel = LayerNorm::<$element> {
                eps,
                element: PhantomData,
            };
            let desk = Desk { counts, notes };
            run_long_rows(
                kernel,
                x,
                Affine { weight, bias },
                y,
                desk,
                lead,
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(layer_norm_long_f32, f32);
entry!(layer_norm_long_f16, f16);
entry!(layer_norm_long_bf16, BFloat16);
