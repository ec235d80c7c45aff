//! Softmax over the rows of a matrix: y = exp(x - max(x)) / sum(exp(x - max(x))).
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! block: at most 1024 threads
//! block *_wide: at most 640 threads
//! block sm_80 *_wide: at most 512 threads
//! block sm_80: at most 640 threads
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 20, vote.sync.all.pred 5, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::output::Plain;
use warpbridge_runtime::row_kernel::{Shape, run_rows};
use warpbridge_runtime::softmax::Softmax;
use warpbridge_runtime::source::{One, many};
use warpbridge_runtime::tile::Affine;

/// Two entries per type: wide ones have more registers, and more vectors under way per thread. What the arguments are, and which rows
/// are for which, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty, $source:expr) => {
        /// See the module.
        #[unsafe(no_mangle)]
        pub extern "ptx-kernel" fn $name(x: u64, y: u64, rows: u32, columns: u32, control: Control) {
            run_rows(
                Softmax::<$element>(PhantomData),
                $source(x),
                Affine::NONE,
                Plain(y),
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(softmax_f32, f32, One);
entry!(softmax_f16, f16, One);
entry!(softmax_bf16, BFloat16, One);
entry!(softmax_f32_wide, f32, many::<4, 4>);
entry!(softmax_f16_wide, f16, many::<4, 4>);
entry!(softmax_bf16_wide, BFloat16, many::<4, 4>);
