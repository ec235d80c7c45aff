//! Single instructions against what an H200 answered, bit for bit: one row per case. A row is an instruction without its
//! operands, the width of its result in bits (1 for a predicate), its operands as (width, value), and the result.
#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod parts;
use common::{entry, parse, Args, Run};

type Row = (&'static str, u32, &'static [(u32, u64)], u64);

fn bytes(width: u32, value: u64) -> Vec<u8> {
    value.to_le_bytes()[..width as usize / 8].to_vec()
}

/// Runs one instruction in one thread. A predicate operand is given as (1, 0) or (1, 1).
fn evaluate(instruction: &str, width: u32, operands: &[(u32, u64)]) -> u64 {
    let (mut params, mut body, mut names) = (vec![".param .u64 out".to_owned()], String::new(), Vec::new());
    let mut out = [0u64];
    let mut args = Args::default();
    args.array("out", &mut out);
    for (k, (bits, value)) in operands.iter().enumerate() {
        let size = (*bits).max(32);
        params.push(format!(".param .b{size} p{k}"));
        body += &format!(".reg .b{size} %w{k}; ld.param.b{size} %w{k}, [p{k}];\n");
        match bits {
            1 => body += &format!(".reg .pred %a{k}; setp.ne.u32 %a{k}, %w{k}, 0;\n"),
            8 | 16 => body += &format!(".reg .b16 %a{k}; cvt.u16.u32 %a{k}, %w{k};\n"),
            _ => body += &format!(".reg .b{size} %a{k}; mov.b{size} %a{k}, %w{k};\n"),
        }
        args.align(size as usize / 8);
        args.bytes.extend(bytes(size, *value));
        names.push(format!("%a{k}"));
    }
    body += ".reg .b64 %out; ld.param.u64 %out, [out];\n";
    let call = |result: &str| format!("{instruction} {result}, {};", names.join(", "));
    body += &match width {
        1 => format!(
            ".reg .pred %p; .reg .b64 %d; {} selp.b64 %d, 1, 0, %p; st.global.b64 [%out], %d;",
            call("%p")
        ),
        _ => format!(".reg .b{width} %d; {} st.global.b{width} [%out], %d;", call("%d")),
    };
    let module = parse(&entry(&params.join(", "), &body));
    Run::new(&module, "k", 1, 1)
        .go(&args)
        .unwrap_or_else(|e| panic!("{instruction}: {e}"));
    out[0]
}

fn check(rows: &[Row]) {
    for (instruction, width, operands, expected) in rows {
        let found = evaluate(instruction, *width, operands);
        assert_eq!(
            found, *expected,
            "{instruction} {operands:x?}: {found:#x}, expected {expected:#x}"
        );
    }
}

#[test]
fn nan_results_are_the_canonical_one() {
    check(&[
        ("abs.f32", 32, &[(32, 0x7fc0_0005)], 0x7fff_ffff),
        ("neg.f32", 32, &[(32, 0x7fc0_0005)], 0x7fff_ffff),
        ("neg.ftz.f32", 32, &[(32, 0x7f80_0001)], 0x7fff_ffff),
        ("abs.f16", 16, &[(16, 0x7e05)], 0x7fff),
        ("neg.ftz.f16", 16, &[(16, 0x7c01)], 0x7fff),
        ("abs.f16x2", 32, &[(32, 0x44b8_7e05)], 0x44b8_7fff),
        ("neg.bf16x2", 32, &[(32, 0xbf57_7f81)], 0x3f57_7fff),
        ("sqrt.rn.f32", 32, &[(32, 0xbf80_0000)], 0x7fff_ffff),
        ("sqrt.approx.f32", 32, &[(32, 0x7fc0_0005)], 0x7fff_ffff),
    ]);
}

#[test]
fn conversions_of_nan_depend_on_source_and_result() {
    check(&[
        ("cvt.rni.u8.f64", 32, &[(64, 0x7ff8_0000_0000_0005)], 0x80),
        ("cvt.rni.s8.f64", 32, &[(64, 0x7ff8_0000_0000_0005)], 0xffff_ff80),
        ("cvt.rzi.sat.u16.f64", 16, &[(64, 0x7ff0_0000_0000_0001)], 0x8000),
        ("cvt.rni.u32.f64", 32, &[(64, 0xfff8_0000_0000_0000)], 0x8000_0000),
        ("cvt.rzi.u64.f32", 64, &[(32, 0x7fc0_0000)], 0x8000_0000_0000_0000),
        ("cvt.rzi.s32.f32", 32, &[(32, 0x7fc0_0000)], 0),
        ("cvt.rni.f32.f32", 32, &[(32, 0x7fc0_0005)], 0x7fff_ffff),
        ("cvt.f32.f32", 32, &[(32, 0x7f80_0001)], 0x7f80_0001),
        ("cvt.f32.f16", 32, &[(16, 0x7e05)], 0x7fff_ffff),
        ("cvt.rz.f32.f64", 32, &[(64, 0xfff0_0000_0000_0001)], 0xffc0_0000),
        ("cvt.rn.f16.f64", 16, &[(64, 0x7ff8_0000_0000_0005)], 0x7e00),
        ("cvt.rp.bf16.f64", 16, &[(64, 0xfff0_0000_0000_0001)], 0xffc0),
        ("cvt.rna.tf32.f32", 32, &[(32, 0x7f80_0001)], 0x7f80_0000),
        ("cvt.rn.tf32.f32", 32, &[(32, 0x7fc0_0005)], 0x7fff_e000),
        ("cvt.rz.tf32.f32", 32, &[(32, 0x7f80_0001)], 0x7fff_e000),
    ]);
}

