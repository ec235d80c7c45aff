//! Memory: pinned blocks, tensor maps, what is known of an address.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use super::super::sys::{self, Api, Stream, TensorMapBytes};
use super::{check, code, Checked};

impl Api {
    /// Pinned memory mapped into every context; host address and device address.
    pub(in super::super) fn alloc_mapped(&self, bytes: usize) -> Checked<(*mut c_void, u64)> {
        let mut host = ptr::null_mut();
        let flags = sys::HOST_ALLOC_PORTABLE | sys::HOST_ALLOC_DEVICEMAP;
        check!(self, "cuMemHostAlloc", mem_host_alloc(&raw mut host, bytes, flags))?;
        let mut address = 0;
        let known = check!(
            self,
            "cuMemHostGetDevicePointer",
            mem_host_get_device_pointer(&raw mut address, host, 0)
        );
        if let Err(failure) = known {
            self.free_mapped(host);
            return Err(failure);
        }
        Ok((host, address))
    }

    /// Gives memory of [`Api::alloc_mapped`] back that no device has seen.
    pub(in super::super) fn free_mapped(&self, host: *mut c_void) {
        // What it returns has nobody to go to: the caller reports the failure that brought it here.
        let _ = code!(self, mem_free_host(host));
    }

    /// Memory of the current context's device.
    pub(in super::super) fn alloc(&self, bytes: usize) -> Checked<u64> {
        let mut address = 0;
        check!(self, "cuMemAlloc", mem_alloc(&raw mut address, bytes))?;
        Ok(address)
    }

    /// Pinned memory, at one address for the host and for every device.
    pub(in super::super) fn alloc_pinned(&self, bytes: usize) -> Checked<u64> {
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
    pub(in super::super) unsafe fn free(&self, address: u64) -> Checked<()> {
        check!(self, "cuMemFree", mem_free(address))
    }

    /// # Safety
    /// `address` came from [`Api::alloc_pinned`] and is not used again.
    pub(in super::super) unsafe fn free_pinned(&self, address: u64) -> Checked<()> {
        check!(self, "cuMemFreeHost", mem_free_host(address as *mut c_void))
    }

    /// # Safety
    /// `to` can be written and `from` read for `bytes`, on the host or the device, until the copy is done.
    pub(in super::super) unsafe fn copy(&self, to: u64, from: u64, bytes: usize, stream: Stream) -> Checked<()> {
        check!(self, "cuMemcpyAsync", memcpy_async(to, from, bytes, stream))
    }

    /// Sets bytes to zero in the order of the stream. Legal while the stream is captured.
    ///
    /// # Safety
    /// `bytes` of device memory at `address`, which live until the stream has come past this.
    pub(in super::super) unsafe fn zero(&self, address: u64, bytes: usize, stream: Stream) -> Checked<()> {
        check!(self, "cuMemsetD8Async", memset_async(address, 0, bytes, stream))
    }

    pub(in super::super) fn synchronize(&self, stream: Stream) -> Checked<()> {
        check!(self, "cuStreamSynchronize", stream_synchronize(stream))
    }

    /// `None` where the driver is older than tensor maps. `data_type` is a `CUtensorMapDataType`.
    pub(in super::super) fn encode_tensor_map(
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
    pub(in super::super) fn pointer_attribute(&self, address: u64, attribute: c_int) -> Checked<Option<u32>> {
        let mut value: c_uint = 0;
        let code = code!(self, pointer_get_attribute((&raw mut value).cast(), attribute, address));
        match code {
            sys::SUCCESS => Ok(Some(value)),
            sys::ERROR_INVALID_VALUE => Ok(None),
            _ => Err(self.failure("cuPointerGetAttribute", code)),
        }
    }
}
