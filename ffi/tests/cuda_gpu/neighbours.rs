//! Living beside other users of CUDA in the same process: their contexts, their captures, their forks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use warpbridge::backend::{Backend, StreamHandle};
use warpbridge::error::Kind;

use crate::gpu::{capture, ending_of, foreign_context, launch_graph, tracked, vadd, Gpu, KERNELS};

/// One of everything that a backend does.
fn use_everything(gpu: &Gpu) {
    let (earlier, later) = (gpu.new_stream(), gpu.new_stream());
    let module = gpu.load(KERNELS, "kernels.ptx").expect("the PTX loads");
    let _ = module.function("vadd", 0).expect("the entry is there");
    assert!(gpu.load("\n.version 7.0\n.target sm_70\n!", "bad.ptx").is_err());
    gpu.device
        .stream_order(earlier, later)
        .expect("two streams of this device");
    gpu.synchronize(later);
    let _ = gpu.device.owns(1 << 20);
    gpu.device.stream_free(earlier).expect("it is ours");
}

#[test]
#[ignore = "needs a GPU"]
fn test_current_context_is_left_as_found() {
    let gpu = Gpu::open();
    let (plan, out, sum) = vadd(&gpu);
    let primary = gpu.primary_context();
    let foreign = foreign_context(&gpu);
    for context in [0, primary, foreign] {
        // A thread of its own: this one's context stack holds more than its top, which setting null would uncover.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gpu.make_current(context);
                use_everything(&gpu);
                assert_eq!(gpu.current_context(), context);
                gpu.queue(&plan, StreamHandle(0));
                assert_eq!(gpu.current_context(), context);
                let ticket = gpu.submit(&plan, StreamHandle(0));
                assert_eq!(ending_of(&ticket), "finished");
                assert_eq!(gpu.current_context(), context);
            });
        });
    }
    gpu.make_current(primary);
    assert_eq!(gpu.download::<f32>(out, 1000), sum);
}

#[test]
#[ignore = "needs a GPU"]
fn test_untracked_launch_is_captured_and_replayed() {
    let gpu = Gpu::open();
    let (plan, out, sum) = vadd(&gpu);
    let stream = gpu.new_stream();
    let graph = capture(&gpu, stream, || gpu.queue(&plan, stream));
    assert_eq!(gpu.download::<f32>(out, 1000), vec![0.0; 1000], "nothing ran yet");
    drop(plan);
    launch_graph(&gpu, graph, stream);
    gpu.synchronize(stream);
    assert_eq!(gpu.download::<f32>(out, 1000), sum);
}

#[test]
#[ignore = "needs a GPU"]
fn test_tracked_launch_on_a_captured_stream_is_refused_and_spares_the_capture() {
    let gpu = Gpu::open();
    let (plan, out, sum) = vadd(&gpu);
    let stream = gpu.new_stream();
    let graph = capture(&gpu, stream, || {
        let refused = gpu.device.launch(&plan, &tracked(stream)).map(drop);
        assert_eq!(
            refused.expect_err("the stream is captured").message,
            format!(
                "vadd: stream {:#x} of cuda:0 is being captured into a graph, expected a stream-ordered launch there: a \
                 graph has nobody to report to",
                stream.0
            )
        );
        gpu.queue(&plan, stream);
    });
    launch_graph(&gpu, graph, stream);
    gpu.synchronize(stream);
    assert_eq!(gpu.download::<f32>(out, 1000), sum);
}

/// The dispatcher polls while some other thread captures in global mode: that capture must survive.
#[test]
#[ignore = "needs a GPU"]
fn test_polling_and_launching_do_not_break_another_threads_capture() {
    let gpu = Gpu::open();
    let (plan, out, sum) = vadd(&gpu);
    let (captured, other) = (gpu.new_stream(), gpu.new_stream());
    let stop = AtomicBool::new(false);
    let graph = std::thread::scope(|scope| {
        let poller = scope.spawn(|| {
            let mut launches = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(ending_of(&gpu.submit(&plan, other)), "finished");
                use_everything(&gpu);
                launches += 1;
            }
            launches
        });
        let graph = capture(&gpu, captured, || {
            gpu.queue(&plan, captured);
            std::thread::sleep(Duration::from_millis(300));
        });
        stop.store(true, Ordering::Relaxed);
        assert!(poller.join().expect("the poller is well") > 0);
        graph
    });
    launch_graph(&gpu, graph, captured);
    gpu.synchronize(captured);
    assert_eq!(gpu.download::<f32>(out, 1000), sum);
}

extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// What a child of `fork` gets from each call, as one bit per call that answered as it should.
fn calls_in_the_child(gpu: &Gpu, parent: u32) -> i32 {
    let expected = format!(
        "cuda:0: CUDA was initialised in process {parent}, and this is process {}, forked from it; expected CUDA to be used \
         only where it was initialised: start the child by spawn, in Python multiprocessing.set_start_method(\"spawn\")",
        std::process::id()
    );
    let as_expected = |error: Option<warpbridge::error::Error>| {
        i32::from(error.is_some_and(|e| e.message == expected && e.kind == Kind::Device))
    };
    let order = gpu.device.stream_order(StreamHandle(1), StreamHandle(2));
    as_expected(gpu.device.stream_new().err())
        | as_expected(order.err()) << 1
        | as_expected(gpu.load(KERNELS, "kernels.ptx").err()) << 2
}

#[test]
#[ignore = "needs a GPU"]
fn test_use_after_fork_is_an_error_that_says_so() {
    let gpu = Gpu::open();
    let (plan, ..) = vadd(&gpu);
    assert_eq!(ending_of(&gpu.submit(&plan, StreamHandle(0))), "finished");
    let parent = std::process::id();
    // SAFETY: the child only formats texts and leaves by `_exit`.
    let child = unsafe { fork() };
    if child == 0 {
        let bits = calls_in_the_child(&gpu, parent)
            | i32::from(gpu.device.launch(&plan, &tracked(StreamHandle(0))).is_err()) << 3;
        // SAFETY: ends the child without running the parent's destructors.
        unsafe { _exit(bits) };
    }
    let mut status = 0;
    // SAFETY: the out-pointer is a local.
    let waited = unsafe { waitpid(child, &raw mut status, 0) };
    assert_eq!(
        (waited, status),
        (child, 0b1111 << 8),
        "exit status and signal of the child"
    );
}
