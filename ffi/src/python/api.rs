//! CPython's C API as the running interpreter exports it: one function pointer per symbol, found at run time.
//!
//! Nothing is linked and nothing is compiled against a version of Python: all names are in the stable ABI of Python 3.11 or
//! exported by every version since, with types that have not changed. A process without them (PyPy, a hidden libpython) has
//! no [`Api`], and callers go the long way. The functions are declared `C-unwind`: `object.rs` says what may unwind. `object.rs` is the only caller of the pointers, but for the buffer's layout.

use std::ffi::{c_char, c_int, c_longlong, c_ulonglong, c_void};
use std::sync::OnceLock;

/// `PyObject`, opaque.
#[repr(C)]
pub(super) struct PyObject([u8; 0]);

/// A pointer as the interpreter passes objects.
pub(super) type Raw = *mut PyObject;

/// `PyCFunctionFastWithKeywords`.
pub(super) type FastCall = unsafe extern "C" fn(Raw, *const Raw, isize, Raw) -> Raw;

/// `PyMethodDef`.
#[repr(C)]
pub(super) struct MethodDef {
    pub(super) name: *const c_char,
    pub(super) function: FastCall,
    pub(super) flags: c_int,
    pub(super) doc: *const c_char,
}

// SAFETY: its pointers are to constants.
unsafe impl Sync for MethodDef {}

/// `PyCFunction`, of a method without arguments: the second is null.
pub(super) type NoArguments = unsafe extern "C-unwind" fn(Raw, Raw) -> Raw;
/// `METH_NOARGS`.
pub(super) const NO_ARGUMENTS: c_int = 0x0004;

/// `METH_FASTCALL | METH_KEYWORDS`.
pub(super) const FAST_WITH_KEYWORDS: c_int = 0x0080 | 0x0002;

/// `Py_buffer`, in the stable ABI since 3.11.
#[repr(C)]
pub(super) struct Buffer {
    pub(super) data: *mut c_void,
    pub(super) owner: Raw,
    pub(super) bytes: isize,
    pub(super) itemsize: isize,
    pub(super) readonly: c_int,
    pub(super) ndim: c_int,
    pub(super) format: *const c_char,
    pub(super) shape: *const isize,
    pub(super) strides: *const isize,
    pub(super) suboffsets: *const isize,
    pub(super) internal: *mut c_void,
}

/// `PyBUF_C_CONTIGUOUS | PyBUF_FORMAT`.
pub(super) const CONTIGUOUS_WITH_FORMAT: c_int = 0x0020 | 0x0010 | 0x0008 | 0x0004;
/// `PyGetSetDef`.
#[repr(C)]
pub(super) struct GetSet {
    pub(super) name: *const c_char,
    pub(super) get: Option<Getter>,
    pub(super) set: *const c_void,
    pub(super) doc: *const c_char,
    pub(super) closure: *mut c_void,
}

/// `getter`.
pub(super) type Getter = unsafe extern "C-unwind" fn(Raw, *mut c_void) -> Raw;
/// `descrgetfunc`.
pub(super) type DescriptorGet = unsafe extern "C-unwind" fn(Raw, Raw, Raw) -> Raw;
/// `Py_tp_descr_get`.
pub(super) const SLOT_DESCRIPTOR_GET: c_int = 54;
/// `Py_tp_getset`.
pub(super) const SLOT_GETSET: c_int = 73;
/// `Py_tp_descr_set`.
pub(super) const SLOT_DESCRIPTOR_SET: c_int = 55;
/// `Py_EQ`.
pub(super) const EQUAL: c_int = 2;

/// Declares [`Api`] and its loader from lists of functions and of objects.
macro_rules! api {
    (
        $( $symbol:literal $name:ident ( $($argument:ty),* ) $(-> $result:ty)?; )*
        objects
        $( $object:literal $field:ident; )*
    ) => {
        pub(super) struct Api {
            $( pub(super) $name: unsafe extern "C-unwind" fn($($argument),*) $(-> $result)?, )*
            $( pub(super) $field: Raw, )*
            /// See [`Api::shows_types`].
            pub(super) reads_types: bool,
        }

        // SAFETY: functions and static objects of the interpreter belong to no thread; who may use them is `object.rs`'s
        // contract.
        unsafe impl Send for Api {}
        // SAFETY: as above.
        unsafe impl Sync for Api {}

        fn resolve() -> Option<Api> {
            let process = libloading::os::unix::Library::this();
            let api = Api {
                $( $name: {
                    // SAFETY: the type is the one that Python's headers declare for this symbol.
                    let symbol = unsafe { process.get(concat!($symbol, "\0").as_bytes()) };
                    *symbol.ok()?
                }, )*
                $( $field: {
                    // SAFETY: the symbol is an object; its address is what Python code calls the object.
                    let symbol = unsafe { process.get::<Raw>(concat!($object, "\0").as_bytes()) };
                    symbol.ok()?.into_raw().cast()
                }, )*
                reads_types: false,
            };
            Some(Api {
                reads_types: api.shows_types(),
                ..api
            })
        }
    };
}

