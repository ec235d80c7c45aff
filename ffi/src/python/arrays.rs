//! Reads the arrays of a call: is it the array that a checked call had, but for its address, and what is that address.
//!
//! One reader per library, each by the cheapest public way that says everything a check depends on: NumPy through the
//! buffer protocol, PyTorch through DLPack's C exchange API, CuPy through its attributes. Anything that differs, or cannot
//! be read, is "no": then the call goes the long way, and is checked from the start.

use std::ffi::{c_char, c_int, c_void, CStr};

use super::api::{Buffer, Raw, CONTIGUOUS_WITH_FORMAT};
use super::attribute::{Attribute, Method};
use super::object::{Object, Python};
use crate::abi::wb_tensor;
use crate::dtype::DlDtype;

/// What an array must be to fit a checked call.
pub(super) struct Expected {
    /// Its exact type: a subclass may mean anything by its attributes.
    kind: Object,
    reader: Reader,
    shape: Vec<i64>,
    dtype: DlDtype,
    device: (i32, i32),
    /// Whether the kernel writes to it.
    writable: bool,
    align: u64,
}

enum Reader {
    NumPy,
    CuPy(Box<CuPy>),
    Torch(Torch),
}

struct CuPy {
    data: Attribute,
    /// The type of `data`.
    memory: Object,
    ptr: Attribute,
    device_id: Attribute,
    c_contiguous: Attribute,
    dtype: Attribute,
    shape: CuPyShape,
    /// What the checked call had.
    expected_dtype: Object,
}

/// CuPy makes a new tuple for each look at a shape; the shape of a vector can be had for less.
enum CuPyShape {
    Vector {
        size: Attribute,
        ndim: Attribute,
        expected: i64,
    },
    Any {
        shape: Attribute,
        expected: Object,
    },
}

struct Torch {
    exchange: Exchange,
    requires_grad: Attribute,
    is_neg: Method,
}

/// The part of `DLPackExchangeAPI` (DLPack 1.3) that is used.
#[repr(C)]
struct ExchangeTable {
    major: u32,
    minor: u32,
    previous: usize,
    allocate: usize,
    to_managed: usize,
    from_managed: usize,
    borrow: Option<unsafe extern "C" fn(*mut c_void, *mut wb_tensor) -> c_int>,
    current_stream: Option<unsafe extern "C" fn(c_int, i32, *mut *mut c_void) -> c_int>,
}

