//! What the loader calls: the negotiation, and finding functions by name. One list says what is intercepted; everything else
//! is the next layer's.

use std::ffi::{c_char, CStr};

use ash::vk;

use crate::link::{key_of, NegotiateLayerInterface, INTERFACE_VERSION, LAYER_NEGOTIATE_INTERFACE_STRUCT};
use crate::table::{all_devices, instances, read};
use crate::{buffers, device, instance, queue};

/// Lists intercepted functions by name.
macro_rules! intercepted {
    ($name:expr; $($text:literal => $function:path: $pfn:ident),* $(,)?) => {
        $( if $name == $text {
            let function: vk::$pfn = $function;
            // SAFETY: all function pointers are alike in size; whoever asks for a name knows its type.
            return unsafe { std::mem::transmute::<vk::$pfn, vk::PFN_vkVoidFunction>(function) };
        } )*
    };
}

fn of_instance(name: &CStr) -> vk::PFN_vkVoidFunction {
    intercepted! { name;
        c"vkGetInstanceProcAddr" => get_instance_proc_addr: PFN_vkGetInstanceProcAddr,
        c"vkCreateInstance" => instance::create_instance: PFN_vkCreateInstance,
        c"vkDestroyInstance" => instance::destroy_instance: PFN_vkDestroyInstance,
        c"vkCreateDevice" => device::create_device: PFN_vkCreateDevice,
    }
    None
}

fn of_device(name: &CStr) -> vk::PFN_vkVoidFunction {
    intercepted! { name;
        c"vkGetDeviceProcAddr" => get_device_proc_addr: PFN_vkGetDeviceProcAddr,
        c"vkDestroyDevice" => device::destroy_device: PFN_vkDestroyDevice,
        c"vkGetDeviceQueue" => queue::get_queue: PFN_vkGetDeviceQueue,
        c"vkGetDeviceQueue2" => queue::get_queue2: PFN_vkGetDeviceQueue2,
        c"vkQueueSubmit" => queue::submit: PFN_vkQueueSubmit,
        c"vkQueueSubmit2" => queue::submit2: PFN_vkQueueSubmit2,
        c"vkQueueSubmit2KHR" => queue::submit2: PFN_vkQueueSubmit2,
        c"vkQueueBindSparse" => queue::bind_sparse: PFN_vkQueueBindSparse,
        c"vkQueuePresentKHR" => queue::present: PFN_vkQueuePresentKHR,
        c"vkQueueWaitIdle" => queue::wait_idle: PFN_vkQueueWaitIdle,
        c"vkDeviceWaitIdle" => queue::device_wait_idle: PFN_vkDeviceWaitIdle,
        c"vkCreateBuffer" => buffers::create: PFN_vkCreateBuffer,
        c"vkDestroyBuffer" => buffers::destroy: PFN_vkDestroyBuffer,
        c"vkGetBufferMemoryRequirements" => buffers::requirements: PFN_vkGetBufferMemoryRequirements,
        c"vkGetBufferMemoryRequirements2" => buffers::requirements2: PFN_vkGetBufferMemoryRequirements2,
        c"vkGetBufferMemoryRequirements2KHR" => buffers::requirements2: PFN_vkGetBufferMemoryRequirements2,
        c"vkBindBufferMemory" => buffers::bind: PFN_vkBindBufferMemory,
        c"vkBindBufferMemory2" => buffers::bind2: PFN_vkBindBufferMemory2,
        c"vkBindBufferMemory2KHR" => buffers::bind2: PFN_vkBindBufferMemory2,
    }
    None
}

/// Tells the loader where to ask for functions; what makes a library a layer.
///
/// # Safety
/// Called by a Vulkan loader with a structure of its own.
#[no_mangle]
pub unsafe extern "system" fn vkNegotiateLoaderLayerInterfaceVersion(
    interface: *mut NegotiateLayerInterface,
) -> vk::Result {
    // SAFETY: the caller's contract.
    let Some(interface) = (unsafe { interface.as_mut() }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    if interface.s_type != LAYER_NEGOTIATE_INTERFACE_STRUCT || interface.version < INTERFACE_VERSION {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    }
    interface.version = INTERFACE_VERSION;
    interface.get_instance_proc_addr = Some(get_instance_proc_addr);
    interface.get_device_proc_addr = Some(get_device_proc_addr);
    interface.get_physical_device_proc_addr = None;
    vk::Result::SUCCESS
}

/// `vkGetInstanceProcAddr`.
unsafe extern "system" fn get_instance_proc_addr(handle: vk::Instance, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: lib.rs, here and below.
    let text = unsafe { CStr::from_ptr(name) };
    if let Some(found) = of_instance(text) {
        return Some(found);
    }
    if handle == vk::Instance::null() {
        return None;
    }
    // SAFETY: as above.
    let key = unsafe { key_of(handle) };
    let instance = read(instances()).get(&key).cloned()?;
    // SAFETY: as above.
    let next = unsafe { (instance.get_instance_proc_addr)(handle, name) };
    next.and_then(|next| of_device(text).or(Some(next)))
}

/// `vkGetDeviceProcAddr`: what the next layer lacks is not there, also where it would be intercepted.
unsafe extern "system" fn get_device_proc_addr(handle: vk::Device, name: *const c_char) -> vk::PFN_vkVoidFunction {
    // SAFETY: lib.rs, here and below.
    let text = unsafe { CStr::from_ptr(name) };
    // SAFETY: as above.
    let key = unsafe { key_of(handle) };
    let device = read(all_devices()).get(&key).cloned()?;
    // SAFETY: as above.
    let next = unsafe { (device.get_device_proc_addr)(handle, name) };
    next.and_then(|next| of_device(text).or(Some(next)))
}
