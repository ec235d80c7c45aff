//! What compilers expect of a device besides PTX: functions that the two halves of a warp enter apart, `malloc` and `free`,
//! and that code without optimisation copies what was never written.
#![allow(missing_docs)]

mod common;
use common::{parse, Args, Run, SCHEDULES};
use emulator::{Checks, Fault};

fn run(text: &str, checks: Checks) -> Result<Vec<u32>, Fault> {
    let module = parse(text);
    let mut out = vec![0u32; 32];
    for schedule in SCHEDULES {
        out.fill(0);
        let mut args = Args::default();
        args.array("out", &mut out);
        let mut run = Run::new(&module, "k", 1, 32).schedule(schedule.0, schedule.1);
        run.settings.checks = checks;
        run.go(&args)?;
    }
    Ok(out)
}

/// Twice some lanes come to a call later than others, which are then inside the function already; it waits for all lanes.
const APART: &str = "
.version 8.0
.target sm_80
.address_size 64
.func (.param .b32 result) total(.param .b32 value)
{
    .reg .b32 %r<4>; .reg .b64 %wide<3>;
    ld.param.u32 %r0, [value];
    cvt.u64.u32 %wide0, %r0;
    redux.sync.add.u32 %r1, %r0, 0xffffffff;
    shfl.sync.idx.b32 %r2, %r0, 3, 31, 0xffffffff;
    cvt.u32.u64 %r3, %wide0;
    mad.lo.u32 %r1, %r2, 1000, %r1;
    mad.lo.u32 %r1, %r3, 100000, %r1;
    st.param.b32 [result], %r1;
    ret;
}
.func (.param .b32 result) outer(.param .b32 value)
{
    .reg .b32 %r<4>; .reg .pred %p;
    ld.param.u32 %r0, [value];
    and.b32 %r2, %r0, 7; setp.ne.u32 %p, %r2, 0;
    @%p bra LATE;
CALL:
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r0; call.uni (r), total, (a); ld.param.b32 %r1, [r]; }
    st.param.b32 [result], %r1;
    ret;
LATE:
    add.u32 %r3, %r0, 1; sub.u32 %r0, %r3, 1;
    bra CALL;
}
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<4>; .reg .b64 %rd<3>; .reg .pred %p;
    mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [out]; mad.wide.u32 %rd0, %r0, 4, %rd0;
    and.b32 %r2, %r0, 1; setp.ne.u32 %p, %r2, 0; mov.u32 %r3, 4;
    @%p bra LATE;
CALL:
    { .param .b32 a; .param .b32 r; st.param.b32 [a], %r0; call.uni (r), outer, (a); ld.param.b32 %r1, [r]; }
    st.global.u32 [%rd0], %r1;
    ret;
LATE: sub.u32 %r3, %r3, 1; setp.ne.u32 %p, %r3, 0; @%p bra LATE;
    bra CALL;
}
";

#[test]
fn diverged_lanes_meet_inside_a_function_that_both_called() {
    let expected: Vec<u32> = (0..32).map(|lane| lane * 100_000 + 3000 + 496).collect();
    assert_eq!(run(APART, Checks::Memory).unwrap_or_else(|f| panic!("{f}")), expected);
}

fn heap(body: &str) -> String {
    format!(
        "
.version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b64 result) malloc(.param .b64 bytes);
.extern .func free(.param .b64 address);
.visible .entry k(.param .u64 out)
{{
    .reg .b32 %r<4>; .reg .b64 %rd<8>; .reg .pred %p;
    mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [out]; mad.wide.u32 %rd0, %r0, 4, %rd0;
    mov.u64 %rd4, 24;
    {{ .param .b64 a; .param .b64 r; st.param.b64 [a], %rd4; call.uni (r), malloc, (a); ld.param.b64 %rd1, [r]; }}
    {body}
    ret;
}}
"
    )
}

#[test]
fn malloc_gives_each_lane_memory_of_its_own_and_free_takes_it_back() {
    let text = heap(
        "st.u32 [%rd1], %r0; st.u32 [%rd1+20], 7; bar.sync 0; ld.u32 %r1, [%rd1]; ld.u32 %r2, [%rd1+20];
        mad.lo.u32 %r1, %r1, %r2, 0; st.global.u32 [%rd0], %r1;
        { .param .b64 a; st.param.b64 [a], %rd1; call.uni free, (a); }
        { .param .b64 a; st.param.b64 [a], 0; call.uni free, (a); }",
    );
    let expected: Vec<u32> = (0..32).map(|lane| lane * 7).collect();
    assert_eq!(run(&text, Checks::All).unwrap_or_else(|f| panic!("{f}")), expected);
}

