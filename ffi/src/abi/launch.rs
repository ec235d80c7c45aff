//! Launches of bound calls.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use emulator::{Checks, Schedule, Settings};

use super::guard::{borrow, free, give, guard, put, put_json, texts};
use super::types::{wb_bound, wb_callback, wb_mode, wb_outcome, wb_pending, wb_queue};
use crate::backend::StreamHandle;
use crate::bound::Mode;
use crate::dispatch::{self, Report};
use crate::error::{Error, Kind, Result};

/// {"device": index as in wb_device_json, "text": str for errors, ...}.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_json(bound: *const wb_bound, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let bound = unsafe { borrow(bound, "bound") }?;
        // SAFETY: as above.
        unsafe { put_json(json, "json", &bound.0.describe()) }
    })
}

/// Stream-ordered: queues and returns. `timeout_s` is not used.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_launch(bound: *const wb_bound, mode: *const wb_mode) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let bound = unsafe { borrow(bound, "bound") }?;
        // SAFETY: as above.
        let mode = read_mode(unsafe { borrow(mode, "mode") }?)?;
        bound.0.launch(&mode)
    })
}

/// Tracked. `callback` (may be NULL) runs once on warpbridge's dispatcher thread; `queue` (may be NULL) gets the token too.
/// `user` is passed on as it is, to another thread.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_submit(
    bound: *const wb_bound,
    mode: *const wb_mode,
    callback: wb_callback,
    user: *mut c_void,
    queue: *mut wb_queue,
    token: u64,
    out: *mut *mut wb_pending,
) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(super::guard::null("out"));
        }
        // SAFETY: the module's contract, here and below.
        let bound = unsafe { borrow(bound, "bound") }?;
        // SAFETY: as above.
        let mode = read_mode(unsafe { borrow(mode, "mode") }?)?;
        // SAFETY: as above.
        let queue = unsafe { queue.as_ref() }.map(|queue| Arc::clone(&queue.0));
        let pending = bound.0.submit(&mode)?;
        if callback.is_some() || queue.is_some() {
            if let Some(queue) = &queue {
                queue.expect();
            }
            let user = User(user);
            let report: Report = Box::new(move |outcome| {
                if let Some(callback) = callback {
                    call(callback, &user, outcome);
                }
                if let Some(queue) = queue {
                    queue.push(token, outcome.is_ok());
                }
            });
            dispatch::watch(Arc::clone(&pending), report);
        }
        // SAFETY: as above.
        unsafe { give(out, "out", wb_pending(pending)) }
    })
}

/// For benchmarks: seconds that `launches` launches take at the device's own cost, on a GPU a loop of the driver's launch
/// function with nothing in between; with `blocking` not 0, the stream is waited for after each.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_floor(
    bound: *const wb_bound,
    stream: u64,
    launches: u32,
    blocking: i32,
    seconds: *mut f64,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let bound = unsafe { borrow(bound, "bound") }?;
        let spent = bound.0.floor(StreamHandle(stream), launches, blocking != 0)?;
        // SAFETY: as above.
        unsafe { put(seconds, "seconds", spent.as_secs_f64()) }
    })
}

/// Frees a bound call; NULL is allowed. Its launches live on.
#[no_mangle]
pub unsafe extern "C" fn wb_bound_free(bound: *mut wb_bound) {
    // SAFETY: the module's contract.
    unsafe { free(bound) }
}

/// The caller's pointer on its way to the dispatcher thread.
struct User(*mut c_void);

// SAFETY: warpbridge never looks through the pointer; the caller of `wb_bound_submit` accepts that the callback gets it
// on another thread.
unsafe impl Send for User {}

fn call(callback: unsafe extern "C" fn(*mut c_void, *const wb_outcome), user: &User, outcome: &Result<()>) {
    let (status, (message, fields)) = match outcome {
        Ok(()) => (0, (c"".to_owned(), c"{}".to_owned())),
        Err(error) => (error.kind as i32, texts(error)),
    };
    let outcome = wb_outcome {
        status,
        message: message.as_ptr(),
        fields_json: fields.as_ptr(),
    };
    // SAFETY: the caller gave a function of this type; its strings live until it returns.
    unsafe { callback(user.0, &outcome) };
}

pub(crate) fn read_mode(mode: &wb_mode) -> Result<Mode> {
    let refuse = |what: String| Error::new(Kind::Argument, what);
    let schedule = match mode.schedule {
        0 => Schedule::Eager,
        1 => Schedule::Latest,
        2 => Schedule::Seeded,
        other => return Err(refuse(format!("schedule is {other}, expected 0, 1 or 2"))),
    };
    let checks = match mode.checks {
        0 => Checks::None,
        1 => Checks::Memory,
        2 | 3 => Checks::All,
        other => return Err(refuse(format!("checks is {other}, expected 0, 1, 2 or 3"))),
    };
    if mode.timeout_s.is_nan() {
        return Err(refuse("timeout_s is nan, expected a number of seconds".into()));
    }
    // More than a clock can say is no limit.
    let timeout = Some(mode.timeout_s)
        .filter(|s| *s > 0.0)
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    let cpu = Settings {
        schedule,
        seed: mode.seed,
        checks,
        threads: mode.threads,
        global_races: mode.checks == 3,
    };
    Ok(Mode {
        stream: StreamHandle(mode.stream),
        timeout,
        cpu,
    })
}
