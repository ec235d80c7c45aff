//! One row per instruction form: operands in, result out. What an H200 answers to many more inputs is in tests/oracle.
#![allow(missing_docs)]

mod common;
use common::{entry, parse, Args, Run};

/// Runs `instruction` on registers `a`, `b`, `c` of the given types and gives the bits of `d`.
fn answer(types: [&str; 4], instruction: &str, inputs: [u64; 3]) -> u64 {
    let [d, a, b, c] = types;
    let bits = |t: &str| format!("b{}", t.trim_start_matches(|x: char| x.is_alphabetic()));
    let wide = if bits(d) == "b16" {
        "cvt.u64.u16 wide, bits;"
    } else {
        ""
    };
    let wide = if bits(d) == "b32" {
        "cvt.u64.u32 wide, bits;"
    } else {
        wide
    };
    let wide = if bits(d) == "b64" { "mov.b64 wide, bits;" } else { wide };
    let body = format!(
        ".reg .{d} d; .reg .{a} a; .reg .{b} b; .reg .{c} c; .reg .b64 in, out, wide; .reg .{bits} bits; .reg .pred p, q;
        ld.param.u64 in, [x]; ld.param.u64 out, [y];
        ld.global.{ab} a, [in]; ld.global.{bb} b, [in+8]; ld.global.{cb} c, [in+16];
        {instruction}
        mov.{bits} bits, d; {wide} st.global.u64 [out], wide; ret;",
        bits = bits(d),
        ab = bits(a),
        bb = bits(b),
        cb = bits(c),
    );
    let module = parse(&entry(".param .u64 x, .param .u64 y", &body));
    let mut out = [0u64];
    let mut args = Args::default();
    args.input("x", &inputs);
    args.array("y", &mut out);
    Run::new(&module, "k", 1, 1)
        .go(&args)
        .unwrap_or_else(|e| panic!("{instruction}: {e}"));
    out[0]
}

fn check(types: [&str; 4], rows: &[(&str, [u64; 3], u64)]) {
    for (instruction, inputs, expected) in rows {
        let found = answer(types, instruction, *inputs);
        assert_eq!(
            found, *expected,
            "{instruction} on {inputs:x?}: found {found:#x}, expected {expected:#x}"
        );
    }
}

const ONES: u64 = u64::MAX;

