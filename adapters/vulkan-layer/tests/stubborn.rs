//! Two small layers for the tests, to be put below ours: devices that lack what lavapipe has.
//!
//! `negotiate_hiding`: the device does not list `VK_EXT_external_memory_host`. `negotiate_refusing`: the device lists
//! everything, but cannot be made with `VK_KHR_external_memory_fd`; it says so as drivers do, after every layer has taken
//! its link.
#![allow(missing_docs, dead_code)]

#[path = "../src/link.rs"]
mod link;

use std::collections::HashMap;
use std::ffi::{c_char, CStr};
use std::sync::{Mutex, OnceLock};

use ash::vk;
use link::{key_of, Key, NegotiateLayerInterface, Place};

/// What is below an instance or a device.
#[derive(Clone, Copy)]
struct Below {
    instance: vk::Instance,
    of_instance: vk::PFN_vkGetInstanceProcAddr,
    of_device: Option<vk::PFN_vkGetDeviceProcAddr>,
    /// Asked for while the instance is made: later the loader's own answer would be the top of the chain, which is us.
    list: Option<vk::PFN_vkEnumerateDeviceExtensionProperties>,
}

fn below() -> &'static Mutex<HashMap<Key, Below>> {
    static BELOW: OnceLock<Mutex<HashMap<Key, Below>>> = OnceLock::new();
    BELOW.get_or_init(Mutex::default)
}

fn find(key: Key) -> Option<Below> {
    below().lock().expect("not poisoned").get(&key).copied()
}

/// The next layer's function of an instance.
unsafe fn next<F: Copy>(below: Below, name: &CStr) -> F {
    // SAFETY: a function of Vulkan's, asked for by name.
    let found = unsafe { (below.of_instance)(below.instance, name.as_ptr()) };
    assert_eq!(size_of::<F>(), size_of_val(&found));
    // SAFETY: the caller names its type; all function pointers are alike in size.
    unsafe { std::mem::transmute_copy(&found.expect("there")) }
}

unsafe extern "system" fn create_instance(
    info: *const vk::InstanceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Instance,
) -> vk::Result {
    // SAFETY: the loader's call, here and below.
    let place = unsafe { Place::of_instance((*info).p_next) }.expect("a loader");
    // SAFETY: as above.
    let of_instance = unsafe { place.advance() }.get_instance_proc_addr;
    let instance = vk::Instance::null();
    let of_device = None;
    let none = Below {
        instance,
        of_instance,
        of_device,
        list: None,
    };
    // SAFETY: as above.
    let create: vk::PFN_vkCreateInstance = unsafe { next(none, c"vkCreateInstance") };
    // SAFETY: as above.
    let result = unsafe { create(info, allocator, out) };
    if result == vk::Result::SUCCESS {
        // SAFETY: it was written.
        let (instance, key) = unsafe { (*out, key_of(*out)) };
        let known = Below { instance, ..none };
        // SAFETY: as above.
        let list = Some(unsafe { next(known, c"vkEnumerateDeviceExtensionProperties") });
        below()
            .lock()
            .expect("not poisoned")
            .insert(key, Below { list, ..known });
    }
    result
}

unsafe fn create_device<const REFUSE: bool>(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Device,
) -> vk::Result {
    // SAFETY: the loader's call, here and below.
    let instance = find(unsafe { key_of(physical) }).expect("of an instance");
    // SAFETY: as above.
    let asked = unsafe { &*info };
    // SAFETY: as above.
    let place = unsafe { Place::of_device(asked.p_next) }.expect("a loader");
    // SAFETY: as above.
    let link = unsafe { place.link() };
    // SAFETY: as above.
    unsafe { place.leave_after(link) };
    let named = |index: u32| {
        // SAFETY: the structure says that there are so many.
        unsafe { CStr::from_ptr(*asked.pp_enabled_extension_names.add(index as usize)) }
    };
    if REFUSE && (0..asked.enabled_extension_count).any(|index| named(index) == c"VK_KHR_external_memory_fd") {
        return vk::Result::ERROR_EXTENSION_NOT_PRESENT;
    }
    // SAFETY: as above.
    let create: vk::PFN_vkCreateDevice = unsafe { next(instance, c"vkCreateDevice") };
    // SAFETY: as above.
    let result = unsafe { create(physical, info, allocator, out) };
    if result == vk::Result::SUCCESS {
        let of_device = Some(link.get_device_proc_addr);
        // SAFETY: it was written.
        let key = unsafe { key_of(*out) };
        below()
            .lock()
            .expect("not poisoned")
            .insert(key, Below { of_device, ..instance });
    }
    result
}

