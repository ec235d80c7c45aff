//! Makes a device's primary context current for a few calls and leaves the thread as it was found.
//!
//! The primary context is the one that CuPy, PyTorch and the CUDA runtime use too, so it is usually current already; then
//! nothing is pushed. When and how it is retained: `state.rs`.

use super::result::Checked;
use super::sys::{self, Api, Context};

/// While it lives, a context is current on this thread. Not `Send`: it must be dropped where it was made.
pub(super) struct Current<'a> {
    api: &'a Api,
    pushed: bool,
    /// The capture mode to restore.
    mode: Option<i32>,
    _not_send: std::marker::PhantomData<*const ()>,
}

impl<'a> Current<'a> {
    pub(super) fn enter(api: &'a Api, context: Context) -> Checked<Self> {
        let pushed = api.current()? != context;
        if pushed {
            api.push(context)?;
        }
        Ok(Self {
            api,
            pushed,
            mode: None,
            _not_send: std::marker::PhantomData,
        })
    }

    /// Like [`Current::enter`], for calls that the driver forbids while *any* thread captures a graph in global mode
    /// (queries, allocations, module loads). They touch no captured stream, so relaxed mode is right: without it our
    /// polling would break the capture of another library.
    pub(super) fn enter_relaxed(api: &'a Api, context: Context) -> Checked<Self> {
        let mut current = Self::enter(api, context)?;
        current.mode = Some(api.exchange_capture_mode(sys::CAPTURE_MODE_RELAXED)?);
        Ok(current)
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        // A failure here has nobody to go to, and the next call on this context reports the same one.
        if let Some(mode) = self.mode {
            let _ = self.api.exchange_capture_mode(mode);
        }
        if self.pushed {
            let _ = self.api.pop();
        }
    }
}