#[test]
fn integer_forms_of_32_bits() {
    let m = |x: i32| u64::from(x as u32);
    check(
        ["b32"; 4],
        &[
            ("add.s32 d, a, b;", [7, m(-9), 0], m(-2)),
            ("add.sat.s32 d, a, b;", [m(i32::MAX), 1, 0], m(i32::MAX)),
            ("sub.u32 d, a, b;", [3, 5, 0], m(-2)),
            ("mul.lo.u32 d, a, b;", [0x1_0001, 0x1_0001, 0], 0x2_0001),
            ("mul.hi.s32 d, a, b;", [m(-2), 3, 0], m(-1)),
            ("mul.hi.u32 d, a, b;", [m(-2), 3, 0], 2),
            ("mad.lo.s32 d, a, b, c;", [3, 4, m(-20)], m(-8)),
            (
                "mad.hi.sat.s32 d, a, b, c;",
                [m(i32::MAX), m(i32::MAX), m(i32::MAX)],
                m(i32::MAX),
            ),
            ("mul24.lo.s32 d, a, b;", [0xff_ffff, 2, 0], m(-2)),
            ("div.s32 d, a, b;", [m(-7), 2, 0], m(-3)),
            ("div.u32 d, a, b;", [7, 0, 0], 0xffff_ffff),
            ("div.s32 d, a, b;", [m(i32::MIN), m(-1), 0], m(i32::MIN)),
            ("rem.s32 d, a, b;", [m(-7), 2, 0], m(-1)),
            ("rem.u32 d, a, b;", [7, 0, 0], 7),
            ("min.s32 d, a, b;", [m(-1), 1, 0], m(-1)),
            ("max.u32 d, a, b;", [m(-1), 1, 0], m(-1)),
            ("abs.s32 d, a;", [m(-5), 0, 0], 5),
            ("neg.s32 d, a;", [5, 0, 0], m(-5)),
            ("sad.s32 d, a, b, c;", [m(-5), 5, 1], 11),
            ("popc.b32 d, a;", [0xf0f0, 0, 0], 8),
            ("clz.b32 d, a;", [1, 0, 0], 31),
            ("brev.b32 d, a;", [1, 0, 0], 0x8000_0000),
            ("bfind.u32 d, a;", [0x100, 0, 0], 8),
            ("bfind.shiftamt.s32 d, a;", [m(-2), 0, 0], 31),
            ("bfe.u32 d, a, b, c;", [0x1234_5678, 8, 8], 0x56),
            ("bfe.s32 d, a, b, c;", [0x1234_8678, 8, 8], m(0x86 - 0x100)),
            ("bfi.b32 d, a, b, 4, 8;", [0xab, 0, 0], 0xab0),
            ("fns.b32 d, a, b, 2;", [0b1_0110, 1, 0], 2),
            ("dp4a.s32.s32 d, a, b, c;", [0x0102_03ff, 0x0101_0101, 10], 15),
            ("dp2a.lo.u32.u32 d, a, b, c;", [0x0002_0003, 0x0000_0504, 1], 23),
            ("and.b32 d, a, b;", [12, 10, 0], 8),
            ("xor.b32 d, a, b;", [12, 10, 0], 6),
            ("not.b32 d, a;", [0, 0, 0], 0xffff_ffff),
            ("cnot.b32 d, a;", [0, 0, 0], 1),
            ("shl.b32 d, a, b;", [1, 32, 0], 0),
            ("shr.u32 d, a, b;", [m(-1), 40, 0], 0),
            ("shr.s32 d, a, b;", [m(-8), 40, 0], m(-1)),
            ("shf.l.wrap.b32 d, a, b, c;", [0x8000_0000, 1, 33], 3),
            ("shf.r.clamp.b32 d, a, b, c;", [5, 9, 40], 9),
            ("lop3.b32 d, a, b, c, 0x96;", [1, 2, 4], 7),
            ("lop3.b32 d, a, b, c, 0x1b;", [0b1100, 0b1010, 0b1001], 0xfffffff5),
            ("prmt.b32 d, a, b, c;", [0x3322_1100, 0x7766_5544, 0x8174], 0x0011_7744),
            ("prmt.b32.rc16 d, a, b, c;", [0x3322_1100, 0, 1], 0x3322_3322),
            ("setp.lt.s32 p, a, b; selp.b32 d, 1, 2, p;", [m(-1), 0, 0], 1),
            ("setp.lo.u32 p|q, a, b; selp.b32 d, 1, 2, q;", [m(-1), 0, 0], 1),
            (
                "setp.eq.u32 q, c, 0; setp.gt.and.u32 p, a, b, !q; selp.b32 d, 1, 2, p;",
                [5, 3, 0],
                2,
            ),
            ("set.ge.u32.s32 d, a, b;", [5, 3, 0], 0xffff_ffff),
            ("slct.b32.s32 d, a, b, c;", [5, 3, m(-1)], 3),
            ("add.cc.u32 a, a, b; addc.u32 d, c, 0;", [m(-1), 1, 5], 6),
            ("sub.cc.u32 a, a, b; subc.u32 d, c, 0;", [0, 1, 5], 4),
            ("cvt.s32.s8 d, a;", [0xff, 0, 0], m(-1)),
            ("cvt.sat.u8.s32 d, a;", [300, 0, 0], 255),
            ("cvt.pack.sat.s16.s32 d, a, b;", [40000, m(-40000), 0], 0x7fff_8000),
            ("mov.b32 d, %laneid;", [0, 0, 0], 0),
            ("mov.u32 d, %nctaid.x; add.u32 d, d, %ntid.y;", [0, 0, 0], 2),
        ],
    );
}

#[test]
fn integer_forms_of_64_and_16_bits() {
    check(
        ["b64"; 4],
        &[
            ("mul.hi.u64 d, a, b;", [ONES, 3, 0], 2),
            ("mad.lo.s64 d, a, b, c;", [3, 4, 5], 17),
            ("div.s64 d, a, b;", [ONES - 6, 2, 0], (-3i64) as u64),
            ("div.u64 d, a, b;", [1, 0, 0], ONES),
            ("bfe.s64 d, a, 4, 8;", [0xf80, 0, 0], (-8i64) as u64),
            ("shr.s64 d, a, 65;", [1 << 63, 0, 0], ONES),
            (
                "mov.b64 {lo, hi}, a; mov.b64 d, {hi, lo};",
                [0x1_0000_0002, 0, 0],
                0x2_0000_0001,
            ),
            ("brev.b64 d, a;", [1, 0, 0], 1 << 63),
        ]
        .map(|(text, inputs, expected)| {
            let declared = if text.contains("{lo, hi}") {
                ".reg .b32 lo, hi; mov.b64 {lo, hi}, a; mov.b64 d, {hi, lo};"
            } else {
                text
            };
            (declared, inputs, expected)
        }),
    );
    check(
        ["b64", "b32", "b32", "b64"],
        &[
            ("mul.wide.s32 d, a, b;", [0xffff_fffe, 3, 0], (-6i64) as u64),
            ("mad.wide.u32 d, a, b, c;", [0xffff_fffe, 2, 1], 0x1_ffff_fffd),
            ("cvt.s64.s32 d, a;", [0x8000_0000, 0, 0], 0xffff_ffff_8000_0000),
        ],
    );
    check(
        ["b16"; 4],
        &[
            ("add.u16 d, a, b;", [0xffff, 2, 0], 1),
            ("mul.lo.s16 d, a, b;", [300, 300, 0], 0x5f90),
            ("shr.s16 d, a, 20;", [0x8000, 0, 0], 0xffff),
            ("max.s16 d, a, b;", [0xffff, 1, 0], 1),
        ],
    );
}

