//! Cross entropy of the rows of a matrix: loss = log(sum(exp(x))) - x[target].
//! How rows are brought and shared out is in the runtime's `row_kernel.rs`.
//! block: at most 896 threads
//! block sm_80: at most 640 threads
//! stack cross_entropy_f16: 8
//! stack cross_entropy_bf16: 8
//! sync: bar.red.or.pred 1, shfl.sync.bfly.b32 20, vote.sync.all.pred 4, vote.sync.any.pred 2

use core::marker::PhantomData;

use warpbridge_runtime::element::{BFloat16, Element};
use warpbridge_runtime::exponential::{Partial, base, log};
use warpbridge_runtime::row_kernel::{Found, RowKernel, Shape, run_rows};
use warpbridge_runtime::source::many;
use warpbridge_runtime::tile::Affine;
use warpbridge_runtime::{Control, global};

const CLASS_OUTSIDE: u32 = 1; // fault code

#[derive(Clone, Copy)]
struct CrossEntropy<T> {
    x: u64,
    target: Targets,
    loss: u64,
    control: Control,
    element: PhantomData<T>,
}

/// The array of classes.
#[derive(Clone, Copy)]
struct Targets {
    address: u64,
    /// Bytes per number: 4 or 8.
    width: u32,
    classes: u32,
    /// The class whose rows have a loss of 0.
    ignored: i64,
}

impl Targets {
    /// The class of a row.
    ///
    /// # Safety
    /// The array has that many rows.
    #[inline(always)]
    unsafe fn load(&self, row: u32) -> i64 {
        let address = self.address + u64::from(row) * u64::from(self.width);
        if self.width == 8 {
            // SAFETY: the caller's promise.
            unsafe { global::load_u64(address) as i64 }
        } else {
            // SAFETY: the caller's promise.
            i64::from(unsafe { global::load_u32(address) } as i32)
        }
    }
}

impl<T: Element> CrossEntropy<T> {
    /// The loss of a row, given the logarithm of the sum of its exponentials.
    ///
    /// # Safety
    /// The row is one of x.
    #[inline(always)]
    unsafe fn loss(&self, row: u32, total: f32) -> f32 {
        // SAFETY: the caller's promise.
        let class = unsafe { self.target.load(row) };
        if class == self.target.ignored {
            return 0.0;
        }
        if class < 0 || class >= i64::from(self.target.classes) {
            self.control.fault(CLASS_OUTSIDE, [i64::from(row), class]);
            return f32::NAN;
        }
        let element = u64::from(row) * u64::from(self.target.classes) + class as u64;
        // SAFETY: an element of x, as was just checked.
        total - unsafe { T::load_global(self.x + element * u64::from(T::BYTES)) }
    }
}

impl<T: Element> RowKernel for CrossEntropy<T> {
    type Element = T;
    type Summary = Partial;
    type Result = ();

    #[inline(always)]
    fn result(&self, row: u32, found: Found, first: bool) {
        if first {
            let total = log(found.sum) + base(found.agreed);
            // SAFETY: a row of x, and its element of the losses.
            unsafe { f32::store_global(self.loss + u64::from(row) * 4, self.loss(row, total)) };
        }
    }

    #[inline(always)]
    fn map((): (), x: f32) -> f32 {
        x
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
            address: u64,
            loss: u64,
            rows: u32,
            classes: u32,
            width: u32,
            ignored: i64,
            control: Control,
        ) {
            let target = Targets {
                address,
                width,
                classes,
                ignored,
            };
            let kernel = CrossEntropy::<$element> {
                x,
                target,
                loss,
                control,
                element: PhantomData,
            };
            let shape = Shape {
                rows,
                columns: classes,
            };
            run_rows(kernel, many::<2, 1>(x), Affine::NONE, (), shape, control);
        }
    };
}

entry!(cross_entropy_f32, f32);
entry!(cross_entropy_f16, f16);
entry!(cross_entropy_bf16, BFloat16);
