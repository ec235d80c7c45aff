//! Devices and the driver.

use std::ffi::c_char;

use serde_json::json;

use super::guard::{guard, put, put_json};
use crate::device;

/// Number of devices: index 0 is always the CPU device; CUDA devices follow.
#[no_mangle]
pub unsafe extern "C" fn wb_device_count(count: *mut u32) -> i32 {
    // SAFETY: the module's contract.
    guard(|| unsafe { put(count, "count", device::all().len() as u32) })
}

/// A device's facts as a JSON object.
#[no_mangle]
pub unsafe extern "C" fn wb_device_json(index: u32, json: *mut *const c_char) -> i32 {
    // SAFETY: the module's contract.
    guard(|| unsafe { put_json(json, "json", &device::describe(index)?) })
}

/// The device whose memory an address is in: *index, or -1 for host memory and what no device knows.
#[no_mangle]
pub unsafe extern "C" fn wb_device_of_address(address: u64, index: *mut i32) -> i32 {
    guard(|| {
        let found = device::by_address(address).map_or(-1, |device| device.index as i32);
        // SAFETY: the module's contract.
        unsafe { put(index, "index", found) }
    })
}

/// The CUDA driver: {"cuda": {"found": bool, "library": str, "version": str, "reason": str}}.
#[no_mangle]
pub unsafe extern "C" fn wb_driver_json(json: *mut *const c_char) -> i32 {
    guard(|| {
        let d = device::driver();
        let cuda = json!({"found": d.found, "library": d.library, "version": d.version, "reason": d.reason});
        // SAFETY: the module's contract.
        unsafe { put_json(json, "json", &json!({ "cuda": cuda })) }
    })
}
