//! The C ABI: every `extern "C"` function of warpbridge.h, and nothing else. Null checks, panic guard, delegate; no logic.
//!
//! Safety contract with the caller, stated once. Each pointer is either null, where the function says so, or points to
//! what its type says, valid for the length of the call; strings end with NUL. A handle was made by warpbridge and not
//! freed. Handles may be used from any thread at once, except that nothing may use a handle while it is being freed.
//! Out-pointers are written only on success. `types.rs` holds the C types, `guard.rs` statuses and the last error.

// Stated above, once for all.
#![allow(clippy::missing_safety_doc)]

mod device;
mod guard;
mod kernel;
mod launch;
mod memory;
mod module;
mod pending;
mod python;
mod queue;
mod stream;
mod tensor_map;
mod tools;
mod types;
mod vulkan;

pub use device::{wb_device_count, wb_device_json, wb_device_of_address, wb_driver_json};
pub use guard::{wb_abi_version, wb_last_error, wb_version};
pub use kernel::{wb_entry_bind, wb_kernel_bind, wb_kernel_free, wb_kernel_get, wb_kernel_infer, wb_kernel_json};
pub use launch::{wb_bound_floor, wb_bound_free, wb_bound_json, wb_bound_launch, wb_bound_submit};
pub use memory::{wb_memory_address, wb_memory_copy, wb_memory_export, wb_memory_free, wb_memory_new};
pub use module::{wb_bundled_json, wb_bundled_load, wb_module_free, wb_module_json, wb_module_load};
pub use pending::{wb_pending_cancel, wb_pending_free, wb_pending_progress, wb_pending_result, wb_pending_wait};
pub use python::{wb_python_available, wb_python_caller, wb_python_capsule};
pub use queue::{wb_queue_free, wb_queue_new, wb_queue_next, wb_queue_wake};
pub use stream::{wb_stream_free, wb_stream_is_capturing, wb_stream_new, wb_stream_order, wb_stream_wait};
pub use tensor_map::wb_tensor_map_encode;
pub use tools::{wb_bound_trace, wb_bound_trace_submit, wb_module_survey, wb_trace_free, wb_trace_json};
pub use types::*;
pub use vulkan::{
    wb_vulkan_begin_export, wb_vulkan_begin_import, wb_vulkan_buffer_free, wb_vulkan_buffer_json,
    wb_vulkan_buffer_memory, wb_vulkan_end, wb_vulkan_from_stream, wb_vulkan_json, wb_vulkan_memory_new,
    wb_vulkan_to_stream,
};

pub(crate) use guard::record;
pub(crate) use launch::read_mode;
pub(crate) use python::{bound_at, give_pending};
