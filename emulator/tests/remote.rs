//! What is written to other CTAs of a cluster, and what bulk reductions make of memory, under every schedule.
#![allow(missing_docs)]

mod common;
use common::{parse, Args, Run, SCHEDULES};
use emulator::Checks;

/// A pair of CTAs of 32 threads: each thread gives word `rank * 32 + t` of `y`, of 64 words.
fn pair(name: &str, body: &str, expected: impl Fn(u32, u32) -> u32) {
    let text = format!(
        ".version 8.3\n.target sm_90a\n.address_size 64
        .visible .entry k(.param .u64 x, .param .u64 y)
        {{
        .reg .pred p, q; .reg .b32 t, v, s, rank, peer, there, bell; .reg .b64 in, out, at, state; .reg .b16 both;
        .shared .align 128 .b8 tile[256]; .shared .align 8 .b64 bar;
        ld.param.u64 in, [x]; ld.param.u64 out, [y]; mov.u32 t, %tid.x; mov.u32 rank, %cluster_ctarank;
        xor.b32 peer, rank, 1; setp.eq.u32 p, t, 0;
        mov.u32 s, tile; mapa.shared::cluster.u32 there, s, peer; mov.u32 s, bar; mapa.shared::cluster.u32 bell, s, peer;
        mad.lo.u32 s, t, 4, 0; mov.u32 v, tile; add.u32 s, s, v; mov.u32 v, 100; st.shared.u32 [s], v;
        @p mbarrier.init.shared::cta.b64 [bar], 1; fence.mbarrier_init.release.cluster;
        barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
        {body}
        WAIT: mbarrier.try_wait.parity.shared::cta.b64 q, [bar], 0; @!q bra WAIT;
        ld.shared.u32 v, [s]; mad.lo.u32 t, rank, 32, t; mad.wide.u32 at, t, 4, out; st.global.u32 [at], v;
        barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
        ret;
        }}"
    );
    let module = parse(&text);
    for (schedule, seed) in SCHEDULES {
        let x: Vec<u32> = (0..64).collect();
        let mut y = vec![0u32; 64];
        let mut args = Args::default();
        args.input("x", &x);
        args.array("y", &mut y);
        let mut run = Run::new(&module, "k", 2, 32).schedule(schedule, seed);
        run.cluster = [2, 1, 1];
        run.settings.checks = Checks::All;
        run.go(&args)
            .unwrap_or_else(|e| panic!("{name} under {schedule:?}: {e}"));
        for (i, found) in (0u32..).zip(&y) {
            assert_eq!(*found, expected(i / 32, i % 32), "{name} under {schedule:?}: word {i}");
        }
    }
}

const EXPECT: &str = "@p mbarrier.arrive.expect_tx.shared::cta.b64 state, [bar], 128;";

#[test]
fn stores_and_reductions_reach_the_peer_and_ring_its_mbarrier() {
    let body = |operation: &str| {
        format!(
            "{EXPECT} mad.lo.u32 there, t, 4, there; mad.lo.u32 v, rank, 1000, t;
            {operation} [there], v, [bell];"
        )
    };
    pair(
        "st.async",
        &body("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32"),
        |rank, t| (1 - rank) * 1000 + t,
    );
    pair(
        "red.async add",
        &body("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32"),
        |rank, t| 100 + (1 - rank) * 1000 + t,
    );
    pair(
        "red.async min",
        &body("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.min.u32"),
        |rank, t| if rank == 0 { 100 } else { t },
    );
}

#[test]
fn vector_stores_carry_all_their_elements() {
    let body = format!(
        "{EXPECT} setp.lt.u32 q, t, 8; mad.lo.u32 there, t, 16, there; add.u32 v, t, 7;
        @q st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.u32 [there], {{t, v, rank, peer}}, [bell];"
    );
    pair("st.async.v4", &body, |rank, t| match t % 4 {
        0 => t / 4,
        1 => t / 4 + 7,
        2 => 1 - rank,
        _ => rank,
    });
}

#[test]
fn multicast_copies_fill_every_cta_of_the_mask() {
    let body = format!(
        "{EXPECT} setp.eq.u32 q, rank, 1; and.pred q, q, p; mov.u16 both, 3;
        @q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster \
           [tile], [in+64], 128, [bar], both;"
    );
    pair("multicast", &body, |_, t| t + 16);
}

#[test]
fn bulk_reductions_update_shared_memory_of_the_peer() {
    let body = format!(
        "{EXPECT} mov.u32 v, tile; mad.lo.u32 v, t, 4, v; mad.lo.u32 rank, rank, 1000, t; st.shared.u32 [v+128], rank;
        mov.u32 rank, %cluster_ctarank; fence.proxy.async; bar.warp.sync -1; mov.u32 v, tile;
        @p cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 \
           [there], [v+128], 128, [bell];"
    );
    pair("cp.reduce", &body, |rank, t| 100 + (1 - rank) * 1000 + t);
}

#[test]
fn bulk_reductions_update_global_memory_and_keep_subnormal_numbers() {
    let text = common::entry(
        ".param .u64 y",
        "
        .shared .align 16 .b8 tile[32]; .reg .b64 out; ld.param.u64 out, [y];
        .reg .b32 a, b; mov.b32 a, 1; mov.b32 b, 0x3c003c00;
        st.shared.v4.b32 [tile], {a, a, a, a}; st.shared.v4.b32 [tile+16], {b, b, b, b};
        fence.proxy.async;
        cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [out], [tile], 16;
        cp.reduce.async.bulk.global.shared::cta.bulk_group.add.noftz.f16 [out+16], [tile+16], 16;
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
    );
    for (schedule, seed) in SCHEDULES {
        let mut y = [1u32, 0, 0x3f80_0000, 1, 0x4000_3c00, 0, 0xbc00_0001, 0];
        let mut args = Args::default();
        args.array("y", &mut y);
        Run::new(&parse(&text), "k", 1, 1)
            .schedule(schedule, seed)
            .go(&args)
            .unwrap();
        let expected = [2, 1, 0x3f80_0000, 2, 0x4200_4000, 0x3c00_3c00, 0x3c00, 0x3c00_3c00];
        assert_eq!(y, expected, "{schedule:?}");
    }
}

#[test]
fn sums_of_halves_must_keep_subnormal_numbers() {
    let text = common::entry(
        ".param .u64 y",
        ".shared .align 16 .b8 tile[32]; .reg .b64 out; ld.param.u64 out, [y];
    cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16 [out], [tile], 16;",
    );
    let lacking = parse(&text);
    let error = lacking.unsupported_in("k").expect("a form that the ISA does not have");
    assert_eq!(
        error.to_string(),
        "line 7, column 5: instruction \"cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16\" is not supported"
    );
}
