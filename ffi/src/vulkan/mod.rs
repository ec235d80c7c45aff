//! Buffers of Vulkan that kernels share, by way of the layer in `adapters/vulkan-layer`, which is linked into this library.
//!
//! A caller opens a bracket on its thread, lets its Vulkan library make a buffer, and closes the bracket; [`Buffer`] is what
//! came of it. [`Buffer::memory`] makes it an address for kernels, `order.rs` orders the two sides,
//! `watch.rs` keeps that order from waiting for ever. What Vulkan does, and what is refused there, stands in the layer; which
//! device it is, and what CUDA does, here.

mod order;
mod watch;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{json, Value};
use vulkan_layer::{HostMemory, Shared};

use crate::device::{self, Device};
use crate::error::{Error, Kind, Result};
use crate::memory::Memory;
use crate::process::page_bytes;

pub use order::Done;

/// How much greater than asked for a buffer of a WebGPU implementation may be.
const PADDING_BYTES: u64 = 256;

/// A buffer made in a bracket.
pub struct Buffer {
    shared: Arc<Shared>,
    /// Of imported host memory.
    memory: Option<Arc<Memory>>,
}

/// What the layer knows: whether it is live, and its devices.
#[must_use]
pub fn report() -> Value {
    let instances = vulkan_layer::live_instances();
    let devices: Vec<Value> = vulkan_layer::devices().iter().map(device_json).collect();
    json!({
        "layer": vulkan_layer::LAYER_NAME,
        "live": instances > 0,
        "instances": instances,
        "devices": devices,
    })
}

fn device_json(found: &vulkan_layer::DeviceReport) -> Value {
    let why = |ability: &Result<(), String>| ability.clone().err();
    json!({
        "id": found.id,
        "handle": found.handle,
        "name": found.name,
        "uuid": hex(&found.uuid),
        "import_alignment": found.import_alignment,
        "export": found.export.is_ok(),
        "import": found.import.is_ok(),
        "timeline": found.timeline.is_ok(),
        "timeline_export": found.timeline_export.is_ok(),
        "why": {
            "export": why(&found.export),
            "import": why(&found.import),
            "timeline": why(&found.timeline),
            "timeline_export": why(&found.timeline_export),
        },
    })
}

fn hex(uuid: &[u8; 16]) -> String {
    uuid.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(why: String) -> Error {
    Error::new(Kind::Device, why)
}

/// Host memory that a buffer of `bytes` can live in: whole pages, with room for padding.
pub fn host_memory(device: &Arc<Device>, bytes: u64, pinned: bool) -> Result<Memory> {
    let whole = bytes
        .checked_add(PADDING_BYTES)
        .and_then(|sum| sum.checked_next_multiple_of(page_bytes()));
    let whole = whole.ok_or_else(|| {
        refused(format!(
            "{bytes} bytes of memory, expected fewer than there are addresses"
        ))
    })?;
    Memory::new(device, whole, pinned)
}

/// Opens this thread's bracket: the next buffer of `bytes` gets exportable memory of its own.
pub fn begin_export(bytes: u64) -> Result<()> {
    vulkan_layer::begin_export(bytes).map_err(misuse)
}

/// Opens this thread's bracket: the next buffer of `bytes` lives in `memory`.
pub fn begin_import(bytes: u64, memory: &Arc<Memory>) -> Result<()> {
    if !memory.is_host() {
        let text = "the memory is a GPU's, expected host memory to import into Vulkan".to_owned();
        return Err(Error::new(Kind::Argument, text));
    }
    let host = HostMemory {
        address: memory.address() as usize,
        bytes: memory.bytes(),
        owner: Arc::clone(memory) as vulkan_layer::Owner,
    };
    vulkan_layer::begin_import(bytes, host).map_err(misuse)
}

fn misuse(why: String) -> Error {
    Error::new(Kind::Argument, why)
}

/// Closes this thread's bracket.
pub fn end() -> Result<Buffer> {
    let shared = vulkan_layer::end().map_err(refused)?;
    let memory = match &shared.kind {
        vulkan_layer::Kind::Export(_) => None,
        vulkan_layer::Kind::Import(host) => Arc::clone(&host.owner).downcast::<Memory>().ok(),
    };
    Ok(Buffer { shared, memory })
}

impl Buffer {
    /// What is known of it.
    #[must_use]
    pub fn describe(&self) -> Value {
        json!({
            "device_id": self.shared.device_id,
            "device_handle": self.shared.device_handle,
            "device_name": self.shared.device_name,
            "uuid": hex(&self.shared.uuid),
            "bytes": self.shared.bytes,
            "allocation_bytes": self.shared.allocation_bytes,
            "kind": if self.memory.is_some() { "import" } else { "export" },
        })
    }

    /// The buffer's bytes as memory of a device; they stay there when the buffer is destroyed.
    pub fn memory(&self, index: u32) -> Result<Arc<Memory>> {
        let device = device::by_index(index)?;
        if let Some(memory) = &self.memory {
            return Ok(Arc::clone(memory));
        }
        let external = self.same_gpu(device)?;
        let mapped = external.map(self.descriptor()?, self.shared.allocation_bytes)?;
        Ok(Arc::new(Memory::adopt(device, mapped, self.shared.allocation_bytes)))
    }

    /// A descriptor of exported memory, to be given away.
    fn descriptor(&self) -> Result<OwnedFd> {
        let fd = self
            .shared
            .fd()
            .ok_or_else(|| refused("the buffer is not exported".into()))?;
        fd.try_clone_to_owned()
            .map_err(|e| refused(format!("the buffer's descriptor cannot be duplicated: {e}")))
    }

    /// The device's sharing side, if it is the same GPU.
    fn same_gpu<'a>(&self, device: &'a Device) -> Result<&'a dyn crate::backend::External> {
        let Some(external) = device.backend.external() else {
            let text = format!(
                "the buffer is in memory of the Vulkan device {}, which {} does not reach, expected a buffer in host memory",
                self.shared.device_name,
                device.name()
            );
            return Err(refused(text));
        };
        let (here, there) = (&device.backend.info().uuid, hex(&self.shared.uuid));
        if *here == there {
            return Ok(external);
        }
        let text = format!(
            "the buffer is on the Vulkan device {} ({there}), expected it on the same GPU as {} ({here})",
            self.shared.device_name,
            device.name()
        );
        Err(refused(text)
            .with("vulkan_uuid", there)
            .with("device_uuid", here.as_str()))
    }
}
