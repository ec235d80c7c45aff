//! Any bytes as what a C caller hands to `wb_module_load`: PTX with NULs or without UTF-8, a manifest beside it.
#![no_main]

use std::ffi::{c_char, CStr, CString};

use libfuzzer_sys::fuzz_target;
use warpbridge::abi;

/// The status that means a panic was caught: never right.
const INTERNAL: &str = "warpbridge failed internally";

fuzz_target!(|bytes: &[u8]| {
    // The first 0xff parts PTX from manifest; it occurs in no UTF-8 text.
    let cut = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len());
    let (ptx, manifest) = bytes.split_at(cut);
    let manifest: Vec<u8> = manifest
        .iter()
        .copied()
        .filter(|byte| *byte != 0 && *byte != 0xff)
        .collect();
    let manifest = CString::new(manifest).expect("no NULs are left");
    let given = if manifest.is_empty() {
        std::ptr::null()
    } else {
        manifest.as_ptr()
    };
    let mut module = std::ptr::null_mut();
    // SAFETY: every pointer is NULL or points to memory that outlives the call, as the header asks.
    unsafe {
        let status = abi::wb_module_load(
            ptx.as_ptr(),
            ptx.len(),
            c"fuzz.ptx".as_ptr(),
            given,
            c"fuzz.toml".as_ptr(),
            std::ptr::null(),
            &raw mut module,
        );
        check(status);
        if status == 0 {
            let mut json: *const c_char = std::ptr::null();
            check(abi::wb_module_json(module, &raw mut json));
            abi::wb_module_free(module);
        }
    }
});

/// # Safety
/// Called right behind the call that gave `status`, on its thread.
unsafe fn check(status: i32) {
    if status != 0 {
        let mut message: *const c_char = std::ptr::null();
        // SAFETY: both pointers may be NULL; the message lives until this thread's next call.
        let text = unsafe {
            abi::wb_last_error(&raw mut message, std::ptr::null_mut());
            CStr::from_ptr(message).to_string_lossy()
        };
        assert!(!text.starts_with(INTERNAL), "{text}");
    }
}
