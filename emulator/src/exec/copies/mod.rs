//! Asynchronous copies: `cp.async` per lane (`lanes`) and `cp.async.bulk` (`bulk`), as queued objects that complete by the
//! launch's schedule (`flight`). Bounds are checked when a copy is issued; bytes move when it completes. Copies of boxes of
//! tensors are made in `exec::tensor` and fly with the others.

mod bulk;
mod flight;
mod lanes;

pub(crate) use bulk::{commit_bulk, copy_bulk, operand, wait_bulk, way};
pub(crate) use flight::{complete_all, complete_one, known_barrier, move_bytes, submit, BulkCopy, Signal};
pub(crate) use lanes::{arrive_after_copies, commit_group, copy_async, wait_group, LaneCopies};
