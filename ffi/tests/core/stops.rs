//! Launches that end before their time: by a timeout, by a cancel, from many threads at once.

use std::sync::mpsc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use warpbridge::bound::Mode;
use warpbridge::device;
use warpbridge::dispatch;
use warpbridge::error::{Error, Kind};
use warpbridge::value::Value;

use crate::launches::{bound, entry, on, outcome, submit, without_age, LONG};
use crate::support::{over, timeout, FLOAT, PAUSE, UINT};

#[test]
fn timeout_ends_a_kernel_that_co_operates() {
    let mut y = vec![0u32; 1];
    let pending = submit(
        &bound(PAUSE, &[over(&mut y, UINT, &[1])]),
        &timeout(Duration::from_millis(60)),
    );
    let error = outcome(&pending).expect_err("too slow");
    assert_eq!(
        without_age(&error.message),
        "pause on cpu, stream 0: not finished after <age> s, expected at most 0.060 s; the kernel was stopped; raise timeout \
         if it needs longer; its arguments were y uint32 (1,)"
    );
    assert_eq!(
        (error.kind, &error.fields["still_running"]),
        (Kind::Timeout, &false.into())
    );
    assert!(error.fields["age_s"]
        .as_f64()
        .is_some_and(|age| (0.06..60.0).contains(&age)));
}

#[test]
fn timeout_ends_a_kernel_that_never_looks() {
    let mut y = vec![0u32; 1];
    let start = Instant::now();
    let pending = submit(
        &entry("spin", 32, &[over(&mut y, UINT, &[1])]),
        &timeout(Duration::from_millis(60)),
    );
    let error = outcome(&pending).expect_err("too slow");
    assert_eq!(
        without_age(&error.message),
        "spin on cpu, stream 0: not finished after <age> s, expected at most 0.060 s; the kernel was stopped; raise timeout \
         if it needs longer; its arguments were y uint32 (1,)"
    );
    assert!(start.elapsed() < LONG);
}

#[test]
fn timeout_without_anyone_waiting_still_frees_the_stream() {
    let backend = &device::all()[0].backend;
    let stream = backend.stream_new().expect("a stream");
    let mut y = vec![0u32; 1];
    let mode = Mode {
        stream,
        ..timeout(Duration::from_millis(30))
    };
    drop(submit(&entry("spin", 32, &[over(&mut y, UINT, &[1])]), &mode));
    assert!(backend
        .stream_wait(stream, LONG)
        .expect("a tracked launch's error is not the stream's"));
}

#[test]
fn timeout_counts_while_queued() {
    let stream = device::all()[0].backend.stream_new().expect("a stream");
    let (mut counter, mut y) = (vec![0u32; 1], vec![0u32; 1]);
    let first = submit(&bound(PAUSE, &[over(&mut counter, UINT, &[1])]), &on(stream));
    let mode = Mode {
        stream,
        ..timeout(Duration::from_millis(30))
    };
    let second = submit(&entry("spin", 32, &[over(&mut y, UINT, &[1])]), &mode);
    assert_eq!(outcome(&second).expect_err("never began").kind, Kind::Timeout);
    assert!(!first.poll(), "the first was not to end");
    first.cancel();
    assert_eq!(outcome(&first).expect_err("cancelled").kind, Kind::Cancelled);
    assert_eq!(y, [0]);
}

#[test]
fn cancel_ends_a_kernel_and_says_so() {
    let mut y = vec![0u32; 1];
    let pending = submit(&bound(PAUSE, &[over(&mut y, UINT, &[1])]), &Mode::default());
    let start = Instant::now();
    while pending.progress() == 0.0 && start.elapsed() < LONG {
        std::thread::yield_now();
    }
    assert_eq!(pending.progress(), 0.25);
    pending.cancel();
    pending.cancel();
    let error = outcome(&pending).expect_err("cancelled");
    assert_eq!(
        without_age(&error.message),
        "pause on cpu, stream 0: cancelled after <age> s, as asked"
    );
    assert_eq!(
        (error.kind, &error.fields["kernel"]),
        (Kind::Cancelled, &"pause".into())
    );
}

#[test]
fn reported_timeout_overtakes_a_launch_that_does_not_end() {
    let stream = device::all()[0].backend.stream_new().expect("a stream");
    let (mut counter, mut y) = (vec![0u32; 1], vec![0u32; 1]);
    let (send, receive) = mpsc::channel();
    let tell = |name: &'static str| {
        let send = send.clone();
        Box::new(move |outcome: &Result<(), Error>| {
            let kind = outcome.as_ref().err().map(|e| e.kind);
            send.send((name, kind)).expect("somebody listens");
        })
    };
    let first = submit(&bound(PAUSE, &[over(&mut counter, UINT, &[1])]), &on(stream));
    dispatch::watch(Arc::clone(&first), tell("first"));
    let mode = Mode {
        stream,
        ..timeout(Duration::from_millis(30))
    };
    dispatch::watch(
        submit(&entry("spin", 32, &[over(&mut y, UINT, &[1])]), &mode),
        tell("second"),
    );
    assert_eq!(receive.recv_timeout(LONG), Ok(("second", Some(Kind::Timeout))));
    first.cancel();
    assert_eq!(receive.recv_timeout(LONG), Ok(("first", Some(Kind::Cancelled))));
}

#[test]
fn threads_may_submit_cancel_and_wait_at_once() {
    let ends = std::thread::scope(|scope| {
        let one = |seed: usize| {
            let (mut counter, mut y) = (vec![0u32; 1], vec![0f32; 4]);
            let values = [
                over(&mut y, FLOAT, &[4]),
                over(&mut y, FLOAT, &[4]),
                Value::Int(4),
                Value::Float(1.0),
            ];
            let (add, pause) = (
                entry("add", 32, &values),
                bound(PAUSE, &[over(&mut counter, UINT, &[1])]),
            );
            let stream = device::all()[0].backend.stream_new().expect("a stream");
            for round in 0..20 {
                let pausing = submit(&pause, &on(stream));
                let adding = submit(&add, &on(stream));
                if (seed + round).is_multiple_of(2) {
                    pausing.cancel();
                }
                std::thread::spawn({
                    let pausing = Arc::clone(&pausing);
                    move || pausing.cancel()
                });
                outcome(&adding).expect("finishes");
                assert_eq!(outcome(&pausing).expect_err("cancelled").kind, Kind::Cancelled);
            }
            y[0]
        };
        let threads: Vec<_> = (0..6).map(|seed| scope.spawn(move || one(seed))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert_eq!(ends, [20.0; 6]);
}
