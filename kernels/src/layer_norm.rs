//! Layer normalisation of the rows of a matrix: y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias.
//!
//! Mean and variance are found in one go: each thread keeps those of what it has seen, and merges in some numbers at a time
//! (Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979).
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! sync: bar.sync 1, bar.warp.sync 2, shfl.sync.bfly.b32 20, vote.sync.all.pred 5, vote.sync.any.pred 3

use core::marker::PhantomData;

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::row::{Numbers, Summary};
use warpbridge_runtime::row_kernel::{Output, RowKernel, run_rows};
use warpbridge_runtime::tile::Affine;
use warpbridge_runtime::{Control, fma, lanes, rsqrt};

#[derive(Clone, Copy)]
struct LayerNorm<T> {
    per_column: f32,
    eps: f32,
    element: PhantomData<T>,
}

/// Number, mean, and sum of squared distances from the mean.
#[derive(Clone, Copy)]
struct Moments {
    count: f32,
    mean: f32,
    squares: f32,
}

impl Summary for Moments {
    const EMPTY: Self = Self {
        count: 0.0,
        mean: 0.0,
        squares: 0.0,
    };

    #[inline(always)]
    fn add(self, numbers: &impl Numbers) -> Self {
        let more = count_of(numbers);
        let mean = numbers.fold(0.0, |sum, x| sum + x) * (1.0 / more);
        let squares = numbers.fold(self.squares, |sum, x| fma(x - mean, x - mean, sum));
        let (count, distance) = (self.count + more, mean - self.mean);
        let share = more / count;
        Self {
            count,
            mean: fma(distance, share, self.mean),
            squares: fma(distance * distance, self.count * share, squares),
        }
    }
}

#[inline(always)]
fn count_of<N: Numbers>(_: &N) -> f32 {
    N::COUNT as f32
}

/// Of a row.
#[derive(Clone, Copy)]
struct Scale {
    mean: f32,
    factor: f32,
}

impl<T: Element> RowKernel for LayerNorm<T> {
    type Element = T;
    type Summary = Moments;
    type Result = Scale;
    const MAPS: bool = true;
    const AGREES: bool = true;
    const NEUTRAL: f32 = 0.0;

    #[inline(always)]
    fn opinion(&self, seen: Moments) -> f32 {
        seen.count * self.per_column * seen.mean
    }

    #[inline(always)]
    fn agree(&self, mean: f32) -> f32 {
        lanes::sum(mean)
    }

    #[inline(always)]
    fn summand(&self, seen: Moments, mean: f32) -> f32 {
        let distance = seen.mean - mean;
        fma(distance * distance, seen.count, seen.squares)
    }

    #[inline(always)]
    fn result(&self, _: u32, mean: f32, squares: f32, _: bool) -> Scale {
        let factor = rsqrt(fma(squares, self.per_column, self.eps));
        Scale { mean, factor }
    }

    #[inline(always)]
    fn map(scale: Scale, x: f32) -> f32 {
        (x - scale.mean) * scale.factor
    }
}

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
            rows: u32,
            columns: u32,
            eps: f32,
            control: Control,
        ) {
            let kernel = LayerNorm::<$element> {
                per_column: 1.0 / columns as f32,
                eps,
                element: PhantomData,
            };
            let affine = Affine { weight, bias };
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

entry!(layer_norm_f32, f32);
entry!(layer_norm_f16, f16);
entry!(layer_norm_bf16, BFloat16);
