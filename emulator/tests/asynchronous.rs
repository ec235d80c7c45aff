//! mbarriers, asynchronous copies and barriers, under every schedule; and a missing wait that only some schedules show.
#![allow(missing_docs)]

mod common;
use common::{entry, parse, Args, Run, SCHEDULES};
use emulator::Schedule;

/// Runs a body of one block with input `x` (256 words, counting) and output `y` (256 words) under every schedule.
fn check(name: &str, threads: u32, body: &str, expected: impl Fn(usize) -> u32) {
    let module = parse(&entry(".param .u64 x, .param .u64 y", body));
    for (schedule, seed) in SCHEDULES {
        let x: Vec<u32> = (0..256).collect();
        let mut y = vec![0u32; 256];
        let mut args = Args::default();
        args.input("x", &x);
        args.array("y", &mut y);
        let run = Run::new(&module, "k", 1, threads).schedule(schedule, seed);
        run.go(&args)
            .unwrap_or_else(|e| panic!("{name} under {schedule:?}: {e}"));
        for (i, found) in y.iter().enumerate() {
            assert_eq!(*found, expected(i), "{name} under {schedule:?}: element {i}");
        }
    }
}

const PROLOGUE: &str = "
    .reg .pred p, q; .reg .b32 t, v, s, off; .reg .b64 in, out, at, state;
    .shared .align 128 .b8 tile[1024]; .shared .align 8 .b64 bar;
    ld.param.u64 in, [x]; ld.param.u64 out, [y]; mov.u32 t, %tid.x;
    shl.b32 off, t, 2;";

/// Each of 256 threads stores word t of the tile, plus one.
const EPILOGUE: &str = "
    mov.u32 s, tile; add.u32 s, s, off; ld.shared.u32 v, [s]; add.u32 v, v, 1;
    cvt.u64.u32 at, off; add.u64 at, at, out; st.global.u32 [at], v; ret;";

#[test]
fn copies_of_lanes_wait_for_their_groups() {
    let body = format!(
        "{PROLOGUE}
        cvt.u64.u32 at, off; add.u64 at, at, in; mov.u32 s, tile; add.u32 s, s, off;
        cp.async.ca.shared.global [s], [at], 4;
        cp.async.commit_group; cp.async.commit_group; cp.async.wait_group 1; bar.sync 0; {EPILOGUE}"
    );
    check("wait_group", 256, &body, |i| i as u32 + 1);
    check(
        "wait_all",
        256,
        &body.replace("cp.async.wait_group 1", "cp.async.wait_all"),
        |i| i as u32 + 1,
    );
}

#[test]
fn copies_of_lanes_fill_with_zeros_behind_the_source_size() {
    let body = format!(
        "{PROLOGUE}
        setp.ge.u32 p, t, 64; @p bra ON;
        shl.b32 off, t, 4; cvt.u64.u32 at, off; add.u64 at, at, in; mov.u32 s, tile; add.u32 s, s, off;
        cp.async.cg.shared.global [s], [at], 16, 8; cp.async.wait_all; shl.b32 off, t, 2;
        ON: bar.sync 0; {EPILOGUE}"
    );
    check("source size", 256, &body, |i| if i % 4 < 2 { i as u32 + 1 } else { 1 });
}

#[test]
fn copies_of_lanes_arrive_on_an_mbarrier() {
    let body = format!(
        "{PROLOGUE}
        setp.ne.u32 p, t, 0; @p bra READY; mbarrier.init.shared.b64 [bar], 256; READY: bar.sync 0;
        cvt.u64.u32 at, off; add.u64 at, at, in; mov.u32 s, tile; add.u32 s, s, off;
        cp.async.ca.shared.global [s], [at], 4;
        cp.async.mbarrier.arrive.noinc.shared.b64 [bar];
        WAIT: mbarrier.test_wait.parity.shared.b64 p, [bar], 0; @!p bra WAIT; {EPILOGUE}"
    );
    check("noinc", 256, &body, |i| i as u32 + 1);
    let counted = body.replace(
        "arrive.noinc.shared.b64 [bar];",
        "arrive.shared.b64 [bar]; mbarrier.arrive.shared.b64 state, [bar];",
    );
    check("inc", 256, &counted, |i| i as u32 + 1);
}

#[test]
fn bulk_copy_completes_the_bytes_of_an_mbarrier() {
    let body = format!(
        "{PROLOGUE}
        setp.ne.u32 p, t, 0; @p bra READY;
        mbarrier.init.shared::cta.b64 [bar], 1; fence.mbarrier_init.release.cluster;
        READY: bar.sync 0; @p bra WAIT;
        mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [bar], 1024;
        mov.u32 s, tile;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [in], 512, [bar];
        cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [s+512], [in+512], 512, [bar];
        WAIT: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 q, [bar], 0, 1000; @!q bra WAIT; {EPILOGUE}"
    );
    check("bulk load", 256, &body, |i| i as u32 + 1);
}

