//! What the command-line tools ask for: traced launches, a survey of a module.

use std::ffi::c_char;

use std::sync::Arc;

use super::guard::{borrow, free, give, guard, put_json, slice};
use super::launch::read_mode;
use super::types::{wb_bound, wb_mode, wb_module, wb_pending, wb_trace};
use crate::error::Result;
use crate::survey;
use crate::trace::Traced;

/// Runs a bound call on the CPU device with a record of what happened: {"ctas": [...], "events": [...], "error": null, ...}.
/// Blocks until the launch has ended; one that ends badly is no error of this call, its error stands in the JSON. `ctas`:
/// thread blocks to record (x + y * grid.x + z * grid.x * grid.y), none: all. `latency`: warp instructions that an
/// asynchronous copy takes.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_trace(
    bound: *const wb_bound,
    mode: *const wb_mode,
    ctas: *const u64,
    n_ctas: u32,
    latency: u64,
    json: *mut *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let traced = unsafe { submitted(bound, mode, (ctas, n_ctas), latency) }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &traced.take()) }
    })
}

/// The same without waiting: queues the launch. `*pending` is to be waited for or cancelled, and freed; then `*out` has the
/// record.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_trace_submit(
    bound: *const wb_bound,
    mode: *const wb_mode,
    ctas: *const u64,
    n_ctas: u32,
    latency: u64,
    pending: *mut *mut wb_pending,
    out: *mut *mut wb_trace,
) -> i32 {
    guard(|| {
        for (pointer, name) in [(pending.is_null(), "pending"), (out.is_null(), "out")] {
            if pointer {
                return Err(super::guard::null(name));
            }
        }
        // SAFETY: the module's contract, here and below.
        let traced = unsafe { submitted(bound, mode, (ctas, n_ctas), latency) }?;
        // SAFETY: as above.
        unsafe { give(pending, "pending", wb_pending(Arc::clone(&traced.pending))) }?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_trace(traced)) }
    })
}

/// # Safety
/// The module's contract.
unsafe fn submitted(
    bound: *const wb_bound,
    mode: *const wb_mode,
    (ctas, n_ctas): (*const u64, u32),
    latency: u64,
) -> Result<Traced> {
    // SAFETY: the caller's contract is this function's, here and below.
    let bound = unsafe { borrow(bound, "bound") }?;
    // SAFETY: as above.
    let mode = read_mode(unsafe { borrow(mode, "mode") }?)?;
    // SAFETY: as above.
    let ctas = unsafe { slice(ctas, n_ctas as usize, "ctas") }?;
    Traced::submit(&bound.0, &mode, ctas, latency)
}

/// Waits for the end and takes the record out, as `wb_bound_trace` gives it.
#[no_mangle]
pub unsafe extern "C" fn wb_trace_json(trace: *const wb_trace, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let trace = unsafe { borrow(trace, "trace") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &trace.0.take()) }
    })
}

/// Frees the handle; NULL is fine. A launch that is under way goes on.
#[no_mangle]
pub unsafe extern "C" fn wb_trace_free(trace: *mut wb_trace) {
    // SAFETY: the module's contract.
    unsafe { free(trace) }
}

/// What a module needs and what can be said against it without running it: {"ptx_version": [8, 0], "target": "sm_90",
/// "entries": [{"name": str, "registers": {...}, "features": [...], "hazards": [...], ...}], "devices": [{"device": "cpu",
/// "loads": bool, "reason": str}, ...]}. Compiles it for every CUDA device.
#[no_mangle]
pub unsafe extern "C" fn wb_module_survey(module: *const wb_module, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let module = unsafe { borrow(module, "module") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &survey::describe(&module.0)) }
    })
}
