//! Launches that go well: results, tickets, streams, and what they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use warpbridge::backend::{Backend, LaunchPlan, StreamHandle};

use crate::gpu::{ending_of, plan, raw_launch, tracked, vadd, Gpu, Value, LONG};

const MS: u64 = 1_000_000;

#[test]
#[ignore = "needs a GPU"]
fn test_untracked_launch_computes_and_the_stream_ends() {
    let gpu = Gpu::open();
    for stream in [StreamHandle(0), StreamHandle(1), StreamHandle(2), gpu.new_stream()] {
        let (plan, out, sum) = vadd(&gpu);
        gpu.queue(&plan, stream);
        gpu.synchronize(stream);
        assert_eq!(gpu.download::<f32>(out, 1000), sum, "{stream:?}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn test_tracked_launch_computes_and_finishes() {
    let gpu = Gpu::open();
    for stream in [StreamHandle(0), StreamHandle(1), StreamHandle(2), gpu.new_stream()] {
        let (plan, out, sum) = vadd(&gpu);
        let ticket = gpu.submit(&plan, stream);
        assert_eq!(ending_of(&ticket), "finished");
        assert_eq!(ticket.progress(), 1.0);
        assert!(ticket.is_done());
        assert_eq!(gpu.download::<f32>(out, 1000), sum, "{stream:?}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn test_tracked_launches_beyond_one_slab_all_finish() {
    let gpu = Gpu::open();
    let (plan, out, sum) = vadd(&gpu);
    let stream = gpu.new_stream();
    for _ in 0..3 {
        let tickets: Vec<_> = (0..700).map(|_| gpu.submit(&plan, stream)).collect();
        let endings: Vec<_> = tickets.iter().map(ending_of).collect();
        assert_eq!(endings, vec!["finished"; 700]);
    }
    assert_eq!(gpu.download::<f32>(out, 1000), sum);
}

#[test]
#[ignore = "needs a GPU"]
fn test_control_is_null_untracked_and_a_block_when_tracked() {
    let gpu = Gpu::open();
    let out = gpu.upload(&[u64::MAX]);
    let function = gpu.function("store_control");
    let plan = Arc::new(plan("store_control", function, &[Value::U64(out), Value::Control]));
    gpu.queue(&plan, StreamHandle(0));
    gpu.synchronize(StreamHandle(0));
    assert_eq!(gpu.download::<u64>(out, 1), [0]);
    assert_eq!(ending_of(&gpu.submit(&plan, StreamHandle(0))), "finished");
    let address = gpu.download::<u64>(out, 1)[0];
    assert!(address != 0 && address.is_multiple_of(64), "found {address:#x}");
}

fn spin(gpu: &Gpu) -> Arc<LaunchPlan> {
    Arc::new(plan("spin", gpu.function("spin"), &[Value::Control]))
}

#[test]
#[ignore = "needs a GPU"]
fn test_spinning_kernel_reports_progress_and_stops_when_asked() {
    let gpu = Gpu::open();
    let ticket = gpu.submit(&spin(&gpu), gpu.new_stream());
    let start = Instant::now();
    while ticket.progress() != 0.25 {
        assert!(
            start.elapsed() < LONG,
            "found progress {}, expected 0.25",
            ticket.progress()
        );
    }
    assert!(!ticket.wait(Duration::from_millis(20)));
    assert!(!ticket.is_done());
    assert!(ticket.ending().is_none());
    let asked = Instant::now();
    ticket.request_stop();
    ticket.request_stop();
    assert_eq!(ending_of(&ticket), "stopped");
    println!("stopped {:?} after it was asked to", asked.elapsed());
    assert_eq!(ticket.progress(), 1.0);
    ticket.request_stop();
}

#[test]
#[ignore = "needs a GPU"]
fn test_request_stop_before_the_kernel_starts_is_seen() {
    let gpu = Gpu::open();
    let stream = gpu.new_stream();
    // One plan: loading a module may wait for the kernel that spins.
    let plan = spin(&gpu);
    let first = gpu.submit(&plan, stream);
    let second = gpu.submit(&plan, stream);
    second.request_stop();
    first.request_stop();
    assert_eq!([ending_of(&first), ending_of(&second)], ["stopped", "stopped"]);
}

fn report(gpu: &Gpu, nanoseconds: u64) -> Arc<LaunchPlan> {
    let values = [Value::Control, Value::U64(nanoseconds)];
    Arc::new(plan("report", gpu.function("report"), &values))
}

#[test]
#[ignore = "needs a GPU"]
fn test_fault_in_the_control_block_is_reported() {
    let gpu = Gpu::open();
    let ticket = gpu.submit(&report(&gpu, 0), StreamHandle(0));
    assert_eq!(ending_of(&ticket), "fault 7 [-5, 1099511627776]");
}

/// The dropped launch writes its control block last of all: were the block reused early, another launch would report.
#[test]
#[ignore = "needs a GPU"]
fn test_ticket_dropped_early_keeps_its_control_block() {
    let gpu = Gpu::open();
    let (late, quick) = (gpu.new_stream(), gpu.new_stream());
    let (plan, ..) = vadd(&gpu);
    let dropped = report(&gpu, 200 * MS);
    for _ in 0..4 {
        drop(gpu.submit(&dropped, late));
    }
    let strong = Arc::strong_count(&dropped);
    assert_eq!(strong, 5, "the plans live on while the launches run");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1200) {
        let tickets: Vec<_> = (0..300).map(|_| gpu.submit(&plan, quick)).collect();
        assert!(tickets.iter().all(|ticket| ending_of(ticket) == "finished"));
    }
    gpu.synchronize(late);
    for _ in 0..4 {
        assert_eq!(ending_of(&gpu.submit(&plan, quick)), "finished");
    }
    assert_eq!(Arc::strong_count(&dropped), 1, "they are released after it");
}

#[test]
#[ignore = "needs a GPU"]
fn test_stream_order_makes_the_later_stream_wait() {
    let gpu = Gpu::open();
    let (earlier, later) = (gpu.new_stream(), gpu.new_stream());
    let (word, seen) = (gpu.upload(&[0u32]), gpu.upload(&[9u32]));
    let store = [Value::U64(word), Value::U32(7), Value::U64(200 * MS)];
    let store = Arc::new(plan("slow_store", gpu.function("slow_store"), &store));
    let copy = [Value::U64(word), Value::U64(seen)];
    let copy = Arc::new(plan("copy_word", gpu.function("copy_word"), &copy));

    gpu.queue(&store, earlier);
    gpu.queue(&copy, later);
    gpu.synchronize(later);
    assert_eq!(
        gpu.download::<u32>(seen, 1),
        [0],
        "without an order the copy comes first"
    );
    gpu.device
        .stream_order(earlier, later)
        .expect("two streams of this device");
    gpu.queue(&copy, later);
    gpu.synchronize(later);
    assert_eq!(gpu.download::<u32>(seen, 1), [7], "with it the copy comes second");
}

#[test]
#[ignore = "needs a GPU"]
fn test_stream_wait_gives_up_at_its_limit_and_free_refuses_strangers() {
    let gpu = Gpu::open();
    let stream = gpu.new_stream();
    let word = gpu.upload(&[0u32]);
    let store = [Value::U64(word), Value::U32(7), Value::U64(100 * MS)];
    gpu.queue(
        &Arc::new(plan("slow_store", gpu.function("slow_store"), &store)),
        stream,
    );
    let done = gpu.device.stream_wait(stream, Duration::from_millis(5));
    assert!(!done.expect("the stream is healthy"));
    gpu.synchronize(stream);
    gpu.device.stream_free(stream).expect("it is ours");
    let error = gpu.device.stream_free(stream).expect_err("it is free already");
    assert_eq!(
        error.message,
        format!(
            "freeing a stream: stream {:#x} was not made by warpbridge on cuda:0 or is free already, expected one that \
             stream_new returned",
            stream.0
        )
    );
}

#[test]
#[ignore = "needs a GPU"]
fn test_owns_tells_device_memory_from_host_memory() {
    let gpu = Gpu::open();
    let on_host = [0u32];
    assert_eq!(gpu.device.owns(gpu.upload(&[0u32])), Some(true));
    assert_eq!(gpu.device.owns(on_host.as_ptr() as u64), None);
}

#[test]
#[ignore = "needs a GPU"]
fn test_launch_with_too_many_threads_names_the_geometry() {
    let gpu = Gpu::open();
    let (good, ..) = vadd(&gpu);
    let mut plan = plan("vadd", good.function.clone(), &[]);
    plan.params.clone_from(&good.params);
    plan.layout.clone_from(&good.layout);
    plan.block = [2048, 1, 1];
    let error = gpu.device.launch(&plan.into(), &tracked(StreamHandle(0))).map(drop);
    assert_eq!(
        error.expect_err("no GPU has blocks of 2048").message,
        "vadd: the driver refused the launch on cuda:0, the legacy default stream: CUDA_ERROR_INVALID_VALUE (invalid \
         argument); found grid [1, 1, 1], block [2048, 1, 1], cluster [1, 1, 1], 0 bytes of dynamic shared memory, \
         expected a geometry that cuda:0 offers (this entry: at most 1024 threads per block) and a stream of cuda:0; \
         arguments: out=uint32[1]"
    );
}

/// Median of seven bursts, in microseconds per call.
fn per_call(gpu: &Gpu, stream: StreamHandle, mut call: impl FnMut()) -> f64 {
    let mut bursts: Vec<f64> = (0..8)
        .map(|_| {
            gpu.synchronize(stream);
            let start = Instant::now();
            (0..256).for_each(|_| call());
            start.elapsed().as_secs_f64() * 1e6 / 256.0
        })
        .skip(1)
        .collect();
    bursts.sort_by(f64::total_cmp);
    bursts[3]
}

#[test]
#[ignore = "needs a GPU"]
fn test_untracked_launch_costs_little_more_than_the_driver() {
    let gpu = Gpu::open();
    let stream = gpu.new_stream();
    let (plan, ..) = vadd(&gpu);
    let ours = per_call(&gpu, stream, || gpu.queue(&plan, stream));
    let tracked = per_call(&gpu, stream, || drop(gpu.submit(&plan, stream)));
    let blocking = per_call(&gpu, stream, || assert!(gpu.submit(&plan, stream).wait(LONG)));
    let raw = raw_launch(&gpu, &plan, stream);
    let floor = per_call(&gpu, stream, raw);
    println!(
        "us per call: driver {floor:.2}, untracked {ours:.2}, tracked and dropped {tracked:.2}, blocking {blocking:.2}"
    );
    assert!(
        ours < 1.5 * floor + 0.5,
        "found {ours:.2} us, expected about the driver's {floor:.2} us"
    );
}
