//! Devices and contexts: what there is, and what is current on this thread.

use std::ffi::c_int;

use super::super::sys::{self, Api, Context, DeviceNumber};
use super::{check, code, Checked};

impl Api {
    pub(in super::super) fn initialise(&self) -> Checked<()> {
        check!(self, "cuInit", init(0))
    }

    pub(in super::super) fn driver_version(&self) -> Checked<i32> {
        let mut version = 0;
        check!(self, "cuDriverGetVersion", driver_get_version(&raw mut version))?;
        Ok(version)
    }

    pub(in super::super) fn device_count(&self) -> Checked<i32> {
        let mut count = 0;
        check!(self, "cuDeviceGetCount", device_get_count(&raw mut count))?;
        Ok(count)
    }

    pub(in super::super) fn device(&self, ordinal: i32) -> Checked<DeviceNumber> {
        let mut device = 0;
        check!(self, "cuDeviceGet", device_get(&raw mut device, ordinal))?;
        Ok(device)
    }

    pub(in super::super) fn device_name(&self, device: DeviceNumber) -> Checked<String> {
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

    pub(in super::super) fn device_memory(&self, device: DeviceNumber) -> Checked<u64> {
        let mut bytes = 0usize;
        check!(self, "cuDeviceTotalMem", device_total_mem(&raw mut bytes, device))?;
        Ok(bytes as u64)
    }

    pub(in super::super) fn device_attribute(&self, device: DeviceNumber, attribute: c_int) -> Checked<u32> {
        let mut value = 0;
        check!(
            self,
            "cuDeviceGetAttribute",
            device_get_attribute(&raw mut value, attribute, device)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    pub(in super::super) fn device_uuid(&self, device: DeviceNumber) -> Checked<[u8; 16]> {
        let mut uuid = sys::Uuid::default();
        check!(self, "cuDeviceGetUuid", device_get_uuid(&raw mut uuid, device))?;
        Ok(uuid.0)
    }

    pub(in super::super) fn retain_primary(&self, device: DeviceNumber) -> Checked<Context> {
        let mut context = Context::default();
        check!(
            self,
            "cuDevicePrimaryCtxRetain",
            device_primary_ctx_retain(&raw mut context, device)
        )?;
        Ok(context)
    }

    pub(in super::super) fn current(&self) -> Checked<Context> {
        let mut context = Context::default();
        check!(self, "cuCtxGetCurrent", ctx_get_current(&raw mut context))?;
        Ok(context)
    }

    pub(in super::super) fn push(&self, context: Context) -> Checked<()> {
        check!(self, "cuCtxPushCurrent", ctx_push_current(context))
    }

    pub(in super::super) fn pop(&self) -> Checked<()> {
        let mut popped = Context::default();
        check!(self, "cuCtxPopCurrent", ctx_pop_current(&raw mut popped))
    }

    /// Sets this thread's capture mode and returns the one it had.
    pub(in super::super) fn exchange_capture_mode(&self, mut mode: c_int) -> Checked<c_int> {
        check!(
            self,
            "cuThreadExchangeStreamCaptureMode",
            thread_exchange_capture_mode(&raw mut mode)
        )?;
        Ok(mode)
    }
}
