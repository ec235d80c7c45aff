//! What a GPU does with memory and timeline semaphores that another API on the same GPU exported.

use std::os::fd::OwnedFd;

use super::StreamHandle;
use crate::error::Result;

/// Memory of another API, mapped here.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// Where it is.
    pub address: u64,
    /// The backend's own name for it.
    pub handle: u64,
}

/// A device that shares with another API. As [`super::Backend`]: callable from any thread, contexts left as found.
pub trait External: Send + Sync {
    /// Maps a dedicated allocation of `bytes`, as an opaque descriptor, which is taken over.
    fn map(&self, fd: OwnedFd, bytes: u64) -> Result<Mapped>;
    /// Gives back what [`External::map`] returned, once, after everything queued that may use it.
    fn unmap(&self, mapped: Mapped) -> Result<()>;
    /// Opens a timeline semaphore, as an opaque descriptor, which is taken over.
    fn semaphore(&self, fd: OwnedFd) -> Result<u64>;
    /// Gives back what [`External::semaphore`] returned, once, when no queued work refers to it.
    fn semaphore_free(&self, semaphore: u64) -> Result<()>;
    /// Queues a signal of `value` on a stream.
    fn signal(&self, semaphore: u64, value: u64, stream: StreamHandle) -> Result<()>;
    /// Queues a wait for `value` on a stream.
    fn wait(&self, semaphore: u64, value: u64, stream: StreamHandle) -> Result<()>;
    /// A mark, to be put behind work.
    fn mark_new(&self) -> Result<u64>;
    /// Gives back what [`External::mark_new`] returned.
    fn mark_free(&self, mark: u64);
    /// Moves a mark behind what is queued on a stream so far.
    fn mark(&self, mark: u64, stream: StreamHandle) -> Result<()>;
    /// Whether the work in front of a mark is done; an error: it never will be, as the context is lost.
    fn is_reached(&self, mark: u64) -> Result<bool>;
}
