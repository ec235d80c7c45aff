//! What is said about PTX without running it: one text per hazard, and its correct twin without any.

mod common;

use common::{entry, parse};
use emulator::survey;

const REGISTERS: &str = ".reg .pred p, q; .reg .b32 %r<8>; .reg .b64 %d<4>; .reg .f32 %f<2>;
    .shared .align 128 .b8 data[256];
    .shared .align 8 .b64 full;
";

/// Hazards of a body, as `line: text`, lines counted from the body's first.
fn hazards(body: &str) -> Vec<String> {
    let module = parse(&entry("", &format!("{REGISTERS}{body}")));
    let found = survey(&module);
    let first = 6 + REGISTERS.lines().count() as u32;
    found[0]
        .hazards
        .iter()
        .map(|h| format!("{}: {}", h.line + 1 - first, h.text))
        .collect()
}

#[track_caller]
fn finds(bad: &str, expected: &str, good: &str) {
    assert_eq!(hazards(bad), [expected]);
    assert_eq!(hazards(good), Vec::<String>::new());
}

#[test]
fn aligned_barrier_under_a_lane_predicate_is_a_hazard() {
    finds(
        "mov.u32 %r0, %tid.x;\nsetp.eq.u32 p, %r0, 0;\n@p bar.sync 0;",
        "3: bar.sync under p, which line 10 computes from %tid.x: lanes of one warp differ; expected all lanes of the \
         warp to execute it together: branch on a value that is the same in the whole warp",
        "mov.u32 %r0, %tid.x;\nsetp.lt.u32 p, %r0, 64;\n@p bar.sync 1, 64;",
    );
}

#[test]
fn barrier_constants_out_of_range_are_hazards() {
    finds(
        "bar.sync 1, 40;",
        "1: barrier 1 is given 40 threads, expected a positive multiple of 32",
        "bar.sync 1, 64;",
    );
}

#[test]
fn lane_copy_without_wait_is_a_hazard() {
    let copy = "cp.async.ca.shared.global [data], [%d0], 16;\ncp.async.commit_group;\n";
    finds(
        copy,
        "1: cp.async.ca.shared.global, but nothing waits for it, expected cp.async.wait_group, cp.async.wait_all or \
         cp.async.mbarrier.arrive",
        &format!("{copy}cp.async.wait_group 0;"),
    );
}

#[test]
fn lane_copy_without_commit_is_a_hazard() {
    let copy = "cp.async.ca.shared.global [data], [%d0], 16;\n";
    finds(
        &format!("{copy}cp.async.wait_group 0;"),
        "1: cp.async.ca.shared.global, but no cp.async.commit_group puts it into a group, expected one in front of \
         cp.async.wait_group",
        &format!("{copy}cp.async.wait_all;"),
    );
}

#[test]
fn bulk_load_on_an_unfenced_mbarrier_is_a_hazard() {
    let init = "mbarrier.init.shared.b64 [full], 1;\n";
    let load = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [data], [%d0], 256, [full];\n\
                mbarrier.try_wait.parity.shared.b64 p, [full], 0;";
    finds(
        &format!("{init}{load}"),
        "1: mbarrier.init.shared.b64, but bulk copies signal it without a fence in between, expected \
         fence.mbarrier_init.release.cluster or fence.proxy.async behind it",
        &format!("{init}fence.mbarrier_init.release.cluster;\n{load}"),
    );
}

#[test]
fn bulk_store_of_unfenced_writes_is_a_hazard() {
    let write = "st.shared.u32 [data], %r0;\n";
    let store = "cp.async.bulk.global.shared::cta.bulk_group [%d0], [data], 256;\ncp.async.bulk.commit_group;\n\
                 cp.async.bulk.wait_group 0;";
    finds(
        &format!("{write}{store}"),
        "2: cp.async.bulk.global.shared::cta.bulk_group, but st.shared writes what it reads without fence.proxy.async, \
         expected that fence between them (ISA 9.7.13.4)",
        &format!("{write}fence.proxy.async.shared::cta;\n{store}"),
    );
}

#[test]
fn needs_are_those_of_the_entry_and_what_it_calls() {
    let text = ".version 8.3\n.target sm_90a\n.address_size 64\n.extern .shared .align 16 .b8 more[];\n\
        .func helper()\n{\n.reg .b32 %r<3>;\nbar.sync 5;\nmov.u32 %r1, more;\nret;\n}\n\
        .visible .entry k()\n{\n.reg .b32 %r<4>;\n.reg .pred p;\nelect.sync %r1|p, -1;\ncall helper, ();\nbar.sync 0;\nret;\n}\n\
        .visible .entry other()\n{\nret;\n}\n";
    let found = survey(&parse(text));
    let first = &found[0];
    assert_eq!(
        format!("{:?} {:?} {}", first.registers, first.barriers, first.dynamic_shared),
        "{\"b32\": 7, \"pred\": 1} Some({0, 5}) true"
    );
    let features: Vec<_> = first.features.iter().map(|f| (f.name, f.arch, f.line)).collect();
    assert_eq!(features, [("elect.sync", "sm_90", 16)]);
    assert_eq!(
        (found[1].entry.as_str(), found[1].instructions, found[1].dynamic_shared),
        ("other", 1, false)
    );
}

#[test]
fn more_registers_than_a_number_counts_are_as_many_as_it_does() {
    let most = u64::MAX;
    let text = entry(
        "",
        &format!(".reg .b32 %a<{most}>, %b<{most}>;\n.reg .v4 .f32 %c<{most}>;\nret;"),
    );
    let found = survey(&parse(&text));
    assert_eq!(found[0].registers.values().collect::<Vec<_>>(), [&most, &most]);
}
