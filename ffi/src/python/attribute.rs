//! Attributes that are read again and again: what the type says about reading one is looked up once.
//!
//! A lookup costs more than the reading, and of a getter the check of the object's type costs more than the getting. Both
//! are left out here: whoever reads an [`Attribute`] or asks a [`Method`] has compared the object's type with the one that
//! it was made for.

use std::ffi::{c_void, CStr};

use super::api::{
    DescriptorGet, GetSet, Getter, NoArguments, Raw, SLOT_DESCRIPTOR_GET, SLOT_DESCRIPTOR_SET, SLOT_GETSET,
};
use super::object::{Object, Python};

/// An attribute of objects whose type is exactly one that was given.
pub(super) struct Attribute {
    name: Object,
    way: Way,
}

/// How it is read.
enum Way {
    /// A getter of the type's own table.
    Getter(Getter, *mut c_void),
    /// A data descriptor, asked as the interpreter asks it.
    Descriptor {
        descriptor: Object,
        get: DescriptorGet,
        kind: Object,
    },
    /// Looked up: it may stand in the object itself.
    Lookup,
}

// SAFETY: the closure is the interpreter's pointer, handed back to the getter under the GIL only.
unsafe impl Send for Way {}
// SAFETY: as above.
unsafe impl Sync for Way {}

impl Attribute {
    pub(super) fn new(py: Python, kind: Raw, name: &'static CStr) -> Option<Self> {
        let text = name;
        let name = py.intern(name)?;
        let way = Way::find(py, kind, &name, text).unwrap_or(Way::Lookup);
        Some(Self { name, way })
    }

    /// Reads it from an object whose type is that of `new`; `None` where there is no such attribute.
    pub(super) fn of(&self, py: Python, raw: Raw) -> Option<Object> {
        match &self.way {
            Way::Getter(get, closure) => py.get(*get, raw, *closure),
            Way::Descriptor { descriptor, get, kind } => py.describe(*get, descriptor, raw, kind),
            Way::Lookup => py.attr(raw, &self.name),
        }
    }
}

/// A method without arguments, of objects whose type is exactly one that was given.
pub(super) struct Method {
    name: Object,
    /// `None`: looked up and called as Python code would.
    native: Option<NoArguments>,
}

impl Method {
    /// Learns from an object of the type.
    pub(super) fn new(py: Python, object: Raw, name: &'static CStr) -> Option<Self> {
        let name = py.intern(name)?;
        let native = py.native(&py.attr(object, &name)?);
        Some(Self { name, native })
    }

    /// Calls it; `None` is an exception that is pending.
    pub(super) fn ask(&self, py: Python, raw: Raw) -> Option<Object> {
        match self.native {
            Some(function) => py.ask_native(function, raw),
            None => py.ask_method(raw, &self.name),
        }
    }
}

impl Way {
    /// A data descriptor comes before anything that an object itself may have under this name.
    fn find(py: Python, kind: Raw, name: &Object, text: &CStr) -> Option<Self> {
        let descriptor = py.attr(kind, name)?;
        let own = py.type_of(descriptor.raw())?;
        let [get, set] = [SLOT_DESCRIPTOR_GET, SLOT_DESCRIPTOR_SET].map(|slot| py.slot(own.raw(), slot));
        if get.is_null() || set.is_null() {
            return None;
        }
        if own.is(py.api.getset_type) {
            let owner = py.attr(descriptor.raw(), &py.intern(c"__objclass__")?)?;
            if let Some(found) = in_table(py, owner.raw(), text) {
                return Some(found);
            }
        }
        // SAFETY: the interpreter says that this is the type's `tp_descr_get`.
        let get = unsafe { std::mem::transmute::<*mut c_void, DescriptorGet>(get) };
        Some(Self::Descriptor {
            descriptor,
            get,
            kind: py.borrow(kind),
        })
    }
}

/// The getter of this name in the table that a type was made with.
fn in_table(py: Python, kind: Raw, name: &CStr) -> Option<Way> {
    let mut entry = py.slot(kind, SLOT_GETSET).cast::<GetSet>();
    if entry.is_null() {
        return None;
    }
    loop {
        // SAFETY: `tp_getset` points to entries that live as long as the type; one without a name ends them.
        let found = unsafe { &*entry };
        if found.name.is_null() {
            return None;
        }
        // SAFETY: as above; names are NUL-terminated.
        if unsafe { CStr::from_ptr(found.name) } == name {
            return found.get.map(|get| Way::Getter(get, found.closure));
        }
        // SAFETY: not the last one, which has no name.
        entry = unsafe { entry.add(1) };
    }
}
