//! `wgmma`: when results appear and operands are read, how the four warps of a warpgroup stand together, and what is refused.
//! What products give is in `tests/oracle`; here every element of A and B is 1, so that D grows by 16 each time.
#![allow(missing_docs)]

mod common;
use common::{parse, Args, Run, SCHEDULES};
use emulator::{Checks, Fault, Schedule};

/// Declarations, ones in the first 2304 bytes of shared memory, both descriptors (no swizzle).
const HEAD: &str = "
    .reg .b64 %rd<4>, %da, %db;
    .reg .b32 %r<9>, %d<4>;
    .reg .pred %p<3>;
    .shared .align 128 .b8 tile[4096];
    .shared .align 8 .b64 empty;
    ld.param.u64 %rd0, [y];
    mov.u32 %r0, %tid.x;
    mov.u32 %r1, tile;
    mad.lo.u32 %r1, %r0, 4, %r1;
    mov.u32 %r2, 0;
fill:
    st.shared.u32 [%r1], 0x3c003c00;
    add.u32 %r1, %r1, 512;
    add.u32 %r2, %r2, 1;
    setp.lt.u32 %p0, %r2, 4;
    @%p0 bra fill;
    setp.lt.u32 %p0, %r0, 64;
    @%p0 st.shared.u32 [%r1], 0x3c003c00;
    mov.b32 %d0, 0; mov.b32 %d1, 0; mov.b32 %d2, 0; mov.b32 %d3, 0; st.shared.u32 [empty], 0;
    mov.u32 %r3, tile;
    shr.u32 %r3, %r3, 4;
    cvt.u64.u32 %da, %r3;
    or.b64 %da, %da, 0x0000001000080000;
    add.s64 %db, %da, 128;
    mad.wide.u32 %rd1, %r0, 8, %rd0;
    fence.proxy.async.shared::cta;
    bar.sync 0;
    wgmma.fence.sync.aligned;
";
const PRODUCT: &str =
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %da, %db, 1, 1, 1, 0, 0;\n";
const COMMIT: &str = "wgmma.commit_group.sync.aligned;\n";
const WAIT: &str = "wgmma.wait_group.sync.aligned 0;\n";

/// Runs `body` behind [`HEAD`] with `threads`, and gives the two numbers that each thread stores at `%rd1`.
fn run(body: &str, threads: u32, schedule: (Schedule, u64)) -> Result<Vec<[f32; 2]>, Fault> {
    run_checked(body, threads, schedule, Checks::Memory)
}

fn run_checked(body: &str, threads: u32, schedule: (Schedule, u64), checks: Checks) -> Result<Vec<[f32; 2]>, Fault> {
    let text = format!(
        ".version 8.3\n.target sm_90a\n.address_size 64\n.visible .entry k(.param .u64 y)\n{{{HEAD}{body}ret;\n}}\n"
    );
    let mut out = vec![[-1f32; 2]; threads as usize];
    let mut args = Args::default();
    args.array("y", &mut out);
    let module = parse(&text);
    let mut run = Run::new(&module, "k", 1, threads).schedule(schedule.0, schedule.1);
    run.settings.checks = checks;
    run.go(&args)?;
    Ok(out)
}

const EAGER: (Schedule, u64) = (Schedule::Eager, 0);
const LATEST: (Schedule, u64) = (Schedule::Latest, 0);

#[test]
fn result_appears_at_the_wait_and_not_before_under_latest() {
    let body = format!("{PRODUCT}{COMMIT}st.global.b32 [%rd1], %d0;\n{WAIT}st.global.b32 [%rd1+4], %d0;\n");
    // Eager is as soon as all four warps have come: the last one, which is warp 2, sees it.
    assert_eq!(run(&body, 128, EAGER).unwrap()[64..96], [[16.0; 2]; 32]);
    assert_eq!(run(&body, 128, LATEST).unwrap(), [[0.0, 16.0]; 128]);
}

#[test]
fn wait_group_leaves_the_youngest_groups_in_flight() {
    let one = format!("{PRODUCT}{COMMIT}");
    let last = "wgmma.wait_group.sync.aligned 1;\n";
    let body = format!("{one}{one}{last}st.global.b32 [%rd1], %d0;\n{WAIT}st.global.b32 [%rd1+4], %d0;\n");
    assert_eq!(run(&body, 128, LATEST).unwrap(), [[16.0, 32.0]; 128]);
}

#[test]
fn operands_are_read_late_under_latest() {
    // One row of A, which is that of lane 0's first number, is overwritten before the wait.
    let body = format!(
        "{PRODUCT}{COMMIT}bar.sync 0;\nsetp.eq.u32 %p1, %r0, 0;\n@%p1 st.shared.u32 [tile], 0x40004000;\nbar.sync 0;\n\
         {WAIT}st.global.b32 [%rd1], %d0;\nst.global.b32 [%rd1+4], %d2;\n"
    );
    assert_eq!(run(&body, 128, EAGER).unwrap()[0], [16.0, 16.0]);
    assert_eq!(run(&body, 128, LATEST).unwrap()[0], [18.0, 16.0]);
}

