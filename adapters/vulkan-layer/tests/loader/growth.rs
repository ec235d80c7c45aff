//! Thousands of cycles leave nothing behind: no descriptors, no memory.

use std::sync::Arc;

use crate::app::{App, Options, BELOW};
use crate::layer::{self, Pages, NAME};

/// Without validation, which keeps records of its own.
const ALONE: Options = Options {
    layers: &[NAME],
    ..BELOW
};

/// Resident memory, in KiB.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("there");
    let number = line.split_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

fn cycles(app: &App, count: u32) {
    let pages = Pages::new(1 << 16);
    for cycle in 0..count {
        if cycle % 2 == 0 {
            layer::begin_import(1 << 16, &pages).expect("closed");
        } else {
            layer::begin_export(1 << 16).expect("closed");
        }
        let shared = app.buffer(1 << 16);
        let made = layer::end().expect("made");
        if cycle % 2 == 1 {
            made.fd().expect("exported");
        }
        app.destroy(shared);
    }
    assert_eq!(Arc::strong_count(&pages), 1);
}

/// Descriptors of memory files: what lavapipe exports. Other tests, at the same time, have few.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

#[test]
fn test_thousands_of_buffers_leave_nothing_behind() {
    let app = App::new(ALONE);
    cycles(&app, 200);
    let (kib, open) = (resident_kib(), descriptors());
    cycles(&app, 6000);
    let (grown_kib, grown) = (resident_kib() - kib, descriptors() as i64 - open as i64);
    // 6000 buffers of 64 KiB would be 375 MiB and 3000 descriptors; other tests run beside this one.
    assert!(grown_kib < 100 * 1024, "{grown_kib} KiB more than before");
    assert!(grown < 100, "{grown} descriptors more than before");
    app.finish();
}

#[test]
fn test_hundred_devices_leave_nothing_behind() {
    let cycle = || {
        let app = App::new(ALONE);
        layer::begin_export(4096).expect("closed");
        let shared = app.buffer(4096);
        let made = layer::end().expect("made");
        made.signal().expect("signalled");
        app.wait_idle();
        app.destroy(shared);
        app.finish();
    };
    cycle();
    let open = descriptors();
    (0..100).for_each(|_| cycle());
    let grown = descriptors() as i64 - open as i64;
    assert!(grown < 60, "{grown} descriptors more than before");
}
