//! Instances: `vkCreateInstance` and `vkDestroyInstance`. Nothing is added to an instance; what a device needs to know of it
//! is kept here.

use std::sync::Arc;

use ash::vk;

use crate::fns::{need, InstanceFns};
use crate::link::{key_of, Place};
use crate::table::{self, instances, write};

/// A live instance.
pub(crate) struct Instance {
    pub(crate) handle: vk::Instance,
    /// The Vulkan version that the application promised not to exceed.
    pub(crate) api_version: u32,
    pub(crate) fns: InstanceFns,
    pub(crate) get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr,
}

/// `vkCreateInstance`.
pub(crate) unsafe extern "system" fn create_instance(
    info: *const vk::InstanceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Instance,
) -> vk::Result {
    // SAFETY: lib.rs, here and below.
    let asked = unsafe { &*info };
    // SAFETY: as above.
    let Some(place) = (unsafe { Place::of_instance(asked.p_next) }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: as above.
    let next = unsafe { place.advance() }.get_instance_proc_addr;
    // SAFETY: as above.
    let create = unsafe { next(vk::Instance::null(), c"vkCreateInstance".as_ptr()) };
    // SAFETY: the type is the one that Vulkan declares for a function of this name.
    let create: Option<vk::PFN_vkCreateInstance> = unsafe { std::mem::transmute(create) };
    // SAFETY: as above.
    let result = unsafe { need(create)(info, allocator, out) };
    if result == vk::Result::SUCCESS {
        // SAFETY: it was written on success.
        unsafe { enter(*out, asked, next) };
    }
    result
}

/// # Safety
/// `handle` was just made by the next layer.
unsafe fn enter(handle: vk::Instance, asked: &vk::InstanceCreateInfo<'_>, next: vk::PFN_vkGetInstanceProcAddr) {
    // SAFETY: null or valid, as the application gave it.
    let application = unsafe { asked.p_application_info.as_ref() };
    let api_version = application.map_or(0, |info| info.api_version);
    // SAFETY: `next` is the next layer's, and finds functions by name.
    let fns = unsafe { InstanceFns::resolve(|name| next(handle, name.as_ptr())) };
    let instance = Instance {
        handle,
        // 0 stands for 1.0.
        api_version: api_version.max(vk::API_VERSION_1_0),
        fns,
        get_instance_proc_addr: next,
    };
    // SAFETY: made by the next layer, so that the loader has seen it.
    let key = unsafe { key_of(handle) };
    write(instances()).insert(key, Arc::new(instance));
}

/// `vkDestroyInstance`.
pub(crate) unsafe extern "system" fn destroy_instance(
    handle: vk::Instance,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    if handle == vk::Instance::null() {
        return;
    }
    // SAFETY: lib.rs.
    let key = unsafe { key_of(handle) };
    let instance = table::get(instances(), key);
    // First out of the table: the key may serve a new instance as soon as this one is gone.
    write(instances()).remove(&key);
    // SAFETY: lib.rs.
    unsafe { need(instance.fns.destroy_instance)(handle, allocator) };
}
