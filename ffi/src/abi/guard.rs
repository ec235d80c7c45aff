//! What every C function shares: the panic guard, this thread's last error, reading of pointers.

use std::cell::RefCell;
use std::ffi::{c_char, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};

use super::types::{wb_tensor, wb_tensor_map, wb_value};
use super::types::{
    WB_ABI_VERSION, WB_BOOL, WB_BYTES, WB_FLOAT, WB_INT, WB_NONE, WB_NUMBERS, WB_READONLY, WB_TENSOR, WB_TENSOR_MAP,
    WB_UINT,
};
use crate::dtype::DlDtype;
use crate::error::{Error, Kind, Result};
use crate::value::{Tensor, Value};

/// Status of a call, and the texts it left behind.
#[derive(Default)]
struct Record {
    status: i32,
    message: CString,
    fields: CString,
    /// What a `..._json` call returned.
    text: CString,
}

thread_local! {
    static RECORD: RefCell<Record> = RefCell::default();
}

/// The version of this ABI.
#[no_mangle]
pub extern "C" fn wb_abi_version() -> u32 {
    WB_ABI_VERSION
}

/// The version of warpbridge.
#[no_mangle]
pub extern "C" fn wb_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// Kind of this thread's last error (0: the last call succeeded), its text and its fields as a JSON object. Either
/// pointer may be NULL.
#[no_mangle]
pub unsafe extern "C" fn wb_last_error(message: *mut *const c_char, fields_json: *mut *const c_char) -> i32 {
    RECORD.with_borrow(|record| {
        if !message.is_null() {
            // SAFETY: not null, so the caller's, per the module's contract.
            unsafe { *message = record.message.as_ptr() };
        }
        if !fields_json.is_null() {
            // SAFETY: as above.
            unsafe { *fields_json = record.fields.as_ptr() };
        }
        record.status
    })
}

/// Runs a call; its error, or panic, becomes this thread's record and the status.
pub(super) fn guard(call: impl FnOnce() -> Result<()>) -> i32 {
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let what = what
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::new(
            Kind::Internal,
            format!("warpbridge failed internally; please report this: {what}"),
        ))
    });
    record(&result)
}

/// Makes a result this thread's record.
pub(crate) fn record(result: &Result<()>) -> i32 {
    RECORD.with_borrow_mut(|record| match result {
        Ok(()) => {
            if record.status != 0 {
                (record.status, record.message, record.fields) = (0, CString::default(), CString::default());
            }
            0
        }
        Err(error) => {
            record.status = error.kind as i32;
            (record.message, record.fields) = texts(error);
            record.status
        }
    })
}

/// Message and fields as C strings.
pub(super) fn texts(error: &Error) -> (CString, CString) {
    let fields = serde_json::to_string(&error.fields).unwrap_or_else(|_| "{}".into());
    (c_string(&error.message), c_string(&fields))
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// Frees a handle; null is allowed. A panic while dropping is swallowed: there is nobody to tell.
///
/// # Safety
/// `handle` is null or came from [`give`] and is not used again.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: made by `Box::into_raw` in `give`, handed back once; both per the module's contract.
        let owned = unsafe { Box::from_raw(handle) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    }
}

/// Hands a value to the caller, who frees it.
///
/// # Safety
/// `out` is null or valid for a write.
pub(super) unsafe fn give<T>(out: *mut *mut T, name: &str, value: T) -> Result<()> {
    // SAFETY: the caller's contract is this function's.
    unsafe { put(out, name, Box::into_raw(Box::new(value))) }
}

/// Writes a result.
///
/// # Safety
/// `out` is null or valid for a write.
pub(super) unsafe fn put<T>(out: *mut T, name: &str, value: T) -> Result<()> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so valid for a write.
    unsafe { out.write(value) };
    Ok(())
}

/// Leaves a JSON text with this thread and returns it.
///
/// # Safety
/// `out` is null or valid for a write.
pub(super) unsafe fn put_json(out: *mut *const c_char, name: &str, value: &serde_json::Value) -> Result<()> {
    let text = c_string(&value.to_string());
    let pointer = RECORD.with_borrow_mut(|record| {
        record.text = text;
        record.text.as_ptr()
    });
    // SAFETY: the caller's contract is this function's.
    unsafe { put(out, name, pointer) }
}

pub(super) fn null(name: &str) -> Error {
    Error::new(Kind::Argument, format!("{name} is NULL, expected a valid pointer"))
}

