//! The types of warpbridge.h, in C's names. Layout only; conversions to safe types stand in `guard.rs`.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::{bound, memory, module, pending, queue, trace, vulkan};

/// Version of this ABI; `wb_abi_version` returns it.
pub const WB_ABI_VERSION: u32 = 1;

/// `wb_value.tag`: omitted, or an output to be inferred.
pub const WB_NONE: u16 = 0;
/// `wb_value.tag`: `payload` is an `int64_t`.
pub const WB_INT: u16 = 1;
/// `wb_value.tag`: `payload` has the bits of a `double`.
pub const WB_FLOAT: u16 = 2;
/// `wb_value.tag`: `payload` is 0 or 1.
pub const WB_BOOL: u16 = 3;
/// `wb_value.tag`: `payload` is a `const wb_tensor *`.
pub const WB_TENSOR: u16 = 4;
/// `wb_value.tag`: `payload` is a `const uint8_t *`, `length` its bytes.
pub const WB_BYTES: u16 = 5;
/// `wb_value.tag`: `payload` is a `const double *`, `length` their number (inline arrays).
pub const WB_NUMBERS: u16 = 6;
/// `wb_value.tag`: `payload` is a `uint64_t`, for values above `INT64_MAX`.
pub const WB_UINT: u16 = 7;
/// `wb_value.tag`: `payload` is a `const wb_tensor_map *`.
pub const WB_TENSOR_MAP: u16 = 8;

/// `wb_value.flags`: a tensor that must not be written.
pub const WB_READONLY: u16 = 1;

/// DLPack's `DLDevice`.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_dl_device {
    pub device_type: i32,
    pub device_id: i32,
}

/// DLPack's `DLDataType`.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_dl_dtype {
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
}

/// The layout of DLPack 1.x's `DLTensor`.
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_tensor {
    pub data: *mut c_void,
    pub device: wb_dl_device,
    pub ndim: i32,
    pub dtype: wb_dl_dtype,
    pub shape: *mut i64,
    /// In elements; NULL: C-contiguous.
    pub strides: *mut i64,
    pub byte_offset: u64,
}

/// What a tensor map is to be. Lists have one item per axis of the tensor, in its order, innermost last; strings are names.
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_map_options {
    /// Elements per axis that one copy moves.
    pub box_sizes: *const i64,
    /// Bytes from one index to the next; NULL: the tensor's own.
    pub strides: *const i64,
    /// Every how many elements one is moved; NULL: all.
    pub element_strides: *const i64,
    pub n_box_sizes: u32,
    pub n_strides: u32,
    pub n_element_strides: u32,
    /// 0.
    pub reserved: u32,
    /// What the elements are taken for: "bfloat16", "tfloat32" ...; NULL: the tensor's dtype.
    pub element: *const c_char,
    /// "16B", "32B" or NULL.
    pub interleave: *const c_char,
    /// "32B", "64B", "128B" or NULL.
    pub swizzle: *const c_char,
    /// "64B", "128B", "256B" or NULL.
    pub l2_promotion: *const c_char,
    /// "nan", or NULL for zeros.
    pub oob_fill: *const c_char,
}

/// A tensor map as an argument.
#[repr(C)]
pub struct wb_tensor_map {
    /// As `wb_tensor_map_encode` wrote them.
    pub bytes: [u8; 128],
    /// The tensor it was made of, whose memory must be there until the launch has ended.
    pub tensor: *const wb_tensor,
}

/// 16 bytes: one call shape for every kernel.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct wb_value {
    /// `WB_NONE` to `WB_TENSOR_MAP`.
    pub tag: u16,
    /// `WB_READONLY` or 0.
    pub flags: u16,
    /// For `WB_BYTES` and `WB_NUMBERS`.
    pub length: u32,
    /// As the tag says.
    pub payload: u64,
}

/// Filled by `wb_kernel_infer` for each output of the kernel, in manifest order.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_spec {
    pub ndim: i32,
    pub dtype: wb_dl_dtype,
    pub device: wb_dl_device,
    pub shape: [i64; 8],
}

/// How one launch is to be run.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct wb_mode {
    /// 0/1 legacy default, 2 per-thread default, else a handle.
    pub stream: u64,
    /// At most 0: none.
    pub timeout_s: f64,
    /// CPU device: 0 eager, 1 latest, 2 seeded.
    pub schedule: u32,
    /// CPU device: 0 none, 1 memory, 2 all, 3 all and races in global memory.
    pub checks: u32,
    /// CPU device.
    pub seed: u64,
    /// CPU device; 0: one per core.
    pub threads: u32,
    /// 0.
    pub reserved: u32,
}

/// Extents of an entry launched by hand.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(missing_docs)]
pub struct wb_geometry {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// Zeros: the entry's `.reqnctapercluster`, else no cluster.
    pub cluster: [u32; 3],
    pub shared_bytes: u32,
}

/// How a launch ended; the strings are valid during the callback.
#[repr(C)]
pub struct wb_outcome {
    /// As every call returns it.
    pub status: i32,
    /// Empty when `status` is 0.
    pub message: *const c_char,
    /// A JSON object.
    pub fields_json: *const c_char,
}

/// Called once, on warpbridge's dispatcher thread. It may call warpbridge, but must not wait for another launch.
pub type wb_callback = Option<unsafe extern "C" fn(user: *mut c_void, outcome: *const wb_outcome)>;

/// PTX with or without a manifest.
pub struct wb_module(pub(super) Arc<module::Module>);
/// A kernel of a module.
pub struct wb_kernel(pub(super) Arc<module::Kernel>);
/// A checked call.
pub struct wb_bound(pub(super) Arc<bound::Bound>);
/// A tracked launch.
pub struct wb_pending(pub(super) Arc<pending::Pending>);
/// A tracked launch on the CPU device that leaves a record.
pub struct wb_trace(pub(super) trace::Traced);
/// Memory of our own; a handle owns a share of it.
pub struct wb_memory(pub(super) Arc<memory::Memory>);
/// Tokens of ended launches.
pub struct wb_queue(pub(super) Arc<queue::Queue>);
/// A Vulkan buffer that kernels share.
pub struct wb_vulkan_buffer(pub(super) vulkan::Buffer);
