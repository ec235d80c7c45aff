//! The recorder: what a traced launch says of a producer and a consumer, of barriers, groups and deadlocks, event by event.

mod common;

use common::{entry, parse, Args, Run};
use emulator::{Fault, Launch, Module, Schedule, Stop, Trace, TraceCause, TraceSink, TraceWhat, WaitKind};

fn traced(run: &Run<'_>, args: &Args, ctas: &[u64], latency: u64) -> (Trace, Result<emulator::Outcome, Fault>) {
    let sink = TraceSink::new(ctas.to_vec(), latency);
    let stop = Stop::new(Some(std::time::Instant::now() + std::time::Duration::from_secs(20)));
    let launch = Launch {
        grid: run.grid,
        block: run.block,
        cluster: run.cluster,
        shared_bytes: run.shared_bytes,
        params: &args.bytes,
        ranges: &args.ranges,
        roles: &run.roles,
        settings: run.settings,
        stop: &stop,
    };
    let end = emulator::run_traced(run.module, run.entry, &launch, &sink);
    (sink.into_trace(), end)
}

/// `warp 0 12..20 computes`, without instruction lines.
fn lines(trace: &Trace) -> Vec<String> {
    let by = |by: &Option<TraceCause>| match by {
        Some(TraceCause::Warp { rank, warp }) => format!("warp {rank}.{warp}"),
        Some(TraceCause::Copy(number)) => format!("copy {number}"),
        None => "nobody".into(),
    };
    let what = |what: &TraceWhat| match what {
        TraceWhat::Compute => "computes".into(),
        TraceWhat::Wait {
            on: WaitKind::Mbarrier { address, parity },
            by: who,
        } => {
            format!("waits for +{address}/{}, ended by {}", parity.unwrap_or(9), by(who))
        }
        TraceWhat::Wait { on, by: who } => format!("waits for {on:?}, ended by {}", by(who)),
        TraceWhat::Copy {
            number,
            bytes,
            mbarrier,
            ..
        } => format!("copy {number} of {bytes}, signals {mbarrier:?}"),
    };
    let events = trace.events.iter();
    events
        .map(|e| {
            format!(
                "cta {} warp {} {}..{} {}",
                e.cta[0],
                e.warp,
                e.start,
                e.end,
                what(&e.what)
            )
        })
        .collect()
}

/// Warp 0 initialises and loads 256 bytes; warp 1 waits for them; both meet at barrier 0 before.
const PIPELINE: &str = "
    .shared .align 128 .b8 data[256];
    .shared .align 8 .b64 full;
    .reg .pred p, q; .reg .b32 %r<8>; .reg .b64 %d<4>;
    mov.u32 %r0, %tid.x;
    setp.ge.u32 p, %r0, 32;
    @p bra CONSUMER;
    setp.ne.u32 q, %r0, 0;
    @q bra MEET;
    mbarrier.init.shared.b64 [full], 1;
    fence.proxy.async;
MEET:
    bar.warp.sync -1;
    bar.sync 0;
    @q bra END;
    ld.param.u64 %d0, [in];
    mbarrier.arrive.expect_tx.shared.b64 _, [full], 256;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [data], [%d0], 256, [full];
    bra END;
CONSUMER:
    bar.sync 0;
WAIT:
    mbarrier.try_wait.parity.shared.b64 p, [full], 0;
    @!p bra WAIT;
END:
    ret;";

fn pipeline() -> Module {
    parse(&entry(".param .u64 in", PIPELINE))
}

#[test]
fn pipeline_shows_barrier_copy_and_wait_under_every_schedule() {
    let module = pipeline();
    let data = [7u8; 512];
    let start = data.as_ptr().align_offset(16);
    for (schedule, seed) in common::SCHEDULES {
        let mut args = Args::default();
        args.input("in", &data[start..start + 256]);
        let run = Run::new(&module, "k", 1, 64).schedule(schedule, seed);
        let (trace, end) = traced(&run, &args, &[], 100);
        end.unwrap_or_else(|e| panic!("{e}"));
        let expected = [
            "cta 0 warp 0 0..16 computes",
            "cta 0 warp 0 13..113 copy 1 of 256, signals Some(256)",
            "cta 0 warp 1 0..4 computes",
            "cta 0 warp 1 4..9 waits for Barrier { id: 0 }, ended by warp 0.0",
            "cta 0 warp 1 9..10 computes",
            "cta 0 warp 1 10..113 waits for +256/0, ended by copy 1",
            "cta 0 warp 1 113..116 computes",
        ];
        assert_eq!(lines(&trace), expected, "{schedule:?} {seed}");
    }
}

#[test]
fn latency_zero_lets_a_copy_come_when_it_is_issued() {
    let module = pipeline();
    let data = [7u8; 512];
    let start = data.as_ptr().align_offset(16);
    let mut args = Args::default();
    args.input("in", &data[start..start + 256]);
    let (trace, _) = traced(&Run::new(&module, "k", 1, 64), &args, &[], 0);
    let waits = lines(&trace)
        .into_iter()
        .filter(|l| l.contains("copy"))
        .collect::<Vec<_>>();
    assert_eq!(waits, ["cta 0 warp 1 10..13 waits for +256/0, ended by copy 1"]);
}

#[test]
fn only_wanted_thread_blocks_are_recorded() {
    let module = parse(&entry("", "bar.sync 0;\nret;"));
    let (trace, _) = traced(&Run::new(&module, "k", 5, 32), &Args::default(), &[3, 1], 400);
    let found: Vec<_> = trace.ctas.iter().map(|c| (c.index, c.ends.clone())).collect();
    assert_eq!(found, [([1, 0, 0], vec![2]), ([3, 0, 0], vec![2])]);
    assert_eq!(
        lines(&trace),
        ["cta 1 warp 0 0..2 computes", "cta 3 warp 0 0..2 computes"]
    );
}

#[test]
fn deadlock_leaves_a_wait_that_nobody_ended() {
    let body = "
    .shared .align 8 .b64 full;
    .reg .pred p; .reg .b32 %r<2>;
    mov.u32 %r0, %tid.x;
    setp.eq.u32 p, %r0, 0;
    @p mbarrier.init.shared.b64 [full], 1;
WAIT:
    mbarrier.try_wait.parity.shared.b64 p, [full], 0;
    @!p bra WAIT;
    ret;";
    let module = parse(&entry("", body));
    let (trace, end) = traced(&Run::new(&module, "k", 1, 32), &Args::default(), &[], 400);
    assert!(matches!(end, Err(Fault::Deadlock(_))), "{end:?}");
    let expected = [
        "cta 0 warp 0 0..4 computes",
        "cta 0 warp 0 4..54 waits for +0/0, ended by nobody",
    ];
    assert_eq!(lines(&trace), expected);
}

#[test]
fn tracing_changes_neither_result_nor_instruction_count() {
    let module = pipeline();
    let data = [7u8; 512];
    let start = data.as_ptr().align_offset(16);
    let mut args = Args::default();
    args.input("in", &data[start..start + 256]);
    let run = Run::new(&module, "k", 1, 64).schedule(Schedule::Latest, 0);
    let plain = run.go(&args).unwrap_or_else(|e| panic!("{e}"));
    let (_, seen) = traced(&run, &args, &[], 400);
    assert_eq!(seen, Ok(plain));
}
