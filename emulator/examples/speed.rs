//! Times whole kernels on the CPU device: vector add and naive matmul, elements and FMAs per second.
//!
//! `cargo run --release -p warpbridge-emulator --example speed [kernel] [size] [checks] [threads] [repeats]`; `docs/notes/emulator-speed.md`
//! says what was measured with it.

use std::time::Instant;

use emulator::{Access, Checks, Launch, Module, Range, Settings, Stop};

const VECTOR_ADD: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
    .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<11>; .reg .f32 %f<4>;
    ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; ld.param.u32 %r2, [n];
    mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x;
    mad.lo.s32 %r1, %r3, %r4, %r5;
    setp.ge.s32 %p1, %r1, %r2;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd4, %rd1;
    mul.wide.s32 %rd5, %r1, 4;
    add.s64 %rd6, %rd4, %rd5;
    cvta.to.global.u64 %rd7, %rd2;
    add.s64 %rd8, %rd7, %rd5;
    ld.global.f32 %f1, [%rd8];
    ld.global.f32 %f2, [%rd6];
    add.f32 %f3, %f2, %f1;
    cvta.to.global.u64 %rd9, %rd3;
    add.s64 %rd10, %rd9, %rd5;
    st.global.f32 [%rd10], %f3;
DONE:
    ret;
}
";

const MATMUL: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry matmul(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)
{
    .reg .pred %p; .reg .b32 %r<12>; .reg .f32 %f<4>; .reg .b64 %rd<10>;
    mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.s32 %r3, %r0, %r1, %r2;
    mov.u32 %r4, %ctaid.y;
    ld.param.u32 %r5, [n]; ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [b]; ld.param.u64 %rd2, [c];
    mul.lo.u32 %r6, %r4, %r5; mul.wide.u32 %rd3, %r6, 4; add.u64 %rd4, %rd0, %rd3;
    mul.wide.u32 %rd5, %r3, 4; add.u64 %rd6, %rd1, %rd5; mul.wide.u32 %rd7, %r5, 4;
    mov.f32 %f0, 0f00000000; mov.u32 %r7, 0;
L:  ld.global.f32 %f1, [%rd4]; ld.global.f32 %f2, [%rd6]; fma.rn.f32 %f0, %f1, %f2, %f0;
    add.u64 %rd4, %rd4, 4; add.u64 %rd6, %rd6, %rd7; add.u32 %r7, %r7, 1; setp.lt.u32 %p, %r7, %r5; @%p bra L;
    add.u64 %rd8, %rd2, %rd3; add.u64 %rd8, %rd8, %rd5; st.global.f32 [%rd8], %f0; ret;
}
";

struct Problem {
    text: &'static str,
    entry: &'static str,
    grid: [u32; 3],
    block: u32,
    /// Elements of a, b and c.
    elements: usize,
    n: u32,
    /// What is counted.
    work: f64,
    unit: &'static str,
}

fn problem(kernel: &str, size: Option<usize>) -> Problem {
    if kernel == "add" {
        let n = size.unwrap_or(1 << 22);
        return Problem {
            text: VECTOR_ADD,
            entry: "add",
            grid: [n.div_ceil(256) as u32, 1, 1],
            block: 256,
            elements: n,
            n: n as u32,
            work: n as f64,
            unit: "M elements/s",
        };
    }
    let n = size.unwrap_or(512);
    Problem {
        text: MATMUL,
        entry: "matmul",
        grid: [n as u32 / 128, n as u32, 1],
        block: 128,
        elements: n * n,
        n: n as u32,
        work: (n * n * n) as f64,
        unit: "M FMA/s",
    }
}

fn range(name: &str, data: &[f32], access: Access) -> Range {
    Range {
        address: data.as_ptr() as u64,
        bytes: std::mem::size_of_val(data) as u64,
        name: name.to_owned(),
        access,
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map(String::as_str);
    let number = |at: usize| word(at).and_then(|w| w.parse::<usize>().ok());
    let checks = match word(2) {
        Some("memory") => Checks::Memory,
        Some("all") => Checks::All,
        _ => Checks::None,
    };
    let p = problem(word(0).unwrap_or("add"), number(1));
    let module = Module::parse(p.text).unwrap_or_else(|e| panic!("{e}"));
    let value = |i: usize| (i * 37 % 101) as f32 / 101.0;
    let a: Vec<f32> = (0..p.elements).map(value).collect();
    let b: Vec<f32> = (0..p.elements).map(|i| value(i + 13)).collect();
    let mut c = vec![0f32; p.elements];
    let mut params: Vec<u8> = Vec::new();
    for address in [a.as_ptr() as u64, b.as_ptr() as u64, c.as_mut_ptr() as u64] {
        params.extend(address.to_le_bytes());
    }
    params.extend(p.n.to_le_bytes());
    let ranges = [
        range("a", &a, Access::Read),
        range("b", &b, Access::Read),
        range("c", &c, Access::ReadWrite),
    ];
    let launch = Launch {
        grid: p.grid,
        block: [p.block, 1, 1],
        cluster: [1, 1, 1],
        shared_bytes: 0,
        params: &params,
        ranges: &ranges,
        roles: &[],
        settings: Settings {
            checks,
            threads: number(3).unwrap_or(0) as u32,
            ..Settings::default()
        },
        stop: &Stop::new(None),
    };
    for _ in 0..number(4).unwrap_or(1) {
        let start = Instant::now();
        let outcome = emulator::run(&module, p.entry, &launch).unwrap_or_else(|f| panic!("{f}"));
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{} {:.1} {}, {:.1} M warp instructions/s",
            p.entry,
            p.work / seconds / 1e6,
            p.unit,
            outcome.instructions as f64 / seconds / 1e6
        );
    }
}
