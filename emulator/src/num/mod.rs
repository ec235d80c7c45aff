//! Arithmetic that Rust's number types do not have: half precision, directed rounding, flushing, GPU minima.
//! Pure functions on values; the handlers made of them are chosen in `decode/build`.

pub(crate) mod approx;
pub(crate) mod bits;
pub(crate) mod convert;
pub(crate) mod float;
pub(crate) mod fp8;
pub(crate) mod half;
