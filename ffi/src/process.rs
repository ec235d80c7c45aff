//! What a `fork` does to us: memory is copied, threads are not. A lock that another thread held stays locked for ever in
//! the child, and a queue has nobody left who works on it.
//!
//! So whatever has threads behind it lives in a [`PerProcess`]: the child finds the parent's value stale and makes one of
//! its own, without touching the parent's locks. The driver's state cannot be made anew; `backend/cuda` refuses instead.
//! What every process of a line shares and is made on first use is made [`whole`]: a fork waits for it, because a child that
//! has the half of it would wait for the other half for ever.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::Duration;

/// Counted up in each child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

#[cfg(unix)]
extern "C" {
    fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> i32;
    fn sysconf(name: i32) -> std::ffi::c_long;
}

/// `_SC_PAGESIZE` of Linux.
#[cfg(target_os = "linux")]
const SC_PAGESIZE: i32 = 30;
/// `_SC_PAGESIZE` of macOS and the BSDs.
#[cfg(all(unix, not(target_os = "linux")))]
const SC_PAGESIZE: i32 = 29;

/// How many threads are in the middle of [`whole`].
static MAKING: Mutex<usize> = Mutex::new(0);
static MADE: Condvar = Condvar::new();
/// A fork does not wait longer, whatever they are doing.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

thread_local! {
    /// Held by the thread that forks, from before it until after it, in both processes.
    static FORKING: RefCell<Option<MutexGuard<'static, usize>>> = const { RefCell::new(None) };
    /// How deep this thread is in [`whole`] itself: CUDA's driver may fork while it is initialised.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

fn making() -> MutexGuard<'static, usize> {
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
extern "C" fn before() {
    let own = DEPTH.get();
    let waited = MADE.wait_timeout_while(making(), LONGEST_WAIT, |making| *making > own);
    let (held, _) = waited.unwrap_or_else(PoisonError::into_inner);
    FORKING.with_borrow_mut(|forking| *forking = Some(held));
}

#[cfg(unix)]
extern "C" fn in_parent() {
    FORKING.take();
}

#[cfg(unix)]
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    if let Some(mut making) = FORKING.take() {
        *making = DEPTH.get();
    }
}

/// Does work that no fork may cut in two: what is locked or made on first use, and shared with children.
pub fn whole<T>(work: impl FnOnce() -> T) -> T {
    struct Making;
    impl Drop for Making {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
            *making() -= 1;
            MADE.notify_all();
        }
    }
    generation(); // whose handlers wait
    *making() += 1;
    DEPTH.set(DEPTH.get() + 1);
    let _making = Making;
    work()
}

/// A value made on first use, whole.
pub struct Lazy<T>(OnceLock<T>);

impl<T> Lazy<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
    /// The value.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        match self.0.get() {
            Some(made) => made,
            None => whole(|| self.0.get_or_init(make)),
        }
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of a page of memory here.
#[must_use]
pub fn page_bytes() -> u64 {
    static BYTES: Lazy<u64> = Lazy::new();
    *BYTES.get_or_init(|| {
        #[cfg(unix)]
        // SAFETY: asks for a number.
        let asked = unsafe { sysconf(SC_PAGESIZE) };
        #[cfg(not(unix))]
        let asked = 4096i64;
        u64::try_from(asked)
            .ok()
            .filter(|bytes| bytes.is_power_of_two())
            .unwrap_or(4096)
    })
}

/// How often this process's line was forked since it loaded us: differs between a parent and its child.
pub fn generation() -> u32 {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        // SAFETY: the handlers count and lock, which is allowed in a child of a process with threads: the lock is the forking
        // thread's own. Out of memory is the only failure; forks are then not noticed.
        #[cfg(unix)]
        let _ = unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    GENERATION.load(Ordering::Acquire)
}

struct Slot<T> {
    generation: u32,
    value: T,
}

/// A value that each process makes for itself.
pub struct PerProcess<T> {
    current: AtomicPtr<Slot<T>>,
    /// Shared between threads only where `T` may be.
    _owns: PhantomData<T>,
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PerProcess<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            current: AtomicPtr::new(std::ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// This process's value. `make` gets the parent's, as it was at the fork: its locks may be held by threads that are
    /// gone. Two threads that come first may both make one, and then agree on either.
    pub fn get(&self, make: impl FnOnce(Option<&T>) -> T) -> &T {
        let here = generation();
        let before = self.current.load(Ordering::Acquire);
        // SAFETY: null, or a slot of ours; published slots are never freed.
        let old = unsafe { before.as_ref() };
        if let Some(slot) = old.filter(|slot| slot.generation == here) {
            return &slot.value;
        }
        let value = make(old.map(|slot| &slot.value));
        let made = Box::into_raw(Box::new(Slot {
            generation: here,
            value,
        }));
        let published = self
            .current
            .compare_exchange(before, made, Ordering::AcqRel, Ordering::Acquire);
        let slot = match published {
            Ok(_) => made,
            Err(theirs) => {
                // SAFETY: ours, made above and seen by nobody.
                drop(unsafe { Box::from_raw(made) });
                theirs // of this process, because only its threads run here
            }
        };
        // SAFETY: as above.
        &unsafe { &*slot }.value
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::Mutex;

    extern "C" {
        fn fork() -> i32;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
        fn _exit(status: i32) -> !;
    }

    #[test]
    fn test_fork_waits_for_what_another_thread_is_making() {
        static VALUE: Lazy<u32> = Lazy::new();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let maker = std::thread::spawn(move || {
            VALUE.get_or_init(|| {
                let _ = begun.send(());
                std::thread::sleep(Duration::from_millis(200));
                5
            });
        });
        has_begun.recv().expect("the maker");
        // SAFETY: as below.
        let child = unsafe { fork() };
        if child == 0 {
            let found = *VALUE.get_or_init(|| 6);
            let inner = *Lazy::new().get_or_init(|| *Lazy::new().get_or_init(|| 2));
            // SAFETY: as below.
            unsafe { _exit(i32::from(found == 5) + inner) };
        }
        let mut status = 0;
        // SAFETY: as below.
        unsafe { waitpid(child, &raw mut status, 0) };
        assert_eq!(
            status >> 8,
            3,
            "the child found what the parent's thread made, and can make more"
        );
        maker.join().expect("the maker");
    }

    #[test]
    fn test_child_makes_its_own_value_although_the_parents_lock_is_held() {
        static VALUE: PerProcess<Mutex<u32>> = PerProcess::new();
        let held = VALUE.get(|_| Mutex::new(1)).lock().expect("not poisoned");
        // SAFETY: the child calls nothing but what is tested, and leaves at once.
        let child = unsafe { fork() };
        if child == 0 {
            let mine = VALUE.get(|old| Mutex::new(1 + u32::from(old.is_some_and(|o| o.try_lock().is_err()))));
            let seen = *mine.lock().expect("not poisoned");
            // SAFETY: ends the child without running the test harness's exit.
            unsafe { _exit(seen as i32) };
        }
        let mut status = 0;
        // SAFETY: the out-pointer is a local.
        unsafe { waitpid(child, &raw mut status, 0) };
        assert_eq!(
            status >> 8,
            2,
            "the child made its own, and saw that the parent's was locked"
        );
        drop(held);
        assert_eq!(*VALUE.get(|_| Mutex::new(9)).lock().expect("not poisoned"), 1);
    }
}
