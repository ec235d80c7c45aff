//! Modules: PTX with or without a manifest, and the bundled kernels.

use std::ffi::c_char;
use std::sync::Arc;

use super::guard::{free, give, guard, null, put_json, slice, text};
use super::types::wb_module;
use crate::error::{Error, Kind};
use crate::{bundled, module};

/// Loads PTX. `ptx` is UTF-8 text, not NUL-terminated; `origin` names it in errors. `manifest` is TOML or JSON text, NULL
/// for none. `base_dir` is where the manifest's other PTX files are, NULL for none.
#[no_mangle]
pub unsafe extern "C" fn wb_module_load(
    ptx: *const u8,
    ptx_bytes: usize,
    origin: *const c_char,
    manifest: *const c_char,
    manifest_origin: *const c_char,
    base_dir: *const c_char,
    out: *mut *mut wb_module,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let bytes = unsafe { slice(ptx, ptx_bytes, "ptx") }?;
        // SAFETY: as above.
        let origin = unsafe { text(origin, "origin") }?.unwrap_or("<string>");
        // SAFETY: as above.
        let manifest = unsafe { text(manifest, "manifest") }?;
        // SAFETY: as above.
        let manifest_origin = unsafe { text(manifest_origin, "manifest_origin") }?.unwrap_or("<manifest>");
        // SAFETY: as above.
        let base_dir = unsafe { text(base_dir, "base_dir") }?;
        let not_text = |e| {
            Error::new(
                Kind::Load,
                format!("{origin}: not UTF-8 text: {e}; PTX is text, cubin files are not PTX"),
            )
        };
        let ptx = std::str::from_utf8(bytes).map_err(not_text)?;
        let module = module::Module::load(ptx, origin, manifest.map(|m| (m, manifest_origin)), base_dir)?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_module(Arc::new(module))) }
    })
}

/// The bundled kernels: [{"name": str, "summary": str, "hidden": bool}, ...].
#[no_mangle]
pub unsafe extern "C" fn wb_bundled_json(json: *mut *const c_char) -> i32 {
    // SAFETY: the module's contract.
    guard(|| unsafe { put_json(json, "json", &bundled::list()?) })
}

/// Loads the module of a bundled kernel.
#[no_mangle]
pub unsafe extern "C" fn wb_bundled_load(name: *const c_char, out: *mut *mut wb_module) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let name = unsafe { text(name, "name") }?.ok_or_else(|| null("name"))?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_module(bundled::load(name)?)) }
    })
}

/// {"origin": str, "ptx_version": [8, 0], "target": "sm_90", "entries": [{"name": str, "params": [{"name": str, "type": "u64",
/// "bytes": 8}, ...], ...}, ...], "kernels": [str, ...]}.
#[no_mangle]
pub unsafe extern "C" fn wb_module_json(module: *const wb_module, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let module = unsafe { super::guard::borrow(module, "module") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &module.0.describe()) }
    })
}

/// Frees a module; NULL is allowed. Its kernels and bound launches live on.
#[no_mangle]
pub unsafe extern "C" fn wb_module_free(module: *mut wb_module) {
    // SAFETY: the module's contract.
    unsafe { free(module) }
}
