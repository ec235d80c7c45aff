//! A Vulkan layer that gives chosen buffers memory which others share: CUDA by a file descriptor, or the host by its own pages.
//!
//! It is for applications that cannot ask for such memory themselves, wgpu's above all. Nothing changes for them until a
//! thread opens a bracket ([`begin_export`], [`begin_import`]); the next buffer that this thread makes gets memory of its
//! own, and [`end`] returns what is needed to reach it ([`Shared`]). [`Shared::signal`] and its kin order the Vulkan queue
//! against others by a timeline semaphore.
//!
//! - `entry.rs`: what the loader calls; which functions are intercepted.
//! - `link.rs`: the loader's structures. `table.rs`: live instances and devices. `instance.rs`, `device.rs`: making them;
//!   `additions.rs`: what is added to a device. `fns.rs`: the next layer's functions.
//! - `bracket.rs`: the thread's request. `buffers.rs`: intercepted buffer calls. `make.rs`: making a buffer as requested.
//! - `c.rs`: the C functions of the layer alone (feature `c`).
//! - `queue.rs`: intercepted queue calls. `timeline.rs`: our own submissions between them.
//!
//! Safety contract, stated once. The loader and the application call the intercepted functions as the Vulkan specification
//! says: handles are live, structures are valid and externally synchronised where it asks for that. Functions of the next
//! layer are called with what came from the application or with handles made there, under the same rules.

mod additions;
mod bracket;
mod buffers;
#[cfg(feature = "c")]
mod c;
mod device;
mod entry;
mod fns;
mod instance;
mod link;
mod make;
mod queue;
mod shared;
mod table;
mod timeline;

pub use bracket::{begin_export, begin_import, end, HostMemory, Owner};
pub use entry::vkNegotiateLoaderLayerInterfaceVersion;
pub use link::NegotiateLayerInterface;
pub use shared::{Attachment, Incoming, Kind, Shared};
pub use table::{devices, live_instances, DeviceReport};

/// The name by which `VK_INSTANCE_LAYERS` asks for the layer.
pub const LAYER_NAME: &str = "VK_LAYER_WARPBRIDGE_share";
