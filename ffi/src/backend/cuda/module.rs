//! Loads PTX through the driver's compiler and finds entries in it.
//!
//! A module is unloaded with its last user: the handle of `module.rs`'s callers, functions, and the launches that hold a
//! function until they have ended. Not so when it was ever launched in stream order: a captured graph may hold its code at
//! any later time, and the driver does not count users. Texts of failed loads stand in `load_error.rs`.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::context::Current;
use super::load_error::{self, Compiler, PtxSource};
use super::state::{lock, DeviceState};
use super::sys::{self, FunctionHandle, ModuleHandle};
use crate::backend::{Function, Loaded};
use crate::error::{Error, Kind, Result};

/// Static and dynamic shared memory that every entry may use without asking.
const SHARED_WITHOUT_ASKING: u32 = 48 * 1024;

/// The driver's module, for as long as anything uses it.
pub(super) struct Code {
    state: Arc<DeviceState>,
    handle: ModuleHandle,
    /// Whether it must stay: see the top of this file.
    stays: AtomicBool,
}

impl Drop for Code {
    fn drop(&mut self) {
        // In a fork the driver cannot be used, and a lost context has taken its modules along.
        if *self.stays.get_mut() || self.state.check_process().is_err() || self.state.is_lost() {
            return;
        }
        let (api, Ok(context)) = (self.state.api(), self.state.context()) else {
            return;
        };
        // A failure has nobody to go to: at the interpreter's exit the driver may be gone already.
        if let Ok(_current) = Current::enter_relaxed(api, context) {
            let _ = api.unload_module(self.handle);
        }
    }
}

/// A module on one device.
pub(super) struct CudaModule {
    state: Arc<DeviceState>,
    code: Arc<Code>,
    origin: String,
    max_shared_bytes: u32,
    entries: Mutex<HashMap<String, Entry>>,
}

/// What the driver was told about an entry. Attributes belong to the driver's function, not to our handle of it.
#[derive(Clone, Copy)]
struct Entry {
    handle: FunctionHandle,
    static_shared_bytes: u32,
    /// The greatest amount of dynamic shared memory asked for so far.
    allowed_shared_bytes: u32,
}

/// An entry on one device.
pub(super) struct CudaFunction {
    handle: FunctionHandle,
    code: Arc<Code>,
}

impl CudaFunction {
    pub(super) fn handle(&self) -> FunctionHandle {
        self.handle
    }
    pub(super) fn is_of(&self, state: &DeviceState) -> bool {
        std::ptr::eq(&raw const *self.code.state, state)
    }
    /// It is launched in stream order: nobody will say when its code is no longer needed.
    pub(super) fn keep_for_ever(&self) {
        if !self.code.stays.load(Ordering::Relaxed) {
            self.code.stays.store(true, Ordering::Relaxed);
        }
    }
}

impl Function for CudaFunction {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl CudaModule {
    pub(super) fn load(state: &Arc<DeviceState>, source: &PtxSource<'_>, max_shared_bytes: u32) -> Result<Self> {
        let doing = format!("loading {}", source.origin);
        let text = CString::new(source.text).map_err(|_| {
            let text = format!("{}: the PTX has a zero byte in it, expected text", source.origin);
            Error::new(Kind::Load, text)
        })?;
        let _current = state.enter(&doing)?;
        let handle = state.api().load_module(&text).map_err(|(failure, log)| {
            if super::failure::loses_context(failure.code) || state.check_process().is_err() {
                return state.error(&doing, failure);
            }
            let compiler = Compiler {
                device: &state.name,
                arch: &state.arch,
                driver_version: state.driver_version(),
            };
            load_error::refused(source, &compiler, &failure, &log)
        })?;
        let code = Arc::new(Code {
            state: state.clone(),
            handle,
            stays: AtomicBool::new(false),
        });
        Ok(Self {
            state: state.clone(),
            code,
            origin: source.origin.to_owned(),
            max_shared_bytes,
            entries: Mutex::default(),
        })
    }

