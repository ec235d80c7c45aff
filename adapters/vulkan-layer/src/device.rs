//! Devices: `vkCreateDevice` and `vkDestroyDevice`, and what is known of a live one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use ash::vk;

use crate::additions::{self, Abilities};
use crate::buffers::Own;
use crate::fns::{need, DeviceFns};
use crate::instance::Instance;
use crate::link::{key_of, DeviceLink, Place};
use crate::queue::Queues;
use crate::table::{self, all_devices, instances, write, DeviceReport};
use crate::timeline::Timeline;

/// A live device.
pub(crate) struct Device {
    pub(crate) id: u64,
    pub(crate) handle: vk::Device,
    pub(crate) physical: vk::PhysicalDevice,
    pub(crate) instance: Arc<Instance>,
    pub(crate) get_device_proc_addr: vk::PFN_vkGetDeviceProcAddr,
    pub(crate) fns: DeviceFns,
    pub(crate) abilities: Abilities,
    pub(crate) name: String,
    pub(crate) uuid: [u8; 16],
    pub(crate) import_alignment: u64,
    pub(crate) memory_types: Vec<vk::MemoryPropertyFlags>,
    /// Buffers that the layer made, not the application's others.
    pub(crate) own: RwLock<HashMap<vk::Buffer, Own>>,
    pub(crate) queues: Queues,
    pub(crate) timeline: Timeline,
    /// Held for reading by whatever comes not from the application; false once it destroys the device.
    pub(crate) alive: RwLock<bool>,
}

impl Device {
    pub(crate) fn report(&self) -> DeviceReport {
        use ash::vk::Handle as _;
        DeviceReport {
            id: self.id,
            handle: self.handle.as_raw(),
            name: self.name.clone(),
            uuid: self.uuid,
            import_alignment: self.import_alignment,
            export: self.abilities.export.clone(),
            import: self.abilities.import.clone(),
            timeline: self.abilities.timeline.clone(),
            timeline_export: self.abilities.timeline_export.clone(),
        }
    }
}

/// The device of a handle of its own, or of one of its queues.
///
/// # Safety
/// The handle is live.
pub(crate) unsafe fn device_of<H: vk::Handle>(handle: H) -> Arc<Device> {
    // SAFETY: the caller's contract.
    table::get(all_devices(), unsafe { key_of(handle) })
}

/// `vkCreateDevice`.
pub(crate) unsafe extern "system" fn create_device(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    out: *mut vk::Device,
) -> vk::Result {
    // SAFETY: lib.rs, here and below; a physical device has its instance's key.
    let instance = table::get(instances(), unsafe { key_of(physical) });
    // SAFETY: as above.
    let asked = unsafe { &*info };
    // SAFETY: as above.
    let Some(place) = (unsafe { Place::of_device(asked.p_next) }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: as above.
    let link = unsafe { place.link() };
    // SAFETY: as above.
    let create = unsafe { (link.get_instance_proc_addr)(instance.handle, c"vkCreateDevice".as_ptr()) };
    // SAFETY: the type is the one that Vulkan declares for a function of this name.
    let create: Option<vk::PFN_vkCreateDevice> = unsafe { std::mem::transmute(create) };
    let create_with = |info: &vk::DeviceCreateInfo<'_>| {
        // SAFETY: as above.
        unsafe { place.leave_after(link) };
        // SAFETY: as above.
        unsafe { need(create)(physical, info, allocator, out) }
    };
    // SAFETY: as above.
    let mut additions = unsafe { additions::of(&instance, physical, asked) };
    let mut abilities = additions.plain.clone();
    let mut result = vk::Result::ERROR_FEATURE_NOT_PRESENT;
    if additions.any(asked) {
        result = create_with(&additions.apply(asked));
        abilities = additions.abilities.clone();
    }
    if result != vk::Result::SUCCESS {
        abilities = additions.plain.clone();
        result = create_with(asked);
    }
    if result == vk::Result::SUCCESS {
        // SAFETY: it was written on success.
        unsafe { enter(*out, physical, instance, link, abilities) };
    }
    result
}

