//! The driver's functions as Rust methods: every return code is checked and becomes a [`Failure`] that names the call.
//!
//! Safety contract of this file. Handles (`Context`, `Event`, ...) are made by the methods below, are never forged, and those
//! of modules, functions and events are never destroyed, so every handle passed back is valid. Streams come from callers of
//! the C ABI, who promise that they are valid. Out-pointers point at locals. Context-bound calls happen inside
//! `context::Current`. What is decided on a failure stands in `failure.rs`.

use std::ffi::{c_int, c_uint, c_void, CStr};
use std::ptr;

use super::sys::{
    self, Api, Code, Context, DeviceNumber, Event, FunctionHandle, LaunchConfig, ModuleHandle, Stream, TensorMapBytes,
};

/// A driver call that did not return `CUDA_SUCCESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) call: &'static str,
    pub(super) code: Code,
    /// `CUDA_ERROR_ILLEGAL_ADDRESS`.
    pub(super) name: String,
    /// `an illegal memory access was encountered`.
    pub(super) text: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.text)
    }
}

pub(super) type Checked<T> = Result<T, Failure>;

/// One unsafe call under the contract at the top of this file, and its return code.
macro_rules! code {
    ($api:expr, $function:ident ( $($argument:expr),* )) => {{
        // SAFETY: see the contract at the top of this file.
        unsafe { ($api.$function)($($argument),*) }
    }};
}

/// The same, checked: `check!(self, "cuX", x(arguments))?`.
macro_rules! check {
    ($api:expr, $call:literal, $function:ident ( $($argument:expr),* )) => {
        $api.check($call, code!($api, $function($($argument),*)))
    };
}

impl Api {
    fn check(&self, call: &'static str, code: Code) -> Checked<()> {
        if code == sys::SUCCESS {
            return Ok(());
        }
        Err(self.failure(call, code))
    }

    /// For queries, where "not ready" is an answer and must not cost the making of a [`Failure`].
    fn ready(&self, call: &'static str, code: Code) -> Checked<bool> {
        match code {
            sys::SUCCESS => Ok(true),
            sys::ERROR_NOT_READY => Ok(false),
            _ => Err(self.failure(call, code)),
        }
    }

    #[cold]
    fn failure(&self, call: &'static str, code: Code) -> Failure {
        let describe = |function: unsafe extern "system" fn(Code, *mut *const std::ffi::c_char) -> Code| {
            let mut text = ptr::null();
            // SAFETY: the out-pointer is a local.
            let found = unsafe { function(code, &raw mut text) };
            if found != sys::SUCCESS || text.is_null() {
                return format!("error {code}");
            }
            // SAFETY: the driver returns static NUL-terminated strings.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        Failure {
            call,
            code,
            name: describe(self.get_error_name),
            text: describe(self.get_error_string),
        }
    }

    pub(super) fn initialise(&self) -> Checked<()> {
        check!(self, "cuInit", init(0))
    }

    pub(super) fn driver_version(&self) -> Checked<i32> {
        let mut version = 0;
        check!(self, "cuDriverGetVersion", driver_get_version(&raw mut version))?;
        Ok(version)
    }

    pub(super) fn device_count(&self) -> Checked<i32> {
        let mut count = 0;
        check!(self, "cuDeviceGetCount", device_get_count(&raw mut count))?;
        Ok(count)
    }

    pub(super) fn device(&self, ordinal: i32) -> Checked<DeviceNumber> {
        let mut device = 0;
        check!(self, "cuDeviceGet", device_get(&raw mut device, ordinal))?;
        Ok(device)
    }