    /// Asks the driver for an entry. The context is current.
    fn find(&self, name: &str) -> Result<Entry> {
        let api = self.state.api();
        let missing = || load_error::no_entry(&self.origin, name);
        let c_name = CString::new(name).map_err(|_| missing())?;
        let handle = api
            .module_function(self.code.handle, &c_name)
            .map_err(|f| match f.code {
                sys::ERROR_NOT_FOUND => missing(),
                _ => self.state.error(&format!("finding {name} in {}", self.origin), f),
            })?;
        let static_shared_bytes = api
            .function_attribute(handle, sys::FUNCTION_STATIC_SHARED)
            .map_err(|f| self.state.error(name, f))?;
        // Clusters of more than eight are allowed by asking; an architecture without clusters refuses, which is no error.
        let _ = api.set_function_attribute(handle, sys::FUNCTION_NON_PORTABLE_CLUSTER, 1);
        Ok(Entry {
            handle,
            static_shared_bytes,
            allowed_shared_bytes: 0,
        })
    }

    /// Raises the entry's limit of dynamic shared memory. The context is current.
    fn allow_shared(&self, name: &str, entry: &mut Entry, shared_bytes: u32) -> Result<()> {
        let total = entry.static_shared_bytes.saturating_add(shared_bytes);
        if total > self.max_shared_bytes {
            let limit = (self.max_shared_bytes, entry.static_shared_bytes);
            return Err(too_much_shared(name, &self.state.name, shared_bytes, limit));
        }
        if total <= SHARED_WITHOUT_ASKING || shared_bytes <= entry.allowed_shared_bytes {
            return Ok(());
        }
        // No preference for how the multiprocessor's memory is parted into L1 and shared: it would outlast this launch, and leave a
        // later one of the same entry, with less shared memory, without an L1 (rms_norm of 4096 after 24576: 1.4 times as long).
        let (attribute, most) = (
            sys::FUNCTION_MAX_DYNAMIC_SHARED,
            i32::try_from(shared_bytes).unwrap_or(i32::MAX),
        );
        let set = self.state.api().set_function_attribute(entry.handle, attribute, most);
        set.map_err(|f| self.state.error(&format!("{name}: asking for shared memory"), f))?;
        entry.allowed_shared_bytes = shared_bytes;
        Ok(())
    }
}

impl Loaded for CudaModule {
    fn function(&self, entry: &str, shared_bytes: u32) -> Result<Arc<dyn Function>> {
        let _current = self.state.enter(entry)?;
        let mut entries = lock(&self.entries);
        let mut known = match entries.get(entry) {
            Some(known) => *known,
            None => self.find(entry)?,
        };
        self.allow_shared(entry, &mut known, shared_bytes)?;
        entries.insert(entry.to_owned(), known);
        Ok(Arc::new(CudaFunction {
            handle: known.handle,
            code: self.code.clone(),
        }))
    }
}

fn too_much_shared(name: &str, device: &str, asked: u32, (offered, fixed): (u32, u32)) -> Error {
    let text = format!(
        "{name}: {asked} bytes of dynamic shared memory per thread block, expected at most {} on {device} ({offered} less \
         {fixed} that the entry declares); use fewer stages or smaller tiles",
        offered.saturating_sub(fixed)
    );
    Error::new(Kind::Launch, text)
        .with("kernel", name)
        .with("device", device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_too_much_shared_memory_names_the_limit() {
        let error = too_much_shared("scale", "cuda:0", 300_000, (232_448, 1024));
        assert_eq!(
            error.message,
            "scale: 300000 bytes of dynamic shared memory per thread block, expected at most 231424 on cuda:0 (232448 \
             less 1024 that the entry declares); use fewer stages or smaller tiles"
        );
        assert_eq!(error.kind, Kind::Launch);
    }
}
