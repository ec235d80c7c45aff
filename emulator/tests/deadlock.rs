//! Deadlocks are found and named; the whole report is compared.

#![allow(missing_docs)]
mod common;
use common::{entry, parse, Args, Run, SCHEDULES};
use emulator::Checks;
use std::time::{Duration, Instant};

/// Two roles that wait for each other in loops which count polls and read a control word every 64 of them.
const ROLES: &str = "
    .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<3>;
    .shared .align 8 .b8 bars[16];
    ld.param.u64 %rd1, [control];
    mov.u32 %r1, %tid.x; shr.u32 %r2, %r1, 5;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra READY;
    mbarrier.init.shared::cta.b64 [bars], 1;
    mbarrier.init.shared::cta.b64 [bars+8], 1;
    fence.mbarrier_init.release.cluster;
READY:
    bar.sync 0;
    and.b32 %r3, %r1, 31;
    setp.ne.u32 %p1, %r3, 0;
    @%p1 bra END;
    mov.u32 %r4, 0;
    setp.ne.u32 %p2, %r2, 0;
    @%p2 bra CONSUMER;
PRODUCER:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [bars+8], 0;
    @%p3 bra END;
    add.u32 %r4, %r4, 1; and.b32 %r5, %r4, 63; setp.ne.u32 %p3, %r5, 0; @%p3 bra PRODUCER;
    ld.volatile.global.u32 %r6, [%rd1]; setp.eq.u32 %p3, %r6, 0; @%p3 bra PRODUCER;
    bra END;
CONSUMER:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [bars], 0;
    @%p3 bra END;
    add.u32 %r4, %r4, 1; and.b32 %r5, %r4, 63; setp.ne.u32 %p3, %r5, 0; @%p3 bra CONSUMER;
    ld.volatile.global.u32 %r6, [%rd1]; setp.eq.u32 %p3, %r6, 0; @%p3 bra CONSUMER;
END:
    ret;";

const REPORT: &str = "\
deadlock in \"k\", thread block (0, 0, 0): every role waits and nothing is in flight
  role producer (warp 0, lane 0) waits on the mbarrier at shared+8, parity 0
    line 25: mbarrier.try_wait.parity.shared::cta.b64 %p3, [bars+8], 0
    phase 0: 1 of 1 arrivals missing; last arrival: none
  role consumer (warp 1, lane 0) waits on the mbarrier at shared+0, parity 0
    line 31: mbarrier.try_wait.parity.shared::cta.b64 %p3, [bars], 0
    phase 0: 1 of 1 arrivals missing; last arrival: none";

#[test]
fn roles_that_poll_for_each_other_are_reported_under_every_schedule() {
    let module = parse(&entry(".param .u64 control", ROLES));
    for (schedule, seed) in SCHEDULES {
        let mut control = [0u32; 16];
        let mut args = Args::default();
        args.array("control", &mut control);
        let run = Run::new(&module, "k", 1, 64)
            .schedule(schedule, seed)
            .roles(&[("producer", 1), ("consumer", 1)]);
        let start = Instant::now();
        let fault = run.go(&args).unwrap_err();
        assert_eq!(fault.to_string(), REPORT);
        assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
    }
}

#[test]
fn deadlock_in_all_thread_blocks_counts_the_others() {
    let module = parse(&entry(".param .u64 control", ROLES));
    let mut control = [0u32; 16];
    let mut args = Args::default();
    args.array("control", &mut control);
    let fault = Run::new(&module, "k", 3, 64).go(&args).unwrap_err();
    let text = fault.to_string();
    assert!(text.starts_with("deadlock in \"k\", thread block ("), "{text}");
}

/// Each thread block needs several slices until it counts as stuck, and the launch ends after 20 s.
#[test]
fn deadlock_in_many_thread_blocks_takes_each_its_time_once() {
    let module = parse(&entry(".param .u64 control", ROLES));
    let mut control = [0u32; 16];
    let mut args = Args::default();
    args.array("control", &mut control);
    let mut run = Run::new(&module, "k", 12, 512);
    run.settings.threads = 1;
    let text = run.go(&args).unwrap_err().to_string();
    assert!(
        text.ends_with("\n  11 more thread blocks wait in the same way"),
        "{text}"
    );
}

#[test]
fn cancel_word_set_from_another_thread_ends_the_kernel() {
    use std::sync::atomic::{AtomicU32, Ordering};
    // A third warp keeps changing memory, so that there is progress and no deadlock.
    let body = ROLES.replace(
        "and.b32 %r3, %r1, 31;",
        "and.b32 %r3, %r1, 31; setp.eq.u32 %p2, %r2, 2; @!%p2 bra ON;
         BUSY: add.u32 %r7, %r7, 1; st.volatile.global.u32 [%rd1+4], %r7;
         ld.volatile.global.u32 %r6, [%rd1]; setp.eq.u32 %p3, %r6, 0; @%p3 bra BUSY; exit; ON:",
    );
    let module = parse(&entry(".param .u64 control", &body));
    let mut control = [0u32; 16];
    let mut args = Args::default();
    args.array("control", &mut control);
    // SAFETY: the word lives until the scope below ends, and is only touched through atomics and the kernel.
    let cancel = unsafe { AtomicU32::from_ptr(control.as_mut_ptr()) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            cancel.store(1, Ordering::Release);
        });
        Run::new(&module, "k", 1, 96).go(&args).unwrap();
    });
}

