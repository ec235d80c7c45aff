//! The layer under the real Vulkan loader, with lavapipe as the device and Khronos' validation layer above or below it, whose
//! messenger must stay silent. Everything here fails where the loader, lavapipe or the validation layer is missing (Debian:
//! libvulkan1, mesa-vulkan-drivers, vulkan-validationlayers).
//!
//! `layer.rs` opens the library that the loader loads, `app.rs` is a small Vulkan application; the other files are tests.
#![allow(missing_docs)]

mod app;
mod buffers;
mod devices;
mod growth;
mod layer;
mod order;
mod refusals;
