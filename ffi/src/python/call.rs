//! The functions that Python calls: look for a learned call that fits and launch it, else go the long way and learn.
//!
//! Life of a call: 1. the arguments are compared with what was learned (GIL held); 2. the launch, and for a blocking call a
//! first wait, without the GIL; 3. the result. Anything but success goes to the Python callee `_finish`, which raises, or
//! waits on in slices so that signals are seen.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::api::{self, FastCall, MethodDef, Raw, FAST_WITH_KEYWORDS};
use super::learned::{Fit, Learned};
use super::object::{Kept, Object, Python};
use super::slots::Found;
use crate::abi;
use crate::bound::Mode;
use crate::error::Result;
use crate::pending::Pending;

/// Calls kept per function: more shapes than most loops go through, and few enough to look at all before the long way.
const MOST_LEARNED: usize = 32;
/// Longest wait before Python looks at signals; `device.py` has the same.
const WAIT_SLICE: Duration = Duration::from_millis(20);

/// How long a launch may take to stop before its arrays are given up.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A function's state.
#[derive(Default)]
pub(super) struct Caller {
    learned: Mutex<Arc<Vec<Arc<Learned>>>>,
    /// Which of them the next one learned replaces, once there are as many as there may be.
    oldest: AtomicUsize,
    /// Which of them was called last.
    last: AtomicUsize,
}

impl Caller {
    fn known(&self) -> Arc<Vec<Arc<Learned>>> {
        Arc::clone(&self.learned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The order in which to try them: first the one that followed the last one before, since loops repeat themselves.
    fn order(&self, known: &[Arc<Learned>]) -> impl Iterator<Item = usize> {
        let last = known.get(self.last.load(Ordering::Relaxed));
        let likely = last
            .map(|last| last.next.load(Ordering::Relaxed))
            .filter(|next| *next < known.len());
        let others = (0..known.len()).filter(move |index| Some(*index) != likely);
        likely.into_iter().chain(others)
    }

    fn note(&self, known: &[Arc<Learned>], index: usize) {
        let last = self.last.load(Ordering::Relaxed);
        if let Some(last) = known
            .get(last)
            .filter(|last| last.next.load(Ordering::Relaxed) != index)
        {
            last.next.store(index, Ordering::Relaxed);
        }
        if last != index {
            self.last.store(index, Ordering::Relaxed);
        }
    }

    fn keep(&self, learned: Learned) {
        let mut known = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::clone(&known);
        if new.len() < MOST_LEARNED {
            new.push(Arc::new(learned));
        } else {
            new[self.oldest.fetch_add(1, Ordering::Relaxed) % MOST_LEARNED] = Arc::new(learned);
        }
        let old = std::mem::replace(&mut *known, Arc::new(new));
        drop(known);
        drop(old); // its objects may run any code when they go, so not under the lock
    }
}

impl Kept for Caller {
    const NAME: &'static std::ffi::CStr = c"warpbridge.caller";
}

/// The first line is what `inspect.signature` reads.
const LAUNCH_DOC: &std::ffi::CStr = c"launch($self, /, *args, **keywords)\n--\n\n\
    Queue on a stream and return the outputs at once: `stream=` says where. Takes what a call takes, but for `timeout` and \
    `progress`;\nof a bound launch the stream alone. See `launch` of the class.";
const RUN_DOC: &std::ffi::CStr = c"_run($self, /, *args, **keywords)\n--\n\nRun and wait; see `__call__` of the class.";

static LAUNCH: MethodDef = MethodDef {
    name: c"launch".as_ptr(),
    function: entered_launch as FastCall,
    flags: FAST_WITH_KEYWORDS,
    doc: LAUNCH_DOC.as_ptr(),
};
static RUN: MethodDef = MethodDef {
    name: c"_run".as_ptr(),
    function: entered_run as FastCall,
    flags: FAST_WITH_KEYWORDS,
    doc: RUN_DOC.as_ptr(),
};

/// Names of the owner's attributes: what goes the long way, and what ends a wait.
struct Names {
    missed: [Object; 2],
    finish: Object,
}

/// Made once: the interpreter keeps interned strings as long as we do.
fn names(py: Python) -> Option<&'static Names> {
    static NAMES: OnceLock<Option<Names>> = OnceLock::new();
    let made = || {
        Some(Names {
            missed: [py.intern(c"_missed_launch")?, py.intern(c"_missed_run")?],
            finish: py.intern(c"_finish")?,
        })
    };
    NAMES.get_or_init(made).as_ref()
}

/// Makes a function; null where this process has no Python, or with an exception.
///
/// Its first argument is the tuple of its owner and its state: the state is found without a look at the owner's attributes,
/// and the interpreter's collector sees a cycle of owner and function.
///
/// # Safety
/// The GIL is held; `owner` is an object.
pub unsafe fn new(blocking: bool, owner: *mut std::ffi::c_void) -> *mut std::ffi::c_void {
    let Some(api) = api::api() else {
        return std::ptr::null_mut();
    };
    let py = Python { api };
    let caller = Caller::default();
    let made = || {
        let bound = py.tuple([py.borrow(owner.cast()), py.capsule(caller)?].into_iter())?;
        py.function(if blocking { &RUN } else { &LAUNCH }, bound.raw())
    };
    made().map_or(std::ptr::null_mut(), Object::into_raw).cast()
}

/// Whether this process exports what [`new`] needs.
#[must_use]
pub fn available() -> bool {
    api::api().is_some()
}

unsafe extern "C" fn entered_launch(bound: Raw, arguments: *const Raw, positional: isize, names: Raw) -> Raw {
    // SAFETY: called by the interpreter, as `entered` asks.
    unsafe { entered(false, bound, arguments, positional, names) }
}

unsafe extern "C" fn entered_run(bound: Raw, arguments: *const Raw, positional: isize, names: Raw) -> Raw {
    // SAFETY: as above.
    unsafe { entered(true, bound, arguments, positional, names) }
}

/// What the interpreter calls.
///
/// # Safety
/// The calling convention of `LAUNCH` and `RUN`.
unsafe fn entered(blocking: bool, bound: Raw, arguments: *const Raw, positional: isize, names: Raw) -> Raw {
    let Some(api) = api::api() else {
        return std::ptr::null_mut();
    };
    let py = Python { api };
    let called = catch_unwind(AssertUnwindSafe(|| {
        let positional = positional.unsigned_abs();
        let count = positional + if names.is_null() { 0 } else { py.len(names) };
        let arguments = match count {
            0 => &[][..],
            // SAFETY: the calling convention: values by place, then those by name.
            _ => unsafe { std::slice::from_raw_parts(arguments, count) },
        };
        let call = Call {
            py,
            blocking,
            owner: py.item(bound, 0)?,
            arguments,
            positional,
            names,
        };
        call.run(py.item(bound, 1)?)
    }));
    match called {
        Ok(result) => result.map_or(std::ptr::null_mut(), Object::into_raw),
        Err(_) => {
            py.raise(c"warpbridge failed internally while launching; please report this");
            std::ptr::null_mut()
        }
    }
}

/// One call.
struct Call<'a> {
    py: Python,
    blocking: bool,
    /// Whose launches these are: a Kernel, or a checked call.
    owner: Raw,
    arguments: &'a [Raw],
    positional: usize,
    names: Raw,
}