#[test]
fn conversions_saturate_and_flush_as_the_hardware_does() {
    check(&[
        ("cvt.rni.sat.f32.f32", 32, &[(32, 0x7f80_0000)], 0x3f80_0000),
        ("cvt.rni.sat.f32.f32", 32, &[(32, 0x8000_0000)], 0),
        ("cvt.rpi.sat.f16.f16", 16, &[(16, 0xfc00)], 0),
        (
            "cvt.rmi.sat.f64.f64",
            64,
            &[(64, 0x4338_0000_0000_0000)],
            0x3ff0_0000_0000_0000,
        ),
        ("cvt.rn.ftz.bf16.f32", 16, &[(32, 0x807f_ffff)], 0x8000),
        ("cvt.rm.ftz.f16.f32", 16, &[(32, 0x807f_ffff)], 0x8001),
        ("cvt.rp.ftz.f16.f32", 16, &[(32, 1)], 1),
    ]);
}

#[test]
fn directed_rounding_holds_near_the_subnormal_numbers() {
    const TINY: u64 = 1;
    const BELOW: u64 = 0x000f_ffff_ffff_ffff;
    const LEAST: u64 = 0x0010_0000_0000_0000;
    check(&[
        ("mul.rp.f64", 64, &[(64, TINY), (64, LEAST)], 1),
        (
            "mul.rm.f64",
            64,
            &[(64, 0x800f_ffff_ffff_ffff), (64, LEAST)],
            0x8000_0000_0000_0001,
        ),
        ("fma.rp.f64", 64, &[(64, TINY), (64, TINY), (64, 0)], 1),
        (
            "fma.rz.f64",
            64,
            &[
                (64, 0x11f0_46d4_87f1_d95d),
                (64, 0x02d4_9240_ef28_fba8),
                (64, 0x9c2f_7e3b_54ea_46c3),
            ],
            0x9c2f_7e3b_54ea_46c2,
        ),
        ("div.rp.f64", 64, &[(64, TINY), (64, BELOW)], 0x3cb0_0000_0000_0002),
        (
            "div.rm.f64",
            64,
            &[(64, LEAST), (64, 0x800f_ffff_ffff_ffff)],
            0xbff0_0000_0000_0002,
        ),
        ("sqrt.rz.f64", 64, &[(64, BELOW)], 0x1fff_ffff_ffff_fffe),
        ("sqrt.rm.f64", 64, &[(64, 0x0008_0000_0000_0001)], 0x1ff6_a09e_667f_3bcd),
        ("div.rp.ftz.f32", 32, &[(32, 0x0080_0000), (32, 0x3f80_0001)], 0),
    ]);
}

#[test]
fn approximations_give_up_where_the_hardware_does() {
    check(&[
        ("div.approx.f32", 32, &[(32, 0x3f80_0000), (32, 0x7f7f_ffff)], 0),
        (
            "div.approx.f32",
            32,
            &[(32, 0x7f80_0000), (32, 0x7f7f_ffff)],
            0x7fff_ffff,
        ),
        ("div.full.f32", 32, &[(32, 0x7f7f_ffff), (32, 0x7f7f_ffff)], 0x3f80_0000),
        ("rcp.approx.ftz.f64", 64, &[(64, 0x7fef_ffff_ffff_ffff)], 0),
        (
            "rcp.approx.ftz.f64",
            64,
            &[(64, 0x000f_ffff_ffff_ffff)],
            0x7ff0_0000_0000_0000,
        ),
        ("rcp.approx.ftz.f64", 64, &[(64, 0x7ff0_0000_0000_0001)], 0),
        ("rsqrt.approx.ftz.f64", 64, &[(64, 1)], 0x7ff0_0000_0000_0000),
        ("sin.approx.f32", 32, &[(32, 0x7f7f_ffff)], 0),
        ("cos.approx.f32", 32, &[(32, 0x7f7f_ffff)], 0x3f80_0000),
    ]);
}

#[test]
fn extrema_and_comparisons_flush_their_operands() {
    check(&[
        ("min.ftz.xorsign.abs.f32", 32, &[(32, 1), (32, 0x3f80_0000)], 0),
        (
            "min.ftz.xorsign.abs.f32",
            32,
            &[(32, 0x807f_ffff), (32, 0x3f80_0000)],
            0x8000_0000,
        ),
        ("max.ftz.NaN.xorsign.abs.f32", 32, &[(32, 0x007f_ffff), (32, 0)], 0),
        ("setp.eq.ftz.f16", 1, &[(16, 1), (16, 0)], 1),
        ("setp.eq.f16", 1, &[(16, 1), (16, 0)], 0),
        ("testp.normal.f32", 1, &[(32, 0x8000_0000)], 1),
        ("testp.normal.f64", 1, &[(64, 0)], 1),
        ("testp.normal.f64", 1, &[(64, 1)], 0),
    ]);
}

