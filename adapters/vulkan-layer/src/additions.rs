//! What is added to a `vkCreateDevice`: three extensions and one feature, each only where the device has it and the
//! application has not asked for it itself. If a device cannot be made with them it is made without.

use std::ffi::{c_char, c_void, CStr};

use ash::{ext, khr, vk};

use crate::fns::need;
use crate::instance::Instance;
use crate::link::find_in;

/// The extensions that the layer uses.
const WANTED: [&CStr; 3] = [
    khr::external_memory_fd::NAME,
    ext::external_memory_host::NAME,
    khr::external_semaphore_fd::NAME,
];

/// What a new device has of what the layer uses, each with the reason why not.
#[derive(Clone, Debug)]
pub(crate) struct Abilities {
    pub(crate) export: Result<(), String>,
    pub(crate) import: Result<(), String>,
    pub(crate) timeline: Result<(), String>,
    pub(crate) timeline_export: Result<(), String>,
}

/// The changed creation of a device. Borrows the application's structures.
pub(crate) struct Additions {
    /// The application's names and ours.
    names: Vec<*const c_char>,
    /// To be put in front of the application's chain.
    timeline: Option<vk::PhysicalDeviceTimelineSemaphoreFeatures<'static>>,
    pub(crate) abilities: Abilities,
    /// Of the application's own, without additions.
    pub(crate) plain: Abilities,
}

impl Additions {
    /// Whether there is anything to add.
    pub(crate) fn any(&self, asked: &vk::DeviceCreateInfo<'_>) -> bool {
        self.timeline.is_some() || self.names.len() > asked.enabled_extension_count as usize
    }

    /// The application's structure with the additions; it borrows from `self` and from what `asked` points to.
    pub(crate) fn apply<'a>(&'a mut self, asked: &vk::DeviceCreateInfo<'a>) -> vk::DeviceCreateInfo<'a> {
        let mut info = *asked;
        info.enabled_extension_count = self.names.len() as u32;
        info.pp_enabled_extension_names = self.names.as_ptr();
        if let Some(timeline) = &mut self.timeline {
            timeline.p_next = asked.p_next.cast_mut();
            info.p_next = (&raw const *timeline).cast();
        }
        info
    }
}

/// Works out what to add.
///
/// # Safety
/// `physical` is one of `instance`, and `asked` is what the application gave `vkCreateDevice`.
pub(crate) unsafe fn of(
    instance: &Instance,
    physical: vk::PhysicalDevice,
    asked: &vk::DeviceCreateInfo<'_>,
) -> Additions {
    // SAFETY: the caller's contract, here and below.
    let version = unsafe { version_of(instance, physical) };
    // SAFETY: as above.
    let own = unsafe { names_of(asked) };
    let own_texts: Vec<&CStr> = own.iter().map(|(_, text)| *text).collect();
    let names = own.iter().map(|(pointer, _)| *pointer).collect();
    // SAFETY: as above.
    let chained = unsafe { timeline_asked(asked.p_next) };
    let plain = abilities(version, &own_texts, chained == Some(true));
    if version < vk::API_VERSION_1_1 {
        let abilities = plain.clone();
        return Additions {
            names,
            timeline: None,
            abilities,
            plain,
        };
    }
    // SAFETY: as above.
    let offered = unsafe { offered(instance, physical) };
    // SAFETY: as above.
    let has_timeline = version >= vk::API_VERSION_1_2 && unsafe { has_timeline(instance, physical) };
    let (mut all_names, mut all_texts): (Vec<_>, _) = (names, own_texts.clone());
    for name in WANTED {
        if offered.iter().any(|other| other.extension_name_as_c_str() == Ok(name)) && !own_texts.contains(&name) {
            all_names.push(name.as_ptr());
            all_texts.push(name);
        }
    }
    let add_timeline = chained.is_none() && has_timeline;
    let mut abilities = abilities(version, &all_texts, add_timeline || chained == Some(true));
    let mut plain = plain;
    for found in [&mut abilities, &mut plain] {
        // SAFETY: as above.
        if found.timeline_export.is_ok() && !unsafe { exports_timeline(instance, physical) } {
            found.timeline_export = Err("the device does not export timeline semaphores".into());
        }
    }
    let features = vk::PhysicalDeviceTimelineSemaphoreFeatures::default().timeline_semaphore(true);
    Additions {
        names: all_names,
        timeline: add_timeline.then_some(features),
        abilities,
        plain,
    }
}

unsafe fn exports_timeline(instance: &Instance, physical: vk::PhysicalDevice) -> bool {
    let Some(ask) = instance.fns.external_semaphore else {
        return false;
    };
    let mut kind = vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
    let info = vk::PhysicalDeviceExternalSemaphoreInfo::default()
        .handle_type(vk::ExternalSemaphoreHandleTypeFlags::OPAQUE_FD)
        .push_next(&mut kind);
    let mut found = vk::ExternalSemaphoreProperties::default();
    // SAFETY: lib.rs; the out-pointer is a local.
    unsafe { ask(physical, &raw const info, &raw mut found) };
    let features = found.external_semaphore_features;
    features.contains(vk::ExternalSemaphoreFeatureFlags::EXPORTABLE)
}

