//! The table of devices: index 0 is the CPU device, CUDA devices follow. Made once, on first use.
//! A device is chosen by where an array lives; nothing is ever copied between devices.

use std::sync::Arc;

use serde_json::{json, Value};

use crate::backend::cuda::{self, DriverStatus};
use crate::backend::{cpu, Backend};
use crate::error::{Error, Kind, Result};
use crate::process::Lazy;

/// One device of this process.
pub struct Device {
    /// Number in the table.
    pub index: u32,
    /// What runs launches there.
    pub backend: Arc<dyn Backend>,
}

struct Table {
    devices: Vec<Arc<Device>>,
    driver: DriverStatus,
}

impl Device {
    /// `cpu`, `cuda:0`.
    #[must_use]
    pub fn name(&self) -> String {
        let info = self.backend.info();
        if info.kind == "cpu" {
            "cpu".into()
        } else {
            format!("{}:{}", info.kind, info.ordinal)
        }
    }
    /// Name, and the driver where there is one.
    #[must_use]
    pub fn describe(&self) -> String {
        let driver = &self.backend.info().driver;
        if driver.is_empty() {
            self.name()
        } else {
            format!("{} (driver {driver})", self.name())
        }
    }
}

fn table() -> &'static Table {
    static TABLE: Lazy<Table> = Lazy::new();
    TABLE.get_or_init(|| {
        let (cuda, driver) = cuda();
        let backends = std::iter::once(cpu::device()).chain(cuda);
        let devices = backends
            .zip(0..)
            .map(|(backend, index)| Arc::new(Device { index, backend }))
            .collect();
        Table { devices, driver }
    })
}

/// CUDA devices. That there are none, and why, is no error: the CPU device is always there.
fn cuda() -> (Vec<Arc<dyn Backend>>, DriverStatus) {
    let status = cuda::driver_status();
    (cuda::devices().unwrap_or_default(), status)
}

/// All devices.
#[must_use]
pub fn all() -> &'static [Arc<Device>] {
    &table().devices
}

/// What is known about the CUDA driver.
#[must_use]
pub fn driver() -> &'static DriverStatus {
    &table().driver
}

/// A device by its number.
pub fn by_index(index: u32) -> Result<&'static Arc<Device>> {
    all().get(index as usize).ok_or_else(|| {
        Error::new(
            Kind::Device,
            format!("device {index}, expected one of {}; see wb.devices()", names()),
        )
        .with("index", index)
    })
}

/// The device that holds memory of a DLPack device; the error says what there is.
///
/// Pinned host memory (3) counts as the CPU's: a kernel on a GPU could read it, but not at the speed one expects.
/// Managed memory (13) counts as its GPU's.
pub fn by_dlpack(device_type: i32, device_id: i32) -> Result<&'static Arc<Device>, String> {
    let ordinal = match device_type {
        1 | 3 => return Ok(&all()[0]),
        2 | 13 => device_id,
        other => {
            return Err(format!(
                "is on {} device, expected cpu or cuda; convert it first",
                dlpack_name(other)
            ))
        }
    };
    let wanted =
        |d: &&Arc<Device>| d.backend.info().kind == "cuda" && i64::from(d.backend.info().ordinal) == i64::from(ordinal);
    all().iter().find(wanted).ok_or_else(|| {
        let why = if driver().reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", driver().reason)
        };
        format!("is on cuda:{ordinal}, expected one of {}{why}", names())
    })
}

/// The device whose memory an address is in; `None` for host memory, pinned memory, and what nobody knows.
#[must_use]
pub fn by_address(address: u64) -> Option<&'static Arc<Device>> {
    all().iter().find(|device| device.backend.owns(address) == Some(true))
}

fn names() -> String {
    all().iter().map(|d| d.name()).collect::<Vec<_>>().join(", ")
}

/// Of another kind of device, with its article.
fn dlpack_name(device_type: i32) -> String {
    let known = [
        (4, "an OpenCL"),
        (7, "a Vulkan"),
        (8, "a Metal"),
        (10, "a ROCm"),
        (11, "a ROCm host"),
        (14, "a oneAPI"),
        (15, "a WebGPU"),
    ];
    match known.iter().find(|row| row.0 == device_type) {
        Some(row) => row.1.into(),
        None => format!("a DLPack type {device_type}"),
    }
}

/// For `wb_device_json`.
pub fn describe(index: u32) -> Result<Value> {
    let device = by_index(index)?;
    let mut value = serde_json::to_value(device.backend.info())
        .map_err(|e| Error::new(Kind::Internal, format!("device {index}: {e}")))?;
    value["index"] = json!(index);
    value["text"] = json!(device.name());
    Ok(value)
}
