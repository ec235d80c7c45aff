//! The fast way in from Python: a call that was checked before is launched without Python code, and without checking again.
//!
//! There is no compiled extension module: the interpreter's C API is found in the running process (`api.rs`), and where it
//! is not found nothing here is used. `object.rs` makes the API safe to use, `attribute.rs` reads attributes, `arrays.rs`, `numbers.rs`, `sequence.rs` and
//! `slots.rs` compare arguments with those of a checked call, `learned.rs` is such a call, `call.rs` the function that Python calls. `tensor.rs` makes the
//! capsules of DLPack. The long way is `calls.py`.

mod api;
mod arrays;
mod attribute;
mod call;
mod learned;
mod numbers;
mod object;
mod sequence;
mod slots;
mod tensor;

pub use call::{available, new};
pub use tensor::tensor_capsule;