api! {
    "Py_IncRef" incref(Raw);
    "Py_DecRef" decref(Raw);
    "PyObject_Type" type_of(Raw) -> Raw;
    "PyObject_GetAttr" getattr(Raw, Raw) -> Raw;
    "PyType_GetSlot" slot(Raw, c_int) -> *mut c_void;
    "PyObject_IsTrue" is_true(Raw) -> c_int;
    "PyObject_RichCompareBool" compare(Raw, Raw, c_int) -> c_int;
    "PyObject_CallObject" call(Raw, Raw) -> Raw;
    "PyObject_VectorcallMethod" call_method(Raw, *const Raw, usize, Raw) -> Raw;
    "PyObject_GetBuffer" get_buffer(Raw, *mut Buffer, c_int) -> c_int;
    "PyBuffer_Release" release_buffer(*mut Buffer);
    "PyUnicode_AsUTF8AndSize" as_utf8(Raw, *mut isize) -> *const c_char;
    "PyUnicode_InternFromString" intern(*const c_char) -> Raw;
    "PyLong_AsUnsignedLongLong" as_u64(Raw) -> c_ulonglong;
    "PyLong_AsLongLong" as_i64(Raw) -> c_longlong;
    "PyLong_FromUnsignedLongLong" from_u64(c_ulonglong) -> Raw;
    "PyFloat_AsDouble" as_f64(Raw) -> f64;
    "PyTuple_New" tuple_new(isize) -> Raw;
    "PyTuple_Size" tuple_size(Raw) -> isize;
    "PyTuple_GetItem" tuple_item(Raw, isize) -> Raw;
    "PyList_Size" list_size(Raw) -> isize;
    "PySequence_GetItem" sequence_item(Raw, isize) -> Raw;
    "PyNumber_Index" index(Raw) -> Raw;
    "PyTuple_SetItem" tuple_set(Raw, isize, Raw) -> c_int;
    "PyCapsule_New" capsule_new(*mut c_void, *const c_char, Option<unsafe extern "C" fn(Raw)>) -> Raw;
    "PyCapsule_GetPointer" capsule_pointer(Raw, *const c_char) -> *mut c_void;
    "PyCFunction_NewEx" function_new(*const MethodDef, Raw, Raw) -> Raw;
    "PyErr_Occurred" error_occurred() -> Raw;
    "PyErr_ExceptionMatches" error_matches(Raw) -> c_int;
    "PyErr_Clear" error_clear();
    "PyErr_Fetch" error_fetch(*mut Raw, *mut Raw, *mut Raw);
    "PyErr_Restore" error_restore(Raw, Raw, Raw);
    "PyErr_SetString" error_set(Raw, *const c_char);
    "PyEval_SaveThread" save_thread() -> *mut c_void;
    "PyEval_RestoreThread" restore_thread(*mut c_void);
    "PyCFunction_GetFunction" function_of(Raw) -> *mut c_void;
    "PyCFunction_GetFlags" flags_of(Raw) -> c_int;
    objects
    "_Py_NoneStruct" none;
    "_Py_TrueStruct" true_;
    "_Py_FalseStruct" false_;
    "PyCFunction_Type" function_type;
    "PyType_Type" type_type;
    "PyFloat_Type" float_type;
    "PyGetSetDescr_Type" getset_type;
    "PyLong_Type" int_type;
    "PyList_Type" list_type;
    "PyTuple_Type" tuple_type;
    "PyUnicode_Type" text_type;
    "PyBytes_Type" bytes_type;
    "PyExc_SystemError" system_error;
    "PyExc_AttributeError" attribute_error;
}

impl Api {
    /// Whether an object's type is the second word of the object, as extensions of the stable ABI have it compiled in (the
    /// free-threaded interpreter has another layout): then a type is read, not asked for. Some types show it.
    fn shows_types(&self) -> bool {
        [self.int_type, self.float_type, self.text_type, self.tuple_type]
            .iter()
            .all(|kind| {
                // SAFETY: a static object of the interpreter, of hundreds of bytes.
                unsafe { *kind.cast::<Raw>().add(1) == self.type_type }
            })
    }
}

/// The interpreter's functions; `None` where this process does not export them.
pub(super) fn api() -> Option<&'static Api> {
    static API: OnceLock<Option<Api>> = OnceLock::new();
    API.get_or_init(resolve).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// The numbers are what a C program prints with the `Python.h` of 3.11 to 3.13.
    #[test]
    fn test_structs_have_the_layout_of_python_h() {
        assert_eq!(size_of::<MethodDef>(), 32);
        assert_eq!(offset_of!(MethodDef, flags), 16);
        assert_eq!(size_of::<Buffer>(), 80);
        assert_eq!((size_of::<GetSet>(), offset_of!(GetSet, closure)), (40, 32));
        assert_eq!(offset_of!(Buffer, readonly), 32);
        assert_eq!(offset_of!(Buffer, format), 40);
        assert_eq!(offset_of!(Buffer, shape), 48);
    }

    #[test]
    fn test_process_without_python_has_no_api() {
        assert!(api().is_none());
    }
}
