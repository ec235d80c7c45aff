//! Python objects with counted references, and the few operations that calls need.
//!
//! Safety contract of this file. A [`Python`] exists only while the thread holds the GIL: it is made where the interpreter
//! calls us, and [`Python::without_gil`] takes it away for a while. Pointers that the interpreter hands over are valid
//! objects for the length of the call. An [`Object`] owns one reference and is dropped only under the GIL: what keeps one
//! lives in a capsule, which the interpreter destroys, or on the stack of a call. Every function of the API that can fail
//! is followed by a look at its result; errors of a question ("is it the same?") are cleared, and the answer is no. Not so
//! where Python code runs to answer it: signals are seen there, and what their handlers raise (Ctrl-C) stays pending.
//! Attributes are read in `attribute.rs`.

use std::ffi::{c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::api::{Api, Buffer, DescriptorGet, Getter, MethodDef, NoArguments, Raw, EQUAL, NO_ARGUMENTS};

/// The GIL is held.
#[derive(Clone, Copy)]
pub(super) struct Python {
    pub(super) api: &'static Api,
}

/// An owned reference.
pub(super) struct Object {
    api: &'static Api,
    raw: Raw,
}

// SAFETY: a reference may be moved; that it is used and dropped under the GIL is the contract above.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

/// One unsafe call under the contract at the top of this file.
macro_rules! py {
    ($api:expr, $function:ident ( $($argument:expr),* )) => {{
        let stay = Stay;
        // SAFETY: see the contract at the top of this file.
        let result = unsafe { ($api.$function)($($argument),*) };
        std::mem::forget(stay);
        result
    }};
}

/// Keeps a thread here for ever that the interpreter wants to end.
///
/// While the interpreter finalizes, up to Python 3.13, a daemon thread that asks for the GIL is ended by `pthread_exit`,
/// which unwinds the stack; frames of ours must not be unwound, because what they drop needs the GIL. From 3.14 on the
/// interpreter does the same as this.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        py!(self.api, decref(self.raw));
    }
}

impl Object {
    pub(super) fn raw(&self) -> Raw {
        self.raw
    }
    /// Gives the reference away.
    pub(super) fn into_raw(self) -> Raw {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }
    pub(super) fn is(&self, other: Raw) -> bool {
        self.raw == other
    }
}

