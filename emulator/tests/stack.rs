//! `alloca`, `stacksave`, `stackrestore`: what they give, and how long it lives.
#![allow(missing_docs)]

mod common;
use common::{parse, Args, Run, SCHEDULES};
use emulator::{Checks, Fault};

const HEAD: &str = ".version 8.3\n.target sm_90a\n.address_size 64\n";

/// Line 4 is the first of `functions`; the entry writes %r0 to `y` by thread.
fn module(functions: &str, body: &str) -> emulator::Module {
    parse(&format!(
        "{HEAD}{functions}
.visible .entry k(.param .u64 y) {{
    .reg .b32 %r<16>; .reg .b64 %d<16>; .reg .pred %p<4>;
    mov.u32 %r9, %tid.x;
    {body}
    ld.param.u64 %d9, [y];
    mad.wide.u32 %d9, %r9, 4, %d9;
    st.global.u32 [%d9], %r0;
    ret;
}}"
    ))
}

fn answers(functions: &str, body: &str) -> Result<Vec<u32>, Fault> {
    checked(functions, body, Checks::All)
}

fn checked(functions: &str, body: &str, checks: Checks) -> Result<Vec<u32>, Fault> {
    let module = module(functions, body);
    let mut all = Vec::new();
    for (schedule, seed) in SCHEDULES {
        let mut y = vec![0u32; 64];
        let mut args = Args::default();
        args.array("y", &mut y);
        let mut run = Run::new(&module, "k", 1, 64).schedule(schedule, seed);
        run.settings.checks = checks;
        run.go(&args)?;
        all.push(y);
    }
    assert!(all.iter().all(|y| *y == all[0]), "schedules differ");
    Ok(all.swap_remove(0))
}

fn fault(functions: &str, body: &str) -> String {
    checked(functions, body, Checks::Memory)
        .expect_err("a fault")
        .to_string()
}

#[test]
fn alloca_gives_each_thread_memory_of_the_size_it_asks_for() {
    let body = "cvt.u64.u32 %d0, %r9;
    add.u64 %d0, %d0, 4;
    and.b64 %d0, %d0, 0xfffffffffffffffc;
    alloca.u64 %d1, %d0, 16;
    st.local.u32 [%d1], %r9;
    add.u64 %d2, %d1, %d0;
    st.local.u32 [%d2+-4], %r9;
    ld.local.u32 %r0, [%d1];";
    assert_eq!(answers("", body), Ok((0..64).collect::<Vec<u32>>()));
}

#[test]
fn alloca_aligns_as_asked_and_to_eight_bytes_otherwise() {
    let body = "alloca.u64 %d1, 1;
    alloca.u64 %d2, 1;
    alloca.u64 %d3, 1, 256;
    sub.u64 %d2, %d2, %d1;
    shl.b64 %d2, %d2, 16;
    and.b64 %d3, %d3, 255;
    add.u64 %d2, %d2, %d3;
    cvt.u32.u64 %r0, %d2;";
    assert_eq!(answers("", body), Ok(vec![8 << 16; 64]));
}

#[test]
fn alloca_stands_apart_from_variables_and_from_calls() {
    let functions = ".func (.param .b32 out) twice(.param .b32 in) {
    .reg .b32 %r<4>; .reg .b64 %d<4>;
    ld.param.u32 %r1, [in];
    alloca.u64 %d1, 64, 8;
    st.local.u32 [%d1], -1;
    st.local.u32 [%d1+60], -1;
    add.u32 %r1, %r1, %r1;
    st.param.b32 [out], %r1;
    ret;
}";
    let body = ".local .u32 mine;
    st.local.u32 [mine], %r9;
    alloca.u64 %d1, 32, 8;
    add.u32 %r1, %r9, 5;
    st.local.u32 [%d1], %r1;
    st.local.u32 [%d1+28], %r1;
    { .param .b32 a; .param .b32 b;
    st.param.b32 [a], %r9;
    call (b), twice, (a);
    ld.param.b32 %r2, [b]; }
    ld.local.u32 %r3, [mine];
    ld.local.u32 %r4, [%d1];
    ld.local.u32 %r5, [%d1+28];
    add.u32 %r0, %r2, %r3;
    add.u32 %r0, %r0, %r4;
    add.u32 %r0, %r0, %r5;";
    let expected: Vec<u32> = (0..64).map(|t| 2 * t + t + 2 * (t + 5)).collect();
    assert_eq!(answers(functions, body), Ok(expected));
}

#[test]
fn lanes_of_a_diverged_warp_keep_their_own_stacks() {
    let body = "mov.u64 %d1, 0;
    and.b32 %r1, %r9, 1;
    setp.eq.u32 %p0, %r1, 0;
    @%p0 bra SMALL;
    alloca.u64 %d1, 4096, 8;
    st.local.u32 [%d1+4092], %r9;
    ld.local.u32 %r0, [%d1+4092];
    bra.uni DONE;
SMALL:
    alloca.u64 %d1, 8, 8;
    st.local.u32 [%d1], %r9;
    ld.local.u32 %r0, [%d1];
DONE:
    alloca.u64 %d2, 4, 4;
    sub.u64 %d2, %d2, %d1;
    cvt.u32.u64 %r1, %d2;
    mad.lo.u32 %r0, %r0, 65536, %r1;";
    let size = |t: u32| if t.is_multiple_of(2) { 8 } else { 4096 };
    assert_eq!(answers("", body), Ok((0..64).map(|t| t * 65536 + size(t)).collect()));
}

