//! The bracket: how a caller says "the next buffer made on this thread". It is thread-local, so that other threads of the
//! application are never touched, and holds one request at most. `buffers.rs` takes the request; [`end`] tells what came of it.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use crate::shared::Shared;
use crate::table;

/// How much greater than asked for a buffer may be: WebGPU implementations pad sizes.
const PADDING_BYTES: u64 = 256;

/// Whoever keeps imported host memory alive; dropped after the buffer is destroyed.
pub type Owner = Arc<dyn Any + Send + Sync>;

/// Host memory to be imported.
#[derive(Clone)]
pub struct HostMemory {
    /// Where it is; a multiple of the device's `minImportedHostPointerAlignment`.
    pub address: usize,
    /// How much of it there is.
    pub bytes: u64,
    /// Kept until the buffer is destroyed.
    pub owner: Owner,
}

/// What the next buffer is to get.
#[derive(Clone)]
pub(crate) enum Request {
    /// Memory of its own that can be exported.
    Export,
    /// This host memory.
    Import(HostMemory),
}

enum State {
    /// No bracket is open on this thread.
    Closed,
    /// Nothing that fits has come yet; what came instead, if anything.
    Open(u64, Request, Option<String>),
    /// A buffer was made.
    Made(Arc<Shared>),
    /// A buffer came, and was made as an ordinary one.
    Refused(String),
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Closed) };
}

/// Opens the bracket: the next buffer of at least `bytes` that this thread makes gets exportable memory of its own.
///
/// # Errors
/// A bracket is open on this thread.
pub fn begin_export(bytes: u64) -> Result<(), String> {
    open(bytes, Request::Export)
}

/// Opens the bracket: the next buffer of at least `bytes` that this thread makes lives in `memory`.
///
/// # Errors
/// A bracket is open on this thread.
pub fn begin_import(bytes: u64, memory: HostMemory) -> Result<(), String> {
    open(bytes, Request::Import(memory))
}

fn open(bytes: u64, request: Request) -> Result<(), String> {
    STATE.with_borrow_mut(|state| {
        if !matches!(state, State::Closed) {
            return Err("a bracket is open on this thread already, expected it to be ended first".into());
        }
        *state = State::Open(bytes, request, None);
        Ok(())
    })
}

/// Closes this thread's bracket and returns the buffer that was made in it.
///
/// # Errors
/// Why no buffer was made as asked; one that came was then made as an ordinary one.
pub fn end() -> Result<Arc<Shared>, String> {
    match STATE.replace(State::Closed) {
        State::Made(shared) => Ok(shared),
        State::Refused(why) => Err(why),
        State::Closed => Err("no bracket is open on this thread, expected one to be begun first".into()),
        State::Open(bytes, _, seen) => Err(nothing_came(bytes, seen)),
    }
}

fn nothing_came(bytes: u64, seen: Option<String>) -> String {
    if let Some(seen) = seen {
        return format!("{seen}, expected one of {bytes} bytes");
    }
    if table::live_instances() == 0 {
        return format!(
            "the Vulkan layer {} is not loaded, expected it to be enabled before the first Vulkan instance of the process",
            crate::LAYER_NAME
        );
    }
    "no buffer was made through Vulkan on this thread, expected one: the layer is loaded, so the buffer is another backend's".into()
}

/// The request, if this buffer is the one it is for.
pub(crate) fn take(size: u64) -> Option<Request> {
    // A thread that is ending has no bracket any more.
    let taken = STATE.try_with(|state| {
        let mut state = state.borrow_mut();
        let State::Open(bytes, request, seen) = &mut *state else {
            return None;
        };
        if size < *bytes || size - *bytes > PADDING_BYTES {
            *seen = Some(format!("a buffer of {size} bytes was made"));
            return None;
        }
        Some(request.clone())
    });
    taken.ok().flatten()
}

/// Says what came of the request that [`take`] returned.
pub(crate) fn settle(outcome: Result<Arc<Shared>, String>) {
    let settled = match outcome {
        Ok(shared) => State::Made(shared),
        Err(why) => State::Refused(why),
    };
    STATE.set(settled);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_end_without_begin_says_so() {
        assert_eq!(
            end().map(|_| ()).unwrap_err(),
            "no bracket is open on this thread, expected one to be begun first"
        );
    }

    #[test]
    fn test_second_begin_is_refused_and_keeps_the_first() {
        begin_export(64).expect("closed");
        assert_eq!(
            begin_export(32).unwrap_err(),
            "a bracket is open on this thread already, expected it to be ended first"
        );
        assert!(take(64).is_some());
        assert!(end().is_err());
    }

    #[test]
    fn test_take_leaves_buffers_of_another_size_alone() {
        begin_export(1000).expect("closed");
        assert!(take(999).is_none());
        assert!(take(1257).is_none());
        assert!(take(1256).is_some());
        settle(Err("because".into()));
        assert!(take(1000).is_none(), "one buffer only");
        assert_eq!(end().map(|_| ()).unwrap_err(), "because");
    }

    #[test]
    fn test_end_names_the_buffer_that_did_not_fit() {
        begin_export(1000).expect("closed");
        assert!(take(16).is_none());
        assert_eq!(
            end().map(|_| ()).unwrap_err(),
            "a buffer of 16 bytes was made, expected one of 1000 bytes"
        );
    }

    #[test]
    fn test_end_without_a_loader_says_that_the_layer_is_not_loaded() {
        begin_export(8).expect("closed");
        assert_eq!(
            end().map(|_| ()).unwrap_err(),
            "the Vulkan layer VK_LAYER_WARPBRIDGE_share is not loaded, expected it to be enabled before the first Vulkan \
             instance of the process"
        );
    }
}