#[test]
fn bulk_store_is_waited_for_by_its_group() {
    let body = format!(
        "{PROLOGUE}
        mov.u32 s, tile; add.u32 v, s, off; st.shared.u32 [v], off;
        fence.proxy.async.shared::cta; bar.sync 0;
        setp.ne.u32 p, t, 0; @p bra END;
        cp.async.bulk.global.shared::cta.bulk_group [out], [s], 1024;
        cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;
        END: ret;"
    );
    check("bulk store", 256, &body, |i| i as u32 * 4);
}

#[test]
fn waits_by_state_see_the_end_of_their_phase() {
    let body = format!(
        "{PROLOGUE}
        setp.ne.u32 p, t, 0; @p bra READY; mbarrier.init.shared.b64 [bar], 256; READY: bar.sync 0;
        mov.u32 s, tile; add.u32 s, s, off; st.shared.u32 [s], t;
        mbarrier.arrive.shared.b64 state, [bar];
        WAIT: mbarrier.try_wait.shared.b64 p, [bar], state; @!p bra WAIT; {EPILOGUE}"
    );
    check("state", 256, &body, |i| i as u32 + 1);
}

#[test]
fn lanes_that_wait_for_barriers_of_their_own_until_all_are_past_let_copies_complete() {
    let body = format!(
        "{PROLOGUE}
        .shared .align 8 .b64 bars[2];
        setp.ne.u32 p, t, 0; @p bra READY;
        mbarrier.init.shared::cta.b64 [bars], 1; mbarrier.init.shared::cta.b64 [bars+8], 1;
        fence.mbarrier_init.release.cluster;
        READY: bar.sync 0; @p bra WAIT;
        mbarrier.arrive.release.cta.shared::cta.b64 _, [bars];
        mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [bars+8], 1024;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [in], 1024, [bars+8];
        WAIT: and.b32 v, t, 1; shl.b32 v, v, 3; mov.u32 s, bars; add.u32 s, s, v;
        AGAIN: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 q, [s], 0;
        vote.sync.all.pred q, q, 0xffffffff; @!q bra AGAIN;
        bar.sync 0; {EPILOGUE}"
    );
    check("barriers of lanes", 256, &body, |i| i as u32 + 1);
}

#[test]
fn named_barriers_order_producers_and_consumers() {
    let body = format!(
        "{PROLOGUE}
        setp.ge.u32 p, t, 128; @p bra CONSUME;
        mov.u32 s, tile; add.u32 s, s, off; st.shared.u32 [s], t; add.u32 v, t, 128; st.shared.u32 [s+512], v;
        barrier.cta.arrive 3, 256; ret;
        CONSUME: barrier.cta.sync 3, 256;
        mov.u32 s, tile; add.u32 s, s, off; ld.shared.u32 v, [s]; cvt.u64.u32 at, off; add.u64 at, at, out;
        st.global.u32 [at], v; ld.shared.u32 v, [s+-512]; st.global.u32 [at+-512], v; ret;"
    );
    check("arrive and sync", 256, &body, |i| i as u32);
}

#[test]
fn barrier_reductions_count_and_combine() {
    let body = format!(
        "{PROLOGUE}
        .reg .b32 n; setp.lt.u32 p, t, 100;
        barrier.cta.red.popc.aligned.u32 n, 0, p; bar.red.or.pred q, 1, 256, p; selp.b32 v, 1000, 0, q; add.u32 n, n, v;
        bar.red.and.pred q, 2, !p; selp.b32 v, 5000, 0, q; add.u32 n, n, v;
        cvt.u64.u32 at, off; add.u64 at, at, out; st.global.u32 [at], n; ret;"
    );
    check("reduction", 256, &body, |_| 1100);
}

#[test]
fn lanes_that_spin_for_another_lane_of_their_warp_get_there() {
    let body = format!(
        "{PROLOGUE}
        setp.ne.u32 p, t, 31; @p bra SPIN; mov.u32 v, 1; st.volatile.shared.u32 [tile], v; bra GO;
        SPIN: ld.volatile.shared.u32 v, [tile]; setp.eq.u32 p, v, 0; @p bra SPIN;
        GO: cvt.u64.u32 at, off; add.u64 at, at, out; st.global.u32 [at], v; ret;"
    );
    check("spin", 32, &body, |i| u32::from(i < 32));
}

#[test]
fn missing_wait_shows_under_the_latest_schedule() {
    let body = format!(
        "{PROLOGUE}
        cvt.u64.u32 at, off; add.u64 at, at, in; mov.u32 s, tile; add.u32 s, s, off;
        cp.async.ca.shared.global [s], [at], 4; {EPILOGUE}"
    );
    let module = parse(&entry(".param .u64 x, .param .u64 y", &body));
    let results = [Schedule::Eager, Schedule::Latest].map(|schedule| {
        let x: Vec<u32> = (0..256).collect();
        let mut y = vec![0u32; 256];
        let mut args = Args::default();
        args.input("x", &x);
        args.array("y", &mut y);
        Run::new(&module, "k", 1, 256).schedule(schedule, 0).go(&args).unwrap();
        y[7]
    });
    assert_eq!(results, [8, 1]);
}

