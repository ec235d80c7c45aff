//! Live instances and devices, by dispatch key. Intercepted functions find theirs here; a key serves one instance or one
//! device at a time, and its handles (physical devices, queues) share it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::device::Device;
use crate::instance::Instance;
use crate::link::Key;

type Map<T> = RwLock<HashMap<Key, Arc<T>>>;

/// A panic while the lock was held leaves a map that is whole: every change is one insertion or removal.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`read`].
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn instances() -> &'static Map<Instance> {
    static INSTANCES: OnceLock<Map<Instance>> = OnceLock::new();
    INSTANCES.get_or_init(RwLock::default)
}

pub(crate) fn all_devices() -> &'static Map<Device> {
    static DEVICES: OnceLock<Map<Device>> = OnceLock::new();
    DEVICES.get_or_init(RwLock::default)
}

/// The entry of a key. Every key that the loader passes was entered when its instance or device was made.
pub(crate) fn get<T>(map: &Map<T>, key: Key) -> Arc<T> {
    let found = read(map).get(&key).map(Arc::clone);
    found.expect("the loader passes only handles of instances and devices that this layer has made")
}

/// How many Vulkan instances of this process use the layer now. 0: it is not loaded.
#[must_use]
pub fn live_instances() -> usize {
    read(instances()).len()
}

/// What a device can do.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// Number of the device in this process; never used twice.
    pub id: u64,
    /// Its `VkDevice`.
    pub handle: u64,
    /// Its physical device's name.
    pub name: String,
    /// Its physical device's UUID; the same in CUDA.
    pub uuid: [u8; 16],
    /// `minImportedHostPointerAlignment`; 0 where it cannot import.
    pub import_alignment: u64,
    /// Whether buffers can be exported, or why not.
    pub export: Result<(), String>,
    /// Whether buffers can live in host memory, or why not.
    pub import: Result<(), String>,
    /// Whether its queues can be ordered by a timeline semaphore, or why not.
    pub timeline: Result<(), String>,
    /// Whether that semaphore can be exported, or why not.
    pub timeline_export: Result<(), String>,
}

/// The live devices of this process, in the order in which they were made.
#[must_use]
pub fn devices() -> Vec<DeviceReport> {
    let mut reports: Vec<_> = read(all_devices()).values().map(|device| device.report()).collect();
    reports.sort_by_key(|report| report.id);
    reports
}
