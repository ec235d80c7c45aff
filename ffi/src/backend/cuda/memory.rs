//! Memory that warpbridge owns itself: allocated, copied and freed by the driver.
//!
//! There is no pool: these arrays are made once and used many times, and `cuMemFree` waits for the work that uses them,
//! which is what makes it right to free from any thread at any time.

use super::state::DeviceState;
use super::sys::Stream;
use crate::backend::StreamHandle;
use crate::error::{Error, Kind, Result};

pub(super) fn allocate(state: &DeviceState, bytes: u64, pinned: bool) -> Result<u64> {
    let doing = "allocating memory";
    let size = usize::try_from(bytes.max(1)).map_err(|_| too_much(&state.name, bytes))?;
    let _current = state.enter(doing)?;
    let api = state.api();
    let made = if pinned {
        api.alloc_pinned(size)
    } else {
        api.alloc(size)
    };
    made.map_err(|f| state.error(&format!("allocating {bytes} bytes"), f))
}

fn too_much(device: &str, bytes: u64) -> Error {
    Error::new(
        Kind::Device,
        format!("{device}: {bytes} bytes of memory, expected fewer than there are addresses"),
    )
}

pub(super) fn free(state: &DeviceState, address: u64, pinned: bool) -> Result<()> {
    let doing = "freeing memory";
    let _current = state.enter(doing)?;
    let freed = if pinned {
        // SAFETY: `Backend::memory_free` is called once, with what `allocate` returned.
        unsafe { state.api().free_pinned(address) }
    } else {
        // SAFETY: as above.
        unsafe { state.api().free(address) }
    };
    freed.map_err(|f| state.error(doing, f))
}

pub(super) fn copy(state: &DeviceState, to: u64, from: u64, bytes: u64, stream: StreamHandle) -> Result<()> {
    let doing = "copying memory";
    let size = usize::try_from(bytes).map_err(|_| too_much(&state.name, bytes))?;
    if size == 0 {
        return Ok(());
    }
    let _current = state.enter(doing)?;
    let stream = Stream(stream.0 as usize);
    // SAFETY: the caller's arrays hold `bytes` and live until the copy is done, which is waited for below.
    let queued = unsafe { state.api().copy(to, from, size, stream) };
    queued
        .and_then(|()| state.api().synchronize(stream))
        .map_err(|f| state.error(doing, f))
}
