//! Memory faults, traps and refused launches: the whole text.
#![allow(missing_docs)]

mod common;
use common::{entry, parse, Args, Run};

fn fault(body: &str, read_only: bool) -> String {
    let module = parse(&entry(".param .u64 x", body));
    let mut x = [0u32; 16];
    let mut args = Args::default();
    if read_only {
        args.input("x", &x);
    } else {
        args.array("x", &mut x);
    }
    Run::new(&module, "k", 1, 32).go(&args).unwrap_err().to_string()
}

#[test]
fn access_behind_an_array_names_it_with_lane_and_line() {
    let body = "
    .reg .b64 a, o; .reg .b32 t;
    ld.param.u64 a, [x]; mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 a, a, o;
    st.global.u32 [a], t;
    ret;";
    let expected = "\
out-of-bounds write in \"k\": 4 bytes at offset 64 of \"x\", which has 64 bytes
  warp 0, lane 16, thread block (0, 0, 0), line 9: st.global.u32 [a], t";
    assert_eq!(fault(body, false), expected);
}

#[test]
fn write_to_an_input_is_refused() {
    let text = fault(".reg .b64 a; ld.param.u64 a, [x]; st.global.u32 [a], 1; ret;", true);
    let (head, tail) = text.split_once(" (address").unwrap();
    assert_eq!(head, "write to read-only memory in \"k\": 4 bytes at offset 0 of \"x\"");
    let expected = "), expected memory that the kernel may write\n  warp 0, lane 0, thread block (0, 0, 0), line 6: st.global.u32 [a], 1";
    assert_eq!(tail.trim_start_matches(|c: char| c != ')'), expected);
}

#[test]
fn null_pointer_is_far_from_every_array() {
    let expected = "\
out-of-bounds read in \"k\": 4 bytes at address 0x0, which is far from every array (the nearest is \"x\")
  warp 0, lane 0, thread block (0, 0, 0), line 6: ld.u32 v, [a]";
    assert_eq!(
        fault(".reg .b64 a; .reg .b32 v; mov.u64 a, 0; ld.u32 v, [a]; ret;", false),
        expected
    );
}

#[test]
fn shared_memory_has_its_bounds() {
    let expected = "\
out-of-bounds read in \"k\": 4 bytes at offset 64 of shared memory, which has 64 bytes
  warp 0, lane 0, thread block (0, 0, 0), line 6: ld.shared.u32 v, [s+64]";
    assert_eq!(
        fault(".shared .b8 s[64]; .reg .b32 v; ld.shared.u32 v, [s+64]; ret;", false),
        expected
    );
    let expected = "\
misaligned read in \"k\": 4 bytes at offset 2 of shared memory, which has 64 bytes, expected an address that is a multiple of 4
  warp 0, lane 0, thread block (0, 0, 0), line 6: ld.shared.u32 v, [s+2]";
    assert_eq!(
        fault(
            ".shared .align 4 .b8 s[64]; .reg .b32 v; ld.shared.u32 v, [s+2]; ret;",
            false
        ),
        expected
    );
}

#[test]
fn trap_and_misused_barriers_say_what_is_wrong() {
    let rows = [
        ("trap;", "the kernel executed a trap\n  warp 0, lane 0, thread block (0, 0, 0), line 6: trap"),
        (
            "bar.sync 16;",
            "barrier number is 16, expected 0 to 15\n  warp 0, lane 0, thread block (0, 0, 0), line 6: bar.sync 16",
        ),
        (
            ".shared .b64 b; .reg .b64 s; mbarrier.arrive.shared.b64 s, [b];",
            "the mbarrier at shared+0 is used before mbarrier.init\n  warp 0, lane 0, thread block (0, 0, 0), line 6: mbarrier.arrive.shared.b64 s, [b]",
        ),
        (
            ".shared .b64 b; .reg .b64 s; mbarrier.init.shared.b64 [b], 4; mbarrier.arrive.shared.b64 s, [b], 5;",
            "the mbarrier at shared+0 gets 5 arrivals, but 4 of 4 are missing in phase 0\n  warp 0, lane 0, thread block (0, 0, 0), line 6: mbarrier.arrive.shared.b64 s, [b], 5",
        ),
    ];
    for (body, expected) in rows {
        assert_eq!(fault(body, false), format!("fault in \"k\": {expected}"));
    }
}

#[test]
fn launches_that_do_not_fit_the_entry_are_refused() {
    let text = entry(".param .u64 x", "ret;").replace("(.param .u64 x)", "(.param .u64 x) .reqntid 64, 1, 1");
    let module = parse(&text);
    let mut args = Args::default();
    let error = |run: &Run, args: &Args| run.go(args).unwrap_err().to_string();
    assert_eq!(
        error(&Run::new(&module, "k", 1, 64), &args),
        "k: 0 parameter bytes, expected 8"
    );
    assert_eq!(
        error(&Run::new(&module, "j", 1, 64), &args),
        "found no entry \"j\", expected one of: k"
    );
    args.push(0u64.to_le_bytes());
    assert_eq!(
        error(&Run::new(&module, "k", 1, 32), &args),
        "k: block is [32, 1, 1], expected [64, 1, 1] (.reqntid)"
    );
    assert_eq!(
        error(&Run::new(&module, "k", 0, 64), &args),
        "k: grid is [0, 1, 1], expected at least 1 per axis"
    );
    assert_eq!(
        error(&Run::new(&module, "k", 1, 2048), &args),
        "k: block is [2048, 1, 1], expected 1 to 1024 threads"
    );
}

#[test]
fn endless_loop_is_stopped_by_the_deadline() {
    let module = parse(&entry("", "L: bra L;"));
    let stop = emulator::Stop::new(Some(std::time::Instant::now() + std::time::Duration::from_millis(50)));
    let fault = Run::new(&module, "k", 4, 64)
        .until(&Args::default(), &stop)
        .unwrap_err();
    assert_eq!(fault.to_string(), "stopped from outside");
}