/// Borrows what a pointer points to.
///
/// # Safety
/// `pointer` is null or valid for reads for `'a`.
pub(super) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's contract is this function's.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Borrows an array; null is allowed when it is empty.
///
/// # Safety
/// `pointer` is null or valid for reads of `count` items for `'a`.
pub(super) unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so valid for `count` items.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Borrows a string; null gives `None`.
///
/// # Safety
/// `pointer` is null or a NUL-terminated string that lives for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, so a NUL-terminated string.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    let utf8 = bytes
        .to_str()
        .map_err(|e| Error::new(Kind::Argument, format!("{name} is not UTF-8: {e}")))?;
    Ok(Some(utf8))
}

/// Reads an argument list.
///
/// # Safety
/// As in the module; what payloads point to lives for `'a`.
pub(super) unsafe fn values<'a>(pointer: *const wb_value, count: u32) -> Result<Vec<Value<'a>>> {
    // SAFETY: the caller's contract is this function's.
    let raw = unsafe { slice::<wb_value>(pointer, count as usize, "args") }?;
    // SAFETY: as above.
    raw.iter()
        .enumerate()
        .map(|(index, value)| unsafe { read_value(value, index) })
        .collect()
}

unsafe fn read_value<'a>(value: &wb_value, index: usize) -> Result<Value<'a>> {
    let (payload, length, name) = (value.payload, value.length as usize, format!("args[{index}].payload"));
    Ok(match value.tag {
        WB_NONE => Value::None,
        WB_INT => Value::Int(payload as i64),
        WB_UINT => Value::UInt(payload),
        WB_FLOAT => Value::Float(f64::from_bits(payload)),
        WB_BOOL => Value::Bool(payload != 0),
        // SAFETY: the tag says what the payload points to, per the module's contract.
        WB_BYTES => Value::Bytes(unsafe { slice(payload as *const u8, length, &name) }?),
        // SAFETY: as above.
        WB_NUMBERS => Value::Numbers(unsafe { slice(payload as *const f64, length, &name) }?),
        // SAFETY: as above.
        WB_TENSOR => Value::Tensor(unsafe { read_tensor(payload as *const wb_tensor, value.flags, &name) }?),
        WB_TENSOR_MAP => {
            // SAFETY: as above.
            let map: &wb_tensor_map = unsafe { borrow(payload as *const wb_tensor_map, &name) }?;
            // SAFETY: as above.
            Value::TensorMap(&map.bytes, unsafe { read_tensor(map.tensor, value.flags, &name) }?)
        }
        tag => {
            let text = format!("args[{index}].tag is {tag}, expected {WB_NONE} to {WB_TENSOR_MAP}");
            return Err(Error::new(Kind::Argument, text));
        }
    })
}

/// Reads a tensor.
///
/// # Safety
/// `pointer` is null or a tensor as DLPack lays it out, which lives for `'a`.
pub(super) unsafe fn read_tensor<'a>(pointer: *const wb_tensor, flags: u16, name: &str) -> Result<Tensor<'a>> {
    // SAFETY: the caller says that it is null or a tensor.
    let tensor: &wb_tensor = unsafe { borrow(pointer, name) }?;
    let refuse = |what: &str| Error::new(Kind::Argument, format!("{name}: {what}"));
    let ndim = usize::try_from(tensor.ndim)
        .ok()
        .filter(|n| *n <= 64)
        .ok_or_else(|| refuse("ndim is not 0 to 64"))?;
    // SAFETY: DLPack says that `shape` has `ndim` items.
    let shape: &[i64] = unsafe { slice(tensor.shape, ndim, name) }?;
    if shape.iter().any(|&size| size < 0) {
        return Err(refuse("a size is negative"));
    }
    let strides = if tensor.strides.is_null() {
        None
    } else {
        // SAFETY: DLPack says that `strides` has `ndim` items, or is null.
        Some(unsafe { slice(tensor.strides, ndim, name) }?)
    };
    Ok(Tensor {
        address: (tensor.data as u64).wrapping_add(tensor.byte_offset),
        device_type: tensor.device.device_type,
        device_id: tensor.device.device_id,
        dtype: DlDtype {
            code: tensor.dtype.code,
            bits: tensor.dtype.bits,
            lanes: tensor.dtype.lanes,
        },
        shape,
        strides,
        read_only: flags & WB_READONLY != 0,
    })
}
