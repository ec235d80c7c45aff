//! The native core of warpbridge: manifests, argument checks, devices and launches, behind a C ABI.
//!
//! Three levels, each used by the one above only:
//!
//! 1. [`abi`]: every `extern "C"` function. Null checks, panic guard, delegate; no logic.
//! 2. [`module`], [`manifest`], [`bind`], [`bound`], [`pending`], [`dispatch`], [`bundled`], [`tensor_map`], [`memory`],
//!    [`trace`], [`survey`], [`vulkan`]: what a call means. All checks are here, the same for every device and every language.
//!    [`python`] repeats checked calls for CPython.
//! 3. [`backend`]: what a device does. `cpu` runs PTX in the emulator, `cuda` through the driver; they never import each
//!    other, and [`device`] alone chooses between them.
//!
//! [`error`], [`dtype`], [`number`], [`value`] and [`process`] are shared by all.
#![allow(clippy::module_name_repetitions)]

pub mod abi;
pub mod backend;
pub mod bind;
pub mod bound;
pub mod bundled;
pub mod device;
pub mod dispatch;
pub mod dtype;
pub mod error;
pub mod manifest;
pub mod memory;
pub mod module;
pub mod number;
pub mod pending;
pub mod process;
pub mod python;
pub mod queue;
pub mod survey;
pub mod tensor_map;
pub mod trace;
pub mod value;
pub mod vulkan;