#[test]
fn thread_blocks_that_wait_for_each_other_all_run() {
    // A barrier over the grid: every block spins until the last one has come.
    let body = "
    .reg .pred p; .reg .b32 v, n; .reg .b64 out;
    ld.param.u64 out, [y]; mov.u32 n, %nctaid.x;
    atom.global.add.u32 v, [out], 1;
    WAIT: ld.acquire.gpu.global.u32 v, [out]; setp.lt.u32 p, v, n; @p bra WAIT; ret;";
    let module = parse(&entry(".param .u64 y", body));
    let mut y = [0u32];
    let mut args = Args::default();
    args.array("y", &mut y);
    Run::new(&module, "k", 40, 1).go(&args).unwrap();
    assert_eq!(y[0], 40);
}

/// Looks at an mbarrier until its phase is over and stores the number of looks.
const LOOKS: &str = "
    setp.ne.u32 p, t, 0; @p exit;
    mbarrier.init.shared::cta.b64 [bar], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 state, [bar], 128;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [in], 128, [bar];
    mov.u32 v, 0;
LOOK:
    add.u32 v, v, 1;
    mbarrier.try_wait.parity.shared::cta.b64 q, [bar], 0;
    @!q bra LOOK;
    st.global.u32 [out], v; ret;";

#[test]
fn try_wait_times_out_once_before_a_copy_that_comes_late() {
    #[repr(align(128))]
    struct Aligned([u32; 32]);
    let module = parse(&entry(".param .u64 x, .param .u64 y", &format!("{PROLOGUE}{LOOKS}")));
    let looks = |schedule, seed| {
        let (x, mut y) = (Aligned([0; 32]), [0u32; 1]);
        let mut args = Args::default();
        args.input("x", &x.0);
        args.array("y", &mut y);
        Run::new(&module, "k", 1, 32)
            .schedule(schedule, seed)
            .go(&args)
            .unwrap();
        y[0]
    };
    assert_eq!(looks(Schedule::Eager, 0), 1);
    assert_eq!(looks(Schedule::Latest, 0), 2);
    let seeded: Vec<u32> = (0..32).map(|seed| looks(Schedule::Seeded, seed)).collect();
    assert!(seeded.contains(&1) && seeded.contains(&2), "{seeded:?}");
    assert!(seeded.iter().all(|n| *n <= 2), "{seeded:?}");
}

/// One thread of the cluster waits for a copy and then tells every block; all others poll for that, and count how often.
const TOLD: &str = "
    .shared .align 4 .b32 told; .reg .b32 rank, slot, there, looks;
    mov.u32 slot, told; mov.u32 rank, %cluster_ctarank;
    setp.ne.u32 p, t, 0; @!p st.shared.u32 [slot], 0;
    barrier.cluster.arrive; barrier.cluster.wait;
    setp.ne.or.u32 q, rank, 0, p; @q bra POLL;
    mbarrier.init.shared::cta.b64 [bar], 1;
    mbarrier.arrive.expect_tx.shared::cta.b64 state, [bar], 128;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [in], 128, [bar];
LOOK:
    mbarrier.try_wait.parity.shared::cta.b64 q, [bar], 0; @!q bra LOOK;
    ld.shared.u32 v, [tile + 28]; mov.u32 rank, 0;
TELL:
    mapa.shared::cluster.u32 there, slot, rank;
    st.relaxed.cluster.shared::cluster.u32 [there], v;
    add.u32 rank, rank, 1; setp.lt.u32 q, rank, 8; @q bra TELL;
POLL:
    mov.u32 looks, 0;
AGAIN:
    add.u32 looks, looks, 1; ld.relaxed.cluster.shared::cta.u32 v, [slot]; setp.eq.u32 q, v, 0; @q bra AGAIN;
    barrier.cluster.arrive; barrier.cluster.wait;
    @p bra exit;
    mov.u32 rank, %cluster_ctarank; mul.wide.u32 at, rank, 4; add.u64 at, at, out; st.global.u32 [at], v;
exit:
    ret;";

#[test]
fn copy_lands_however_many_warps_poll_for_what_comes_of_it() {
    #[repr(align(128))]
    struct Aligned([u32; 32]);
    let module = parse(&entry(".param .u64 x, .param .u64 y", &format!("{PROLOGUE}{TOLD}")));
    for (schedule, seed) in SCHEDULES {
        let (x, mut y) = (Aligned([7; 32]), [0u32; 8]);
        let mut args = Args::default();
        args.input("x", &x.0);
        args.array("y", &mut y);
        let mut run = Run::new(&module, "k", 8, 512).schedule(schedule, seed);
        run.cluster = [8, 1, 1];
        run.go(&args).unwrap_or_else(|e| panic!("{schedule:?}: {e}"));
        assert_eq!(y, [7; 8], "{schedule:?}");
    }
}
