//! Loops that poll memory which nobody changes are found under every schedule and all checks, and named; those that count,
//! that another thread block answers, or that the host may answer, are not.

#![allow(missing_docs)]
mod common;
use common::{entry, parse, Args, Run, SCHEDULES};
use emulator::{Access, Checks, Fault, Range};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const HEAD: &str = "
    .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
    .shared .align 8 .b8 flag[8]; .shared .align 8 .b64 bar;
    ld.param.u64 %rd1, [data];
    mov.u32 %r1, %tid.x; shr.u32 %r2, %r1, 5;";

/// Runs a body in 64 threads, with roles, under every schedule and all checks.
fn faults(body: &str) -> Vec<Result<(), Fault>> {
    let module = parse(&entry(".param .u64 data", &format!("{HEAD}{body}")));
    let mut found = Vec::new();
    for (schedule, seed) in SCHEDULES {
        for checks in [Checks::None, Checks::Memory, Checks::All] {
            let mut data = [0u32; 64];
            let mut args = Args::default();
            args.array("data", &mut data);
            let mut run = Run::new(&module, "k", 1, 64)
                .schedule(schedule, seed)
                .roles(&[("producer", 1), ("consumer", 1)]);
            run.settings.checks = checks;
            let start = Instant::now();
            found.push(run.go(&args).map(drop));
            assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
        }
    }
    found
}

fn check(body: &str, report: &str) {
    for found in faults(body) {
        assert_eq!(found.map_err(|f| f.to_string()), Err(report.to_owned()));
    }
}

#[test]
fn flag_in_shared_memory_that_nobody_sets_is_named_with_its_value_and_writers() {
    check(
        "
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra READY;
    st.volatile.shared.u32 [flag], 5;
    st.volatile.shared.u32 [flag+4], 7;
READY:
    bar.sync 0;
    setp.eq.u32 %p1, %r2, 0;
    @%p1 bra DONE;
SPIN:
    ld.volatile.shared.u32 %r3, [flag+4];
    setp.ne.u32 %p2, %r3, 1;
    @%p2 bra SPIN;
DONE:
    bar.sync 0;
    ret;",
        "\
livelock in \"k\", thread block (0, 0, 0): every role waits or polls memory that nobody changes any more
  role producer (warp 0) waits at barrier 0
    line 24: bar.sync 0
    phase 1: 32 of 64 threads missing (role consumer (warp 1)); last arrival: role producer (warp 0), line 24
  role consumer (warp 1) polls shared+4 in the loop of lines 20 to 22, where 7 stays
    line 20: ld.volatile.shared.u32 %r3, [flag+4]
    line 14 may write there",
    );
}

#[test]
fn lock_that_its_owner_never_gives_back_is_a_livelock() {
    check(
        "
    and.b32 %r3, %r1, 31;
    setp.ne.u32 %p1, %r3, 0;
    @%p1 exit;
TAKE:
    atom.global.cas.b32 %r4, [%rd1+8], 0, 1;
    setp.ne.u32 %p2, %r4, 0;
    @%p2 bra TAKE;
    atom.global.add.u32 %r5, [%rd1], 1;
    bar.warp.sync 1;
    bra TAKE;",
        "\
livelock in \"k\", thread block (0, 0, 0): every role waits or polls memory that nobody changes any more
  role producer (warp 0, lane 0) polls \"data\"+8 in the loop of lines 15 to 17, where 1 stays
    line 15: atom.global.cas.b32 %r4, [%rd1+8], 0, 1
    line 18 may write there
  role consumer (warp 1, lane 0) polls \"data\"+8 in the loop of lines 15 to 17, where 1 stays
    line 15: atom.global.cas.b32 %r4, [%rd1+8], 0, 1
    line 18 may write there",
    );
}

