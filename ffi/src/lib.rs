//! The native core of warpbridge: manifests, argument checks, devices and launches, behind a C ABI.
pub mod backend;
pub mod error;
