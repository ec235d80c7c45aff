//! Streams: making and freeing them, waiting for one, ordering two.

use std::time::Duration;

use super::failure::stream_text;
use super::state::{lock, DeviceState};
use super::sys::Stream;
use super::wait::poll_until;
use crate::backend::StreamHandle;
use crate::error::{Error, Kind, Result};

fn raw(stream: StreamHandle) -> Stream {
    Stream(stream.0 as usize)
}

/// A stream that does not synchronise with the legacy default stream.
pub(super) fn create(state: &DeviceState) -> Result<StreamHandle> {
    let doing = "making a stream";
    let _current = state.enter(doing)?;
    let stream = state.api().new_stream().map_err(|f| state.error(doing, f))?;
    let stream = StreamHandle(stream.0 as u64);
    lock(&state.streams).push(stream);
    Ok(stream)
}

/// The driver keeps the stream until its work is done.
pub(super) fn free(state: &DeviceState, stream: StreamHandle) -> Result<()> {
    let doing = "freeing a stream";
    let _current = state.enter(doing)?;
    let mut streams = lock(&state.streams);
    let Some(index) = streams.iter().position(|s| *s == stream) else {
        return Err(not_ours(&state.name, stream));
    };
    streams.swap_remove(index);
    state
        .api()
        .destroy_stream(raw(stream))
        .map_err(|f| state.error(doing, f))
}

fn not_ours(device: &str, stream: StreamHandle) -> Error {
    let text = format!(
        "freeing a stream: {} was not made by warpbridge on {device} or is free already, expected one that stream_new \
         returned",
        stream_text(stream)
    );
    Error::new(Kind::Argument, text).with("stream", stream.0)
}

/// Polls rather than blocks in the driver, so that signals and deadlines are seen.
pub(super) fn wait(state: &DeviceState, stream: StreamHandle, limit: Duration) -> Result<bool> {
    let _current = state.enter("waiting for a stream")?;
    let ended = poll_until(limit, || match state.api().stream_done(raw(stream)) {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(failure) => Some(Err(state.stream_error(stream, failure))),
    });
    ended.transpose().map(|done| done.is_some())
}

/// Whether `stream` is being captured into a graph.
pub(super) fn is_capturing(state: &DeviceState, stream: StreamHandle) -> Result<bool> {
    let doing = "asking for a capture";
    let _current = state.enter(doing)?;
    state.api().is_capturing(raw(stream)).map_err(|f| state.error(doing, f))
}

/// An event goes back to the pool at once: a wait that is queued refers to the record made before it, not to later ones.
pub(super) fn order(state: &DeviceState, earlier: StreamHandle, later: StreamHandle) -> Result<()> {
    // 0 and 1 are one stream.
    if earlier == later || (earlier.0 <= 1 && later.0 <= 1) {
        return Ok(());
    }
    let doing = "ordering two streams";
    let _current = state.enter(doing)?;
    let api = state.api();
    let pooled = lock(&state.order_events).pop();
    let event = pooled
        .map_or_else(|| api.new_event(), Ok)
        .map_err(|f| state.error(doing, f))?;
    let ordered = api
        .record(event, raw(earlier))
        .and_then(|()| api.stream_wait_event(raw(later), event));
    lock(&state.order_events).push(event);
    ordered.map_err(|f| state.error(doing, f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_freeing_a_foreign_stream_is_refused() {
        assert_eq!(
            not_ours("cuda:0", StreamHandle(0x20)).message,
            "freeing a stream: stream 0x20 was not made by warpbridge on cuda:0 or is free already, expected one that \
             stream_new returned"
        );
    }
}