#[test]
fn plain_load_and_a_store_of_the_same_value_in_the_loop_are_seen_beside_an_mbarrier() {
    let body = "
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra READY;
    mbarrier.init.shared::cta.b64 [bar], 1;
READY:
    bar.sync 0;
    setp.eq.u32 %p1, %r2, 0;
    @%p1 bra WAIT;
SPIN:
    st.volatile.global.u32 [%rd1+4], 3;
    ld.global.u32 %r3, [%rd1+12];
    setp.eq.u32 %p2, %r3, 0;
    @%p2 bra SPIN;
    ret;
WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [bar], 0;
    @!%p3 bra WAIT;
    ret;";
    check(
        body,
        "\
livelock in \"k\", thread block (0, 0, 0): every role waits or polls memory that nobody changes any more
  role producer (warp 0) waits on the mbarrier at shared+8, parity 0
    line 25: mbarrier.try_wait.parity.shared::cta.b64 %p3, [bar], 0
    phase 0: 1 of 1 arrivals missing; last arrival: none
  role consumer (warp 1) polls \"data\"+12 in the loop of lines 19 to 22, where 0 stays
    line 20: ld.global.u32 %r3, [%rd1+12]
    line 19 may write there",
    );
}

#[test]
fn loops_that_count_or_are_answered_end_well() {
    // Gives up after 3000 polls; then the other warp's answer comes after a long computation.
    let found = faults(
        "
    mov.u32 %r4, 0;
    setp.eq.u32 %p1, %r2, 0;
    @%p1 bra WORK;
TRY:
    ld.volatile.global.u32 %r3, [%rd1];
    add.u32 %r4, %r4, 1;
    setp.lt.u32 %p2, %r4, 3000;
    @%p2 bra TRY;
SPIN:
    ld.volatile.global.u32 %r3, [%rd1];
    setp.eq.u32 %p2, %r3, 0;
    @%p2 bra SPIN;
    ret;
WORK:
    add.u32 %r4, %r4, 1;
    setp.lt.u32 %p2, %r4, 100000;
    @%p2 bra WORK;
    st.volatile.global.u32 [%rd1], 1;
    ret;",
    );
    found.into_iter().for_each(|end| end.unwrap());
}

/// Thread block 0 waits for a word that the last one writes.
const BLOCKS: &str = "
    mov.u32 %r3, %ctaid.x; mov.u32 %r4, %nctaid.x; sub.u32 %r4, %r4, LESS;
    setp.eq.u32 %p1, %r3, %r4;
    @%p1 bra WRITE;
SPIN:
    ld.acquire.gpu.global.u32 %r5, [%rd1];
    setp.eq.u32 %p2, %r5, 0;
    @%p2 bra SPIN;
    ret;
WRITE:
    st.release.gpu.global.u32 [%rd1], 1;
    ret;";

fn blocks(less: &str, threads: u32) -> Result<(), Fault> {
    let body = format!("{HEAD}{}", BLOCKS.replace("LESS", less));
    let module = parse(&entry(".param .u64 data", &body));
    let mut data = [0u32; 64];
    let mut args = Args::default();
    args.array("data", &mut data);
    let mut run = Run::new(&module, "k", 6, 32);
    run.settings.threads = threads;
    run.go(&args).map(drop)
}

#[test]
fn thread_blocks_that_wait_for_each_other_are_a_livelock_only_if_nobody_answers() {
    for threads in [1, 2] {
        blocks("1", threads).unwrap();
        let text = blocks("0", threads).unwrap_err().to_string();
        assert!(text.starts_with("livelock in \"k\", thread block ("), "{text}");
        assert!(
            text.contains("polls \"data\"+0 in the loop of lines 15 to 17, where 0 stays"),
            "{text}"
        );
    }
}

#[test]
fn word_that_the_host_may_write_is_waited_for() {
    let body = format!("{HEAD}SPIN: ld.volatile.global.u32 %r3, [%rd1]; setp.eq.u32 %p1, %r3, 0; @%p1 bra SPIN; ret;");
    let module = parse(&entry(".param .u64 data", &body));
    let mut control = [0u32; 16];
    let mut args = Args::default();
    let address = control.as_mut_ptr() as u64;
    args.push(address.to_le_bytes());
    args.ranges.push(Range {
        address,
        bytes: 64,
        name: "control".into(),
        access: Access::HostWrites,
    });
    // SAFETY: the word lives until the scope below ends, and is only touched through atomics and the kernel.
    let cancel = unsafe { AtomicU32::from_ptr(control.as_mut_ptr()) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.store(1, Ordering::Release);
        });
        Run::new(&module, "k", 2, 64).go(&args).unwrap();
    });
}