#[test]
fn barrier_that_a_warp_never_reaches_names_it() {
    let body = "
    .reg .pred %p1; .reg .b32 %r1;
    mov.u32 %r1, %tid.x;
    setp.lt.u32 %p1, %r1, 32;
    @%p1 bra FIRST;
    bar.sync 1, 64;
    ret;
FIRST:
    bar.sync 2, 64;
    ret;";
    let module = parse(&entry("", body));
    let fault = Run::new(&module, "k", 1, 64).go(&Args::default()).unwrap_err();
    let report = "\
deadlock in \"k\", thread block (0, 0, 0): every role waits and nothing is in flight
  warp 0 waits at barrier 2
    line 14: bar.sync 2, 64
    phase 0: 32 of 64 threads missing (warp 1); last arrival: warp 0, line 14
  warp 1 waits at barrier 1
    line 11: bar.sync 1, 64
    phase 0: 32 of 64 threads missing (warp 0); last arrival: warp 1, line 11";
    assert_eq!(fault.to_string(), report);
}

#[test]
fn aligned_barrier_in_a_diverged_warp_is_a_deadlock() {
    let body = "
    .reg .pred %p1; .reg .b32 %r1;
    mov.u32 %r1, %tid.x;
    setp.lt.u32 %p1, %r1, 16;
    @%p1 bra FIRST;
    bar.sync 0;
    ret;
FIRST:
    bar.sync 0;
    ret;";
    let module = parse(&entry("", body));
    let fault = Run::new(&module, "k", 1, 32).go(&Args::default()).unwrap_err();
    let report = "\
deadlock in \"k\", thread block (0, 0, 0): every role waits and nothing is in flight
  warp 0 (lanes 16 to 31) waits for lanes 0 to 15 of its warp
    line 11: bar.sync 0
  warp 0 (lanes 0 to 15) waits for lanes 16 to 31 of its warp
    line 14: bar.sync 0";
    assert_eq!(fault.to_string(), report);
}

/// The second warpgroup asks for more than the pool has: 256 threads start with 128 registers each.
const STARVED: &str = "
    .reg .pred %p1; .reg .b32 %r1;
    mov.u32 %r1, %tid.x;
    setp.lt.u32 %p1, %r1, 128;
    @%p1 bra PRODUCER;
    setmaxnreg.inc.sync.aligned.u32 240;
    ret;
PRODUCER:
    setmaxnreg.dec.sync.aligned.u32 40;
    ret;";

const STARVED_REPORT: &str = "\
deadlock in \"k\", thread block (0, 0, 0): every role waits and nothing is in flight
  role consumer (warp 7) waits for 240 registers per thread
    line 11: setmaxnreg.inc.sync.aligned.u32 240
    pool: 512 of 32768 registers free, 3584 more wanted for each warp; role producer (warps 0 to 3) hold 40 per thread (line 14), \
role consumer (warps 4 to 6) hold 240 (line 11), role consumer (warp 7) holds 128 (since the launch)";

#[test]
fn setmaxnreg_that_the_pool_cannot_serve_is_a_deadlock_under_all_checks() {
    let text = entry("", STARVED).replace("k()", "k() .maxnreg 128");
    let module = parse(&text);
    for checks in [Checks::None, Checks::Memory, Checks::All] {
        let mut run = Run::new(&module, "k", 1, 256).roles(&[("producer", 4), ("consumer", 4)]);
        run.settings.checks = checks;
        let fault = run.go(&Args::default()).unwrap_err();
        assert_eq!(fault.to_string(), STARVED_REPORT, "{checks:?}");
    }
}

#[test]
fn setmaxnreg_without_a_register_count_at_launch_is_ignored() {
    let module = parse(&entry("", STARVED));
    Run::new(&module, "k", 1, 256).go(&Args::default()).unwrap();
}

#[test]
fn launch_registers_follow_the_largest_block_of_the_text() {
    let count = |tuning: &str| {
        let text = entry("", "ret;").replace("k()", &format!("k() {tuning}"));
        parse(&text).entry("k").unwrap().launch_registers
    };
    assert_eq!(count(".maxntid 384, 1, 1"), Some(168));
    assert_eq!(count(".reqntid 128"), Some(256));
    assert_eq!(count(".maxntid 128, 1, 1 .minnctapersm 4"), Some(128));
    assert_eq!(count(".maxntid 384, 1, 1 .maxnreg 96"), Some(96));
    assert_eq!(count(""), None);
}
