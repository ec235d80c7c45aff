//! The driver API as the driver exports it: types, constants and one function pointer per symbol.
//!
//! Nothing is checked and nothing is decided here; `result.rs` is the only caller of the pointers. Symbol names carry the
//! version suffix that `cuda.h` hides behind macros (`cuCtxPushCurrent_v2`). The names without `_ptsz` are used throughout,
//! so that stream 0 is the legacy default stream. Layouts and numbers were compared with the `cuda.h` of CUDA 13.0.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libloading::Library;

/// `CUresult`.
pub(super) type Code = c_int;
/// `CUdevice`.
pub(super) type DeviceNumber = c_int;

/// Opaque driver handles. Integers of pointer width, so that they are `Send`: the driver's objects belong to no thread.
macro_rules! handles {
    ($($name:ident)*) => { $(
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub(super) struct $name(pub(super) usize);
    )* };
}
handles! { Context Stream Event ModuleHandle FunctionHandle ExternalMemory ExternalSemaphore }

pub(super) const SUCCESS: Code = 0;
pub(super) const ERROR_INVALID_VALUE: Code = 1;
pub(super) const ERROR_OUT_OF_MEMORY: Code = 2;
pub(super) const ERROR_NO_BINARY_FOR_GPU: Code = 209;
pub(super) const ERROR_UNSUPPORTED_PTX_VERSION: Code = 222;
pub(super) const ERROR_NOT_FOUND: Code = 500;
pub(super) const ERROR_NOT_READY: Code = 600;
pub(super) const ERROR_ILLEGAL_ADDRESS: Code = 700;
pub(super) const ERROR_MISALIGNED_ADDRESS: Code = 716;
pub(super) const ERROR_INVALID_ADDRESS_SPACE: Code = 717;

pub(super) const DEVICE_MAX_SHARED_PER_BLOCK: c_int = 8;
pub(super) const DEVICE_MULTIPROCESSORS: c_int = 16;
pub(super) const DEVICE_CAPABILITY_MAJOR: c_int = 75;
pub(super) const DEVICE_CAPABILITY_MINOR: c_int = 76;
pub(super) const DEVICE_MAX_SHARED_PER_BLOCK_OPTIN: c_int = 97;

pub(super) const FUNCTION_MAX_THREADS: c_int = 0;
pub(super) const FUNCTION_STATIC_SHARED: c_int = 1;
pub(super) const FUNCTION_MAX_DYNAMIC_SHARED: c_int = 8;
pub(super) const FUNCTION_NON_PORTABLE_CLUSTER: c_int = 14;

pub(super) const JIT_INFO_LOG: c_int = 3;
pub(super) const JIT_INFO_LOG_BYTES: c_int = 4;
pub(super) const JIT_ERROR_LOG: c_int = 5;
pub(super) const JIT_ERROR_LOG_BYTES: c_int = 6;

pub(super) const HOST_ALLOC_PORTABLE: c_uint = 1;
pub(super) const HOST_ALLOC_DEVICEMAP: c_uint = 2;
pub(super) const EVENT_DISABLE_TIMING: c_uint = 2;
pub(super) const STREAM_NON_BLOCKING: c_uint = 1;

pub(super) const POINTER_MEMORY_TYPE: c_int = 2;
pub(super) const POINTER_DEVICE_ORDINAL: c_int = 9;
pub(super) const MEMORY_TYPE_DEVICE: c_uint = 2;

pub(super) const CAPTURE_MODE_RELAXED: c_int = 2;
pub(super) const CAPTURE_STATUS_NONE: c_int = 0;

pub(super) const ATTRIBUTE_CLUSTER_DIMENSION: c_uint = 4;

/// `CUuuid`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Uuid(pub(super) [u8; 16]);

/// `CUlaunchAttribute` with the only member of its 64-byte union that is used: the cluster's dimensions.
#[repr(C, align(8))]
pub(super) struct LaunchAttribute {
    pub(super) id: c_uint,
    pub(super) padding: [u8; 4],
    pub(super) cluster: [c_uint; 3],
    pub(super) rest_of_value: [u8; 52],
}

/// `CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD`.
pub(super) const EXTERNAL_MEMORY_OPAQUE_FD: c_int = 1;
pub(super) const EXTERNAL_MEMORY_DEDICATED: c_uint = 1;
/// `CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD`.
pub(super) const EXTERNAL_SEMAPHORE_TIMELINE_FD: c_int = 9;