impl Python {
    /// Takes over a new reference; null is an error that is pending.
    fn owned(self, raw: Raw) -> Option<Object> {
        (!raw.is_null()).then_some(Object { api: self.api, raw })
    }
    /// Another reference to an object that somebody else holds.
    pub(super) fn borrow(self, raw: Raw) -> Object {
        py!(self.api, incref(raw));
        Object { api: self.api, raw }
    }
    pub(super) fn none(self) -> Object {
        self.borrow(self.api.none)
    }
    pub(super) fn is_none(self, raw: Raw) -> bool {
        raw == self.api.none
    }
    /// `None` for a question that failed, whose exception is forgotten.
    pub(super) fn answer<T>(self, value: Option<T>) -> Option<T> {
        if value.is_none() {
            py!(self.api, error_clear());
        }
        value
    }
    pub(super) fn intern(self, text: &'static CStr) -> Option<Object> {
        self.owned(py!(self.api, intern(text.as_ptr())))
    }
    pub(super) fn type_of(self, raw: Raw) -> Option<Object> {
        self.owned(py!(self.api, type_of(raw)))
    }
    /// A slot of a type; null where it has none, or the interpreter does not say.
    pub(super) fn slot(self, kind: Raw, slot: c_int) -> *mut c_void {
        let found = py!(self.api, slot(kind, slot));
        if found.is_null() {
            py!(self.api, error_clear());
        }
        found
    }
    /// Calls a getter on an object of the type whose table it stands in.
    pub(super) fn get(self, getter: Getter, raw: Raw, closure: *mut c_void) -> Option<Object> {
        let stay = Stay;
        // SAFETY: the interpreter would call it so; that the object is of its type is the caller's word.
        let found = unsafe { getter(raw, closure) };
        std::mem::forget(stay);
        self.answer(self.owned(found))
    }
    /// Asks a descriptor for its value in an object.
    pub(super) fn describe(self, get: DescriptorGet, descriptor: &Object, raw: Raw, kind: &Object) -> Option<Object> {
        let stay = Stay;
        // SAFETY: the slot of the descriptor's type, called as the interpreter calls it; it checks the object's type.
        let found = unsafe { get(descriptor.raw, raw, kind.raw) };
        std::mem::forget(stay);
        self.answer(self.owned(found))
    }
    /// Whether the object's type is exactly this one.
    pub(super) fn is_exactly(self, raw: Raw, kind: Raw) -> bool {
        if self.api.reads_types {
            // SAFETY: a valid object, by the contract at the top; its second word is its type (`Api::shows_types`).
            return unsafe { *raw.cast::<Raw>().add(1) } == kind;
        }
        self.type_of(raw).is_some_and(|found| found.is(kind))
    }
    /// `None` where there is no such attribute, or with another exception, which is pending.
    pub(super) fn attr(self, raw: Raw, name: &Object) -> Option<Object> {
        let found = self.owned(py!(self.api, getattr(raw, name.raw)));
        if found.is_none() {
            // SAFETY: the symbol is a variable that holds the exception's type.
            let missing = unsafe { *self.api.attribute_error.cast::<Raw>() };
            if py!(self.api, error_matches(missing)) != 0 {
                py!(self.api, error_clear());
            }
        }
        found
    }
    /// Whether an exception is pending.
    pub(super) fn failed(self) -> bool {
        !py!(self.api, error_occurred()).is_null()
    }
    pub(super) fn equal(self, left: Raw, right: Raw) -> bool {
        left == right || self.answer(Some(py!(self.api, compare(left, right, EQUAL))).filter(|r| *r >= 0)) == Some(1)
    }
    /// Whether an object is this text.
    pub(super) fn is_text(self, raw: Raw, expected: &str) -> bool {
        let mut length = 0;
        let bytes = py!(self.api, as_utf8(raw, &raw mut length));
        let Some(bytes) = self.answer(NonNull::new(bytes.cast_mut())) else {
            return false;
        };
        // SAFETY: the interpreter gives so many bytes, which live as long as the object.
        let found = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>().as_ptr(), length.unsigned_abs()) };
        found == expected.as_bytes()
    }
    pub(super) fn is_true(self, raw: Raw) -> bool {
        if raw == self.api.true_ || raw == self.api.false_ {
            return raw == self.api.true_;
        }
        self.answer(Some(py!(self.api, is_true(raw))).filter(|r| *r >= 0)) == Some(1)
    }
    pub(super) fn u64(self, raw: Raw) -> Option<u64> {
        let value = py!(self.api, as_u64(raw));
        self.answer((value != u64::MAX || py!(self.api, error_occurred()).is_null()).then_some(value))
    }
    pub(super) fn i64(self, raw: Raw) -> Option<i64> {
        let value = py!(self.api, as_i64(raw));
        self.answer((value != -1 || py!(self.api, error_occurred()).is_null()).then_some(value))
    }
    pub(super) fn f64(self, raw: Raw) -> Option<f64> {
        let value = py!(self.api, as_f64(raw));
        self.answer((value != -1.0 || py!(self.api, error_occurred()).is_null()).then_some(value))
    }
    pub(super) fn int(self, value: u64) -> Option<Object> {
        self.owned(py!(self.api, from_u64(value)))
    }
    /// Number of items; 0 for what is no tuple.
    pub(super) fn len(self, tuple: Raw) -> usize {
        let size = self.answer(Some(py!(self.api, tuple_size(tuple))).filter(|size| *size >= 0));
        size.unwrap_or(0).unsigned_abs()
    }
    /// An item, borrowed from its tuple.
    pub(super) fn item(self, tuple: Raw, index: usize) -> Option<Raw> {
        let item = py!(self.api, tuple_item(tuple, index.cast_signed()));
        self.answer((!item.is_null()).then_some(item))
    }
    /// An item of a list; owned, because others may take it out.
    pub(super) fn list_item(self, list: Raw, index: usize) -> Option<Object> {
        self.answer(self.owned(py!(self.api, sequence_item(list, index.cast_signed()))))
    }
    /// Number of items of a list.
    pub(super) fn list_len(self, list: Raw) -> Option<usize> {
        let size = py!(self.api, list_size(list));
        self.answer(usize::try_from(size).ok())
    }
    /// The int that an object stands for.
    pub(super) fn index(self, raw: Raw) -> Option<Object> {
        self.answer(self.owned(py!(self.api, index(raw))))
    }
    pub(super) fn tuple(self, items: impl ExactSizeIterator<Item = Object>) -> Option<Object> {
        let tuple = self.owned(py!(self.api, tuple_new(items.len().cast_signed())))?;
        for (index, item) in items.enumerate() {
            // Takes the reference, also on failure.
            py!(self.api, tuple_set(tuple.raw, index.cast_signed(), item.into_raw()));
        }
        Some(tuple)
    }
    /// Calls; `None` is an exception that is pending.
    pub(super) fn call(self, callable: &Object, arguments: impl ExactSizeIterator<Item = Object>) -> Option<Object> {
        let arguments = self.tuple(arguments)?;
        self.owned(py!(self.api, call(callable.raw, arguments.raw)))
    }
    /// Calls without arguments; `None` is an exception that is pending.
    pub(super) fn ask(self, callable: &Object) -> Option<Object> {
        self.owned(py!(self.api, call(callable.raw, ptr::null_mut())))
    }
    /// Calls a method without arguments; `None` is an exception that is pending. No bound method is made for it.
    pub(super) fn ask_method(self, raw: Raw, name: &Object) -> Option<Object> {
        let arguments = [raw];
        self.owned(py!(
            self.api,
            call_method(name.raw, arguments.as_ptr(), 1, ptr::null_mut())
        ))
    }
    /// The C function behind a method of a builtin type that takes no arguments; `None` for any other method.
    pub(super) fn native(self, method: &Object) -> Option<NoArguments> {
        if !self.is_exactly(method.raw, self.api.function_type) || py!(self.api, flags_of(method.raw)) != NO_ARGUMENTS {
            return None;
        }
        let function = NonNull::new(py!(self.api, function_of(method.raw)))?;
        // SAFETY: the flags say that it is such a function.
        Some(unsafe { std::mem::transmute::<NonNull<c_void>, NoArguments>(function) })
    }
    /// Calls it on an object of the type it belongs to; `None` is an exception that is pending.
    pub(super) fn ask_native(self, function: NoArguments, raw: Raw) -> Option<Object> {
        let stay = Stay;
        // SAFETY: called as the interpreter calls it; that the object is of its type is the caller's word.
        let found = unsafe { function(raw, ptr::null_mut()) };
        std::mem::forget(stay);
        self.owned(found)
    }
    /// What a capsule of that name points to.
    pub(super) fn capsule_pointer(self, capsule: Raw, name: &CStr) -> Option<NonNull<c_void>> {
        self.answer(NonNull::new(py!(self.api, capsule_pointer(capsule, name.as_ptr()))))
    }
    /// Looks at an object's memory through the buffer protocol.
    pub(super) fn with_buffer<T>(self, raw: Raw, flags: i32, look: impl FnOnce(&Buffer) -> Option<T>) -> Option<T> {
        let mut view = MaybeUninit::<Buffer>::uninit();
        self.answer((py!(self.api, get_buffer(raw, view.as_mut_ptr(), flags)) == 0).then_some(()))?;
        // SAFETY: the call succeeded, so it filled the view.
        let found = look(unsafe { view.assume_init_ref() });
        py!(self.api, release_buffer(view.as_mut_ptr()));
        found
    }
    /// A function with this first argument.
    pub(super) fn function(self, def: &'static MethodDef, first: Raw) -> Option<Object> {
        self.owned(py!(self.api, function_new(def, first, ptr::null_mut())))
    }
    /// An object that owns a value of ours.
    pub(super) fn capsule<T: Kept>(self, value: T) -> Option<Object> {
        let boxed = Box::into_raw(Box::new(value));
        let capsule = py!(
            self.api,
            capsule_new(boxed.cast(), T::NAME.as_ptr(), Some(destroy::<T>))
        );
        if capsule.is_null() {
            // SAFETY: made above, and nobody else has it.
            drop(unsafe { Box::from_raw(boxed) });
        }
        self.owned(capsule)
    }
    /// A capsule around a pointer of the caller's, with a destructor of its own.
    pub(super) fn foreign_capsule(
        self,
        pointer: *mut c_void,
        name: &'static CStr,
        destructor: unsafe extern "C" fn(Raw),
    ) -> Option<Object> {
        self.owned(py!(self.api, capsule_new(pointer, name.as_ptr(), Some(destructor))))
    }
    /// The value of a capsule that [`Python::capsule`] made for this type; `None` for anything else.
    pub(super) fn in_capsule<'a, T: Kept>(self, capsule: Raw) -> Option<&'a T> {
        let pointer = self.capsule_pointer(capsule, T::NAME)?.cast::<T>();
        // SAFETY: the name says that it is a `T`, which lives as long as the capsule: the function that is being called holds
        // it, and the interpreter holds the function for the length of the call.
        Some(unsafe { pointer.as_ref() })
    }
    /// Puts a pending exception aside while `work` runs.
    pub(super) fn with_error_aside(self, work: impl FnOnce()) {
        let mut error = [ptr::null_mut(); 3];
        let [kind, value, traceback] = &mut error;
        py!(self.api, error_fetch(kind, value, traceback));
        work();
        py!(self.api, error_restore(error[0], error[1], error[2]));
    }
    /// Raises `SystemError`.
    pub(super) fn raise(self, text: &'static CStr) {
        // SAFETY: the symbol is a variable that holds the exception's type.
        let kind = unsafe { *self.api.system_error.cast::<Raw>() };
        py!(self.api, error_set(kind, text.as_ptr()));
    }
    /// Runs without the GIL.
    pub(super) fn without_gil<T>(self, work: impl FnOnce() -> T) -> T {
        let _released = Released {
            api: self.api,
            thread: py!(self.api, save_thread()),
        };
        work()
    }
}

/// The GIL is not held; taken again at the end, also of a panic.
struct Released {
    api: &'static Api,
    thread: *mut c_void,
}

impl Drop for Released {
    fn drop(&mut self) {
        py!(self.api, restore_thread(self.thread));
    }
}

/// What a capsule can own.
pub(super) trait Kept: Send + Sync + 'static {
    /// Names the type to the interpreter; no other type has it.
    const NAME: &'static CStr;
}

unsafe extern "C" fn destroy<T: Kept>(capsule: Raw) {
    let Some(api) = super::api::api() else { return };
    let pointer = py!(api, capsule_pointer(capsule, T::NAME.as_ptr()));
    if !pointer.is_null() {
        // SAFETY: made by `Box::into_raw` in `capsule`; the interpreter destroys a capsule once, under the GIL.
        drop(unsafe { Box::from_raw(pointer.cast::<T>()) });
    }
}
