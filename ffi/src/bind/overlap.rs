//! Memory shared between an array that is written and any other array of the call. Kernels read and write in an order of
//! their own, so shared memory makes a result that depends on timing; it is refused before the launch.
//!
//! Every array of a kernel is C-contiguous by now (`arrays.rs`), so two overlap exactly when their byte ranges do. The one
//! exception: the manifest says that an array may be written over another (`in_place`), and both are the same bytes.

use super::call::{Call, Problem};
use crate::error::{Error, Result};
use crate::manifest::{Arg, ArrayArg, Intent};
use crate::value::{Tensor, Value};

/// An array argument that was given.
struct Given<'c> {
    arg: &'c Arg,
    array: &'c ArrayArg,
    start: u64,
    end: u64,
}

impl Call<'_> {
    /// Refuses an array that is written and shares memory with another one.
    pub fn check_overlaps(&self) -> Result<()> {
        let given = |(arg, value): &(&'_ Arg, &Value<'_>)| match (arg.array(), value) {
            (Some(_), Value::Tensor(tensor)) => bytes(tensor),
            _ => None,
        };
        let arrays: Vec<Given<'_>> = self
            .values
            .iter()
            .filter_map(|pair| {
                let (start, end) = given(pair)?;
                let (arg, array) = (pair.0, pair.0.array()?);
                Some(Given { arg, array, start, end })
            })
            .collect();
        for (index, second) in arrays.iter().enumerate() {
            for first in &arrays[..index] {
                let is_written = first.array.intent != Intent::In || second.array.intent != Intent::In;
                let shared = first.start.max(second.start)..first.end.min(second.end);
                if is_written && !shared.is_empty() && !in_place(first, second) {
                    return Err(self.overlap(first, second, shared.end - shared.start));
                }
            }
        }
        Ok(())
    }

    fn overlap(&self, first: &Given<'_>, second: &Given<'_>, shared: u64) -> Error {
        // The one to blame is the one that is written; of two, the later.
        let (blamed, other) = match second.array.intent {
            Intent::In => (first, second),
            _ => (second, first),
        };
        let place = self.manifest.place(other.arg);
        let is_same = (first.start, first.end) == (second.start, second.end);
        let expected = match (is_same, may(blamed, other)) {
            (true, _) => "memory of its own, because the manifest does not allow it in place".into(),
            (false, true) => format!("exactly the memory of {place}, or none of it"),
            (false, false) => "memory of its own".into(),
        };
        let unit = if shared == 1 { "byte" } else { "bytes" };
        self.refuse(
            blamed.arg,
            Problem {
                verb: "shares",
                found: format!("{shared} {unit} of memory with {place}"),
                expected,
                hint: "pass another array, or a copy",
            },
        )
    }
}

/// The bytes that a tensor covers; `None` when there are none.
fn bytes(tensor: &Tensor<'_>) -> Option<(u64, u64)> {
    let length = tensor.contiguous_bytes().filter(|length| *length != 0)?;
    Some((tensor.address, tensor.address.saturating_add(length)))
}

fn may(written: &Given<'_>, other: &Given<'_>) -> bool {
    written.array.in_place.contains(&other.arg.name)
}

/// Whether the manifest allows two arrays to be the same bytes, and they are.
fn in_place(first: &Given<'_>, second: &Given<'_>) -> bool {
    (first.start, first.end) == (second.start, second.end) && (may(first, second) || may(second, first))
}