/// A library's exchange API. It is static: the library is never unloaded.
#[derive(Clone, Copy)]
pub(super) struct Exchange(&'static ExchangeTable);

impl Exchange {
    /// Reads it from a type that has it.
    pub(super) fn of(py: Python, kind: Raw) -> Option<Self> {
        let capsule = py.attr(kind, &py.intern(c"__dlpack_c_exchange_api__")?)?;
        let table = py
            .capsule_pointer(capsule.raw(), c"dlpack_exchange_api")?
            .cast::<ExchangeTable>();
        // SAFETY: DLPack says that a capsule of this name points to a static table that starts with its version.
        let table: &ExchangeTable = unsafe { table.as_ref() };
        (table.major == 1 && table.minor >= 3).then_some(Self(table))
    }
    /// The library's current stream on a device.
    pub(super) fn current_stream(self, py: Python, device: (i32, i32)) -> Option<u64> {
        let mut stream = std::ptr::null_mut();
        // SAFETY: DLPack's contract: any thread, an out-pointer to a pointer.
        let code = unsafe { self.0.current_stream?(device.0, device.1, &raw mut stream) };
        py.answer((code == 0).then_some(stream as u64))
    }
    /// Describes an array of the library; what it points to lives until the GIL is released. `None` where it cannot, as for
    /// a sparse tensor: the long way says why in our own words.
    fn tensor(self, py: Python, array: Raw) -> Option<wb_tensor> {
        let mut tensor = std::mem::MaybeUninit::<wb_tensor>::zeroed();
        // SAFETY: DLPack's contract: an object of the type whose table this is, an out-pointer, the GIL.
        let code = unsafe { self.0.borrow?(array.cast(), tensor.as_mut_ptr()) };
        // SAFETY: zeroes are a tensor, and the function has filled it.
        py.answer((code == 0).then(|| unsafe { tensor.assume_init() }))
    }
}

/// What the checks were told about an array, from Python.
pub(super) struct Facts {
    pub(super) library: u64,
    pub(super) shape: Vec<i64>,
    pub(super) dtype: DlDtype,
    pub(super) device: (i32, i32),
}

impl Expected {
    /// Learns from an array whose call was checked; `None` where it cannot be read fast, or is not what was checked.
    pub(super) fn learn(py: Python, array: Raw, facts: Facts, writable: bool, align: u64) -> Option<Self> {
        let kind = py.type_of(array)?;
        let reader = match facts.library {
            1 => Reader::NumPy,
            2 => Reader::CuPy(Box::new(CuPy::learn(py, array, kind.raw(), &facts.shape)?)),
            3 => Reader::Torch(Torch {
                exchange: Exchange::of(py, kind.raw())?,
                requires_grad: Attribute::new(py, kind.raw(), c"requires_grad")?,
                is_neg: Method::new(py, array, c"is_neg")?,
            }),
            _ => return None,
        };
        let expected = Self {
            kind,
            reader,
            shape: facts.shape,
            dtype: facts.dtype,
            device: facts.device,
            writable,
            align,
        };
        expected.read(py, array)?;
        Some(expected)
    }

    /// The array's address, if everything else is as expected.
    pub(super) fn read(&self, py: Python, array: Raw) -> Option<u64> {
        if !py.is_exactly(array, self.kind.raw()) {
            return None;
        }
        let address = match &self.reader {
            Reader::NumPy => self.read_numpy(py, array),
            Reader::CuPy(cupy) => cupy.read(py, array, self.device.1),
            Reader::Torch(torch) => self.read_torch(py, array, torch),
        };
        address.filter(|address| *address != 0 && address.is_multiple_of(self.align))
    }

    /// The library's current stream, where its C API says it.
    pub(super) fn exchange(&self) -> Option<(Exchange, (i32, i32))> {
        match &self.reader {
            Reader::Torch(torch) => Some((torch.exchange, self.device)),
            Reader::NumPy | Reader::CuPy(_) => None,
        }
    }

    fn read_numpy(&self, py: Python, array: Raw) -> Option<u64> {
        py.with_buffer(array, CONTIGUOUS_WITH_FORMAT, |view: &Buffer| {
            let ndim = usize::try_from(view.ndim).ok()?;
            // SAFETY: the buffer protocol says that `shape` has `ndim` items, or is null when there are none.
            let shape = (ndim != 0).then(|| unsafe { std::slice::from_raw_parts(view.shape, ndim) });
            let same_shape = shape
                .unwrap_or(&[])
                .iter()
                .map(|size| *size as i64)
                .eq(self.shape.iter().copied());
            let same_dtype = dtype_of(view.format, view.itemsize) == Some(self.dtype);
            let may_write = !self.writable || view.readonly == 0;
            (same_shape && same_dtype && may_write).then_some(view.data as u64)
        })
    }

    fn read_torch(&self, py: Python, array: Raw, torch: &Torch) -> Option<u64> {
        if py.is_true(torch.requires_grad.of(py, array)?.raw()) {
            return None;
        }
        // A lazy negation is a flag beside the memory. Complex tensors, which may be lazily conjugate, go the long way.
        if self.dtype.code == COMPLEX || py.is_true(torch.is_neg.ask(py, array)?.raw()) {
            return None;
        }
        let tensor = torch.exchange.tensor(py, array)?;
        let dtype = DlDtype {
            code: tensor.dtype.code,
            bits: tensor.dtype.bits,
            lanes: tensor.dtype.lanes,
        };
        let same = dtype == self.dtype
            && (tensor.device.device_type, tensor.device.device_id) == self.device
            && usize::try_from(tensor.ndim) == Ok(self.shape.len())
            // SAFETY: DLPack says that both lists have `ndim` items; `strides` may be null.
            && unsafe { is_contiguous(&self.shape, tensor.shape, tensor.strides) };
        same.then(|| (tensor.data as u64).wrapping_add(tensor.byte_offset))
    }
}

impl CuPy {
    fn learn(py: Python, array: Raw, kind: Raw, shape: &[i64]) -> Option<Self> {
        let attribute = |name| Attribute::new(py, kind, name);
        let (data, dtype) = (attribute(c"data")?, attribute(c"dtype")?);
        let pointer = data.of(py, array)?;
        let memory = py.type_of(pointer.raw())?;
        Some(Self {
            ptr: Attribute::new(py, memory.raw(), c"ptr")?,
            device_id: Attribute::new(py, memory.raw(), c"device_id")?,
            c_contiguous: attribute(c"_c_contiguous")?,
            expected_dtype: dtype.of(py, array)?,
            shape: CuPyShape::learn(py, kind, shape)?,
            memory,
            data,
            dtype,
        })
    }

    fn read(&self, py: Python, array: Raw, device_id: i32) -> Option<u64> {
        let dtype = self.dtype.of(py, array)?;
        if !py.equal(dtype.raw(), self.expected_dtype.raw()) || !self.shape.is_that_of(py, array)? {
            return None;
        }
        let data = self.data.of(py, array)?;
        if !py.is_exactly(data.raw(), self.memory.raw())
            || !py.is_true(self.c_contiguous.of(py, array)?.raw())
            || py.i64(self.device_id.of(py, data.raw())?.raw())? != i64::from(device_id)
        {
            return None;
        }
        py.u64(self.ptr.of(py, data.raw())?.raw())
    }
}

impl CuPyShape {
    fn learn(py: Python, kind: Raw, shape: &[i64]) -> Option<Self> {
        if let &[expected] = shape {
            return Some(Self::Vector {
                size: Attribute::new(py, kind, c"size")?,
                ndim: Attribute::new(py, kind, c"ndim")?,
                expected,
            });
        }
        let sizes: Vec<_> = shape
            .iter()
            .map(|size| py.int(size.cast_unsigned()))
            .collect::<Option<_>>()?;
        Some(Self::Any {
            shape: Attribute::new(py, kind, c"shape")?,
            expected: py.tuple(sizes.into_iter())?,
        })
    }

    fn is_that_of(&self, py: Python, array: Raw) -> Option<bool> {
        match self {
            Self::Vector { size, ndim, expected } => {
                let of = |attribute: &Attribute| py.i64(attribute.of(py, array)?.raw());
                Some(of(ndim)? == 1 && of(size)? == *expected)
            }
            Self::Any { shape, expected } => Some(py.equal(shape.of(py, array)?.raw(), expected.raw())),
        }
    }
}

const COMPLEX: u8 = 5;

/// The element type of a buffer; `None` for byte orders and structs that no kernel takes.
fn dtype_of(format: *const c_char, itemsize: isize) -> Option<DlDtype> {
    if format.is_null() {
        return None;
    }
    // SAFETY: the buffer protocol says that a format is a NUL-terminated string.
    let code = match unsafe { CStr::from_ptr(format) }.to_bytes() {
        b"b" | b"h" | b"i" | b"l" | b"q" => 0,
        b"B" | b"H" | b"I" | b"L" | b"Q" => 1,
        b"e" | b"f" | b"d" => 2,
        b"Zf" | b"Zd" => COMPLEX,
        b"?" => 6,
        _ => return None,
    };
    let bits = u8::try_from(itemsize * 8).ok()?;
    Some(DlDtype { code, bits, lanes: 1 })
}

/// Whether a tensor has this shape, C-contiguous.
///
/// # Safety
/// `sizes` and, unless it is null, `strides` have as many items as `shape`.
unsafe fn is_contiguous(shape: &[i64], sizes: *const i64, strides: *const i64) -> bool {
    let mut expected = 1;
    for (index, &size) in shape.iter().enumerate().rev() {
        // SAFETY: the caller says how long the lists are.
        if unsafe { *sizes.add(index) } != size {
            return false;
        }
        // SAFETY: as above.
        if size != 1 && !strides.is_null() && unsafe { *strides.add(index) } != expected {
            return false;
        }
        expected *= size;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_formats_become_dtypes_and_foreign_byte_order_does_not() {
        let of = |format: &CStr, bytes| dtype_of(format.as_ptr(), bytes).map(|d| (d.code, d.bits));
        assert_eq!(of(c"f", 4), Some((2, 32)));
        assert_eq!(of(c"l", 8), Some((0, 64)));
        assert_eq!(of(c"?", 1), Some((6, 8)));
        assert_eq!(of(c">f", 4), None);
        assert_eq!(of(c"T{f:x:}", 4), None);
        assert!(dtype_of(std::ptr::null(), 4).is_none());
    }

    #[test]
    fn test_contiguity_ignores_strides_of_single_elements() {
        let fits = |sizes: &[i64], strides: &[i64]| {
            // SAFETY: all lists have three items.
            unsafe { is_contiguous(&[2, 1, 3], sizes.as_ptr(), strides.as_ptr()) }
        };
        assert!(fits(&[2, 1, 3], &[3, 77, 1]));
        assert!(!fits(&[2, 1, 4], &[3, 77, 1]));
        assert!(!fits(&[2, 1, 3], &[3, 3, 2]));
        // SAFETY: as above; null strides mean contiguous.
        assert!(unsafe { is_contiguous(&[2, 1, 3], [2, 1, 3].as_ptr(), std::ptr::null()) });
    }
}
