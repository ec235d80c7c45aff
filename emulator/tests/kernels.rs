//! Whole small kernels: vector add, shuffled reduction, divergence, atomics, calls, tables.

#![allow(missing_docs)]
mod common;
use common::{entry, parse, Args, Run};

const VECTOR_ADD: &str = "
    .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<11>; .reg .f32 %f<4>;
    ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; ld.param.u32 %r2, [n];
    mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x;
    mad.lo.s32 %r1, %r3, %r4, %r5;
    setp.ge.s32 %p1, %r1, %r2;
    @%p1 bra $L__BB0_2;
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
$L__BB0_2:
    ret;";

#[test]
fn vector_add_with_a_tail_gives_the_sum() {
    let module = parse(&entry(
        ".param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n",
        VECTOR_ADD,
    ));
    let n = 10_007u32;
    let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let b: Vec<f32> = (0..n).map(|i| 0.5 * i as f32).collect();
    let mut c = vec![0f32; n as usize];
    let mut args = Args::default();
    args.input("a", &a);
    args.input("b", &b);
    args.array("c", &mut c);
    args.push(n.to_le_bytes());
    Run::new(&module, "k", n.div_ceil(256), 256).go(&args).unwrap();
    for i in 0..n as usize {
        assert_eq!(c[i], a[i] + b[i], "element {i}");
    }
}

const REDUCE: &str = "
    .reg .pred %p<5>; .reg .b32 %r<40>; .reg .b64 %rd<8>; .reg .f32 %f<20>;
    .shared .align 4 .b8 partial[128];
    ld.param.u64 %rd1, [x]; ld.param.u64 %rd2, [out]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x;
    mov.f32 %f1, 0f00000000; mov.u32 %r4, %r2;
LOOP:
    setp.ge.u32 %p1, %r4, %r1;
    @%p1 bra DONE;
    mul.wide.u32 %rd3, %r4, 4; add.s64 %rd4, %rd1, %rd3;
    ld.global.f32 %f2, [%rd4]; add.f32 %f1, %f1, %f2;
    add.u32 %r4, %r4, %r3;
    bra.uni LOOP;
DONE:
    mov.b32 %r5, %f1; shfl.sync.bfly.b32 %r6|%p2, %r5, 16, 31, -1; mov.b32 %f3, %r6; add.f32 %f1, %f1, %f3;
    mov.b32 %r5, %f1; shfl.sync.bfly.b32 %r6|%p2, %r5, 8, 31, -1; mov.b32 %f3, %r6; add.f32 %f1, %f1, %f3;
    mov.b32 %r5, %f1; shfl.sync.bfly.b32 %r6|%p2, %r5, 4, 31, -1; mov.b32 %f3, %r6; add.f32 %f1, %f1, %f3;
    mov.b32 %r5, %f1; shfl.sync.bfly.b32 %r6|%p2, %r5, 2, 31, -1; mov.b32 %f3, %r6; add.f32 %f1, %f1, %f3;
    mov.b32 %r5, %f1; shfl.sync.bfly.b32 %r6|%p2, %r5, 1, 31, -1; mov.b32 %f3, %r6; add.f32 %f1, %f1, %f3;
    and.b32 %r7, %r2, 31; setp.ne.s32 %p3, %r7, 0;
    @%p3 bra SKIP;
    shr.u32 %r8, %r2, 3; and.b32 %r8, %r8, 124; mov.u32 %r9, partial; add.s32 %r10, %r9, %r8;
    st.shared.f32 [%r10], %f1;
SKIP:
    bar.sync 0;
    setp.ne.s32 %p4, %r2, 0;
    @%p4 bra END;
    mov.f32 %f4, 0f00000000; mov.u32 %r11, 0; shr.u32 %r12, %r3, 5;
SUM:
    shl.b32 %r13, %r11, 2; add.s32 %r14, %r9, %r13; mov.u32 %r15, partial; add.s32 %r14, %r15, %r13;
    ld.shared.f32 %f5, [%r14]; add.f32 %f4, %f4, %f5;
    add.s32 %r11, %r11, 1; setp.lt.u32 %p1, %r11, %r12; @%p1 bra SUM;
    atom.global.add.f32 %f6, [%rd2], %f4;
END:
    ret;";

#[test]
fn shared_memory_reduction_with_shuffles_gives_the_sum() {
    let module = parse(&entry(".param .u64 x, .param .u64 out, .param .u32 n", REDUCE));
    assert_eq!(module.entry("k").unwrap().static_shared_bytes, 128);
    let x: Vec<f32> = (0..1000).map(|i| (i % 17) as f32).collect();
    let mut out = [0f32];
    let mut args = Args::default();
    args.input("x", &x);
    args.array("out", &mut out);
    args.push(1000u32.to_le_bytes());
    Run::new(&module, "k", 3, 256).go(&args).unwrap();
    assert_eq!(out[0], 3.0 * x.iter().sum::<f32>());
}
