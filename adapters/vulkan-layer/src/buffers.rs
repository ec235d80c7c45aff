//! Intercepted buffer calls. A buffer made in a bracket has its memory already: the application is told that it needs next
//! to none, and binding what it then offers does nothing. Every other buffer passes through.

use ash::vk;

use crate::bracket::{self, Owner};
use crate::device::{device_of, Device};
use crate::fns::need;
use crate::make;
use crate::table::{read, write};

/// What belongs to a buffer that the layer made.
pub(crate) struct Own {
    pub(crate) memory: vk::DeviceMemory,
    /// Imported host memory's; dropped after the memory is freed.
    pub(crate) _owner: Option<Owner>,
}

/// `vkCreateBuffer`.
pub(crate) unsafe extern "system" fn create(
    handle: vk::Device,
    info: *const vk::BufferCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Buffer,
) -> vk::Result {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above.
    if let Some(request) = bracket::take(unsafe { (*info).size }) {
        // SAFETY: as above.
        match unsafe { make::buffer(&device, &*info, allocator, request) } {
            Ok(made) => {
                write(&device.own).insert(made.buffer, made.own);
                bracket::settle(Ok(made.shared));
                // SAFETY: as above.
                unsafe { out.write(made.buffer) };
                return vk::Result::SUCCESS;
            }
            Err(why) => bracket::settle(Err(why)),
        }
    }
    // SAFETY: as above.
    unsafe { need(device.fns.create_buffer)(handle, info, allocator, out) }
}

/// `vkDestroyBuffer`.
pub(crate) unsafe extern "system" fn destroy(
    handle: vk::Device,
    buffer: vk::Buffer,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    let own = if is_own(&device, buffer) {
        write(&device.own).remove(&buffer)
    } else {
        None
    };
    // SAFETY: as above.
    unsafe { need(device.fns.destroy_buffer)(handle, buffer, allocator) };
    if let Some(own) = own {
        // SAFETY: made by `make.rs` for this buffer alone, which is gone.
        unsafe { need(device.fns.free)(handle, own.memory, std::ptr::null()) };
    }
}

fn is_own(device: &Device, buffer: vk::Buffer) -> bool {
    read(&device.own).contains_key(&buffer)
}

/// One unit of alignment: the least that allocators hand out.
fn reduce(requirements: &mut vk::MemoryRequirements) {
    requirements.size = requirements.size.min(requirements.alignment);
}

/// `vkGetBufferMemoryRequirements`.
pub(crate) unsafe extern "system" fn requirements(
    handle: vk::Device,
    buffer: vk::Buffer,
    out: *mut vk::MemoryRequirements,
) {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above.
    unsafe { need(device.fns.requirements)(handle, buffer, out) };
    if is_own(&device, buffer) {
        // SAFETY: as above; it was written.
        reduce(unsafe { &mut *out });
    }
}

/// `vkGetBufferMemoryRequirements2`, `vkGetBufferMemoryRequirements2KHR`.
pub(crate) unsafe extern "system" fn requirements2(
    handle: vk::Device,
    info: *const vk::BufferMemoryRequirementsInfo2<'_>,
    out: *mut vk::MemoryRequirements2<'_>,
) {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above.
    unsafe { need(device.fns.requirements2)(handle, info, out) };
    // SAFETY: as above.
    if !is_own(&device, unsafe { (*info).buffer }) {
        return;
    }
    // SAFETY: as above; it was written.
    let out = unsafe { &mut *out };
    reduce(&mut out.memory_requirements);
    let mut here: *mut vk::BaseOutStructure<'_> = out.p_next.cast();
    while !here.is_null() {
        // SAFETY: the application's chain is valid.
        let structure = unsafe { &mut *here };
        if structure.s_type == vk::StructureType::MEMORY_DEDICATED_REQUIREMENTS {
            // SAFETY: of that type, so of that layout.
            let dedicated = unsafe { &mut *here.cast::<vk::MemoryDedicatedRequirements<'_>>() };
            // The buffer has its dedicated memory; another one, of the reduced size, would be wrong.
            dedicated.prefers_dedicated_allocation = vk::FALSE;
            dedicated.requires_dedicated_allocation = vk::FALSE;
        }
        here = structure.p_next;
    }
}

/// `vkBindBufferMemory`.
pub(crate) unsafe extern "system" fn bind(
    handle: vk::Device,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    offset: vk::DeviceSize,
) -> vk::Result {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    if is_own(&device, buffer) {
        return vk::Result::SUCCESS;
    }
    // SAFETY: as above.
    unsafe { need(device.fns.bind)(handle, buffer, memory, offset) }
}

/// `vkBindBufferMemory2`, `vkBindBufferMemory2KHR`.
pub(crate) unsafe extern "system" fn bind2(
    handle: vk::Device,
    count: u32,
    infos: *const vk::BindBufferMemoryInfo<'_>,
) -> vk::Result {
    // SAFETY: lib.rs, here and below.
    let device = unsafe { device_of(handle) };
    // SAFETY: as above; `count` is not 0.
    let asked = unsafe { std::slice::from_raw_parts(infos, count as usize) };
    let others: Vec<_> = asked
        .iter()
        .filter(|info| !is_own(&device, info.buffer))
        .copied()
        .collect();
    if others.is_empty() {
        return vk::Result::SUCCESS;
    }
    // SAFETY: as above.
    unsafe { need(device.fns.bind2)(handle, others.len() as u32, others.as_ptr()) }
}