impl Call<'_> {
    fn run(&self, state: Raw) -> Option<Object> {
        let Some(caller) = self.py.in_capsule::<Caller>(state) else {
            return self.long_way(None);
        };
        let known = caller.known();
        for (index, learned) in caller.order(&known).map(|index| (index, &known[index])) {
            let mut found = Found::default();
            let fit = learned.fits(self.py, (self.arguments, self.positional, self.names), &mut found);
            let mode = fit.as_ref().and_then(|fit| self.mode(learned, fit));
            let (Some(fit), Some(mode)) = (&fit, mode) else {
                if self.py.failed() {
                    return None;
                }
                match fit {
                    None => continue,
                    Some(_) => break,
                }
            };
            caller.note(&known, index);
            return if self.blocking {
                self.wait(learned, fit, &mode)
            } else {
                self.launch(learned, fit, &mode)
            };
        }
        self.long_way(Some(caller))
    }

    /// Checks everything, launches, and learns from it: `miss` returns the result and a recipe, or None for no recipe.
    fn long_way(&self, caller: Option<&Caller>) -> Option<Object> {
        let py = self.py;
        let missed = self.method(&names(py)?.missed[usize::from(self.blocking)])?;
        let all: Vec<_> = self.arguments.iter().map(|argument| py.borrow(*argument)).collect();
        let arguments = py.tuple(all.into_iter())?;
        let names = if self.names.is_null() {
            py.none()
        } else {
            py.borrow(self.names)
        };
        let positional = py.int(self.positional as u64)?;
        let answer = py.call(&missed, [arguments, positional, names].into_iter())?;
        let (result, recipe) = (py.item(answer.raw(), 0), py.item(answer.raw(), 1));
        if let (Some(caller), Some(recipe)) = (caller, recipe.filter(|recipe| !py.is_none(*recipe))) {
            self.learn(caller, recipe);
            if py.failed() {
                return None;
            }
        }
        if result.is_none() {
            py.raise(c"warpbridge failed internally: a launch without a result; please report this");
        }
        Some(py.borrow(result?))
    }

    /// A method of the owner; `None` with an exception.
    fn method(&self, name: &Object) -> Option<Object> {
        let found = self.py.attr(self.owner, name);
        if found.is_none() {
            self.py
                .raise(c"warpbridge failed internally: a launch without its long way; please report this");
        }
        found
    }

    fn learn(&self, caller: &Caller, recipe: Raw) {
        let py = self.py;
        let address = py.item(recipe, 0).and_then(|address| py.u64(address));
        // SAFETY: the recipe's first item is the address of a `wb_bound` that the recipe's maker keeps alive.
        let Some(bound) = address.and_then(|address| unsafe { abi::bound_at(address) }) else {
            return;
        };
        let Some(learned) = Learned::read(py, recipe, bound, self.arguments, self.positional, self.names) else {
            return;
        };
        caller.keep(learned);
    }

    /// How to launch; `None` goes the long way, or is an exception that is pending.
    fn mode(&self, learned: &Learned, fit: &Fit<'_>) -> Option<Mode> {
        let mut mode = abi::wb_mode {
            stream: fit.stream,
            timeout_s: fit.timeout_s(),
            schedule: 0,
            checks: 0,
            seed: 0,
            threads: 0,
            reserved: 0,
        };
        if let Some(settings) = &learned.settings {
            let settings = self.py.ask(settings)?;
            let number = |index| self.py.u64(self.py.item(settings.raw(), index)?);
            let narrow = |index| u32::try_from(number(index)?).ok();
            (mode.schedule, mode.checks, mode.seed, mode.threads) = (narrow(0)?, narrow(1)?, number(2)?, narrow(3)?);
        }
        abi::read_mode(&mode).ok()
    }

    fn launch(&self, learned: &Learned, fit: &Fit<'_>, mode: &Mode) -> Option<Object> {
        let (py, bound) = (self.py, &learned.bound);
        let queued = py.without_gil(|| match fit.changes() {
            Some(changes) => bound.launch_with(&changes, mode),
            None => bound.launch(mode),
        });
        if queued.is_err() {
            return self.failed(&queued, learned, fit);
        }
        if let Some(hold) = &learned.hold {
            let owners = learned.owners(py, self.arguments, fit)?;
            let kept = [py.int(fit.stream)?, py.borrow(owners.raw())];
            if py.call(hold, kept.into_iter()).is_none() {
                owners.into_raw(); // a signal came before anybody kept the arrays, which the kernel uses
                return None;
            }
        }
        learned.returned(py, self.arguments, fit)
    }

    fn wait(&self, learned: &Learned, fit: &Fit<'_>, mode: &Mode) -> Option<Object> {
        let (py, bound) = (self.py, &learned.bound);
        let queued = py.without_gil(|| {
            let pending = match fit.changes() {
                Some(changes) => bound.submit_with(&changes, mode),
                None => bound.submit(mode),
            }?;
            pending.wait(WAIT_SLICE);
            Ok(pending)
        });
        match queued {
            Ok(pending) if matches!(pending.outcome(), Some(Ok(()))) => {}
            Ok(pending) => self.wait_on(&pending, learned, fit)?,
            Err(error) => return self.failed(&Err(error), learned, fit),
        }
        learned.returned(py, self.arguments, fit)
    }

    /// Leaves the rest of a wait to Python; `None` is its exception.
    fn wait_on(&self, pending: &Arc<Pending>, learned: &Learned, fit: &Fit<'_>) -> Option<()> {
        let py = self.py;
        let finish = self.method(&names(py)?.finish)?;
        let owners = learned.owners(py, self.arguments, fit)?;
        let handle = abi::give_pending(Arc::clone(pending));
        let device = py.int(u64::from(learned.bound.device.index))?;
        let arguments = [
            py.int(handle as u64)?,
            device,
            py.int(fit.stream)?,
            py.borrow(owners.raw()),
        ];
        if py.call(&finish, arguments.into_iter()).is_some() {
            return Some(());
        }
        // A signal may come before `finish` can do anything about the launch. What does not stop keeps its arrays for ever.
        if !pending.poll() {
            py.with_error_aside(|| {
                let ended = py.without_gil(|| {
                    pending.cancel();
                    pending.wait(STOP_LIMIT)
                });
                if !ended {
                    owners.into_raw();
                }
            });
        }
        None
    }

    /// Leaves the error with this thread and lets Python raise it.
    fn failed(&self, error: &Result<()>, learned: &Learned, fit: &Fit<'_>) -> Option<Object> {
        let py = self.py;
        let finish = self.method(&names(py)?.finish)?;
        let owners = learned.owners(py, self.arguments, fit)?;
        let device = py.int(u64::from(learned.bound.device.index))?;
        let arguments = [py.int(0)?, device, py.int(fit.stream)?, owners];
        abi::record(error);
        py.call(&finish, arguments.into_iter())
    }
}
