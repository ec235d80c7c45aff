//! One 128-bit update at a time: there is no portable host instruction for it.
//!
//! A mutex would not do. A child made by `fork` while another thread is updating has that thread's lock and not the thread,
//! and would wait for ever; so this one knows whose it is.

use std::sync::atomic::{AtomicU32, Ordering};

/// The process whose thread is updating; 0: nobody.
static HOLDER: AtomicU32 = AtomicU32::new(0);

/// Runs `work` while nobody else of this process does.
pub(super) fn one_at_a_time<T>(work: impl FnOnce() -> T) -> T {
    struct Release;
    impl Drop for Release {
        fn drop(&mut self) {
            HOLDER.store(0, Ordering::Release);
        }
    }
    let here = std::process::id();
    let mut expected = 0;
    while let Err(found) = HOLDER.compare_exchange_weak(expected, here, Ordering::Acquire, Ordering::Relaxed) {
        // What belongs to the parent is taken: the thread that had it is not here.
        expected = if found == here { 0 } else { found };
        std::thread::yield_now();
    }
    let _release = Release;
    work()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    extern "C" {
        fn fork() -> i32;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
        fn kill(process: i32, signal: i32) -> i32;
        fn _exit(status: i32) -> !;
    }
    const WITHOUT_WAITING: i32 = 1;
    const SIGKILL: i32 = 9;

    /// The status with which a child ends; `None` if it does not within a minute.
    fn status_of(child: i32) -> Option<i32> {
        let (start, mut status) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(60) {
            // SAFETY: the out-pointer is a local.
            if unsafe { waitpid(child, &raw mut status, WITHOUT_WAITING) } == child {
                return Some(status >> 8);
            }
            std::thread::yield_now();
        }
        // SAFETY: the child is ours and has not been waited for.
        unsafe { kill(child, SIGKILL) };
        None
    }

    #[test]
    fn test_child_of_a_fork_in_the_middle_of_an_update_can_update() {
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel::<()>();
        let other = std::thread::spawn(move || {
            one_at_a_time(|| {
                begun.send(()).expect("the test waits");
                may_go_on.recv().expect("the test goes on");
            });
        });
        has_begun.recv().expect("the thread begins");
        // SAFETY: the child calls what is tested, and leaves at once.
        let child = unsafe { fork() };
        if child == 0 {
            let found = one_at_a_time(|| 3) + one_at_a_time(|| 4);
            // SAFETY: ends the child without the test harness's exit.
            unsafe { _exit(found) };
        }
        let found = status_of(child);
        go_on.send(()).expect("the thread waits");
        other.join().expect("the thread");
        assert_eq!(found, Some(7));
    }

    #[test]
    fn test_threads_update_one_at_a_time() {
        static mut COUNT: u32 = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        // SAFETY: one thread at a time is here, which is what is tested.
                        one_at_a_time(|| unsafe { COUNT += 1 });
                    }
                });
            }
        });
        // SAFETY: all threads have ended.
        assert_eq!(unsafe { COUNT }, 40_000);
    }
}