/// # Safety
/// `handle` was just made by the next layer, from `physical`.
unsafe fn enter(
    handle: vk::Device,
    physical: vk::PhysicalDevice,
    instance: Arc<Instance>,
    link: &DeviceLink,
    abilities: Abilities,
) {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let next = link.get_device_proc_addr;
    // SAFETY: `next` is the next layer's, and finds functions by name.
    let fns = unsafe { DeviceFns::resolve(|name| next(handle, name.as_ptr())) };
    // SAFETY: the caller's contract, here and below.
    let (name, uuid, import_alignment) = unsafe { facts(&instance, physical, &abilities) };
    // SAFETY: as above.
    let memory_types = unsafe { memory_types(&instance, physical) };
    let device = Device {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        handle,
        physical,
        instance,
        get_device_proc_addr: next,
        fns,
        abilities,
        name,
        uuid,
        import_alignment,
        memory_types,
        own: RwLock::default(),
        queues: Queues::default(),
        timeline: Timeline::default(),
        alive: RwLock::new(true),
    };
    // SAFETY: made by the next layer, so that the loader has seen it.
    let key = unsafe { key_of(handle) };
    write(all_devices()).insert(key, Arc::new(device));
}

/// Name, UUID, and alignment of imported host memory (0: it cannot import).
unsafe fn facts(instance: &Instance, physical: vk::PhysicalDevice, abilities: &Abilities) -> (String, [u8; 16], u64) {
    let mut id = vk::PhysicalDeviceIDProperties::default();
    let mut host = vk::PhysicalDeviceExternalMemoryHostPropertiesEXT::default();
    let mut properties = vk::PhysicalDeviceProperties2::default();
    let text = |properties: &vk::PhysicalDeviceProperties| {
        let name = properties.device_name_as_c_str().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let Some(properties2) = instance
        .fns
        .properties2
        .filter(|_| instance.api_version >= vk::API_VERSION_1_1)
    else {
        // SAFETY: lib.rs; the out-pointer is a local.
        unsafe { need(instance.fns.properties)(physical, &raw mut properties.properties) };
        return (text(&properties.properties), [0; 16], 0);
    };
    properties = properties.push_next(&mut id);
    if abilities.import.is_ok() {
        properties = properties.push_next(&mut host);
    }
    // SAFETY: as above.
    unsafe { properties2(physical, &raw mut properties) };
    let name = text(&properties.properties);
    (name, id.device_uuid, host.min_imported_host_pointer_alignment)
}

unsafe fn memory_types(instance: &Instance, physical: vk::PhysicalDevice) -> Vec<vk::MemoryPropertyFlags> {
    let mut properties = vk::PhysicalDeviceMemoryProperties::default();
    // SAFETY: lib.rs; the out-pointer is a local.
    unsafe { need(instance.fns.memory_properties)(physical, &raw mut properties) };
    let types = properties.memory_types_as_slice();
    types.iter().map(|memory_type| memory_type.property_flags).collect()
}

/// `vkDestroyDevice`.
pub(crate) unsafe extern "system" fn destroy_device(handle: vk::Device, allocator: *const vk::AllocationCallbacks<'_>) {
    if handle == vk::Device::null() {
        return;
    }
    // SAFETY: lib.rs.
    let key = unsafe { key_of(handle) };
    let device = table::get(all_devices(), key);
    // First out of the table: the key may serve a new device as soon as this one is gone.
    write(all_devices()).remove(&key);
    *write(&device.alive) = false;
    device.timeline.close(&device);
    let left: Vec<_> = write(&device.own).drain().collect();
    for (_, own) in left {
        // SAFETY: lib.rs: nothing of the device is in use any more, also the memory of buffers that were not destroyed.
        unsafe { need(device.fns.free)(handle, own.memory, std::ptr::null()) };
    }
    // SAFETY: lib.rs.
    unsafe { need(device.fns.destroy_device)(handle, allocator) };
}
