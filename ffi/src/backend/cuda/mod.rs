//! The CUDA driver as a [`Backend`]. Levels, each using only the one before:
//! `sys` (the driver's own functions) -> `result` (checked calls) -> everything else (safe).
//!
//! Start reading at `device.rs`; `launch.rs` is the hot path and `ticket.rs` what follows it. The library is found at run time
//! (`library.rs`), so nothing here needs CUDA to be built. Nothing here knows of manifests, tensors or the CPU device.

mod context;
mod control;
mod device;
mod external;
mod failure;
mod floor;
mod launch;
mod library;
mod load_error;
mod memory;
mod module;
mod recent;
mod result;
mod state;
mod stream;
mod sys;
mod tensor_map;
mod ticket;
mod versions;
mod wait;

use std::sync::Arc;

use crate::backend::Backend;
use crate::error::Result;

pub use device::{all, CudaDevice};
pub use library::DriverStatus;
pub use load_error::PtxSource;

/// The CUDA devices of this machine; empty when there is no driver or no device ([`driver_status`] says why).
pub fn devices() -> Result<Vec<Arc<dyn Backend>>> {
    Ok(all()?.iter().map(|device| device.clone() as Arc<dyn Backend>).collect())
}

/// Whether there is a driver, and if no device can be used, why.
#[must_use]
pub fn driver_status() -> DriverStatus {
    let mut status = library::search().status.clone();
    if status.reason.is_empty() {
        match all() {
            Err(error) => status.reason = error.message,
            Ok([]) => {
                status.reason = format!(
                    "{} (CUDA {}) reports no device, expected at least one; is CUDA_VISIBLE_DEVICES empty?",
                    status.library, status.version
                );
            }
            Ok(_) => {}
        }
    }
    status
}
