//! Functions for CPython that repeat a checked call without Python code in between; `crate::python` says how.

use std::ffi::c_void;
use std::sync::Arc;

use super::types::{wb_bound, wb_pending};
use crate::bound::Bound;
use crate::pending::Pending;
use crate::python;

/// 1 where this process exports CPython's C API, which `wb_python_caller` needs; else 0.
#[no_mangle]
pub extern "C" fn wb_python_available() -> i32 {
    i32::from(python::available())
}

/// A new `PyObject *`: a function that launches, `launch` or if `blocking` is not 0 `_run`, and holds the owner. Called with
/// the GIL held, on a `PyObject *`.
///
/// The function looks for a learned call that fits and launches that. Where none fits it returns the first item of
/// `owner._missed_launch(arguments, number by place, names or None)` (`_missed_run`); the second is None or a recipe to learn
/// from. `owner._finish(pending or 0, device, stream, owners)` raises this thread's last error when it gets 0; else it owns the
/// `wb_pending`, waits for it and raises its error. NULL with an exception on failure, without one where
/// `wb_python_available` is 0.
#[no_mangle]
pub unsafe extern "C" fn wb_python_caller(blocking: i32, owner: *mut c_void) -> *mut c_void {
    // SAFETY: the module's contract, and the GIL is held.
    unsafe { python::new(blocking != 0, owner) }
}

/// A new `PyObject *`: the capsule, `dltensor_versioned` or if `versioned` is 0 `dltensor`, of a tensor that `wb_memory_export`
/// made and that is the capsule's from then on. Called with the GIL held. NULL with an exception on failure, without one
/// where `wb_python_available` is 0; the tensor is the caller's then.
#[no_mangle]
pub unsafe extern "C" fn wb_python_capsule(tensor: *mut c_void, versioned: i32) -> *mut c_void {
    // SAFETY: the module's contract, and the GIL is held.
    unsafe { python::tensor_capsule(tensor, versioned != 0) }
}

/// The call that a handle's address stands for.
///
/// # Safety
/// `address` is 0 or that of a `wb_bound` that is not being freed.
pub(crate) unsafe fn bound_at(address: u64) -> Option<Arc<Bound>> {
    // SAFETY: the caller's contract is this function's.
    unsafe { (address as *const wb_bound).as_ref() }.map(|bound| Arc::clone(&bound.0))
}

/// A handle for the caller, who frees it.
pub(crate) fn give_pending(pending: Arc<Pending>) -> *mut wb_pending {
    Box::into_raw(Box::new(wb_pending(pending)))
}
