//! The native core without a GPU: manifests, argument checks, launches on the CPU device, the C ABI end to end.
//! One binary, so that it links once.

mod manifests;
mod schema;
