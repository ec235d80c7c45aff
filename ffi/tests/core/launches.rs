//! Launches on the CPU device: results, order, faults, reports. What ends them before their time is in `stops`.

use std::sync::mpsc;
use std::sync::Arc;
use std::time::Duration;

use warpbridge::backend::StreamHandle;
use warpbridge::bind::{self, bind_entry, EntryGeometry};
use warpbridge::bound::{Bound, Mode};
use warpbridge::device;
use warpbridge::dispatch;
use warpbridge::error::{Error, Kind};
use warpbridge::pending::Pending;
use warpbridge::value::Value;

use crate::support::{entries, kernel, over, timeout, FLOAT, PAUSE, REPORT, UINT};

pub const LONG: Duration = Duration::from_secs(60);

fn geometry(grid: u32, block: u32) -> EntryGeometry {
    EntryGeometry {
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        cluster: [1, 1, 1],
        shared_bytes: 0,
    }
}

pub fn entry(name: &str, block: u32, values: &[Value<'_>]) -> Arc<Bound> {
    Arc::new(bind_entry(&entries(), name, &geometry(1, block), values).unwrap_or_else(|e| panic!("{e}")))
}

pub fn bound(manifest: &str, values: &[Value<'_>]) -> Arc<Bound> {
    Arc::new(bind::bind(&kernel(manifest), values, None).unwrap_or_else(|e| panic!("{e}")))
}

pub fn submit(bound: &Arc<Bound>, mode: &Mode) -> Arc<Pending> {
    bound.submit(mode).unwrap_or_else(|e| panic!("{e}"))
}

pub fn outcome(pending: &Pending) -> Result<(), Error> {
    assert!(pending.wait(LONG), "the launch never ended");
    pending.outcome().expect("it has ended").clone()
}

/// A text with each `1.234 s` after "after " replaced.
pub fn without_age(text: &str) -> String {
    let Some((before, rest)) = text.split_once("after ") else {
        return text.to_owned();
    };
    let (age, after) = rest.split_once(" s").expect("an age in seconds");
    age.parse::<f64>().expect("an age is a number");
    format!("{before}after <age> s{after}")
}

pub fn on(stream: StreamHandle) -> Mode {
    Mode {
        stream,
        ..Mode::default()
    }
}

#[test]
fn vector_add_adds() {
    let mut x: Vec<f32> = (0..1000u16).map(f32::from).collect();
    let mut y = vec![0f32; 1000];
    let values = [
        over(&mut x, FLOAT, &[1000]),
        over(&mut y, FLOAT, &[1000]),
        Value::Int(1000),
        Value::Float(0.5),
    ];
    let bound = Arc::new(bind_entry(&entries(), "add", &geometry(3, 64), &values).expect("binds"));
    let pending = submit(&bound, &Mode::default());
    outcome(&pending).expect("finishes");
    assert_eq!(y, x.iter().map(|v| v + 0.5).collect::<Vec<_>>());
    assert_eq!(pending.progress(), 1.0);
}

#[test]
fn empty_launch_ends_at_once() {
    let values = [Value::Int(0), Value::Int(0), Value::Int(0), Value::Float(0.0)];
    let bound = Arc::new(bind_entry(&entries(), "add", &geometry(0, 64), &values).expect("binds"));
    bound.launch(&Mode::default()).expect("nothing to do");
    let pending = submit(&bound, &Mode::default());
    assert!(pending.poll());
    outcome(&pending).expect("finishes");
}

#[test]
fn launches_on_one_stream_run_in_order() {
    let backend = &device::all()[0].backend;
    let stream = backend.stream_new().expect("a stream");
    let mut y = vec![0f32; 64];
    let values = [
        over(&mut y, FLOAT, &[64]),
        over(&mut y, FLOAT, &[64]),
        Value::Int(64),
        Value::Float(1.0),
    ];
    let bound = entry("add", 64, &values);
    for _ in 0..50 {
        bound.launch(&on(stream)).expect("queues");
    }
    assert!(backend.stream_wait(stream, LONG).expect("no error"));
    assert_eq!(y, vec![50f32; 64]);
    backend.stream_free(stream).expect("frees");
    let error = bound.launch(&on(stream)).expect_err("a freed stream");
    let text = format!(
        "stream {:#x} is not one of the CPU device's, expected 0, 1, 2 or a stream made by it",
        stream.0
    );
    assert_eq!((error.message, error.kind), (text, Kind::Device));
}

#[test]
fn stream_order_makes_the_later_stream_wait() {
    let backend = &device::all()[0].backend;
    let (first, second) = (
        backend.stream_new().expect("a stream"),
        backend.stream_new().expect("a stream"),
    );
    let (mut counter, mut y) = (vec![0u32; 1], vec![0f32; 1]);
    let slow = bound(PAUSE, &[over(&mut counter, UINT, &[1])]);
    let pending = submit(&slow, &on(first));
    backend.stream_order(first, second).expect("orders");
    let values = [
        over(&mut y, FLOAT, &[1]),
        over(&mut y, FLOAT, &[1]),
        Value::Int(1),
        Value::Float(1.0),
    ];
    let after = submit(&entry("add", 32, &values), &on(second));
    assert!(
        !after.wait(Duration::from_millis(50)),
        "it overtook what it was ordered behind"
    );
    pending.cancel();
    outcome(&after).expect("finishes");
    assert_eq!(outcome(&pending).expect_err("cancelled").kind, Kind::Cancelled);
    assert_eq!(y, [1.0]);
}

#[test]
fn fault_of_the_kernel_has_the_manifests_text() {
    let mut y = vec![0u32; 1];
    let pending = submit(
        &bound(REPORT, &[over(&mut y, UINT, &[1]), Value::Int(12)]),
        &Mode::default(),
    );
    let error = outcome(&pending).expect_err("a fault");
    assert_eq!(
        (error.message.as_str(), error.kind),
        ("report: row 12 is -3", Kind::KernelFault)
    );
    assert_eq!(
        (&error.fields["code"], &error.fields["detail"]),
        (&7.into(), &vec![-3, 12].into())
    );
}

#[test]
fn fault_without_text_shows_its_numbers() {
    let manifest = REPORT.replace("code = 7", "code = 8");
    let mut y = vec![0u32; 1];
    let pending = submit(
        &bound(&manifest, &[over(&mut y, UINT, &[1]), Value::Int(12)]),
        &Mode::default(),
    );
    let error = outcome(&pending).expect_err("a fault");
    assert_eq!(
        error.message,
        "report: the kernel reported fault 7 with details -3 and 12"
    );
}

#[test]
fn access_outside_an_array_is_a_memory_fault() {
    let mut y = vec![0u32; 4];
    let pending = submit(
        &entry("outside", 1, &[over(&mut y, UINT, &[4]), Value::Int(16)]),
        &Mode::default(),
    );
    let error = outcome(&pending).expect_err("a fault");
    assert_eq!(error.kind, Kind::Memory, "{error}");
    let field = |name: &str| error.fields[name].clone();
    assert_eq!(
        (field("what"), field("array"), field("offset")),
        ("out of bounds".into(), "y".into(), 16.into())
    );
    assert_eq!(
        (field("array_bytes"), field("write"), field("kernel")),
        (16.into(), true.into(), "outside".into())
    );
    assert_eq!(error.fields["location"]["entry"], "outside");
    assert!(error.message.starts_with("outside: "), "{error}");
}

#[test]
fn write_to_a_read_only_array_is_a_memory_fault() {
    let mut y = vec![0u32; 4];
    let Value::Tensor(mut tensor) = over(&mut y, UINT, &[4]) else {
        unreachable!("a tensor")
    };
    tensor.read_only = true;
    let pending = submit(
        &entry("outside", 1, &[Value::Tensor(tensor), Value::Int(0)]),
        &Mode::default(),
    );
    let error = outcome(&pending).expect_err("a fault");
    assert_eq!((error.kind, &error.fields["what"]), (Kind::Memory, &"read-only".into()));
}

#[test]
fn barrier_that_never_completes_is_a_deadlock() {
    let mut y = vec![0u32; 1];
    let pending = submit(&entry("stuck", 32, &[over(&mut y, UINT, &[1])]), &timeout(LONG));
    let error = outcome(&pending).expect_err("a deadlock");
    assert_eq!(error.kind, Kind::Deadlock, "{error}");
    let waits = error.fields["waits"].as_array().expect("a list");
    assert_eq!(
        (waits.len(), &waits[0]["on"], &waits[0]["id"]),
        (1, &"barrier".into(), &3.into())
    );
}

#[test]
fn untracked_fault_comes_out_of_the_next_wait_once() {
    let backend = &device::all()[0].backend;
    let stream = backend.stream_new().expect("a stream");
    let mut y = vec![0u32; 4];
    let values = [over(&mut y, UINT, &[4]), Value::Int(400)];
    entry("outside", 1, &values).launch(&on(stream)).expect("queues");
    let error = backend.stream_wait(stream, LONG).expect_err("the fault");
    assert_eq!(error.kind, Kind::Memory);
    assert!(backend.stream_wait(stream, LONG).expect("told once"));
}

#[test]
fn reports_come_once_and_in_stream_order() {
    let stream = device::all()[0].backend.stream_new().expect("a stream");
    let mut y = vec![0f32; 8];
    let values = [
        over(&mut y, FLOAT, &[8]),
        over(&mut y, FLOAT, &[8]),
        Value::Int(8),
        Value::Float(1.0),
    ];
    let bound = entry("add", 32, &values);
    let (send, receive) = mpsc::channel();
    for number in 0..100 {
        let send = send.clone();
        let report = move |outcome: &Result<(), Error>| send.send((number, outcome.is_ok())).expect("somebody listens");
        dispatch::watch(submit(&bound, &on(stream)), Box::new(report));
    }
    drop(send);
    let told: Vec<_> = receive.iter().collect();
    assert_eq!(told, (0..100).map(|number| (number, true)).collect::<Vec<_>>());
}
