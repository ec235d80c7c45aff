//! Root-mean-square normalisation of the rows of a matrix: y = x / sqrt(mean(x^2) + eps) * weight.
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! sync: bar.sync 1, bar.warp.sync 2, shfl.sync.bfly.b32 10, vote.sync.all.pred 5, vote.sync.any.pred 3

use core::marker::PhantomData;

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::row::{Numbers, Summary};
use warpbridge_runtime::row_kernel::{Output, RowKernel, run_rows};
use warpbridge_runtime::tile::Affine;
use warpbridge_runtime::{Control, fma, rsqrt};

#[derive(Clone, Copy)]
struct RmsNorm<T> {
    per_column: f32,
    eps: f32,
    element: PhantomData<T>,
}

/// A sum of squares.
#[derive(Clone, Copy)]
struct Squares(f32);

impl Summary for Squares {
    const EMPTY: Self = Self(0.0);

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        Self(numbers.fold(self.0, |sum, x| fma(x, x, sum)))
    }
}

impl<T: Element> RowKernel for RmsNorm<T> {
    type Element = T;
    type Summary = Squares;
    type Result = f32;
    const MAPS: bool = true;
    const AGREES: bool = false;
    const NEUTRAL: f32 = 0.0;

    #[inline(always)]
    fn opinion(&self, _: Squares) -> f32 {
        0.0
    }

    #[inline(always)]
    fn agree(&self, nothing: f32) -> f32 {
        nothing
    }

    #[inline(always)]
    fn summand(&self, seen: Squares, _: f32) -> f32 {
        seen.0
    }

    #[inline(always)]
    fn result(&self, _: u32, _: f32, squares: f32, _: bool) -> f32 {
        rsqrt(fma(squares, self.per_column, self.eps))
    }

    #[inline(always)]
    fn map(factor: f32, x: f32) -> f32 {
        x * factor
    }
}

/// One entry per type; what the arguments are, the manifest says.
macro_rules! entry {
    ($name:ident, $element:ty) => {
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
                per_column: 1.0 / columns as f32,
                eps,
                element: PhantomData,
            };
            let affine = Affine { weight, bias: 0 };
            run_rows(
                kernel,
                x,
                Output { y, affine },
                rows,
                columns * <$element>::BYTES,
                control,
            );
        }
    };
}

entry!(rms_norm_f32, f32);
entry!(rms_norm_f16, f16);
entry!(rms_norm_bf16, BFloat16);