fn abilities(version: u32, names: &[&CStr], timeline: bool) -> Abilities {
    let with = |name: &CStr| {
        if version < vk::API_VERSION_1_1 {
            let minor = vk::api_version_minor(version);
            return Err(format!("the device is used as Vulkan 1.{minor}, expected 1.1 or newer"));
        }
        if names.contains(&name) {
            return Ok(());
        }
        Err(format!("the device has no {}", name.to_string_lossy()))
    };
    let timeline = if timeline {
        Ok(())
    } else {
        Err("the device has no timeline semaphores, or the application has turned them off".to_owned())
    };
    Abilities {
        export: with(WANTED[0]),
        import: with(WANTED[1]),
        timeline_export: timeline.clone().and_then(|()| with(WANTED[2])),
        timeline,
    }
}

/// The version that both the application and the device speak.
unsafe fn version_of(instance: &Instance, physical: vk::PhysicalDevice) -> u32 {
    let mut properties = vk::PhysicalDeviceProperties::default();
    // SAFETY: lib.rs; the out-pointer is a local.
    unsafe { need(instance.fns.properties)(physical, &raw mut properties) };
    properties.api_version.min(instance.api_version)
}

/// The extension names that the application gives.
unsafe fn names_of<'a>(asked: &vk::DeviceCreateInfo<'a>) -> Vec<(*const c_char, &'a CStr)> {
    let count = asked.enabled_extension_count as usize;
    let name = |index| {
        // SAFETY: the structure says that there are so many names.
        let pointer = unsafe { *asked.pp_enabled_extension_names.add(index) };
        // SAFETY: as above, NUL-terminated.
        (pointer, unsafe { CStr::from_ptr(pointer) })
    };
    (0..count).map(name).collect()
}

/// Whether the application's chain turns timeline semaphores on or off; `None` where it does not speak of them.
unsafe fn timeline_asked(chain: *const c_void) -> Option<bool> {
    // SAFETY: the chain is the application's.
    let alone: Option<&vk::PhysicalDeviceTimelineSemaphoreFeatures<'_>> =
        unsafe { find_in(chain, vk::StructureType::PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES) };
    // SAFETY: as above.
    let together: Option<&vk::PhysicalDeviceVulkan12Features<'_>> =
        unsafe { find_in(chain, vk::StructureType::PHYSICAL_DEVICE_VULKAN_1_2_FEATURES) };
    let alone = alone.map(|features| features.timeline_semaphore);
    let asked = alone.or(together.map(|features| features.timeline_semaphore));
    asked.map(|on| on == vk::TRUE)
}

unsafe fn offered(instance: &Instance, physical: vk::PhysicalDevice) -> Vec<vk::ExtensionProperties> {
    let list = need(instance.fns.enumerate_device_extensions);
    let mut count = 0;
    // SAFETY: lib.rs; the out-pointers are locals.
    let counted = unsafe { list(physical, std::ptr::null(), &raw mut count, std::ptr::null_mut()) };
    if counted != vk::Result::SUCCESS {
        return Vec::new();
    }
    let mut found = vec![vk::ExtensionProperties::default(); count as usize];
    // SAFETY: as above; there is room for `count`.
    let listed = unsafe { list(physical, std::ptr::null(), &raw mut count, found.as_mut_ptr()) };
    found.truncate(count as usize);
    if listed == vk::Result::SUCCESS {
        found
    } else {
        Vec::new()
    }
}

unsafe fn has_timeline(instance: &Instance, physical: vk::PhysicalDevice) -> bool {
    let Some(features2) = instance.fns.features2 else {
        return false;
    };
    let mut timeline = vk::PhysicalDeviceTimelineSemaphoreFeatures::default();
    let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut timeline);
    // SAFETY: lib.rs; the out-pointer is a local.
    unsafe { features2(physical, &raw mut features) };
    timeline.timeline_semaphore == vk::TRUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_abilities_say_what_is_missing() {
        let none = abilities(vk::API_VERSION_1_3, &[], false);
        assert_eq!(none.export.unwrap_err(), "the device has no VK_KHR_external_memory_fd");
        assert_eq!(
            none.import.unwrap_err(),
            "the device has no VK_EXT_external_memory_host"
        );
        assert_eq!(
            none.timeline_export.unwrap_err(),
            "the device has no timeline semaphores, or the application has turned them off"
        );
        let old = abilities(vk::API_VERSION_1_0, &WANTED, true);
        assert_eq!(
            old.export.unwrap_err(),
            "the device is used as Vulkan 1.0, expected 1.1 or newer"
        );
        let no_fd = abilities(vk::API_VERSION_1_2, &WANTED[..2], true);
        assert_eq!(
            no_fd.timeline_export.unwrap_err(),
            "the device has no VK_KHR_external_semaphore_fd"
        );
        assert!(no_fd.timeline.is_ok() && no_fd.export.is_ok() && no_fd.import.is_ok());
    }
}
