//! Streams of a device.

use super::guard::{guard, put};
use super::pending::limit;
use crate::backend::StreamHandle;
use crate::device;

/// Makes a stream; its handle is what other libraries on that device would use.
#[no_mangle]
pub unsafe extern "C" fn wb_stream_new(device: u32, stream: *mut u64) -> i32 {
    guard(|| {
        if stream.is_null() {
            return Err(super::guard::null("stream"));
        }
        let made = device::by_index(device)?.backend.stream_new()?;
        // SAFETY: the module's contract.
        unsafe { put(stream, "stream", made.0) }
    })
}

/// Releases a stream made by wb_stream_new once its work is done.
#[no_mangle]
pub extern "C" fn wb_stream_free(device: u32, stream: u64) -> i32 {
    guard(|| device::by_index(device)?.backend.stream_free(StreamHandle(stream)))
}

/// Waits at most `limit_s` for everything queued; *done = 1 when it is done. An untracked launch's error comes out here.
#[no_mangle]
pub unsafe extern "C" fn wb_stream_wait(device: u32, stream: u64, limit_s: f64, done: *mut i32) -> i32 {
    guard(|| {
        let ended = device::by_index(device)?
            .backend
            .stream_wait(StreamHandle(stream), limit(limit_s))?;
        // SAFETY: the module's contract.
        unsafe { put(done, "done", i32::from(ended)) }
    })
}

/// Whether the stream is being captured into a graph: *capturing = 1, else 0.
#[no_mangle]
pub unsafe extern "C" fn wb_stream_is_capturing(device: u32, stream: u64, capturing: *mut i32) -> i32 {
    guard(|| {
        let is = device::by_index(device)?.backend.is_capturing(StreamHandle(stream))?;
        // SAFETY: the module's contract.
        unsafe { put(capturing, "capturing", i32::from(is)) }
    })
}

/// How many jobs were ever queued on the stream, and how many are done: what was queued as number n is done when *done >= n.
/// *counted = 0: this device does not count.
#[no_mangle]
pub unsafe extern "C" fn wb_stream_position(
    device: u32,
    stream: u64,
    queued: *mut u64,
    done: *mut u64,
    counted: *mut i32,
) -> i32 {
    guard(|| {
        let position = device::by_index(device)?
            .backend
            .stream_position(StreamHandle(stream))?;
        let (all, ended) = position.unwrap_or((0, 0));
        // SAFETY: the module's contract, here and below.
        unsafe { put(queued, "queued", all) }?;
        // SAFETY: as above.
        unsafe { put(done, "done", ended) }?;
        // SAFETY: as above.
        unsafe { put(counted, "counted", i32::from(position.is_some())) }
    })
}

/// Makes `later` wait for the work queued on `earlier` so far, without the host waiting.
#[no_mangle]
pub extern "C" fn wb_stream_order(device: u32, earlier: u64, later: u64) -> i32 {
    guard(|| {
        device::by_index(device)?
            .backend
            .stream_order(StreamHandle(earlier), StreamHandle(later))
    })
}