#[test]
fn stackrestore_gives_memory_back_to_the_next_alloca() {
    let body = "stacksave.u64 %d0;
    mov.u32 %r1, 0;
AGAIN:
    alloca.u64 %d1, 65536, 16;
    st.local.u32 [%d1+65532], %r1;
    stackrestore.u64 %d0;
    add.u32 %r1, %r1, 1;
    setp.lt.u32 %p0, %r1, 100;
    @%p0 bra AGAIN;
    mov.u32 %r0, %r1;";
    assert_eq!(answers("", body), Ok(vec![100; 64]));
}

#[test]
fn registers_of_32_bits_do_too() {
    let body = "stacksave.u32 %r5;
    alloca.u32 %r1, 16, 16;
    st.local.u32 [%r1+12], %r9;
    ld.local.u32 %r0, [%r1+12];
    stackrestore.u32 %r5;";
    assert_eq!(answers("", body), Ok((0..64).collect::<Vec<u32>>()));
}

#[test]
fn access_behind_the_stack_is_a_fault() {
    let text = fault("", "alloca.u64 %d1, 16, 16;\n    st.local.u32 [%d1+16], %r9;");
    assert_eq!(
        text,
        "out-of-bounds write in \"k\": 4 bytes at offset 16 of local memory, which has 16 bytes\n  \
         warp 0, lane 0, thread block (0, 0, 0), line 9: st.local.u32 [%d1+16], %r9"
    );
}

#[test]
fn access_to_what_stackrestore_freed_is_a_fault() {
    let text = fault(
        "",
        "stacksave.u64 %d0;\n    alloca.u64 %d1, 16, 16;\n    stackrestore.u64 %d0;\n    ld.local.u32 %r0, [%d1];",
    );
    assert_eq!(
        text,
        "out-of-bounds read in \"k\": 4 bytes at offset 0 of local memory, which has 0 bytes\n  \
         warp 0, lane 0, thread block (0, 0, 0), line 11: ld.local.u32 %r0, [%d1]"
    );
}

#[test]
fn judge_calls_what_stackrestore_freed_dead() {
    let body = "stacksave.u64 %d0;\n    alloca.u64 %d1, 16, 16;\n    stackrestore.u64 %d0;\n    st.local.u32 [%d1], 1;";
    assert_eq!(
        answers("", body).expect_err("a fault").to_string(),
        "misuse in \"k\": writes 4 bytes at offset 0 of its local memory, behind the frames of all running functions\n  \
         warp 0, lane 0, thread block (0, 0, 0), line 11: st.local.u32 [%d1], 1\n  \
         expected an address of a variable whose function has not returned"
    );
}

const GIVES_AWAY: &str = ".func (.reg .u64 %out) gives_away() {
    .local .align 8 .b8 variable[32];
    .reg .b64 %d<4>;
    alloca.u64 %d1, 32, 8;
    st.local.u32 [%d1], 7;
    SELECT
    ret;
}";

#[test]
fn memory_of_a_function_that_returned_is_gone() {
    for (source, place) in [("%d1", 32), ("variable", 0)] {
        let functions = GIVES_AWAY.replace("SELECT", &format!("mov.u64 %out, {source};"));
        let text = fault(&functions, "call (%d1), gives_away, ();\n    ld.local.u32 %r0, [%d1];");
        assert_eq!(
            text,
            format!(
                "out-of-bounds read in \"k\": 4 bytes at offset {place} of local memory, which has 0 bytes\n  \
                 warp 0, lane 0, thread block (0, 0, 0), line 16: ld.local.u32 %r0, [%d1]"
            )
        );
    }
}

#[test]
fn alloca_beyond_a_threads_stack_is_a_fault() {
    for size in ["524289", "-1"] {
        let shown = if size == "-1" { "18446744073709551615" } else { size };
        let text = fault("", &format!("alloca.u64 %d1, {size}, 16;"));
        assert_eq!(
            text,
            format!(
                "fault in \"k\": alloca of {shown} bytes needs more stack than a thread has\n  \
                 warp 0, lane 0, thread block (0, 0, 0), line 8: alloca.u64 %d1, {size}, 16"
            )
        );
    }
}

#[test]
fn stackrestore_to_what_was_never_saved_is_a_fault() {
    let text = fault(
        "",
        ".local .b64 mine;\n    alloca.u64 %d1, 16, 8;\n    stackrestore.u64 4;",
    );
    assert_eq!(
        text,
        "fault in \"k\": stackrestore to 4, expected what a stacksave of this function gave and no later one freed (16 to \
         32)\n  warp 0, lane 0, thread block (0, 0, 0), line 10: stackrestore.u64 4"
    );
}

#[test]
fn wrong_alignment_is_refused_when_loaded() {
    for align in ["3", "0", "16777216", "%d3"] {
        let module = module("", &format!("alloca.u64 %d1, 16, {align};"));
        let text = module.unsupported().map(ToString::to_string);
        let expected = "line 8, column 25: found no alignment, expected a power of two up to 8388608";
        assert_eq!(text.as_deref(), Some(expected), "{align}");
    }
}
