//! Launches that kill the context. Each runs in a process of its own, because nothing works in that process afterwards.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use warpbridge::backend::{Backend, Ending, StreamHandle};
use warpbridge::error::{Error, Kind};

use crate::gpu::{plan, tracked, turn, vadd, Gpu, Value, KERNELS, LONG};

const CHILD: &str = "WARPBRIDGE_TEST_CHILD";

/// Runs `body` in a child process that runs only the test `name` of this binary.
fn in_a_child(name: &str, body: impl FnOnce(&Gpu)) {
    if std::env::var_os(CHILD).is_some() {
        body(&Gpu::open());
        println!("{CHILD} reached its end");
        return;
    }
    let _turn = turn();
    let binary = std::env::current_exe().expect("this binary has a path");
    let child = Command::new(binary)
        .args(["--ignored", "--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("the child starts");
    let text = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    println!("{text}");
    assert!(child.status.success() && text.contains("reached its end"), "{text}");
}

/// A kernel that writes to an address nobody owns, after `nanoseconds`.
fn wild_store(gpu: &Gpu, nanoseconds: u64) -> Arc<warpbridge::backend::LaunchPlan> {
    let values = [Value::U64(0x10), Value::U32(1), Value::U64(nanoseconds)];
    Arc::new(plan("slow_store", gpu.function("slow_store"), &values))
}

fn failure_of(ending: Option<Ending>) -> Error {
    match ending {
        Some(Ending::Failed(error)) => error,
        other => panic!("found {other:?}, expected a failure"),
    }
}

#[test]
#[ignore = "needs a GPU"]
fn test_illegal_address_is_attributed_to_its_launch() {
    in_a_child("faults::test_illegal_address_is_attributed_to_its_launch", |gpu| {
        let (good, ..) = vadd(gpu);
        let stream = gpu.new_stream();
        let ticket = gpu.submit(&wild_store(gpu, 0), stream);
        assert!(ticket.wait(LONG));
        let error = failure_of(ticket.ending());
        assert_eq!(
            error.message,
            format!(
                "slow_store: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) on cuda:0, stream \
                 {:#x}; arguments: out=uint32[1]; no other tracked launch was in flight; the CUDA context is lost, \
                 expected a new process: no CUDA call works in this one any more. The same launch on the CPU device names \
                 the faulty instruction",
                stream.0
            )
        );
        assert_eq!(error.kind, Kind::Memory);
        assert_eq!(ticket.progress(), 1.0);
        assert_lost(gpu, &good, "slow_store(out=uint32[1])");
    });
}

/// Every later call says since when, and because of which launch.
fn assert_lost(gpu: &Gpu, good: &Arc<warpbridge::backend::LaunchPlan>, culprit: &str) {
    let lost = |doing: &str, error: Error| {
        let text = error.message;
        assert_eq!(error.kind, Kind::Device);
        assert!(
            text.starts_with(&format!(
                "{doing}: the CUDA context of cuda:0 is lost since CUDA_ERROR_ILLEGAL_ADDRESS"
            )),
            "{text}"
        );
        assert!(text.contains(&format!("in flight: {culprit} on stream ")), "{text}");
    };
    let untracked = Default::default();
    lost("vadd", gpu.device.launch(good, &untracked).map(drop).expect_err("lost"));
    let mode = tracked(StreamHandle(0));
    lost("vadd", gpu.device.launch(good, &mode).map(drop).expect_err("lost"));
    lost("making a stream", gpu.device.stream_new().expect_err("lost"));
    let loaded = gpu.load(KERNELS, "kernels.ptx").map(drop);
    lost("loading kernels.ptx", loaded.expect_err("lost"));
}

#[test]
#[ignore = "needs a GPU"]
fn test_illegal_address_with_company_names_every_launch_in_flight() {
    let name = "faults::test_illegal_address_with_company_names_every_launch_in_flight";
    in_a_child(name, |gpu| {
        let (good, _, _) = vadd(gpu);
        let (bad_stream, slow_stream) = (gpu.new_stream(), gpu.new_stream());
        let word = gpu.upload(&[0u32]);
        let values = [Value::U64(word), Value::U32(1), Value::U64(300_000_000)];
        let mut slow = plan("bystander", gpu.function("slow_store"), &values);
        slow.arguments = "nothing".into();
        // Both plans first: loading a module may wait for the kernel that runs.
        let (slow, wild) = (Arc::new(slow), wild_store(gpu, 50_000_000));
        let bystander = gpu.submit(&slow, slow_stream);
        let culprit = gpu.submit(&wild, bad_stream);
        let queued = gpu.submit(&good, bad_stream);
        for ticket in [&culprit, &bystander, &queued] {
            assert!(ticket.wait(LONG));
            let error = failure_of(ticket.ending());
            println!("{error}");
            assert!(error
                .message
                .contains("also in flight, so one of them may be to blame: "));
        }
        let others = failure_of(queued.ending()).fields["also_in_flight"].clone();
        let expected = [
            format!("bystander(nothing) on stream {:#x}", slow_stream.0),
            format!("slow_store(out=uint32[1]) on stream {:#x}", bad_stream.0),
        ];
        assert_eq!(others, serde_json::json!(expected));
    });
}

#[test]
#[ignore = "needs a GPU"]
fn test_illegal_address_of_an_untracked_launch_comes_out_of_its_stream() {
    let name = "faults::test_illegal_address_of_an_untracked_launch_comes_out_of_its_stream";
    in_a_child(name, |gpu| {
        let stream = gpu.new_stream();
        gpu.queue(&wild_store(gpu, 0), stream);
        let error = gpu.device.stream_wait(stream, LONG).expect_err("the kernel faulted");
        assert_eq!(
            error.message,
            format!(
                "stream {:#x}: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered) on cuda:0; \
                 stream-ordered launches queued last, so one of them may be to blame: slow_store(out=uint32[1]) on stream \
                 {:#x}; WARPBRIDGE_SYNC=1 tells which; the CUDA context is lost, expected a new process: no CUDA call works \
                 in this one any more",
                stream.0, stream.0
            )
        );
        assert_eq!(error.kind, Kind::Memory);
        let again = gpu
            .device
            .stream_wait(stream, Duration::ZERO)
            .expect_err("it stays lost");
        assert_eq!(again.kind, Kind::Device);
    });
}
