//! Texts made to cost: each must be refused, or loaded, soon and in little memory. Found by `fuzz/` and by reading.
#![allow(missing_docs)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emulator::{Fault, Launch, Module, Settings, Stop};

/// Counts what is allocated; memory that is zeroed by the system and never touched counts too.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HEAD: &str = ".version 8.3\n.target sm_90a\n.address_size 64\n";
/// Far more than any of the texts needs, far less than what they would take without limits.
const MOST_BYTES: usize = 1500 << 20;
const MOST_TIME: Duration = Duration::from_secs(60);

/// Loads a text and gives its error, or "loaded".
fn load(name: &str, text: &str) -> String {
    let (begun, before) = (Instant::now(), LIVE.load(Ordering::Relaxed));
    PEAK.store(before, Ordering::Relaxed);
    let answer = match Module::parse(text) {
        Ok(module) => module.unsupported().map_or("loaded".to_owned(), ToString::to_string),
        Err(error) => error.to_string(),
    };
    let taken = PEAK.load(Ordering::Relaxed) - before;
    assert!(taken < MOST_BYTES, "{name}: took {} MiB: {answer}", taken >> 20);
    assert!(
        begun.elapsed() < MOST_TIME,
        "{name}: took {:?}: {answer}",
        begun.elapsed()
    );
    answer
}

fn body(text: &str) -> String {
    format!("{HEAD}.visible .entry k()\n{{\n.reg .b32 %r<9>; .reg .b64 %d<9>;\n{text}\n}}\n")
}

fn repeated(line: impl Fn(usize) -> String, times: usize) -> String {
    (0..times).map(line).collect()
}