#[test]
fn one_warp_of_four_may_tell_that_the_operands_are_free() {
    // Warp 4 overwrites A as soon as warp 0 has passed its wait; the others may not have come to the product by then.
    let body = format!(
        "setp.ge.u32 %p1, %r0, 128;\nsetp.eq.u32 %p2, %r0, 0;\n@%p1 bra producer;\n\
         {PRODUCT}{COMMIT}{WAIT}@%p2 st.release.cta.shared.u32 [empty], 1;\nbra.uni end;\n\
         producer:\nld.acquire.cta.shared.u32 %r4, [empty];\nsetp.eq.u32 %p2, %r4, 0;\n@%p2 bra producer;\n\
         sub.u32 %r5, %r0, 128;\nmov.u32 %r6, tile;\nmad.lo.u32 %r6, %r5, 64, %r6;\n\
         st.shared.u32 [%r6], 0;\nst.shared.u32 [%r6+32], 0;\n\
         end:\nst.global.b32 [%rd1], %d0;\nst.global.b32 [%rd1+4], %d3;\n"
    );
    for schedule in SCHEDULES {
        let out = run_checked(&body, 160, schedule, Checks::All).unwrap();
        assert_eq!(out[..128], [[16.0; 2]; 128], "under {schedule:?}");
    }
}

fn report(body: &str, threads: u32) -> String {
    match run(body, threads, EAGER) {
        Ok(_) => "nothing".into(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn warp_that_never_executes_the_product_is_named() {
    let body = format!("setp.ge.u32 %p1, %r0, 64;\n@%p1 bra end;\n{PRODUCT}{COMMIT}{WAIT}end:\n");
    let expected = "deadlock in \"k\", thread block (0, 0, 0): every role waits and nothing is in flight
  warps 0 to 1 wait until warps 2, 3 of the same warpgroup execute the wgmma of line 36
    line 38: wgmma.wait_group.sync.aligned 0";
    assert_eq!(report(&body, 128), expected);
}

#[test]
fn thread_block_without_a_whole_warpgroup_is_refused() {
    let expected = "fault in \"k\": wgmma needs four warps from warp 4 on, and the thread block has 6
  warp 5, thread block (0, 0, 0), line 34: wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %da, %db, \
         1, 1, 1, 0, 0";
    assert_eq!(report(PRODUCT, 192), expected);
}

#[test]
fn groups_of_nothing_are_waited_for_by_fewer_warps_than_four() {
    let body = format!("{COMMIT}{WAIT}st.global.v2.b32 [%rd1], {{%d0, %d1}};");
    assert_eq!(run(&body, 64, SCHEDULES[0]).unwrap(), [[0.0; 2]; 64]);
}

#[test]
fn warps_with_different_descriptors_are_refused() {
    let body = format!("shr.u32 %r4, %r0, 5;\ncvt.u64.u32 %rd2, %r4;\nadd.s64 %db, %db, %rd2;\n{PRODUCT}");
    let expected = "fault in \"k\": wgmma with matrix descriptor 0x1000080080, expected 0x1000080083 as in the other warps of \
         its warpgroup
  warp 0, thread block (0, 0, 0), line 37: wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %da, %db, \
         1, 1, 1, 0, 0";
    assert_eq!(report(&body, 128), expected);
}

#[test]
fn warps_at_different_products_are_refused() {
    let body = format!("setp.lt.u32 %p1, %r0, 32;\n@%p1 bra other;\n{PRODUCT}bra.uni end;\nother:\n{PRODUCT}end:\n");
    let expected = "fault in \"k\": the warps of a warpgroup execute different wgmma, expected that of line 36 as in the others
  warp 0, thread block (0, 0, 0), line 39: wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %da, %db, \
         1, 1, 1, 0, 0";
    assert_eq!(report(&body, 128), expected);
}

#[test]
fn operand_beyond_shared_memory_is_named() {
    let body = format!("add.s64 %db, %db, 256;\n{PRODUCT}");
    let expected = "out-of-bounds read in \"k\": 16 bytes at offset 6384 of shared memory, which has 4104 bytes
  warp 3, lane 0, thread block (0, 0, 0), line 35: wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, \
         %da, %db, 1, 1, 1, 0, 0";
    assert_eq!(report(&body, 128), expected);
}

#[test]
fn shapes_and_operand_lists_that_the_isa_lacks_are_refused_by_name() {
    let entry = |line: &str| {
        let body = format!("{{\n.reg .b64 %a;\n.reg .b32 %d<256>;\n{line}\n}}\n");
        let module = parse(&format!(
            ".version 8.3\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{body}"
        ));
        module.unsupported().map_or("none".into(), ToString::to_string)
    };
    let rows = [
        (
            "wgmma.mma_async.sync.aligned.m64n12k16.f32.f16.f16 {%d0}, %a, %a, 1, 1, 1, 0, 0;",
            "line 8, column 1: instruction \"wgmma.mma_async.sync.aligned.m64n12k16.f32.f16.f16\" is not supported",
        ),
        (
            "wgmma.mma_async.sync.aligned.m64n40k32.s32.s8.s8 {%d0}, %a, %a, 1;",
            "line 8, column 1: instruction \"wgmma.mma_async.sync.aligned.m64n40k32.s32.s8.s8\" is not supported",
        ),
        (
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1}, %a, %a, 1, 1, 1, 0, 0;",
            "line 8, column 51: found 2 registers, expected 4",
        ),
        (
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %a, %a, 1, 1, 1, 0;",
            "line 8, column 1: found 3 numbers behind the predicate, expected 4",
        ),
        (
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0, %d1, %d2, %d3}, %a, %a, 1, 2, 1, 0, 0;",
            "line 8, column 84: found no number, expected -1 or 1",
        ),
    ];
    for (line, expected) in rows {
        assert_eq!(entry(line), expected);
    }
}
