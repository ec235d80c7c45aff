//! From values to a launch: every check that a manifest or a PTX parameter list allows, before anything is queued.
//!
//! `call.rs` holds what is known about one call, `arrays.rs` and `scalars.rs` add to it argument by argument, `overlap.rs`
//! compares their memory, `plan.rs` chooses the variant and lays out the parameters, `geometry.rs` checks extents, `entry.rs` does the same for an entry
//! launched by hand. Error texts name the argument by its place in the Python signature: found, expected, what to do.

mod arrays;
mod call;
mod entry;
mod geometry;
mod overlap;
mod plan;
mod scalars;
mod variants;

pub use entry::{bind_entry, EntryGeometry};
pub use geometry::Checked as Extents;

use std::sync::Arc;

use crate::bound::Bound;
use crate::dtype::DType;
use crate::error::Result;
use crate::module::Kernel;
use crate::value::Value;
use call::Call;

/// An output to allocate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Elements per dimension.
    pub shape: Vec<i64>,
    /// Elements.
    pub dtype: DType,
    /// DLPack type and id of the device.
    pub device: (i32, i32),
}

/// What each output of a call must be, in manifest order. Outputs that are given are checked.
pub fn infer(kernel: &Arc<Kernel>, values: &[Value<'_>], choices: Option<&str>) -> Result<Vec<Spec>> {
    let call = checked(kernel, values, choices)?;
    call.outputs()
}

/// Checks a call and lays out its launch.
pub fn bind(kernel: &Arc<Kernel>, values: &[Value<'_>], choices: Option<&str>) -> Result<Bound> {
    let call = checked(kernel, values, choices)?;
    call.need_outputs()?;
    call.plan()
}

fn checked<'a>(kernel: &'a Arc<Kernel>, values: &'a [Value<'a>], choices: Option<&str>) -> Result<Call<'a>> {
    let mut call = Call::new(kernel, values, choices)?;
    call.check_arrays(false)?;
    call.bind_scalars()?;
    call.check_arrays(true)?;
    call.check_overlaps()?;
    call.choose_dtypes();
    call.finish_scalars()?;
    call.check_requires()?;
    Ok(call)
}
