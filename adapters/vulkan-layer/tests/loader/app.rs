//! A small Vulkan application: an instance with a messenger that collects every warning and error, one device, one queue,
//! and buffers made as allocators make them (requirements, memory, bind).

use std::ffi::{c_void, CStr};
use std::sync::{Arc, Mutex};

use ash::{ext, vk};

use crate::layer::{layer, NAME};

pub const VALIDATION: &CStr = c"VK_LAYER_KHRONOS_validation";
pub const USAGE: vk::BufferUsageFlags = vk::BufferUsageFlags::from_raw(
    vk::BufferUsageFlags::STORAGE_BUFFER.as_raw()
        | vk::BufferUsageFlags::TRANSFER_SRC.as_raw()
        | vk::BufferUsageFlags::TRANSFER_DST.as_raw(),
);

/// How an application is to be.
#[derive(Clone, Copy)]
pub struct Options {
    /// From the application to the driver.
    pub layers: &'static [&'static CStr],
    pub api_version: u32,
    /// What it says about timeline semaphores; `None`: nothing.
    pub timeline: Option<bool>,
}

/// The validation layer sees what this layer makes of the application's calls.
pub const BELOW: Options = Options {
    layers: &[NAME, VALIDATION],
    api_version: vk::API_VERSION_1_3,
    timeline: Some(true),
};
/// The validation layer sees what the application is told.
pub const ABOVE: Options = Options {
    layers: &[VALIDATION, NAME],
    ..BELOW
};

pub struct App {
    pub device: ash::Device,
    pub queue: vk::Queue,
    pub instance: ash::Instance,
    pub physical: vk::PhysicalDevice,
    pool: Mutex<vk::CommandPool>,
    messenger: (ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT),
    messages: Arc<Mutex<Vec<String>>>,
    _entry: ash::Entry,
}

unsafe extern "system" fn collect(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _kind: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    user: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: Vulkan's callback data and the mutex that `App` keeps.
    let (data, messages) = unsafe { (&*data, &*user.cast::<Mutex<Vec<String>>>()) };
    // SAFETY: null or a string.
    let text = unsafe { data.message_as_c_str() }.unwrap_or_default();
    messages
        .lock()
        .expect("not poisoned")
        .push(text.to_string_lossy().into_owned());
    vk::FALSE
}

impl App {
    pub fn new(options: Options) -> Self {
        layer();
        // SAFETY: the system's loader.
        let entry = unsafe { ash::Entry::load_from("libvulkan.so.1") }.expect("libvulkan.so.1 (Debian: libvulkan1)");
        let messages: Arc<Mutex<Vec<String>>> = Arc::default();
        let instance = make_instance(&entry, options);
        let messenger = make_messenger(&entry, &instance, &messages);
        // SAFETY: the instance is live.
        let all = unsafe { instance.enumerate_physical_devices() }.expect("a list");
        let is_cpu = |device: &vk::PhysicalDevice| {
            // SAFETY: as above.
            let properties = unsafe { instance.get_physical_device_properties(*device) };
            properties.device_type == vk::PhysicalDeviceType::CPU
        };
        let physical = all
            .into_iter()
            .find(is_cpu)
            .expect("lavapipe (Debian: mesa-vulkan-drivers)");
        let (device, queue) = make_device(&instance, physical, options);
        let pool_info = vk::CommandPoolCreateInfo::default();
        // SAFETY: the device is live.
        let pool = unsafe { device.create_command_pool(&pool_info, None) }.expect("a command pool");
        Self {
            device,
            queue,
            instance,
            physical,
            pool: Mutex::new(pool),
            messenger,
            messages,
            _entry: entry,
        }
    }

    /// Ends the application; the validation layer has had nothing to say.
    pub fn finish(self) {
        let messages = Arc::clone(&self.messages);
        // SAFETY: the application's last calls.
        unsafe {
            self.device.device_wait_idle().expect("idle");
            self.device
                .destroy_command_pool(*self.pool.lock().expect("not poisoned"), None);
            self.device.destroy_device(None);
            self.messenger.0.destroy_debug_utils_messenger(self.messenger.1, None);
            self.instance.destroy_instance(None);
        }
        let said = messages.lock().expect("not poisoned");
        assert_eq!(*said, Vec::<String>::new());
    }

    /// A buffer, and the memory that the application finds necessary.
    pub fn buffer(&self, bytes: u64) -> Buffer {
        let info = vk::BufferCreateInfo::default().size(bytes).usage(USAGE);
        // SAFETY: the device is live, here and below.
        let handle = unsafe { self.device.create_buffer(&info, None) }.expect("a buffer");
        // SAFETY: as above.
        let needs = unsafe { self.device.get_buffer_memory_requirements(handle) };
        let memory = self.memory(needs);
        // SAFETY: as above.
        unsafe { self.device.bind_buffer_memory(handle, memory, 0) }.expect("bound");
        Buffer { handle, memory, needs }
    }

    /// Host-visible memory.
    pub fn memory(&self, needs: vk::MemoryRequirements) -> vk::DeviceMemory {
        // SAFETY: the instance is live.
        let all = unsafe { self.instance.get_physical_device_memory_properties(self.physical) };
        let wanted = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let index = (0..all.memory_type_count)
            .find(|index| {
                let flags = all.memory_types[*index as usize].property_flags;
                needs.memory_type_bits & (1 << index) != 0 && flags.contains(wanted)
            })
            .expect("lavapipe's memory is the host's");
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(index);
        // SAFETY: the device is live.
        unsafe { self.device.allocate_memory(&info, None) }.expect("memory")
    }