/// `CUDA_EXTERNAL_MEMORY_HANDLE_DESC`, its union as the descriptor that it holds here.
#[repr(C, align(8))]
pub(super) struct ExternalMemoryDesc {
    pub(super) kind: c_int,
    pub(super) padding: c_int,
    pub(super) fd: c_int,
    pub(super) rest_of_handle: [c_int; 3],
    pub(super) bytes: u64,
    pub(super) flags: c_uint,
    pub(super) reserved: [c_uint; 16],
}

/// `CUDA_EXTERNAL_MEMORY_BUFFER_DESC`.
#[repr(C)]
pub(super) struct ExternalBufferDesc {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) flags: c_uint,
    pub(super) reserved: [c_uint; 16],
}

/// `CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC`, likewise.
#[repr(C, align(8))]
pub(super) struct ExternalSemaphoreDesc {
    pub(super) kind: c_int,
    pub(super) padding: c_int,
    pub(super) fd: c_int,
    pub(super) rest_of_handle: [c_int; 3],
    pub(super) flags: c_uint,
    pub(super) reserved: [c_uint; 16],
}

/// `CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS` and `CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS`: only the value is used.
#[repr(C)]
pub(super) struct ExternalSemaphoreParams {
    pub(super) value: u64,
    pub(super) rest: [u64; 17],
}

/// `CUtensorMap`.
#[repr(C, align(64))]
pub(super) struct TensorMapBytes(pub(super) [u8; 128]);

/// `CUlaunchConfig`.
#[repr(C)]
pub(super) struct LaunchConfig {
    pub(super) grid: [c_uint; 3],
    pub(super) block: [c_uint; 3],
    pub(super) shared_bytes: c_uint,
    pub(super) stream: Stream,
    pub(super) attributes: *const LaunchAttribute,
    pub(super) attribute_count: c_uint,
}

/// Declares [`Api`] and its loader from a list of symbols, and one of those that older drivers lack.
macro_rules! api {
    (
        $( $symbol:literal $name:ident ( $($argument:ty),* ); )*
        newer
        $( $newer:literal $newer_name:ident ( $($newer_argument:ty),* ); )*
    ) => {
        /// One pointer per driver function; valid as long as the library it came from is loaded.
        pub(super) struct Api {
            $( pub(super) $name: unsafe extern "system" fn($($argument),*) -> Code, )*
            $( pub(super) $newer_name: Option<unsafe extern "system" fn($($newer_argument),*) -> Code>, )*
        }

        impl Api {
            /// Looks every symbol up; the first one that is missing is the error.
            ///
            /// # Safety
            /// `library` is NVIDIA's driver, and stays loaded while the pointers are used.
            pub(super) unsafe fn resolve(library: &Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $( $name: {
                        // SAFETY: the type is the one that `cuda.h` declares for this symbol.
                        let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                        *symbol.map_err(|_| $symbol)?
                    }, )*
                    $( $newer_name: {
                        // SAFETY: as above.
                        let symbol = unsafe { library.get(concat!($newer, "\0").as_bytes()) };
                        symbol.ok().map(|symbol| *symbol)
                    }, )*
                })
            }
        }
    };
}