#[test]
fn bit_fields_beyond_the_range_saturate_in_64_bits_only() {
    check(&[
        (
            "bfe.u64",
            64,
            &[(64, 0x7fff_ffff_ffff_ffff), (32, 0x20), (32, 0x8000_0000)],
            0x7fff_ffff,
        ),
        ("bfe.s64", 64, &[(64, 2), (32, 0x8000_0000), (32, 0x20)], 0),
        ("bfe.u32", 32, &[(32, 0xff), (32, 0x100), (32, 0x104)], 0xf),
    ]);
}

#[test]
fn one_carry_flag_serves_sums_and_differences() {
    // The first operands feed `sub.cc`, whose result nobody wants: the sum then shows the flag.
    let text = entry(
        ".param .u64 out",
        "
        .reg .b32 %r<5>; .reg .b64 %out; ld.param.u64 %out, [out];
        mov.u32 %r0, 0;
        sub.cc.u32 %r1, %r0, %r0;
        addc.u32 %r1, %r0, %r0;
        sub.cc.u32 %r2, %r0, 1;
        addc.u32 %r2, %r0, %r0;
        add.cc.u32 %r3, -1, 1;
        subc.u32 %r3, %r0, %r0;
        add.cc.u32 %r4, %r0, %r0;
        subc.u32 %r4, %r0, %r0;
        st.global.v4.u32 [%out], {%r1, %r2, %r3, %r4};",
    );
    let mut out = [9u32; 4];
    let mut args = Args::default();
    args.array("out", &mut out);
    Run::new(&parse(&text), "k", 1, 1).go(&args).unwrap();
    assert_eq!(out, [1, 0, 0, u32::MAX]);
}

#[test]
fn float_sums_flush_in_global_memory_only() {
    let text = entry(
        ".param .u64 out",
        "
        .shared .b32 cell; .reg .b32 %s, %old; .reg .b64 %out; ld.param.u64 %out, [out];
        mov.b32 %s, 0x807fffff;
        st.shared.b32 [cell], %s;
        red.shared.add.f32 [cell], 0f00800000;
        red.global.add.f32 [%out], 0f00800000;
        red.add.f32 [%out+4], 0f00000000;
        ld.shared.b32 %old, [cell];
        st.global.b32 [%out+8], %old;",
    );
    let mut out = [0x807f_ffffu32, 1, 0];
    let mut args = Args::default();
    args.array("out", &mut out);
    Run::new(&parse(&text), "k", 1, 1).go(&args).unwrap();
    assert_eq!(out, [0x0080_0000, 0, 1]);
}

#[test]
fn values_from_outside_a_tensor_make_a_product_zero() {
    check(&[
        ("fma.rn.oob.f16", 16, &[(16, 0x7ff7), (16, 0x3c00), (16, 0x3c00)], 0),
        ("fma.rn.oob.bf16", 16, &[(16, 0x3f80), (16, 0xfff7), (16, 0x3f80)], 0),
        (
            "fma.rn.oob.f16",
            16,
            &[(16, 0x3c00), (16, 0x3c00), (16, 0x7ff7)],
            0x7fff,
        ),
        (
            "fma.rn.oob.f16x2",
            32,
            &[(32, 0x7ff7), (32, 0x3c00_3c00), (32, 0x3c00_3c00)],
            0x3c00_0000,
        ),
        (
            "fma.rn.oob.relu.bf16",
            16,
            &[(16, 0x7fff), (16, 0x3f80), (16, 0x3f80)],
            0x7fff,
        ),
    ]);
}

#[test]
fn vector_atomics_update_each_element() {
    let text = entry(
        ".param .u64 out",
        "
        .reg .b32 %r<4>; .reg .b64 %out; ld.param.u64 %out, [out];
        mov.b32 %r0, 0f40000000; mov.b32 %r1, 0f3f800000;
        atom.global.v2.f32.add {%r1, %r0}, [%out], {%r0, %r1};
        st.global.v2.b32 [%out+8], {%r1, %r0};
        mov.b32 %r2, 0x3c004000; mov.b32 %r3, 0xc0003c00;
        red.global.v2.f16x2.min.noftz [%out+16], {%r2, %r3};",
    );
    let mut out = [1f32.to_bits(), 3f32.to_bits(), 0, 0, 0x4000_3c00, 0x3c00_3c00];
    let mut args = Args::default();
    args.array("out", &mut out);
    Run::new(&parse(&text), "k", 1, 1).go(&args).unwrap();
    let expected = [3f32, 4.0, 1.0, 3.0].map(f32::to_bits);
    assert_eq!(out[..4], expected);
    assert_eq!(out[4..], [0x3c00_3c00, 0xc000_3c00]);
}
