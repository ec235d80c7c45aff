//! The native core without a GPU: manifests, argument checks, launches on the CPU device, the C ABI end to end.
//! One binary, so that it links once.

mod abi;
mod arguments;
mod clusters;
mod conditions;
mod contradictions;
mod entries;
mod expressions;
mod launches;
mod manifests;
mod modules;
mod overlaps;
mod plans;
mod schema;
mod stops;
mod support;
mod tensor_maps;
mod unsupported;