api! {
    "cuInit" init(c_uint);
    "cuDriverGetVersion" driver_get_version(*mut c_int);
    "cuGetErrorName" get_error_name(Code, *mut *const c_char);
    "cuGetErrorString" get_error_string(Code, *mut *const c_char);
    "cuDeviceGetCount" device_get_count(*mut c_int);
    "cuDeviceGet" device_get(*mut DeviceNumber, c_int);
    "cuDeviceGetName" device_get_name(*mut c_char, c_int, DeviceNumber);
    "cuDeviceTotalMem_v2" device_total_mem(*mut usize, DeviceNumber);
    "cuDeviceGetAttribute" device_get_attribute(*mut c_int, c_int, DeviceNumber);
    "cuDeviceGetUuid_v2" device_get_uuid(*mut Uuid, DeviceNumber);
    "cuDevicePrimaryCtxRetain" device_primary_ctx_retain(*mut Context, DeviceNumber);
    "cuCtxGetCurrent" ctx_get_current(*mut Context);
    "cuCtxPushCurrent_v2" ctx_push_current(Context);
    "cuCtxPopCurrent_v2" ctx_pop_current(*mut Context);
    "cuThreadExchangeStreamCaptureMode" thread_exchange_capture_mode(*mut c_int);
    "cuModuleLoadDataEx" module_load_data_ex(*mut ModuleHandle, *const c_void, c_uint, *mut c_int, *mut *mut c_void);
    "cuModuleUnload" module_unload(ModuleHandle);
    "cuModuleGetFunction" module_get_function(*mut FunctionHandle, ModuleHandle, *const c_char);
    "cuFuncGetAttribute" func_get_attribute(*mut c_int, c_int, FunctionHandle);
    "cuFuncSetAttribute" func_set_attribute(FunctionHandle, c_int, c_int);
    "cuLaunchKernel" launch_kernel(
        FunctionHandle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Stream, *const *const c_void, *const *const c_void
    );
    "cuLaunchKernelEx" launch_kernel_ex(
        *const LaunchConfig, FunctionHandle, *const *const c_void, *const *const c_void
    );
    "cuEventCreate" event_create(*mut Event, c_uint);
    "cuEventRecord" event_record(Event, Stream);
    "cuEventQuery" event_query(Event);
    "cuStreamCreate" stream_create(*mut Stream, c_uint);
    "cuStreamDestroy_v2" stream_destroy(Stream);
    "cuStreamQuery" stream_query(Stream);
    "cuStreamWaitEvent" stream_wait_event(Stream, Event, c_uint);
    "cuStreamSynchronize" stream_synchronize(Stream);
    "cuStreamIsCapturing" stream_is_capturing(Stream, *mut c_int);
    "cuMemHostAlloc" mem_host_alloc(*mut *mut c_void, usize, c_uint);
    "cuMemAlloc_v2" mem_alloc(*mut u64, usize);
    "cuMemFree_v2" mem_free(u64);
    "cuMemFreeHost" mem_free_host(*mut c_void);
    "cuMemcpyAsync" memcpy_async(u64, u64, usize, Stream);
    "cuMemsetD8Async" memset_async(u64, u8, usize, Stream);
    "cuMemHostGetDevicePointer_v2" mem_host_get_device_pointer(*mut u64, *mut c_void, c_uint);
    "cuPointerGetAttribute" pointer_get_attribute(*mut c_void, c_int, u64);
    newer
    "cuStreamCreateWithPriority" stream_create_with_priority(*mut Stream, c_uint, c_int);
    "cuStreamWriteValue32_v2" stream_write_value(Stream, u64, u32, c_uint);
    "cuImportExternalMemory" import_memory(*mut ExternalMemory, *const ExternalMemoryDesc);
    "cuExternalMemoryGetMappedBuffer" map_external_memory(*mut u64, ExternalMemory, *const ExternalBufferDesc);
    "cuDestroyExternalMemory" destroy_external_memory(ExternalMemory);
    "cuImportExternalSemaphore" import_semaphore(*mut ExternalSemaphore, *const ExternalSemaphoreDesc);
    "cuDestroyExternalSemaphore" destroy_external_semaphore(ExternalSemaphore);
    "cuSignalExternalSemaphoresAsync" signal_semaphores(
        *const ExternalSemaphore, *const ExternalSemaphoreParams, c_uint, Stream
    );
    "cuWaitExternalSemaphoresAsync" wait_semaphores(
        *const ExternalSemaphore, *const ExternalSemaphoreParams, c_uint, Stream
    );
    "cuTensorMapEncodeTiled" tensor_map_encode_tiled(
        *mut TensorMapBytes, c_int, c_uint, u64, *const u64, *const u64, *const c_uint, *const c_uint, c_int, c_int, c_int, c_int
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// The numbers are what a C program prints with `cuda.h` of CUDA 13.0.
    #[test]
    fn test_launch_structs_have_the_layout_of_cuda_h() {
        assert_eq!(size_of::<LaunchConfig>(), 56);
        assert_eq!(offset_of!(LaunchConfig, shared_bytes), 24);
        assert_eq!(offset_of!(LaunchConfig, stream), 32);
        assert_eq!(offset_of!(LaunchConfig, attributes), 40);
        assert_eq!(offset_of!(LaunchConfig, attribute_count), 48);
        assert_eq!(size_of::<LaunchAttribute>(), 72);
        assert_eq!(offset_of!(LaunchAttribute, cluster), 8);
        assert_eq!(size_of::<Uuid>(), 16);
    }

    #[test]
    fn test_external_structs_have_the_layout_of_cuda_h() {
        assert_eq!(size_of::<ExternalMemoryDesc>(), 104);
        assert_eq!(offset_of!(ExternalMemoryDesc, fd), 8);
        assert_eq!(offset_of!(ExternalMemoryDesc, bytes), 24);
        assert_eq!(offset_of!(ExternalMemoryDesc, flags), 32);
        assert_eq!(size_of::<ExternalBufferDesc>(), 88);
        assert_eq!(offset_of!(ExternalBufferDesc, flags), 16);
        assert_eq!(size_of::<ExternalSemaphoreDesc>(), 96);
        assert_eq!(offset_of!(ExternalSemaphoreDesc, fd), 8);
        assert_eq!(offset_of!(ExternalSemaphoreDesc, flags), 24);
        assert_eq!(size_of::<ExternalSemaphoreParams>(), 144);
    }
}
