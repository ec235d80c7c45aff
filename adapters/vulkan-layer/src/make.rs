//! Making a buffer as requested: the buffer with its external handle type, memory that belongs to it alone, both bound.
//! Whatever fails, what was made so far is undone and the reason returned; the application then gets an ordinary buffer.

use std::ffi::c_void;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::Arc;

use ash::vk;
use ash::vk::ExternalMemoryHandleTypeFlags as HandleType;
use ash::vk::Handle as _;

use crate::bracket::{HostMemory, Request};
use crate::buffers::Own;
use crate::device::Device;
use crate::fns::need;
use crate::link::find_in;
use crate::shared::{Kind, Shared};

/// A finished buffer.
pub(crate) struct Made {
    pub(crate) buffer: vk::Buffer,
    pub(crate) own: Own,
    pub(crate) shared: Arc<Shared>,
}

/// A buffer that is destroyed, and its memory freed, unless it is finished.
struct Draft<'a> {
    device: &'a Device,
    allocator: *const vk::AllocationCallbacks<'a>,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let handle = self.device.handle;
        if !self.buffer.is_null() {
            // SAFETY: made here, and used by nobody.
            unsafe { need(self.device.fns.destroy_buffer)(handle, self.buffer, self.allocator) };
        }
        if !self.memory.is_null() {
            // SAFETY: as above.
            unsafe { need(self.device.fns.free)(handle, self.memory, ptr::null()) };
        }
    }
}

/// Makes a buffer.
///
/// # Safety
/// `info` and `allocator` are what the application gave `vkCreateBuffer`.
pub(crate) unsafe fn buffer(
    device: &Arc<Device>,
    info: &vk::BufferCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    request: Request,
) -> Result<Made, String> {
    // SAFETY: the caller's contract.
    let taken: Option<&vk::ExternalMemoryBufferCreateInfo<'_>> =
        unsafe { find_in(info.p_next, vk::StructureType::EXTERNAL_MEMORY_BUFFER_CREATE_INFO) };
    if taken.is_some() || !info.flags.is_empty() {
        return Err("the buffer is external, sparse or protected already, expected an ordinary one".into());
    }
    let mut draft = Draft {
        device,
        allocator,
        buffer: vk::Buffer::null(),
        memory: vk::DeviceMemory::null(),
    };
    let (allocation_bytes, kind, owner) = match request {
        Request::Export => {
            // SAFETY: the caller's contract.
            let (bytes, fd) = unsafe { draft.exported(info) }?;
            (bytes, Kind::Export(fd), None)
        }
        Request::Import(host) => {
            // SAFETY: the caller's contract.
            let bytes = unsafe { draft.imported(info, &host) }?;
            let owner = host.owner.clone();
            (bytes, Kind::Import(host), Some(owner))
        }
    };
    let shared = Arc::new(Shared {
        device: Arc::downgrade(device),
        device_id: device.id,
        device_handle: device.handle.as_raw(),
        uuid: device.uuid,
        device_name: device.name.clone(),
        bytes: info.size,
        allocation_bytes,
        kind,
    });
    let (buffer, memory) = (std::mem::take(&mut draft.buffer), std::mem::take(&mut draft.memory));
    let own = Own { memory, _owner: owner };
    Ok(Made { buffer, own, shared })
}

