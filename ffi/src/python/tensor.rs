//! The capsule around a DLPack tensor that `crate::memory` made (DLPack's python_spec, "export").
//!
//! A consumer that refuses the tensor lets the capsule go while its exception is pending, and Python code cannot run then:
//! so the destructor is native, and puts the exception aside.

use std::ffi::{c_void, CStr};

use super::api::{self, Raw};
use super::object::{Object, Python};
use crate::memory;

/// The name of a capsule that nobody has taken, and whether its tensor is versioned. Who takes one gives it another name.
const NAMES: [(&CStr, bool); 2] = [(c"dltensor_versioned", true), (c"dltensor", false)];

/// A capsule that calls the tensor's deleter when it goes, unless somebody has taken the tensor. Null with an exception when
/// none can be made, without one where the interpreter exports no C API; the tensor is the caller's then.
///
/// # Safety
/// The GIL is held; `managed` is what [`memory::export`] returned for `versioned`, and nobody else's.
pub unsafe fn tensor_capsule(managed: *mut c_void, versioned: bool) -> *mut c_void {
    let Some(api) = api::api() else {
        return std::ptr::null_mut();
    };
    let name = NAMES[usize::from(!versioned)].0;
    let made = Python { api }.foreign_capsule(managed, name, destroy);
    made.map_or(std::ptr::null_mut(), Object::into_raw).cast()
}

unsafe extern "C" fn destroy(capsule: Raw) {
    let Some(api) = api::api() else { return };
    let py = Python { api };
    py.with_error_aside(|| {
        for (name, versioned) in NAMES {
            if let Some(managed) = py.capsule_pointer(capsule, name) {
                // SAFETY: the name says that nobody took the tensor that `tensor_capsule` put in.
                unsafe { memory::delete(managed.as_ptr(), versioned) };
                return;
            }
        }
    });
}
