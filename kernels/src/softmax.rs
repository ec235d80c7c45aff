//! Softmax over the rows of a matrix: y = exp(x - max(x)) / sum(exp(x - max(x))).
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! block: at most 1024 threads
//! block sm_80: at most 640 threads
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 20, vote.sync.all.pred 5, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::Control;
use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::exponential::{Partial, base, exp};
use warpbridge_runtime::output::Plain;
use warpbridge_runtime::row_kernel::{Found, RowKernel, Shape, run_rows};
use warpbridge_runtime::source::One;
use warpbridge_runtime::tile::Affine;

#[derive(Clone, Copy)]
struct Softmax<T>(PhantomData<T>);

/// What is subtracted before the exponential, and what it is multiplied by.
#[derive(Clone, Copy)]
struct Scale {
    base: f32,
    factor: f32,
}

impl<T: Element> RowKernel for Softmax<T> {
    type Element = T;
    type Summary = Partial;
    type Result = Scale;

    #[inline(always)]
    fn result(&self, _: u32, found: Found, _: bool) -> Scale {
        Scale {
            base: base(found.agreed),
            factor: 1.0 / found.sum,
        }
    }

    #[inline(always)]
    fn map(scale: Scale, x: f32) -> f32 {
        exp(x - scale.base) * scale.factor
    }
}

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
