//! Modules and functions: the driver's compiler, its log, attributes of entries.

use std::ffi::{c_int, c_uint, c_void, CStr};
use std::ptr;

use super::super::sys::{self, Api, FunctionHandle, ModuleHandle};
use super::{check, code, Checked, Failure};

/// Sizes of the compiler's log, tried in this order.
const LOG_BYTES: [usize; 2] = [32 * 1024, 4 * 1024 * 1024];
/// A log this close to its buffer's size is taken to be cut: the compiler ends it at a line, and we trim it.
const LOG_MARGIN: usize = 512;

impl Api {
    /// Loads PTX; on failure also all that the JIT compiler said (its error log, or its information log when that is empty).
    pub(in super::super) fn load_module(&self, ptx: &CStr) -> Result<ModuleHandle, (Failure, String)> {
        let mut last = None;
        for log_bytes in LOG_BYTES {
            match self.load_with_log(ptx, log_bytes) {
                Ok(module) => return Ok(module),
                // A log that fills its buffer may go on: ask again with a greater one.
                Err((failure, log)) => {
                    let is_whole = log.len() + LOG_MARGIN < log_bytes;
                    last = Some((failure, log));
                    if is_whole {
                        break;
                    }
                }
            }
        }
        Err(last.expect("there are sizes to try"))
    }

    fn load_with_log(&self, ptx: &CStr, log_bytes: usize) -> Result<ModuleHandle, (Failure, String)> {
        let (mut info, mut errors) = (vec![0u8; log_bytes], vec![0u8; log_bytes]);
        let mut options = [
            sys::JIT_INFO_LOG,
            sys::JIT_INFO_LOG_BYTES,
            sys::JIT_ERROR_LOG,
            sys::JIT_ERROR_LOG_BYTES,
        ];
        let size = ptr::without_provenance_mut::<c_void>(log_bytes);
        let mut values = [info.as_mut_ptr().cast(), size, errors.as_mut_ptr().cast(), size];
        let mut module = ModuleHandle::default();
        check!(
            self,
            "cuModuleLoadDataEx",
            module_load_data_ex(
                &raw mut module,
                ptx.as_ptr().cast(),
                options.len() as c_uint,
                options.as_mut_ptr(),
                values.as_mut_ptr()
            )
        )
        .map_err(|failure| (failure, log_text(&errors).or(log_text(&info)).unwrap_or_default()))?;
        Ok(module)
    }

    /// Unloads a module that nobody uses any more.
    pub(in super::super) fn unload_module(&self, module: ModuleHandle) -> Checked<()> {
        check!(self, "cuModuleUnload", module_unload(module))
    }

    pub(in super::super) fn module_function(&self, module: ModuleHandle, entry: &CStr) -> Checked<FunctionHandle> {
        let mut function = FunctionHandle::default();
        check!(
            self,
            "cuModuleGetFunction",
            module_get_function(&raw mut function, module, entry.as_ptr())
        )?;
        Ok(function)
    }

    pub(in super::super) fn function_attribute(&self, function: FunctionHandle, attribute: c_int) -> Checked<u32> {
        let mut value = 0;
        check!(
            self,
            "cuFuncGetAttribute",
            func_get_attribute(&raw mut value, attribute, function)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    pub(in super::super) fn set_function_attribute(
        &self,
        function: FunctionHandle,
        attribute: c_int,
        value: c_int,
    ) -> Checked<()> {
        check!(
            self,
            "cuFuncSetAttribute",
            func_set_attribute(function, attribute, value)
        )
    }
}

/// The text in a log buffer of the JIT compiler; `None` when it is blank.
fn log_text(buffer: &[u8]) -> Option<String> {
    let end = buffer.iter().position(|&b| b == 0).unwrap_or(buffer.len());
    let text = String::from_utf8_lossy(&buffer[..end]);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_log_text_stops_at_the_first_nul_and_drops_blank_logs() {
        assert_eq!(log_text(b"  ptxas fatal\n\0junk"), Some("ptxas fatal".into()));
        assert_eq!(log_text(b"\n \0junk"), None);
    }
}