impl Draft<'_> {
    /// Device memory and its descriptor.
    unsafe fn exported(&mut self, info: &vk::BufferCreateInfo<'_>) -> Result<(u64, OwnedFd), String> {
        self.device.abilities.export.clone()?;
        let get_fd = self.device.fns.memory_fd.ok_or("the device has no vkGetMemoryFdKHR")?;
        self.check_external(info, HandleType::OPAQUE_FD, vk::ExternalMemoryFeatureFlags::EXPORTABLE)?;
        // SAFETY: the caller's contract.
        let needs = unsafe { self.create(info, HandleType::OPAQUE_FD) }?;
        let mut dedicated = vk::MemoryDedicatedAllocateInfo::default().buffer(self.buffer);
        let mut export = vk::ExportMemoryAllocateInfo::default().handle_types(HandleType::OPAQUE_FD);
        export.p_next = (&raw mut dedicated).cast();
        let index = self.memory_type(needs.memory_type_bits)?;
        self.allocate(needs.size, index, info.usage, (&raw const export).cast())?;
        self.bind()?;
        let ask = vk::MemoryGetFdInfoKHR::default()
            .memory(self.memory)
            .handle_type(HandleType::OPAQUE_FD);
        let mut fd = -1;
        // SAFETY: lib.rs; the out-pointer is a local.
        checked("vkGetMemoryFdKHR", unsafe {
            get_fd(self.device.handle, &raw const ask, &raw mut fd)
        })?;
        // SAFETY: Vulkan hands the descriptor over.
        Ok((needs.size, unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Host memory; returns how much of it was imported.
    unsafe fn imported(&mut self, info: &vk::BufferCreateInfo<'_>, host: &HostMemory) -> Result<u64, String> {
        self.device.abilities.import.clone()?;
        let kind = HandleType::HOST_ALLOCATION_EXT;
        let alignment = self.device.import_alignment.max(1);
        if !(host.address as u64).is_multiple_of(alignment) {
            return Err(format!(
                "the host memory is at {:#x}, expected a multiple of {alignment}",
                host.address
            ));
        }
        self.check_external(info, kind, vk::ExternalMemoryFeatureFlags::IMPORTABLE)?;
        // SAFETY: the caller's contract.
        let needs = unsafe { self.create(info, kind) }?;
        let bytes = needs.size.next_multiple_of(alignment);
        if bytes > host.bytes {
            return Err(format!(
                "the host memory has {} bytes, expected at least {bytes} for this buffer",
                host.bytes
            ));
        }
        let import = vk::ImportMemoryHostPointerInfoEXT::default()
            .handle_type(kind)
            .host_pointer(host.address as *mut c_void);
        let index = self.memory_type(needs.memory_type_bits & self.host_types(host)?)?;
        self.allocate(bytes, index, info.usage, (&raw const import).cast())?;
        self.bind()?;
        Ok(bytes)
    }

    /// Whether the device shares such buffers at all.
    fn check_external(
        &self,
        info: &vk::BufferCreateInfo<'_>,
        kind: HandleType,
        feature: vk::ExternalMemoryFeatureFlags,
    ) -> Result<(), String> {
        let ask = vk::PhysicalDeviceExternalBufferInfo::default()
            .flags(info.flags)
            .usage(info.usage)
            .handle_type(kind);
        let mut found = vk::ExternalBufferProperties::default();
        let properties = need(self.device.instance.fns.external_buffer);
        // SAFETY: lib.rs; the out-pointer is a local.
        unsafe { properties(self.device.physical, &raw const ask, &raw mut found) };
        if found
            .external_memory_properties
            .external_memory_features
            .contains(feature)
        {
            return Ok(());
        }
        Err(format!(
            "the device does not share buffers of usage {:#x} as handle type {:#x}",
            info.usage.as_raw(),
            kind.as_raw()
        ))
    }

    /// The buffer alone.
    unsafe fn create(
        &mut self,
        info: &vk::BufferCreateInfo<'_>,
        kind: HandleType,
    ) -> Result<vk::MemoryRequirements, String> {
        let mut external = vk::ExternalMemoryBufferCreateInfo::default().handle_types(kind);
        external.p_next = info.p_next;
        let mut changed = *info;
        changed.p_next = (&raw const external).cast();
        let (handle, out) = (self.device.handle, &raw mut self.buffer);
        // SAFETY: lib.rs; the out-pointer is ours.
        let made = unsafe { need(self.device.fns.create_buffer)(handle, &raw const changed, self.allocator, out) };
        if made != vk::Result::SUCCESS {
            self.buffer = vk::Buffer::null();
        }
        checked("vkCreateBuffer", made)?;
        let mut needs = vk::MemoryRequirements::default();
        // SAFETY: as above.
        unsafe { need(self.device.fns.requirements)(handle, self.buffer, &raw mut needs) };
        Ok(needs)
    }

    /// Which memory types can be made of the host memory.
    fn host_types(&self, host: &HostMemory) -> Result<u32, String> {
        let ask = self.device.fns.host_pointer;
        let ask = ask.ok_or("the device has no vkGetMemoryHostPointerPropertiesEXT")?;
        let mut found = vk::MemoryHostPointerPropertiesEXT::default();
        // SAFETY: lib.rs; the out-pointer is a local, and the address that of memory which `host.owner` keeps.
        let asked = unsafe {
            ask(
                self.device.handle,
                HandleType::HOST_ALLOCATION_EXT,
                host.address as *const c_void,
                &raw mut found,
            )
        };
        checked("vkGetMemoryHostPointerPropertiesEXT", asked)?;
        Ok(found.memory_type_bits)
    }

    /// A type among those allowed: the device's own where there is one.
    fn memory_type(&self, allowed: u32) -> Result<u32, String> {
        let types = || {
            (0u32..)
                .zip(&self.device.memory_types)
                .filter(|(index, _)| allowed & (1 << index) != 0)
        };
        let local = types().find(|(_, flags)| flags.contains(vk::MemoryPropertyFlags::DEVICE_LOCAL));
        let found = local.or_else(|| types().next()).map(|(index, _)| index);
        found.ok_or_else(|| "no memory type of the device is allowed for both the buffer and the memory".into())
    }

    fn allocate(
        &mut self,
        bytes: u64,
        index: u32,
        usage: vk::BufferUsageFlags,
        chain: *const c_void,
    ) -> Result<(), String> {
        let mut flags = vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        flags.p_next = chain;
        let mut info = vk::MemoryAllocateInfo::default()
            .allocation_size(bytes)
            .memory_type_index(index);
        info.p_next = chain;
        if usage.contains(vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS) {
            info.p_next = (&raw const flags).cast();
        }
        let (handle, out) = (self.device.handle, &raw mut self.memory);
        // SAFETY: lib.rs; the out-pointer is ours.
        let made = unsafe { need(self.device.fns.allocate)(handle, &raw const info, ptr::null(), out) };
        if made != vk::Result::SUCCESS {
            self.memory = vk::DeviceMemory::null();
        }
        checked(&format!("vkAllocateMemory of {bytes} bytes"), made)
    }

    fn bind(&self) -> Result<(), String> {
        // SAFETY: lib.rs; both were made for each other.
        let bound = unsafe { need(self.device.fns.bind)(self.device.handle, self.buffer, self.memory, 0) };
        checked("vkBindBufferMemory", bound)
    }
}

fn checked(call: &str, result: vk::Result) -> Result<(), String> {
    result.result().map_err(|code| format!("{call} returned {code:?}"))
}
