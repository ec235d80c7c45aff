//! The next layer's functions: one table for each instance and each device, resolved once when it is made.
//!
//! A function that was promoted to the core is looked for under its names in turn; `None` where the next layer has it under
//! none. What the specification guarantees to be there is called through [`need`].

use std::ffi::CStr;

use ash::vk;

/// Declares a table from its fields, their types, and the names of each.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident { $( $field:ident: $pfn:ident = $($name:literal)|+; )* }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $table {
            $( pub(crate) $field: Option<vk::$pfn>, )*
        }

        impl $table {
            /// Looks every name up.
            ///
            /// # Safety
            /// `find` returns the function of that name, or `None`.
            pub(crate) unsafe fn resolve(find: impl Fn(&CStr) -> vk::PFN_vkVoidFunction) -> Self {
                Self {
                    $( $field: {
                        let found = None $( .or_else(|| find($name)) )+;
                        // SAFETY: the type is the one that Vulkan declares for a function of this name.
                        unsafe { std::mem::transmute::<vk::PFN_vkVoidFunction, Option<vk::$pfn>>(found) }
                    }, )*
                }
            }
        }
    };
}

table! {
    /// Functions of an instance.
    InstanceFns {
        destroy_instance: PFN_vkDestroyInstance = c"vkDestroyInstance";
        enumerate_device_extensions: PFN_vkEnumerateDeviceExtensionProperties = c"vkEnumerateDeviceExtensionProperties";
        properties: PFN_vkGetPhysicalDeviceProperties = c"vkGetPhysicalDeviceProperties";
        properties2: PFN_vkGetPhysicalDeviceProperties2 = c"vkGetPhysicalDeviceProperties2";
        features2: PFN_vkGetPhysicalDeviceFeatures2 = c"vkGetPhysicalDeviceFeatures2";
        memory_properties: PFN_vkGetPhysicalDeviceMemoryProperties = c"vkGetPhysicalDeviceMemoryProperties";
        external_buffer: PFN_vkGetPhysicalDeviceExternalBufferProperties = c"vkGetPhysicalDeviceExternalBufferProperties";
        external_semaphore: PFN_vkGetPhysicalDeviceExternalSemaphoreProperties = c"vkGetPhysicalDeviceExternalSemaphoreProperties";
    }
}

table! {
    /// Functions of a device.
    DeviceFns {
        destroy_device: PFN_vkDestroyDevice = c"vkDestroyDevice";
        get_queue: PFN_vkGetDeviceQueue = c"vkGetDeviceQueue";
        get_queue2: PFN_vkGetDeviceQueue2 = c"vkGetDeviceQueue2";
        queue_submit: PFN_vkQueueSubmit = c"vkQueueSubmit";
        queue_submit2: PFN_vkQueueSubmit2 = c"vkQueueSubmit2" | c"vkQueueSubmit2KHR";
        queue_bind_sparse: PFN_vkQueueBindSparse = c"vkQueueBindSparse";
        queue_present: PFN_vkQueuePresentKHR = c"vkQueuePresentKHR";
        queue_wait_idle: PFN_vkQueueWaitIdle = c"vkQueueWaitIdle";
        device_wait_idle: PFN_vkDeviceWaitIdle = c"vkDeviceWaitIdle";
        create_buffer: PFN_vkCreateBuffer = c"vkCreateBuffer";
        destroy_buffer: PFN_vkDestroyBuffer = c"vkDestroyBuffer";
        requirements: PFN_vkGetBufferMemoryRequirements = c"vkGetBufferMemoryRequirements";
        requirements2: PFN_vkGetBufferMemoryRequirements2 =
            c"vkGetBufferMemoryRequirements2" | c"vkGetBufferMemoryRequirements2KHR";
        bind: PFN_vkBindBufferMemory = c"vkBindBufferMemory";
        bind2: PFN_vkBindBufferMemory2 = c"vkBindBufferMemory2" | c"vkBindBufferMemory2KHR";
        allocate: PFN_vkAllocateMemory = c"vkAllocateMemory";
        free: PFN_vkFreeMemory = c"vkFreeMemory";
        memory_fd: PFN_vkGetMemoryFdKHR = c"vkGetMemoryFdKHR";
        host_pointer: PFN_vkGetMemoryHostPointerPropertiesEXT = c"vkGetMemoryHostPointerPropertiesEXT";
        create_semaphore: PFN_vkCreateSemaphore = c"vkCreateSemaphore";
        destroy_semaphore: PFN_vkDestroySemaphore = c"vkDestroySemaphore";
        semaphore_fd: PFN_vkGetSemaphoreFdKHR = c"vkGetSemaphoreFdKHR";
        signal_semaphore: PFN_vkSignalSemaphore = c"vkSignalSemaphore" | c"vkSignalSemaphoreKHR";
        wait_semaphores: PFN_vkWaitSemaphores = c"vkWaitSemaphores" | c"vkWaitSemaphoresKHR";
    }
}

/// A function that Vulkan promises, or that was seen to be there when the device was made.
pub(crate) fn need<F>(function: Option<F>) -> F {
    function.expect("the next layer has every function that the specification promises")
}