fn f(x: f32) -> u64 {
    u64::from(x.to_bits())
}

#[test]
fn float_forms() {
    let tiny = 1u64; // the least subnormal
    check(
        ["f32"; 4],
        &[
            ("add.f32 d, a, b;", [f(1.5), f(2.25), 0], f(3.75)),
            ("add.rz.f32 d, a, b;", [f(1.0), f(1e-10), 0], f(1.0)),
            ("add.rp.f32 d, a, b;", [f(1.0), f(1e-10), 0], f(1.0f32.next_up())),
            ("sub.sat.f32 d, a, b;", [f(1.0), f(2.0), 0], f(0.0)),
            ("mul.ftz.f32 d, a, b;", [tiny, f(1e10), 0], 0),
            (
                "fma.rn.f32 d, a, b, c;",
                [f(1.0 + f32::EPSILON), f(1.0 - f32::EPSILON), f(-1.0)],
                f(-f32::EPSILON * f32::EPSILON),
            ),
            (
                "fma.rm.f32 d, a, b, c;",
                [f(1e-20), f(-1e-20), f(1.0)],
                f(1.0f32.next_down()),
            ),
            ("div.rn.f32 d, a, b;", [f(1.0), f(3.0), 0], f(1.0 / 3.0)),
            ("div.full.f32 d, a, b;", [f(6.0), f(3.0), 0], f(2.0)),
            ("rcp.rn.f32 d, a;", [f(4.0), 0, 0], f(0.25)),
            ("sqrt.rz.f32 d, a;", [f(2.0), 0, 0], f(std::f32::consts::SQRT_2)),
            ("ex2.approx.f32 d, a;", [f(3.0), 0, 0], f(8.0)),
            ("lg2.approx.f32 d, a;", [f(8.0), 0, 0], f(3.0)),
            ("rsqrt.approx.f32 d, a;", [f(16.0), 0, 0], f(0.25)),
            ("min.f32 d, a, b;", [f(f32::NAN), f(2.0), 0], f(2.0)),
            ("min.NaN.f32 d, a, b;", [f(f32::NAN), f(2.0), 0], 0x7fff_ffff),
            ("max.f32 d, a, b;", [f(-0.0), f(0.0), 0], f(0.0)),
            ("abs.f32 d, a;", [f(-2.0), 0, 0], f(2.0)),
            ("neg.f32 d, a;", [f(2.0), 0, 0], f(-2.0)),
            ("copysign.f32 d, a, b;", [f(-1.0), f(2.0), 0], f(-2.0)),
            (
                "add.f32 d, a, b;",
                [f(f32::INFINITY), f(f32::NEG_INFINITY), 0],
                0x7fff_ffff,
            ),
            (
                "setp.ltu.f32 p, a, b; selp.f32 d, 1.0, 2.0, p;",
                [f(f32::NAN), f(2.0), 0],
                f(1.0),
            ),
            (
                "setp.ne.f32 p, a, b; selp.f32 d, 1.0, 2.0, p;",
                [f(f32::NAN), f(2.0), 0],
                f(2.0),
            ),
            ("cvt.rni.f32.f32 d, a;", [f(2.5), 0, 0], f(2.0)),
            ("cvt.rn.f32.s32 d, a;", [u64::from(-3i32 as u32), 0, 0], f(-3.0)),
            ("cvt.rz.f32.u32 d, a;", [0xffff_ffff, 0, 0], f(4294967040.0)),
        ],
    );
    check(
        ["b32", "f32", "f32", "f32"],
        &[
            ("cvt.rzi.s32.f32 d, a;", [f(-2.9), 0, 0], u64::from(-2i32 as u32)),
            ("cvt.rpi.u32.f32 d, a;", [f(-2.9), 0, 0], 0),
            ("cvt.rzi.s32.f32 d, a;", [f(f32::NAN), 0, 0], 0),
            ("cvt.rn.f16x2.f32 d, a, b;", [f(1.0), f(-2.0), 0], 0x3c00_c000),
            ("cvt.rn.bf16x2.f32 d, a, b;", [f(1.0), f(-2.0), 0], 0x3f80_c000),
        ],
    );
    check(
        ["b32"; 4],
        &[
            ("add.f16x2 d, a, b;", [0x3c00_3c00, 0x4000_3c00, 0], 0x4200_4000),
            (
                "fma.rn.bf16x2 d, a, b, c;",
                [0x3f80_4000, 0x4000_4000, 0x3f80_3f80],
                0x4040_40a0,
            ),
            ("max.f16x2 d, a, b;", [0xbc00_7e00, 0x3c00_3c00, 0], 0x3c00_3c00),
        ],
    );
    check(
        ["b16"; 4],
        &[
            ("mul.f16 d, a, b;", [0x3e00, 0x4000, 0], 0x4200),
            ("fma.rn.relu.f16 d, a, b, c;", [0x3c00, 0xbc00, 0], 0),
        ],
    );
    let g = f64::to_bits;
    check(
        ["f64"; 4],
        &[
            ("fma.rn.f64 d, a, b, c;", [g(2.0), g(3.0), g(1.0)], g(7.0)),
            ("div.rz.f64 d, a, b;", [g(1.0), g(3.0), 0], g(1.0 / 3.0)),
            ("add.rm.f64 d, a, b;", [g(1.0), g(-1.0), 0], g(-0.0)),
            ("min.f64 d, a, b;", [g(f64::NAN), g(3.0), 0], g(3.0)),
        ],
    );
}

