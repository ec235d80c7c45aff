//! The loader's side of the bargain: the structures of `vk_layer.h`, and finding ours in a `pNext` chain.
//!
//! The loader puts one link per layer into the chain of `vkCreateInstance` and `vkCreateDevice`. A layer takes the functions
//! of the next one out of it and advances the link, so that the next layer finds its own. Names and numbers are those of the
//! Vulkan-Loader's "Layer Interface", version 2. Nothing is decided here.

use std::ffi::c_void;

use ash::vk;

/// `VkNegotiateLayerStructType`: the only one there is.
pub(crate) const LAYER_NEGOTIATE_INTERFACE_STRUCT: i32 = 1;
/// The interface version that this layer speaks.
pub(crate) const INTERFACE_VERSION: u32 = 2;
/// `VK_LAYER_LINK_INFO`.
const LINK_INFO: i32 = 0;

/// `VkNegotiateLayerInterface`.
#[repr(C)]
pub struct NegotiateLayerInterface {
    pub(crate) s_type: i32,
    pub(crate) p_next: *mut c_void,
    pub(crate) version: u32,
    pub(crate) get_instance_proc_addr: Option<vk::PFN_vkGetInstanceProcAddr>,
    pub(crate) get_device_proc_addr: Option<vk::PFN_vkGetDeviceProcAddr>,
    pub(crate) get_physical_device_proc_addr: Option<vk::PFN_vkGetInstanceProcAddr>,
}

/// `VkLayerInstanceLink`.
#[repr(C)]
pub(crate) struct InstanceLink {
    next: *mut InstanceLink,
    pub(crate) get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr,
    get_physical_device_proc_addr: *const c_void,
}

/// `VkLayerDeviceLink`.
#[repr(C)]
pub(crate) struct DeviceLink {
    next: *mut DeviceLink,
    pub(crate) get_instance_proc_addr: vk::PFN_vkGetInstanceProcAddr,
    pub(crate) get_device_proc_addr: vk::PFN_vkGetDeviceProcAddr,
}

/// `VkLayerInstanceCreateInfo` and `VkLayerDeviceCreateInfo`, whose unions begin alike.
#[repr(C)]
pub(crate) struct CreateInfo<Link> {
    s_type: vk::StructureType,
    p_next: *const c_void,
    function: i32,
    link: *mut Link,
}

/// Where the loader left the link of this layer.
pub(crate) struct Place<Link>(*mut CreateInfo<Link>);

impl Place<InstanceLink> {
    /// # Safety
    /// `chain` is the `pNext` of a `VkInstanceCreateInfo` from a loader.
    pub(crate) unsafe fn of_instance(chain: *const c_void) -> Option<Self> {
        // SAFETY: the caller's contract.
        unsafe { Self::find(chain, vk::StructureType::LOADER_INSTANCE_CREATE_INFO) }
    }
    /// The link of this layer; the place then holds the next layer's.
    ///
    /// # Safety
    /// Inside the `vkCreateInstance` that it came from.
    pub(crate) unsafe fn advance<'a>(&self) -> &'a InstanceLink {
        // SAFETY: `find` saw that both are there; the loader keeps them for the length of the call.
        let link = unsafe { &*(*self.0).link };
        // SAFETY: as above; the loader means it to be written.
        unsafe { (*self.0).link = link.next };
        link
    }
}

impl Place<DeviceLink> {
    /// # Safety
    /// `chain` is the `pNext` of a `VkDeviceCreateInfo` from a loader.
    pub(crate) unsafe fn of_device(chain: *const c_void) -> Option<Self> {
        // SAFETY: the caller's contract.
        unsafe { Self::find(chain, vk::StructureType::LOADER_DEVICE_CREATE_INFO) }
    }
    /// The link of this layer.
    ///
    /// # Safety
    /// Inside the `vkCreateDevice` that it came from.
    pub(crate) unsafe fn link<'a>(&self) -> &'a DeviceLink {
        // SAFETY: `find` saw that both are there; the loader keeps them for the length of the call.
        unsafe { &*(*self.0).link }
    }
    /// Leaves the link that follows `link` for the next layer. To be said before each call of it: layers below advance, too.
    ///
    /// # Safety
    /// Inside the `vkCreateDevice` that it came from.
    pub(crate) unsafe fn leave_after(&self, link: &DeviceLink) {
        // SAFETY: as above; the loader means it to be written.
        unsafe { (*self.0).link = link.next };
    }
}

impl<Link> Place<Link> {
    /// # Safety
    /// `chain` is a `pNext` chain, and structures of `s_type` in it have the layout of `CreateInfo<Link>`.
    unsafe fn find(chain: *const c_void, s_type: vk::StructureType) -> Option<Self> {
        // SAFETY: the caller's contract.
        let mut links = unsafe { chain_of(chain) }.filter(|found| {
            // SAFETY: `chain_of` yields valid structures.
            unsafe { (**found).s_type == s_type }
        });
        let found = links.find(|found| {
            let info = found.cast::<CreateInfo<Link>>();
            // SAFETY: of that type, so of that layout.
            let (function, link) = unsafe { ((*info).function, (*info).link) };
            function == LINK_INFO && !link.is_null()
        });
        found.map(|info| Self(info.cast_mut().cast()))
    }
}

/// The structures of a `pNext` chain.
///
/// # Safety
/// `chain` is null or starts a valid chain that lives as long as the iterator is used.
pub(crate) unsafe fn chain_of(chain: *const c_void) -> impl Iterator<Item = *const vk::BaseInStructure<'static>> {
    let start: *const vk::BaseInStructure<'static> = chain.cast();
    std::iter::successors((!start.is_null()).then_some(start), |here| {
        // SAFETY: the caller's contract: every link is valid or null.
        let next = unsafe { (**here).p_next };
        (!next.is_null()).then_some(next)
    })
}

/// The first structure of a type in a chain.
///
/// # Safety
/// As [`chain_of`]; `T` is the structure that `s_type` stands for.
pub(crate) unsafe fn find_in<'a, T>(chain: *const c_void, s_type: vk::StructureType) -> Option<&'a T> {
    // SAFETY: the caller's contract.
    let found = unsafe { chain_of(chain) }.find(|here| {
        // SAFETY: `chain_of` yields valid structures.
        unsafe { (**here).s_type == s_type }
    });
    // SAFETY: of that type, so of that layout.
    found.map(|found| unsafe { &*found.cast::<T>() })
}

/// What every dispatchable handle starts with: the loader's table, the same for all handles of an instance or of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(usize);

/// The key of a handle.
///
/// # Safety
/// `handle` is a live dispatchable handle that the loader has seen.
pub(crate) unsafe fn key_of<H: vk::Handle>(handle: H) -> Key {
    // SAFETY: dispatchable handles are pointers to objects that start with the loader's pointer.
    Key(unsafe { *(handle.as_raw() as *const usize) })
}