    pub(super) fn device_name(&self, device: DeviceNumber) -> Checked<String> {
        let mut bytes = [0u8; 256];
        let room = bytes.len() as c_int - 1;
        check!(
            self,
            "cuDeviceGetName",
            device_get_name(bytes.as_mut_ptr().cast(), room, device)
        )?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(0);
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    pub(super) fn device_memory(&self, device: DeviceNumber) -> Checked<u64> {
        let mut bytes = 0usize;
        check!(self, "cuDeviceTotalMem", device_total_mem(&raw mut bytes, device))?;
        Ok(bytes as u64)
    }

    pub(super) fn device_attribute(&self, device: DeviceNumber, attribute: c_int) -> Checked<u32> {
        let mut value = 0;
        check!(
            self,
            "cuDeviceGetAttribute",
            device_get_attribute(&raw mut value, attribute, device)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    pub(super) fn device_uuid(&self, device: DeviceNumber) -> Checked<[u8; 16]> {
        let mut uuid = sys::Uuid::default();
        check!(self, "cuDeviceGetUuid", device_get_uuid(&raw mut uuid, device))?;
        Ok(uuid.0)
    }

    pub(super) fn retain_primary(&self, device: DeviceNumber) -> Checked<Context> {
        let mut context = Context::default();
        check!(
            self,
            "cuDevicePrimaryCtxRetain",
            device_primary_ctx_retain(&raw mut context, device)
        )?;
        Ok(context)
    }

    pub(super) fn current(&self) -> Checked<Context> {
        let mut context = Context::default();
        check!(self, "cuCtxGetCurrent", ctx_get_current(&raw mut context))?;
        Ok(context)
    }

    pub(super) fn push(&self, context: Context) -> Checked<()> {
        check!(self, "cuCtxPushCurrent", ctx_push_current(context))
    }

    pub(super) fn pop(&self) -> Checked<()> {
        let mut popped = Context::default();
        check!(self, "cuCtxPopCurrent", ctx_pop_current(&raw mut popped))
    }

    /// Sets this thread's capture mode and returns the one it had.
    pub(super) fn exchange_capture_mode(&self, mut mode: c_int) -> Checked<c_int> {
        check!(
            self,
            "cuThreadExchangeStreamCaptureMode",
            thread_exchange_capture_mode(&raw mut mode)
        )?;
        Ok(mode)
    }

    /// Loads PTX; on failure also what the JIT compiler said (its error log, or its information log when that is empty).
    pub(super) fn load_module(&self, ptx: &CStr) -> Result<ModuleHandle, (Failure, String)> {
        const LOG_BYTES: usize = 32 * 1024;
        let (mut info, mut errors) = (vec![0u8; LOG_BYTES], vec![0u8; LOG_BYTES]);
        let mut options = [
            sys::JIT_INFO_LOG,
            sys::JIT_INFO_LOG_BYTES,
            sys::JIT_ERROR_LOG,
            sys::JIT_ERROR_LOG_BYTES,
        ];
        let size = ptr::without_provenance_mut::<c_void>(LOG_BYTES);
        let mut values = [info.as_mut_ptr().cast(), size, errors.as_mut_ptr().cast(), size];
        let mut module = ModuleHandle::default();
        check!(
            self,
            "cuModuleLoadDataEx",
            module_load_data_ex(
                &raw mut module,
                ptx.as_ptr().cast(),
                options.len() as c_uint,
                options.as_mut_ptr(),
                values.as_mut_ptr()
            )
        )
        .map_err(|failure| (failure, log_text(&errors).or(log_text(&info)).unwrap_or_default()))?;
        Ok(module)
    }

    pub(super) fn module_function(&self, module: ModuleHandle, entry: &CStr) -> Checked<FunctionHandle> {
        let mut function = FunctionHandle::default();
        check!(
            self,
            "cuModuleGetFunction",
            module_get_function(&raw mut function, module, entry.as_ptr())
        )?;
        Ok(function)
    }

    pub(super) fn function_attribute(&self, function: FunctionHandle, attribute: c_int) -> Checked<u32> {
        let mut value = 0;
        check!(
            self,
            "cuFuncGetAttribute",
            func_get_attribute(&raw mut value, attribute, function)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    pub(super) fn set_function_attribute(
        &self,
        function: FunctionHandle,
        attribute: c_int,
        value: c_int,
    ) -> Checked<()> {
        check!(
            self,
            "cuFuncSetAttribute",
            func_set_attribute(function, attribute, value)
        )
    }

    /// Queues a kernel. Each element of `parameters` points at a value of the size that the entry declares for it.
    ///
    /// # Safety
    /// `parameters` has one readable pointer per parameter of `function`, and `config.attributes` is null or points at
    /// `config.attribute_count` attributes.
    pub(super) unsafe fn launch(
        &self,
        function: FunctionHandle,
        config: &LaunchConfig,
        parameters: *const *const c_void,
    ) -> Checked<()> {
        let (grid, block) = (config.grid, config.block);
        if config.attribute_count == 0 {
            return check!(
                self,
                "cuLaunchKernel",
                launch_kernel(
                    function,
                    grid[0],
                    grid[1],
                    grid[2],
                    block[0],
                    block[1],
                    block[2],
                    config.shared_bytes,
                    config.stream,
                    parameters,
                    ptr::null()
                )
            );
        }
        check!(
            self,
            "cuLaunchKernelEx",
            launch_kernel_ex(config, function, parameters, ptr::null())
        )
    }

    pub(super) fn new_event(&self) -> Checked<Event> {
        let mut event = Event::default();
        check!(
            self,
            "cuEventCreate",
            event_create(&raw mut event, sys::EVENT_DISABLE_TIMING)
        )?;
        Ok(event)
    }

    pub(super) fn record(&self, event: Event, stream: Stream) -> Checked<()> {
        check!(self, "cuEventRecord", event_record(event, stream))
    }

    /// Whether the work in front of `event` is done.
    pub(super) fn event_done(&self, event: Event) -> Checked<bool> {
        self.ready("cuEventQuery", code!(self, event_query(event)))
    }

    pub(super) fn new_stream(&self) -> Checked<Stream> {
        let mut stream = Stream::default();
        check!(
            self,
            "cuStreamCreate",
            stream_create(&raw mut stream, sys::STREAM_NON_BLOCKING)
        )?;
        Ok(stream)
    }

    pub(super) fn destroy_stream(&self, stream: Stream) -> Checked<()> {
        check!(self, "cuStreamDestroy", stream_destroy(stream))
    }

    /// Whether all work queued on `stream` is done.
    pub(super) fn stream_done(&self, stream: Stream) -> Checked<bool> {
        self.ready("cuStreamQuery", code!(self, stream_query(stream)))
    }

    pub(super) fn stream_wait_event(&self, stream: Stream, event: Event) -> Checked<()> {
        check!(self, "cuStreamWaitEvent", stream_wait_event(stream, event, 0))
    }

    pub(super) fn is_capturing(&self, stream: Stream) -> Checked<bool> {
        let mut status = sys::CAPTURE_STATUS_NONE;
        check!(
            self,
            "cuStreamIsCapturing",
            stream_is_capturing(stream, &raw mut status)
        )?;
        Ok(status != sys::CAPTURE_STATUS_NONE)
    }

    /// Pinned memory mapped into every context; host address and device address.
    pub(super) fn alloc_mapped(&self, bytes: usize) -> Checked<(*mut c_void, u64)> {
        let mut host = ptr::null_mut();
        let flags = sys::HOST_ALLOC_PORTABLE | sys::HOST_ALLOC_DEVICEMAP;
        check!(self, "cuMemHostAlloc", mem_host_alloc(&raw mut host, bytes, flags))?;
        let mut address = 0;
        check!(
            self,
            "cuMemHostGetDevicePointer",
            mem_host_get_device_pointer(&raw mut address, host, 0)
        )?;
        Ok((host, address))
    }

    /// Memory of the current context's device.
    pub(super) fn alloc(&self, bytes: usize) -> Checked<u64> {
        let mut address = 0;
        check!(self, "cuMemAlloc", mem_alloc(&raw mut address, bytes))?;
        Ok(address)
    }

    /// Pinned memory, at one address for the host and for every device.
    pub(super) fn alloc_pinned(&self, bytes: usize) -> Checked<u64> {
        let mut host = ptr::null_mut();
        check!(
            self,
            "cuMemHostAlloc",
            mem_host_alloc(&raw mut host, bytes, sys::HOST_ALLOC_PORTABLE)
        )?;
        Ok(host as u64)
    }

    /// # Safety
    /// `address` came from [`Api::alloc`] and is not used again.
    pub(super) unsafe fn free(&self, address: u64) -> Checked<()> {
        check!(self, "cuMemFree", mem_free(address))
    }

    /// # Safety
    /// `address` came from [`Api::alloc_pinned`] and is not used again.
    pub(super) unsafe fn free_pinned(&self, address: u64) -> Checked<()> {
        check!(self, "cuMemFreeHost", mem_free_host(address as *mut c_void))
    }

    /// # Safety
    /// `to` can be written and `from` read for `bytes`, on the host or the device, until the copy is done.
    pub(super) unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Stream) -> Checked<()> {
        check!(self, "cuMemcpyAsync", memcpy_async(to, from, bytes, stream))
    }

    pub(super) fn synchronize(&self, stream: Stream) -> Checked<()> {
        check!(self, "cuStreamSynchronize", stream_synchronize(stream))
    }

    /// `None` where the driver is older than tensor maps. `data_type` is a `CUtensorMapDataType`.
    pub(super) fn encode_tensor_map(
        &self,
        map: &emulator::TensorMap,
        data_type: c_int,
        l2_promotion: u32,
    ) -> Checked<Option<[u8; 128]>> {
        let Some(encode) = self.tensor_map_encode_tiled else {
            return Ok(None);
        };
        let mut bytes = TensorMapBytes([0; 128]);
        // SAFETY: every list is longer than `rank` needs, and the map is aligned as the driver asks.
        let code = unsafe {
            encode(
                &raw mut bytes,
                data_type,
                map.rank,
                map.address,
                map.sizes.as_ptr(),
                map.strides.as_ptr(),
                map.box_sizes.as_ptr(),
                map.element_strides.as_ptr(),
                map.interleave as c_int,
                map.swizzle as c_int,
                l2_promotion as c_int,
                c_int::from(map.nan_fill),
            )
        };
        self.check("cuTensorMapEncodeTiled", code)?;
        Ok(Some(bytes.0))
    }

    /// One 32-bit attribute of an address; `None` where the driver does not know the address.
    pub(super) fn pointer_attribute(&self, address: u64, attribute: c_int) -> Checked<Option<u32>> {
        let mut value: c_uint = 0;
        let code = code!(self, pointer_get_attribute((&raw mut value).cast(), attribute, address));
        match code {
            sys::SUCCESS => Ok(Some(value)),
            sys::ERROR_INVALID_VALUE => Ok(None),
            _ => Err(self.failure("cuPointerGetAttribute", code)),
        }
    }
}

/// The text in a log buffer of the JIT compiler; `None` when it is blank.
fn log_text(buffer: &[u8]) -> Option<String> {
    let end = buffer.iter().position(|&b| b == 0).unwrap_or(buffer.len());
    let text = String::from_utf8_lossy(&buffer[..end]);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_log_text_stops_at_the_first_nul_and_drops_blank_logs() {
        assert_eq!(log_text(b"  ptxas fatal\n\0junk"), Some("ptxas fatal".into()));
        assert_eq!(log_text(b"\n \0junk"), None);
    }
}