#[test]
fn malloc_of_more_than_the_heap_answers_null() {
    let text = heap(
        "mov.u64 %rd4, 9000000;
        { .param .b64 a; .param .b64 r; st.param.b64 [a], %rd4; call.uni (r), malloc, (a); ld.param.b64 %rd2, [r]; }
        setp.eq.u64 %p, %rd2, 0; selp.u32 %r1, 1, 2, %p; st.global.u32 [%rd0], %r1;",
    );
    assert_eq!(run(&text, Checks::Memory).unwrap_or_else(|f| panic!("{f}")), [1; 32]);
}

#[test]
fn freeing_twice_is_a_fault() {
    let free = "{ .param .b64 a; st.param.b64 [a], %rd1; call.uni free, (a); }";
    let Err(fault) = run(&heap(&format!("{free} {free}")), Checks::Memory) else {
        panic!("nothing was found");
    };
    let text = fault.to_string();
    let (front, rest) = text.split_once("0x").unwrap_or((&text, ""));
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    let front = front.rsplit(": ").next().unwrap_or("");
    assert_eq!(
        (front, behind.lines().next().unwrap_or("")),
        (
            "frees ",
            ", expected an address that malloc gave and that is not free yet"
        ),
        "{text}"
    );
}

#[test]
fn unwritten_local_memory_is_reported_but_for_debug_builds() {
    let text = |options: &str| {
        format!(
            "
.version 8.0
.target sm_80{options}
.address_size 64
.visible .entry k(.param .u64 out)
{{
    .local .align 4 .b8 field[4];
    .reg .b32 %r<3>; .reg .b64 %rd<2>;
    ld.local.u32 %r0, [field]; and.b32 %r0, %r0, 0; or.b32 %r0, %r0, 5; st.local.u32 [field], %r0;
    ld.local.u32 %r1, [field]; mov.u32 %r2, %tid.x; ld.param.u64 %rd0, [out]; mad.wide.u32 %rd0, %r2, 4, %rd0;
    st.global.u32 [%rd0], %r1;
    ret;
}}
"
        )
    };
    assert_eq!(
        run(&text(", debug"), Checks::All).unwrap_or_else(|f| panic!("{f}")),
        [5; 32]
    );
    let found = run(&text(""), Checks::All).map_err(|fault| fault.to_string());
    let found = found.err().unwrap_or_default();
    assert!(
        found.contains("reads 4 bytes at offset 0 of its local memory, which it has not written"),
        "{found}"
    );
}

/// The barrier of cooperative groups: block 0 adds what turns the sign of the counter once all others have added 1.
#[test]
fn blocks_of_a_grid_meet_at_the_counter_of_their_workspace() {
    let text = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<8>; .reg .b64 %rd<6>; .reg .pred %p;
    mov.u32 %r0, %envreg2; mov.u32 %r1, %envreg1; mov.b64 %rd0, {%r0, %r1}; add.u64 %rd0, %rd0, 4;
    ld.param.u64 %rd1, [out]; mov.u32 %r2, %ctaid.x; mad.wide.u32 %rd2, %r2, 4, %rd1; add.u32 %r3, %r2, 100;
    st.global.u32 [%rd2], %r3;
    setp.eq.u32 %p, %r2, 0; selp.u32 %r4, 0x8000000f, 1, %p; @%p sub.u32 %r4, 0x80000000, 15;
    membar.gl; atom.add.u32 %r5, [%rd0], %r4;
WAIT:
    ld.acquire.gpu.u32 %r6, [%rd0]; xor.b32 %r6, %r6, %r5; setp.ge.s32 %p, %r6, 0; @%p bra WAIT;
    sub.u32 %r2, 15, %r2; mad.wide.u32 %rd3, %r2, 4, %rd1; ld.global.u32 %r7, [%rd3]; st.global.u32 [%rd2+64], %r7;
    ret;
}
";
    let module = parse(text);
    for schedule in SCHEDULES {
        let mut out = vec![0u32; 32];
        let mut args = Args::default();
        args.array("out", &mut out);
        let run = Run::new(&module, "k", 16, 1).schedule(schedule.0, schedule.1);
        run.go(&args).unwrap_or_else(|f| panic!("{f}"));
        let expected: Vec<u32> = (100..116).chain((100..116).rev()).collect();
        assert_eq!(out, expected);
    }
}
