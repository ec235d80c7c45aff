//! Waiting for the device without holding its locks: spin briefly, because most launches are short, then sleep.

use std::time::{Duration, Instant};

/// A blocking launch of a short kernel ends within this time (design page "measurements").
const SPIN: Duration = Duration::from_micros(50);
/// A processor's pause is as long as tens of looks, so not one is made before this.
const SPIN_HARD: Duration = Duration::from_micros(20);
/// The clock costs as much as tens of looks, too.
const LOOKS_PER_CLOCK: u32 = 32;
const FIRST_PAUSE: Duration = Duration::from_micros(10);
const LONGEST_PAUSE: Duration = Duration::from_micros(100);

/// Looks at something cheap until it is true, for as long as a short kernel takes; false: look elsewhere now.
pub(super) fn spin_until(limit: Duration, is_true: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    let limit = limit.min(SPIN);
    let mut is_early = true;
    loop {
        for _ in 0..LOOKS_PER_CLOCK {
            if is_true() {
                return true;
            }
            if !is_early {
                std::hint::spin_loop();
            }
        }
        let spent = start.elapsed();
        if spent >= limit {
            return false;
        }
        is_early = spent < SPIN_HARD;
    }
}

/// Calls `poll` until it gives something, at most for `limit`; always at least once.
pub(super) fn poll_until<T>(limit: Duration, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = poll() {
            return Some(found);
        }
        let spent = start.elapsed();
        if spent >= limit {
            return None;
        }
        if spent < SPIN {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(pause.min(limit - spent));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_poll_until_polls_once_even_without_time() {
        assert_eq!(poll_until(Duration::ZERO, || Some(3)), Some(3));
        assert_eq!(poll_until(Duration::ZERO, || None::<i32>), None);
    }

    #[test]
    fn test_spin_until_sees_the_truth_and_gives_up_after_its_limit() {
        assert!(spin_until(Duration::ZERO, || true));
        let start = Instant::now();
        assert!(!spin_until(Duration::from_secs(600), || false));
        assert!(start.elapsed() >= SPIN && start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn test_poll_until_gives_up_after_its_limit() {
        let start = Instant::now();
        assert_eq!(poll_until(Duration::from_millis(5), || None::<i32>), None);
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
