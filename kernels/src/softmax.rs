//! Softmax over the rows of a matrix: y = exp(x - max(x)) / sum(exp(x - max(x))).
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! block: at most 1024 threads
//! block sm_80: at most 640 threads
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 20, vote.sync.all.pred 5, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::BFloat16;
use warpbridge_runtime::output::Plain;
use warpbridge_runtime::row_kernel::{Shape, run_rows};
use warpbridge_runtime::softmax::Softmax;
use warpbridge_runtime::source::One;
use warpbridge_runtime::tile::Affine;

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty) => {
        /// See the module.
        #[unsafe(no_mangle)]
        pub extern "ptx-kernel" fn $name(x: u64, y: u64, rows: u32, columns: u32, control: Control) {
            run_rows(
                Softmax::<$element>(PhantomData),
                One(x),
                Affine::NONE,
                Plain(y),
                Shape { rows, columns },
                control,
            );
        }
    };
}

entry!(softmax_f32, f32);
entry!(softmax_f16, f16);
entry!(softmax_bf16, BFloat16);