#[test]
fn lanes_exchange_values() {
    // Each lane stores what the instruction gives it.
    type Row = (&'static str, fn(u32) -> u32);
    let rows: [Row; 9] = [
        ("shfl.sync.up.b32 d, l, 1, 0, -1;", |l| l.saturating_sub(1)),
        ("shfl.sync.down.b32 d, l, 4, 31, -1;", |l| {
            if l + 4 < 32 {
                l + 4
            } else {
                l
            }
        }),
        ("shfl.sync.bfly.b32 d, l, 3, 31, -1;", |l| l ^ 3),
        ("shfl.sync.idx.b32 d, l, 2, 0x1c03, -1;", |l| l / 4 * 4 + 2),
        ("setp.lt.u32 p, l, 5; vote.sync.ballot.b32 d, p, -1;", |_| 31),
        ("redux.sync.add.u32 d, l, -1;", |_| 496),
        ("and.b32 l, l, 3; match.any.sync.b32 d, l, -1;", |l| {
            0x1111_1111 << (l & 3)
        }),
        ("elect.sync d|p, -1; selp.b32 d, 1, 0, p;", |l| u32::from(l == 0)),
        (
            "setp.ge.u32 p, l, 8; @p bra A; activemask.b32 d; bra B; A: mov.u32 d, 0; B:",
            |l| if l < 8 { 255 } else { 0 },
        ),
    ];
    for (instruction, expected) in rows {
        let body = format!(
            ".reg .b32 l, d; .reg .b64 out, at; .reg .pred p; ld.param.u64 out, [y]; mov.u32 l, %laneid;
            mul.wide.u32 at, l, 4; add.u64 at, at, out; {instruction} st.global.u32 [at], d; ret;"
        );
        let module = parse(&entry(".param .u64 y", &body));
        let mut out = [0u32; 32];
        let mut args = Args::default();
        args.array("y", &mut out);
        Run::new(&module, "k", 1, 32).go(&args).unwrap();
        for l in 0..32 {
            assert_eq!(out[l as usize], expected(l), "{instruction} in lane {l}");
        }
    }
}

#[test]
fn atomics_update_and_return_the_old_value() {
    let rows = [
        ("atom.global.add.u32 d, [out], 5;", 7, 12),
        ("atom.global.cas.b32 d, [out], 7, 9;", 7, 9),
        ("atom.global.cas.b32 d, [out], 8, 9;", 7, 7),
        ("atom.global.exch.b32 d, [out], 1;", 7, 1),
        ("atom.global.inc.u32 d, [out], 7;", 7, 0),
        ("atom.global.dec.u32 d, [out], 5;", 7, 5),
        ("atom.global.min.s32 d, [out], -1;", 7, 0xffff_ffff),
        ("atom.acq_rel.gpu.global.xor.b32 d, [out], 3;", 7, 4),
        ("mov.u32 d, 7; red.global.or.b32 [out], 8;", 7, 15),
    ];
    for (instruction, start, end) in rows {
        let body =
            format!(".reg .b32 d; .reg .b64 out; ld.param.u64 out, [y]; {instruction} st.global.u32 [out+4], d; ret;");
        let module = parse(&entry(".param .u64 y", &body));
        let mut out = [start, 0u32];
        let mut args = Args::default();
        args.array("y", &mut out);
        Run::new(&module, "k", 1, 1).go(&args).unwrap();
        assert_eq!(out, [end, start], "{instruction}");
    }
}
