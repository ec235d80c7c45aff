//! What the command-line tools ask for: a traced launch, a survey of a module.

use std::ffi::c_char;

use super::guard::{borrow, guard, put_json, slice};
use super::launch::read_mode;
use super::types::{wb_bound, wb_mode, wb_module};
use crate::{survey, trace};

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
        // SAFETY: the module's contract, here and below.
        let bound = unsafe { borrow(bound, "bound") }?;
        // SAFETY: as above.
        let mode = read_mode(unsafe { borrow(mode, "mode") }?)?;
        // SAFETY: as above.
        let ctas = unsafe { slice(ctas, n_ctas as usize, "ctas") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &trace::run(&bound.0, &mode, ctas, latency)?) }
    })
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
