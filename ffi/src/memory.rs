//! Memory of our own: allocated on a device, or another API's mapped there; freed when the last owner lets go, be that a
//! handle, an exported tensor or a Vulkan buffer that lies in it.
//!
//! [`export`] makes the DLPack form. Its deleter is Rust: it needs no interpreter, so a consumer may call it on any thread
//! and as late as it likes, also while the process ends.

use std::ffi::c_void;
use std::sync::Arc;

use crate::backend::{Mapped, StreamHandle};
use crate::device::Device;
use crate::error::Result;
use crate::value::Tensor;

/// A block of memory.
pub struct Memory {
    device: Arc<Device>,
    address: u64,
    bytes: u64,
    origin: Origin,
}

/// How it came about, which is how it is given back.
enum Origin {
    /// Allocated; `true`: pinned.
    Own(bool),
    /// Another API's.
    Mapped(Mapped),
}

impl Memory {
    /// New memory of a device; `pinned`: host memory that its GPU reaches.
    pub fn new(device: &Arc<Device>, bytes: u64, pinned: bool) -> Result<Self> {
        let address = device.backend.memory_new(bytes, pinned)?;
        let device = Arc::clone(device);
        Ok(Self {
            device,
            address,
            bytes,
            origin: Origin::Own(pinned),
        })
    }
    /// Takes over what [`crate::backend::External::map`] of `device` returned.
    pub(crate) fn adopt(device: &Arc<Device>, mapped: Mapped, bytes: u64) -> Self {
        Self {
            device: Arc::clone(device),
            address: mapped.address,
            bytes,
            origin: Origin::Mapped(mapped),
        }
    }
    /// Where it is.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }
    /// How much of it there is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Whether the host can read it.
    #[must_use]
    pub fn is_host(&self) -> bool {
        match self.origin {
            Origin::Own(pinned) => pinned || self.device.index == 0,
            Origin::Mapped(_) => false,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A failure has nobody to go to: the context is lost or the process is ending, and the memory with it.
        let backend = &self.device.backend;
        let _ = match self.origin {
            Origin::Own(pinned) => backend.memory_free(self.address, self.bytes, pinned),
            Origin::Mapped(mapped) => backend.external().map_or(Ok(()), |external| external.unmap(mapped)),
        };
    }
}

/// Copies bytes in the order of a stream of `device`; one side may be the host's. Returns when the copy is done.
pub fn copy(device: &Device, to: u64, from: u64, bytes: u64, stream: StreamHandle) -> Result<()> {
    device.backend.memory_copy(to, from, bytes, stream)
}

/// DLPack's `DLTensor`, as in dlpack.h.
#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: [i32; 2],
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
struct Versioned {
    version: [u32; 2],
    context: *mut c_void,
    deleter: unsafe extern "C" fn(*mut Versioned),
    flags: u64,
    tensor: DlTensor,
}

/// `DLManagedTensor`, from before DLPack 1.0.
#[repr(C)]
struct Legacy {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: unsafe extern "C" fn(*mut Legacy),
}

/// What an exported tensor points to.
struct Exported {
    _memory: Arc<Memory>,
    sizes: Vec<i64>,
    strides: Vec<i64>,
}

/// Makes a `DLManagedTensorVersioned` (1.3), or a `DLManagedTensor`, that owns a share of `memory`. The caller, or who gets
/// it, calls the deleter in it once.
#[must_use]
pub fn export(memory: &Arc<Memory>, tensor: &Tensor<'_>, flags: u64, versioned: bool) -> *mut c_void {
    let mut exported = Box::new(Exported {
        _memory: Arc::clone(memory),
        sizes: tensor.shape.to_vec(),
        strides: strides(tensor),
    });
    let tensor = DlTensor {
        data: tensor.address as *mut c_void,
        device: [tensor.device_type, tensor.device_id],
        ndim: exported.sizes.len() as i32,
        code: tensor.dtype.code,
        bits: tensor.dtype.bits,
        lanes: tensor.dtype.lanes,
        shape: exported.sizes.as_mut_ptr(),
        strides: exported.strides.as_mut_ptr(),
        byte_offset: 0,
    };
    let context = Box::into_raw(exported).cast();
    if versioned {
        Box::into_raw(Box::new(Versioned {
            version: [1, 3],
            context,
            deleter: delete_versioned,
            flags,
            tensor,
        }))
        .cast()
    } else {
        let deleter = delete_legacy;
        Box::into_raw(Box::new(Legacy {
            tensor,
            context,
            deleter,
        }))
        .cast()
    }
}

/// Calls the deleter of a tensor.
///
/// # Safety
/// [`export`] made it, with this `versioned`, and nobody has called its deleter.
pub unsafe fn delete(managed: *mut c_void, versioned: bool) {
    if versioned {
        // SAFETY: the caller's contract is the deleter's.
        unsafe { delete_versioned(managed.cast()) };
    } else {
        // SAFETY: as above.
        unsafe { delete_legacy(managed.cast()) };
    }
}

/// DLPack 1.2 wants them written out.
fn strides(tensor: &Tensor<'_>) -> Vec<i64> {
    if let Some(given) = tensor.strides {
        return given.to_vec();
    }
    let mut strides = vec![1i64; tensor.shape.len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(tensor.shape[axis].max(1));
    }
    strides
}

unsafe extern "C" fn delete_versioned(managed: *mut Versioned) {
    if !managed.is_null() {
        // SAFETY: `export` made it with `Box::into_raw`; DLPack's consumer calls the deleter once.
        let managed = unsafe { Box::from_raw(managed) };
        // SAFETY: so was its context.
        drop(unsafe { Box::from_raw(managed.context.cast::<Exported>()) });
    }
}

unsafe extern "C" fn delete_legacy(managed: *mut Legacy) {
    if !managed.is_null() {
        // SAFETY: `export` made it with `Box::into_raw`; DLPack's consumer calls the deleter once.
        let managed = unsafe { Box::from_raw(managed) };
        // SAFETY: so was its context.
        drop(unsafe { Box::from_raw(managed.context.cast::<Exported>()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::by_index;
    use crate::dtype::DType;

    fn memory(bytes: u64) -> Arc<Memory> {
        let cpu = by_index(0).expect("the CPU device");
        Arc::new(Memory::new(cpu, bytes, false).expect("a few bytes"))
    }

    fn tensor<'a>(memory: &Memory, shape: &'a [i64]) -> Tensor<'a> {
        Tensor {
            address: memory.address(),
            device_type: 1,
            device_id: 0,
            dtype: DType::Float32.dlpack(),
            shape,
            strides: None,
            read_only: false,
        }
    }

    #[test]
    fn memory_lives_until_the_deleter_was_called_on_another_thread() {
        let owner = memory(96);
        let exported = export(&owner, &tensor(&owner, &[4, 2, 3]), 0, true) as usize;
        let watch = Arc::downgrade(&owner);
        drop(owner);
        assert!(watch.upgrade().is_some());
        let consumer = std::thread::spawn(move || {
            let managed = exported as *mut Versioned;
            // SAFETY: the tensor is ours until its deleter has been called.
            let seen = unsafe { &*managed };
            assert_eq!((seen.version, seen.flags, seen.tensor.ndim), ([1, 3], 0, 3));
            // SAFETY: three dimensions.
            let strides = unsafe { std::slice::from_raw_parts(seen.tensor.strides, 3) };
            assert_eq!(strides, [6, 3, 1]);
            // SAFETY: called once.
            unsafe { (seen.deleter)(managed) };
        });
        consumer.join().expect("the consumer's checks");
        assert!(watch.upgrade().is_none());
    }

    #[test]
    fn legacy_form_owns_its_share_too() {
        let owner = memory(0);
        let managed = export(&owner, &tensor(&owner, &[0]), 0, false).cast::<Legacy>();
        assert_eq!(Arc::strong_count(&owner), 2);
        // SAFETY: the tensor is ours until its deleter has been called, once.
        unsafe { ((*managed).deleter)(managed) };
        assert_eq!(Arc::strong_count(&owner), 1);
    }

    #[test]
    fn whole_pages_begin_at_a_page() {
        let page_bytes = crate::process::page_bytes();
        for pages in 1..5 {
            assert_eq!(memory(pages * page_bytes).address() % page_bytes, 0);
        }
    }

    #[test]
    fn memory_is_aligned_to_256_bytes() {
        for bytes in [0, 1, 1000] {
            assert_eq!(memory(bytes).address() % 256, 0);
        }
    }
}