unsafe extern "system" fn create_device_or_refuse(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Device,
) -> vk::Result {
    // SAFETY: the loader's call.
    unsafe { create_device::<true>(physical, info, allocator, out) }
}

unsafe extern "system" fn create_any_device(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Device,
) -> vk::Result {
    // SAFETY: the loader's call.
    unsafe { create_device::<false>(physical, info, allocator, out) }
}

unsafe extern "system" fn list_all_but_one(
    physical: vk::PhysicalDevice,
    layer: *const c_char,
    count: *mut u32,
    out: *mut vk::ExtensionProperties,
) -> vk::Result {
    // SAFETY: the loader's call, here and below.
    let instance = find(unsafe { key_of(physical) }).expect("of an instance");
    let list = instance.list.expect("asked for when the instance was made");
    let mut all = vec![vk::ExtensionProperties::default(); 1024];
    let mut found = all.len() as u32;
    // SAFETY: as above; there is room for 1024.
    let result = unsafe { list(physical, layer, &raw mut found, all.as_mut_ptr()) };
    all.truncate(found as usize);
    all.retain(|one| one.extension_name_as_c_str() != Ok(c"VK_EXT_external_memory_host"));
    if !out.is_null() {
        // SAFETY: as above; the caller counted before.
        unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), out, all.len()) };
    }
    // SAFETY: as above.
    unsafe { *count = all.len() as u32 };
    result
}

unsafe fn instance_function(handle: vk::Instance, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: the loader's call, here and below.
    if unsafe { CStr::from_ptr(name) } == c"vkCreateInstance" {
        let function: vk::PFN_vkCreateInstance = create_instance;
        // SAFETY: the loader knows its type.
        return unsafe { std::mem::transmute::<vk::PFN_vkCreateInstance, vk::PFN_vkVoidFunction>(function) };
    }
    if handle == vk::Instance::null() {
        return None;
    }
    // SAFETY: as above.
    let below = find(unsafe { key_of(handle) })?;
    // SAFETY: as above.
    unsafe { (below.of_instance)(handle, name) }
}

unsafe extern "system" fn of_refusing(handle: vk::Instance, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: the loader's call.
    if unsafe { CStr::from_ptr(name) } == c"vkCreateDevice" {
        let function: vk::PFN_vkCreateDevice = create_device_or_refuse;
        // SAFETY: the loader knows its type.
        return unsafe { std::mem::transmute::<vk::PFN_vkCreateDevice, vk::PFN_vkVoidFunction>(function) };
    }
    // SAFETY: the loader's call.
    unsafe { instance_function(handle, name) }
}

unsafe extern "system" fn of_hiding(handle: vk::Instance, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: the loader's call.
    let text = unsafe { CStr::from_ptr(name) };
    if text == c"vkCreateDevice" {
        let function: vk::PFN_vkCreateDevice = create_any_device;
        // SAFETY: the loader knows its type.
        return unsafe { std::mem::transmute::<vk::PFN_vkCreateDevice, vk::PFN_vkVoidFunction>(function) };
    }
    if text == c"vkEnumerateDeviceExtensionProperties" {
        type List = vk::PFN_vkEnumerateDeviceExtensionProperties;
        let function: List = list_all_but_one;
        // SAFETY: as above.
        return unsafe { std::mem::transmute::<List, vk::PFN_vkVoidFunction>(function) };
    }
    // SAFETY: the loader's call.
    unsafe { instance_function(handle, name) }
}

unsafe extern "system" fn device_function(handle: vk::Device, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: the loader's call, here and below.
    let below = find(unsafe { key_of(handle) })?;
    // SAFETY: as above.
    unsafe { (below.of_device?)(handle, name) }
}

unsafe fn negotiate(interface: *mut NegotiateLayerInterface, find: vk::PFN_vkGetInstanceProcAddr) -> vk::Result {
    // SAFETY: the loader's call.
    let interface = unsafe { &mut *interface };
    interface.version = link::INTERFACE_VERSION;
    interface.get_instance_proc_addr = Some(find);
    interface.get_device_proc_addr = Some(device_function);
    interface.get_physical_device_proc_addr = None;
    vk::Result::SUCCESS
}

/// # Safety
/// The loader's call.
#[no_mangle]
pub unsafe extern "system" fn negotiate_refusing(interface: *mut NegotiateLayerInterface) -> vk::Result {
    // SAFETY: the loader's call.
    unsafe { negotiate(interface, of_refusing) }
}

/// # Safety
/// The loader's call.
#[no_mangle]
pub unsafe extern "system" fn negotiate_hiding(interface: *mut NegotiateLayerInterface) -> vk::Result {
    // SAFETY: the loader's call.
    unsafe { negotiate(interface, of_hiding) }
}
