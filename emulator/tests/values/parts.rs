//! Instructions on the parts of a register: video instructions on bytes and halves, packed comparisons and conversions.

use super::check;
use super::common::{entry, parse, Args, Run};

#[test]
fn video_instructions_work_on_parts_and_saturate_as_the_hardware_does() {
    check(&[
        ("vadd.u32.u32.s32.sat", 32, &[(32, 0x1f), (32, 0x8000_0000)], 0),
        // Above 32 bits a sum wraps in spite of `.sat`; a shift does not.
        ("vadd.u32.u32.u32.sat", 32, &[(32, 0xffff_ffff), (32, 1)], 0),
        (
            "vshl.u32.u32.u32.sat.clamp",
            32,
            &[(32, 0x8000_0000), (32, 1)],
            0xffff_ffff,
        ),
        (
            "vshl.s32.s32.u32.sat.clamp",
            32,
            &[(32, 0x1f), (32, 0x8000_0000)],
            0x8000_0000,
        ),
        ("vset.u32.s32.lt", 32, &[(32, 0x1f), (32, 0x8000_0000)], 0),
        (
            "vadd.s32.u32.s32.min",
            32,
            &[(32, 0x5555_5555), (32, 0x7fff_ffff), (32, 2)],
            0xd555_5554,
        ),
        (
            "vmax.s32.u32.s32.min",
            32,
            &[(32, 0x8000_0000), (32, 0x5555_5555), (32, 1)],
            1,
        ),
        (
            "vsub.u32.u32.u32.sat.min",
            32,
            &[(32, 0xffff_ffff), (32, 0x20), (32, 0xffff_ffff)],
            0xffff_ffff,
        ),
        (
            "vmad.u32.u32.u32.po",
            32,
            &[(32, 0x5555_5555), (32, 0x20), (32, 0x20)],
            0xaaaa_aac1,
        ),
        (
            "vmad.u32.u32.u32.sat",
            32,
            &[(32, 0x20), (32, 0xffff_ffff), (32, 0xffff_ffff)],
            0,
        ),
        (
            "vmad.u32.u32.u32.shr7",
            32,
            &[(32, 0x20), (32, 0x5555_5555), (32, 0xffff_ffff)],
            0x1555_5555,
        ),
        (
            "vmad.u32.u32.u32.sat.shr15",
            32,
            &[(32, 0x20), (32, 0xffff_ffff), (32, 0xffff_ffff)],
            0xffff_ffff,
        ),
    ]);
    let parts = |text: &str, a: u32, b: u32, c: u32| {
        let body = format!(
            ".reg .b32 %d, %a, %b, %c; .reg .b64 %out; ld.param.u64 %out, [out];
            mov.b32 %a, {a}; mov.b32 %b, {b}; mov.b32 %c, {c}; {text}; st.global.b32 [%out], %d;"
        );
        let mut out = [0u32];
        let mut args = Args::default();
        args.array("out", &mut out);
        Run::new(&parse(&entry(".param .u64 out", &body)), "k", 1, 1)
            .go(&args)
            .unwrap();
        out[0]
    };
    assert_eq!(
        parts("vadd.s32.s32.u32.sat %d, %a.b0, %b.b3", 0x1f, 0x8000_0000, 0),
        0x9f
    );
    assert_eq!(
        parts("vabsdiff.s32.s32.u32.sat %d, %a.h1, %b.b2", 0x8000_0001, 0x7fff_ffff, 0),
        0x80ff
    );
    let merged = parts("vadd.u32.u32.u32.sat %d.h1, %a, %b, %c", 0x5555_5555, 0x20, 0x20);
    assert_eq!(merged, 0x20);
}

#[test]
fn video_instructions_work_on_all_bytes_or_halves() {
    check(&[
        (
            "vadd4.u32.u32.u32.sat",
            32,
            &[(32, 0x5480_0080), (32, 0x8001_0b00), (32, 0xe700_5f01)],
            0xd481_0b80,
        ),
        (
            "vadd2.s32.s32.s32.sat",
            32,
            &[(32, 0xb700_805e), (32, 0x4c80_01c6), (32, 0xaed1_0000)],
            0x0380_8224,
        ),
        (
            "vsub4.s32.u32.s32.add",
            32,
            &[(32, 0x4b01_0012), (32, 0xc00d_7904), (32, 0x808b_7fca)],
            0x808b_7fde,
        ),
        (
            "vavrg4.s32.s32.s32",
            32,
            &[(32, 0x7f80_7fc4), (32, 0x7fff_8001), (32, 0xe57f_59ff)],
            0x7fbf_ffe2,
        ),
        (
            "vavrg2.u32.u32.u32",
            32,
            &[(32, 0xec80_6480), (32, 0x01a2_0000), (32, 0x7ffb_ff06)],
            0x7711_3240,
        ),
        (
            "vabsdiff4.u32.u32.u32.add",
            32,
            &[(32, 0x0100_c780), (32, 0xff7f_80fa), (32, 0x8010_4001)],
            0x8010_423f,
        ),
        (
            "vmin2.u32.u32.s32",
            32,
            &[(32, 0x05ae_9687), (32, 0x7f01_77f1), (32, 0xff01_007f)],
            0x05ae_77f1,
        ),
        (
            "vmax4.s32.s32.s32.sat",
            32,
            &[(32, 0xb601_7f7f), (32, 0xff17_db67), (32, 0x00a7_809c)],
            0xff17_7f7f,
        ),
        (
            "vset4.u32.u32.lt",
            32,
            &[(32, 0xe680_d17f), (32, 0x3fa5_0200), (32, 0x4754_1580)],
            0x0001_0000,
        ),
        (
            "vset2.u32.s32.ge.add",
            32,
            &[(32, 0x010e_8a01), (32, 0x7f83_7fb9), (32, 0x1101_38d2)],
            0x1101_38d3,
        ),
    ]);
}