    pub fn destroy(&self, buffer: Buffer) {
        // SAFETY: nothing is in flight.
        unsafe {
            self.device.destroy_buffer(buffer.handle, None);
            self.device.free_memory(buffer.memory, None);
        }
    }

    /// Submits what `record` puts into a command buffer. Callers take turns, as Vulkan asks for queues and pools.
    pub fn submit(&self, record: impl FnOnce(&ash::Device, vk::CommandBuffer)) {
        let pool = self.pool.lock().expect("not poisoned");
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(*pool)
            .command_buffer_count(1);
        // SAFETY: the device is live; the pool is this thread's now.
        unsafe {
            let commands = self.device.allocate_command_buffers(&info).expect("a command buffer")[0];
            let begin = vk::CommandBufferBeginInfo::default();
            self.device.begin_command_buffer(commands, &begin).expect("begun");
            record(&self.device, commands);
            self.device.end_command_buffer(commands).expect("ended");
            let all = [commands];
            let batch = vk::SubmitInfo::default().command_buffers(&all);
            self.device
                .queue_submit(self.queue, &[batch], vk::Fence::null())
                .expect("submitted");
        }
    }

    /// Fills a buffer with a word.
    pub fn fill(&self, buffer: &Buffer, word: u32) {
        // SAFETY: both are live.
        self.submit(|device, commands| unsafe {
            device.cmd_fill_buffer(commands, buffer.handle, 0, vk::WHOLE_SIZE, word);
        });
    }

    pub fn copy(&self, from: &Buffer, to: &Buffer, bytes: u64) {
        let region = vk::BufferCopy::default().size(bytes);
        // SAFETY: all are live.
        self.submit(|device, commands| unsafe {
            device.cmd_copy_buffer(commands, from.handle, to.handle, &[region]);
        });
    }

    pub fn wait_idle(&self) {
        let _pool = self.pool.lock().expect("not poisoned");
        // SAFETY: the device is live; the queue is this thread's now.
        unsafe { self.device.queue_wait_idle(self.queue) }.expect("idle");
    }

    /// The bytes of an ordinary buffer.
    pub fn read(&self, buffer: &Buffer, bytes: usize) -> Vec<u8> {
        // SAFETY: host-visible memory, mapped here alone.
        unsafe {
            let flags = vk::MemoryMapFlags::empty();
            let at = self
                .device
                .map_memory(buffer.memory, 0, vk::WHOLE_SIZE, flags)
                .expect("mapped");
            let found = std::slice::from_raw_parts(at.cast::<u8>(), bytes).to_vec();
            self.device.unmap_memory(buffer.memory);
            found
        }
    }
}

pub struct Buffer {
    pub handle: vk::Buffer,
    pub memory: vk::DeviceMemory,
    pub needs: vk::MemoryRequirements,
}

fn make_instance(entry: &ash::Entry, options: Options) -> ash::Instance {
    let application = vk::ApplicationInfo::default().api_version(options.api_version);
    let layers: Vec<_> = options.layers.iter().map(|name| name.as_ptr()).collect();
    let extensions = [ext::debug_utils::NAME.as_ptr()];
    let info = vk::InstanceCreateInfo::default()
        .application_info(&application)
        .enabled_layer_names(&layers)
        .enabled_extension_names(&extensions);
    // SAFETY: everything in it lives until the call returns.
    let made = unsafe { entry.create_instance(&info, None) };
    made.expect("an instance with both layers (Debian: vulkan-validationlayers)")
}

fn make_messenger(
    entry: &ash::Entry,
    instance: &ash::Instance,
    messages: &Arc<Mutex<Vec<String>>>,
) -> (ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT) {
    use vk::{DebugUtilsMessageSeverityFlagsEXT as Severity, DebugUtilsMessageTypeFlagsEXT as Kind};
    let functions = ext::debug_utils::Instance::new(entry, instance);
    let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
        .message_severity(Severity::WARNING | Severity::ERROR)
        .message_type(Kind::VALIDATION)
        .pfn_user_callback(Some(collect))
        .user_data(Arc::as_ptr(messages).cast_mut().cast());
    // SAFETY: the messages outlive the messenger (`App::finish`).
    let made = unsafe { functions.create_debug_utils_messenger(&info, None) }.expect("a messenger");
    (functions, made)
}

fn make_device(instance: &ash::Instance, physical: vk::PhysicalDevice, options: Options) -> (ash::Device, vk::Queue) {
    let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
    let mut features = vk::PhysicalDeviceTimelineSemaphoreFeatures::default();
    let mut info = vk::DeviceCreateInfo::default().queue_create_infos(&queues);
    if let Some(on) = options.timeline {
        features = features.timeline_semaphore(on);
        info = info.push_next(&mut features);
    }
    // SAFETY: everything in it lives until the call returns.
    let device = unsafe { instance.create_device(physical, &info, None) }.expect("a device");
    // SAFETY: it was asked for.
    let queue = unsafe { device.get_device_queue(0, 0) };
    (device, queue)
}

#[test]
fn test_messenger_hears_mistakes() {
    let app = App::new(BELOW);
    let mistake = vk::BufferCreateInfo::default().size(64);
    // SAFETY: the mistake, a usage of 0, is one that lavapipe lives with.
    let buffer = unsafe { app.device.create_buffer(&mistake, None) }.expect("a buffer");
    // SAFETY: made above.
    unsafe { app.device.destroy_buffer(buffer, None) };
    let said = std::mem::take(&mut *app.messages.lock().expect("not poisoned"));
    assert!(
        said.len() == 1 && said[0].contains("VUID-VkBufferCreateInfo-usage"),
        "{said:?}"
    );
    app.finish();
}
