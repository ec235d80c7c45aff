//! The driver's functions as Rust methods: every return code is checked and becomes a [`Failure`] that names the call.
//!
//! Safety contract of this file and those under it. Handles (`Context`, `Event`, ...) are made by the methods below, are never forged, and those
//! of functions and events are never destroyed, a module's only with its last user (`module.rs`), so every handle passed back is
//! valid. Streams come from callers of
//! the C ABI, who promise that they are valid. Out-pointers point at locals. Context-bound calls happen inside
//! `context::Current`. What is decided on a failure stands in `failure.rs`.

mod device;
mod external;
mod memory;
mod module;
mod queue;

use std::ffi::CStr;
use std::ptr;

use super::sys::{self, Api, Code};

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
}

use {check, code};