/// One test, as they share the count of memory: name, text, what is answered.
#[test]
fn texts_made_to_cost_are_answered_soon_and_in_little_memory() {
    let nested = |depth: usize, inside: &str| body(&("{".repeat(depth) + inside + &"}".repeat(depth)));
    let labels: Vec<_> = (0..60_000).map(|n| format!("L{n}")).collect();
    let table = format!("T: .branchtargets {};\n", labels.join(","));
    let places = repeated(|n| format!("L{n}:\n"), 60_000);
    let many_params = repeated(|n| format!(".param .u32 p{n},"), 60_000);
    let cases: Vec<(&str, String, &str)> = vec![
        ("nothing", String::new(), "line 0, column 0: found no \".version\", expected it in front of everything"),
        ("NULs", "\0".repeat(1 << 20), "line 0, column 0: found no \".version\", expected it in front of everything"),
        ("braces", "{".repeat(10 << 20), "line 1, column 1: found \"{\", expected a directive"),
        (
            "braces in a body",
            format!("{HEAD}.visible .entry k()\n{}", "{".repeat(10 << 20)),
            "line 5, column 258: found blocks nested more than 256 deep, expected less",
        ),
        (
            "branches in nested blocks",
            nested(200_000, &repeated(|_| "bra A;\n".into(), 200_000)),
            "line 7, column 257: found blocks nested more than 256 deep, expected less",
        ),
        ("registers without number", body(".reg .b32 %x<18446744073709551615>;\nmov.b32 %x4000000000, 1;"), "loaded"),
        (
            "registers beyond a warp's file",
            body(&format!(".reg .b128 %x<99999999>;\n{}", repeated(|n| format!("mov.b128 %x{n}, %x{n};\n"), 600_000))),
            "line 0, column 0: found registers of more than 268435456 bytes per warp in one function",
        ),
        (
            "rows filled with zeros, many times",
            format!(
                "{HEAD}{}",
                repeated(|n| format!(".global .b8 a{n}[1][1048575] = {{{{}}}};\n"), 400)
            ),
            "line 20, column 13: \"a16\" has initial values of more than 16777216 elements so far, expected at most that in a module",
        ),
        (
            "an array beyond 64 bits",
            format!("{HEAD}.global .b64 a[4294967296][4294967296];"),
            "line 4, column 14: found an array size that does not fit 64 bits",
        ),
        (
            "global memory",
            format!("{HEAD}{}", repeated(|n| format!(".global .b8 a{n}[16777216];\n"), 100)),
            "line 20, column 13: \"a16\" takes module variables beyond 268435456 bytes",
        ),
        (
            "shared memory",
            format!("{HEAD}.shared .b8 a[4294967295];"),
            "line 4, column 13: \"a\" takes static shared memory beyond 16777216 bytes",
        ),
        (
            "local memory",
            body(".local .b8 a[524289];"),
            "line 7, column 12: \"a\" has 524289 bytes, expected at most 524288 of local memory",
        ),
        (
            "jump tables, many times",
            body(&format!("{table}{}{places}", repeated(|_| "brx.idx %r1, T;\n".into(), 20_000))),
            "line 147, column 14: found tables and lists of more than 8388608 entries, expected less in a module",
        ),
        (
            "functions that all reach each other",
            format!("{HEAD}{}.func f60000() {{ ret; }}", repeated(|n| format!(".func f{n}() {{ call f{}; ret; }}\n", n + 1), 60_000)),
            "line 73, column 7: found functions that reach each other in more than 4194304 ways, expected less",
        ),
        (
            "functions beside variables",
            format!(
                "{HEAD}{}{}",
                repeated(|n| format!(".shared .b8 v{n}[1];\n"), 30_000),
                repeated(|n| format!(".func f{n}() {{ ret; }}\n"), 30_000)
            ),
            "loaded",
        ),
        (
            "calls of a function with many parameters",
            format!(
                "{HEAD}.func f({many_params}.param .u32 last) {{ ret; }}\n.func g() {{\n{}ret; }}",
                repeated(|_| "call f, ();\n".into(), 60_000)
            ),
            "line 4, column 72644: found more than 4096 parameters, expected less",
        ),
        ("a long comment", format!("{HEAD}/*{}", "*".repeat(10 << 20)), "line 4, column 1: comment is never closed, expected \"*/\""),
        (
            "a long number",
            body(&format!("mov.b32 %r1, {};", "9".repeat(1 << 20))),
            "line 7, column 14: found \"9999999999999999999999999999999999999999...\", expected a number that fits 64 bits",
        ),
        ("operands", body(&format!("add.u32 {}%r1;", "%r1,".repeat(1 << 20))), "line 7, column 1: \"add.u32\" has 1048577 operands, expected 3"),
        (
            "operators",
            body(&format!("mov.b32 %r1, 1{};", "+1".repeat(1 << 20))),
            "loaded",
        ),
    ];
    let answers = cases.iter().map(|(name, text, _)| (*name, load(name, text)));
    let wrong: Vec<_> = answers
        .zip(&cases)
        .filter(|(answer, case)| answer.1 != case.2)
        .map(|w| w.0)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn launched(text: &str, block: [u32; 3], cluster: [u32; 3]) -> Result<emulator::Outcome, Fault> {
    let module = Module::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let launch = Launch {
        grid: cluster,
        block,
        cluster,
        shared_bytes: 0,
        params: &[],
        ranges: &[],
        roles: &[],
        settings: Settings::default(),
        stop: &Stop::new(Some(Instant::now() + Duration::from_secs(10))),
    };
    emulator::run(&module, "k", &launch)
}

#[test]
fn block_limits_whose_product_does_not_fit_are_no_limit() {
    let text = format!("{HEAD}.visible .entry k() .maxntid 65536, 65536, 65536\n{{ ret; }}");
    launched(&text, [64, 1, 1], [1; 3]).expect("a good launch");
}

#[test]
fn launch_that_needs_more_memory_than_a_machine_has_is_refused() {
    let uses = repeated(|n| format!("mov.b128 %x{n}, %x{n};\n"), 400_000);
    let text = body(&format!(".reg .b128 %x<400000>;\n{uses}"));
    let refused = launched(&text, [1024, 1, 1], [1, 1, 1]);
    let expected = "k: 32 warps of 204800000 register bytes and 0 local bytes need 6553604096 bytes per cluster, expected at most 4294967296";
    assert_eq!(refused, Err(Fault::BadLaunch(expected.into())));
}

#[test]
fn short_rows_of_an_initialiser_are_filled_with_zeros() {
    let text = format!(
        "{HEAD}.global .u32 a[2][3] = {{{{7}}, {{8, 9}}}};
.visible .entry k(.param .u64 y)
{{
.reg .b64 %y; .reg .b32 %r<6>;
ld.param.u64 %y, [y];
ld.global.u32 %r0, [a]; ld.global.u32 %r1, [a+4]; ld.global.u32 %r2, [a+8];
ld.global.u32 %r3, [a+12]; ld.global.u32 %r4, [a+16]; ld.global.u32 %r5, [a+20];
st.global.v2.u32 [%y], {{%r0, %r1}};
st.global.v2.u32 [%y+8], {{%r2, %r3}};
st.global.v2.u32 [%y+16], {{%r4, %r5}};
ret;
}}"
    );
    let module = common::parse(&text);
    let mut y = [1u64; 3];
    let mut args = common::Args::default();
    args.array("y", &mut y);
    common::Run::new(&module, "k", 1, 1).go(&args).expect("a good launch");
    assert_eq!(y, [7, 8 << 32, 9]);
}

#[test]
fn endless_loops_of_every_kind_end_at_the_deadline_or_sooner() {
    let loops = [
        "A: bra A;",
        "A: nanosleep.u32 1000000; bra A;",
        "A: atom.shared.add.u32 %r1, [cell], 1; bra A;",
        "A: atom.shared.cas.b32 %r1, [cell], 7, 8; bra A;",
        "A: ld.volatile.shared.u32 %r1, [cell]; bra A;",
        "A: membar.gl; activemask.b32 %r1; bra A;",
        "A: bar.sync 0; bra A;",
        "A: stacksave.u64 %d1; alloca.u64 %d2, 64; stackrestore.u64 %d1; bra A;",
    ];
    for text in loops {
        let begun = Instant::now();
        let module = Module::parse(&body(&format!(".shared .u32 cell;\n{text}"))).expect("a module");
        let stop = Stop::new(Some(Instant::now() + Duration::from_millis(150)));
        let mut run = common::Run::new(&module, "k", 3, 64);
        run.settings.threads = 1;
        let end = run.until(&common::Args::default(), &stop);
        assert!(end.is_err(), "{text}: {end:?}");
        assert!(begun.elapsed() < MOST_TIME, "{text}: took {:?}", begun.elapsed());
    }
}