#[test]
fn packed_comparisons_look_at_both_halves() {
    check(&[
        (
            "set.lt.bf16x2.bf16x2",
            32,
            &[(32, 0xbef4_807f), (32, 0xc006_8000)],
            0x3f80,
        ),
        ("set.lt.f16.f16", 16, &[(16, 0xbc00), (16, 0x3c00)], 0x3c00),
        ("set.ne.f16.f32", 16, &[(32, 0x7f80_0001), (32, 0x7f80_0000)], 0),
        ("set.nan.u16.bf16", 16, &[(16, 0x7fc0), (16, 0)], 0xffff),
        ("set.ne.and.bf16.u64", 16, &[(64, 1), (64, 2), (1, 0)], 0),
        ("max.NaN.xorsign.abs.bf16", 16, &[(16, 0x7f81), (16, 0x7f80)], 0x7fff),
        ("max.xorsign.abs.bf16", 16, &[(16, 0x807f), (16, 0x8000)], 0x7f),
        (
            "min.xorsign.abs.f16x2",
            32,
            &[(32, 0xbc00_4000), (32, 0x4000_bc00)],
            0xbc00_bc00,
        ),
    ]);
    let text = entry(
        ".param .u64 out",
        "
        .reg .b32 %r<4>; .reg .pred %p<4>; .reg .b64 %out; ld.param.u64 %out, [out];
        mov.b32 %r0, 0xfb3c83ff; mov.b32 %r1, 0xec7c8000;
        setp.ltu.ftz.f16x2 %p0|%p1, %r0, %r1;
        setp.ne.u32 %p2, %r0, %r0;
        lop3.or.b32 %r3|%p3, %r0, %r1, 0, 0x96, %p2;
        selp.u32 %r0, 1, 0, %p0; selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 1, 0, %p3;
        st.global.v4.u32 [%out], {%r0, %r1, %r2, %r3};",
    );
    let mut out = [9u32; 4];
    let mut args = Args::default();
    args.array("out", &mut out);
    Run::new(&parse(&text), "k", 1, 1).go(&args).unwrap();
    assert_eq!(out, [0, 1, 1, 0xfb3c_83ff ^ 0xec7c_8000]);
}

#[test]
fn packed_conversions_round_once_and_saturate() {
    check(&[
        (
            "cvt.rn.relu.satfinite.f16x2.f32",
            32,
            &[(32, 0x7f80_0000), (32, 0xbf80_0000)],
            0x7bff_0000,
        ),
        (
            "cvt.rz.satfinite.bf16x2.f32",
            32,
            &[(32, 0x7f7f_ffff), (32, 0xff80_0000)],
            0x7f7f_ff7f,
        ),
        (
            "cvt.rn.satfinite.e4m3x2.f32",
            16,
            &[(32, 0x7f7f_ffff), (32, 0xffc0_0000)],
            0x7e7f,
        ),
        (
            "cvt.rn.satfinite.relu.e4m3x2.f32",
            16,
            &[(32, 0x3f80_0000), (32, 0xbf80_0000)],
            0x3800,
        ),
        ("cvt.rn.satfinite.e5m2x2.f16x2", 16, &[(32, 0x7c00_3c80)], 0x7b3c),
        ("cvt.rn.f16x2.e5m2x2", 32, &[(16, 0xc37d)], 0xc300_7fff),
        ("cvt.rn.relu.f16x2.e4m3x2", 32, &[(16, 0x9107)], 0x2300),
        ("cvt.rn.relu.tf32.f32", 32, &[(32, 0xffc0_0005)], 0x7fff_e000),
        ("cvt.rna.satfinite.tf32.f32", 32, &[(32, 0x7fc0_0005)], 0x7fbf_e000),
        (
            "cvt.pack.sat.s2.s32.b32",
            32,
            &[(32, 0x8000_0000), (32, 0xffff_ffff), (32, 1)],
            0x1b,
        ),
    ]);
}
