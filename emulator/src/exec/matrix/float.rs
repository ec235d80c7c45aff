//! `mma` and `mma.sp` of floats but f64: products are exact in f32 (but for bf16 and tf32 near the least exponent), sums
//! are f32 in the order of k, eight columns at a time. Multiplication and addition stay apart: every CPU gives the same.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Handler, Inst};
use super::element::Element;
use super::product::{encode, Mma};
use super::sparse::{columns, expand};
use super::spread::{accumulators, gather, reals, registers, transpose, COLUMNS, ROWS};
use super::whole_warp;

/// The handler for depth `k`.
pub(crate) fn handler(k: u32, wide: bool) -> Handler {
    match k {
        4 => versions::<4>(wide),
        8 => versions::<8>(wide),
        16 => versions::<16>(wide),
        32 => versions::<32>(wide),
        _ => versions::<64>(wide),
    }
}

fn versions<const K: usize>(wide: bool) -> Handler {
    #[cfg(target_arch = "x86_64")]
    if wide {
        return run_v3::<K>;
    }
    let _ = wide;
    run::<K>
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn run_v3<const K: usize>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    float::<K, true>(x, i, mask)
}

unsafe fn run<const K: usize>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    float::<K, false>(x, i, mask)
}

#[inline(always)]
fn float<const K: usize, const WIDE: bool>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let mut a = [[0f32; K]; ROWS];
    left::<K, WIDE>(x, mma, &mut a);
    let mut b = [[0f32; K]; COLUMNS];
    let width = 4 * mma.b.per_register() as usize;
    registers(x, &mma.b_slots, 1, width, K, |register, at| {
        reals::<WIDE>(mma.b, register, &mut b.as_flattened_mut()[at..], K);
    });
    let b = transpose::<K, WIDE>(&b);
    let mut c = [[0f32; COLUMNS]; ROWS];
    if mma.c == Element::F16 {
        registers(x, &mma.c_slots, 2, 0, COLUMNS, |register, at| {
            reals::<WIDE>(mma.c, register, &mut c.as_flattened_mut()[at..], COLUMNS);
        });
    } else {
        accumulators(x, &mma.c_slots, &mut c, f32::from_bits);
    }
    multiply(&a, &b, &mut c);
    store(x, mma, &c, mask);
    Flow::Next
}

/// A, dense; `a` is zero.
#[inline(always)]
fn left<const K: usize, const WIDE: bool>(x: &Ctx<'_>, mma: &Mma, a: &mut [[f32; K]; ROWS]) {
    let stride = if mma.sparsity.is_some() { K / 2 } else { K };
    let flat = a.as_flattened_mut();
    let width = 4 * mma.a.per_register() as usize;
    registers(x, &mma.a_slots, 2, width, stride, |register, at| {
        reals::<WIDE>(mma.a, register, &mut flat[at..], stride);
    });
    if let Some(sparsity) = mma.sparsity {
        let metadata = x.lanes::<u32>(sparsity.metadata);
        *a = expand(flat, &columns(mma.a, K as u32, sparsity.selector, metadata));
    }
}

/// c += a b, four rows at a time: enough sums in flight, few enough for the vector registers.
#[inline(always)]
fn multiply<const K: usize>(a: &[[f32; K]; ROWS], b: &[[f32; COLUMNS]; K], c: &mut [[f32; COLUMNS]; ROWS]) {
    for (a, c) in a.as_chunks::<4>().0.iter().zip(c.as_chunks_mut::<4>().0) {
        let mut sums = *c;
        for step in 0..K {
            for row in 0..4 {
                for column in 0..COLUMNS {
                    sums[row][column] += a[row][step] * b[step][column];
                }
            }
        }
        *c = sums;
    }
}

#[inline(always)]
fn store(x: &mut Ctx<'_>, mma: &Mma, c: &[[f32; COLUMNS]; ROWS], mask: u32) {
    if mma.d != Element::F16 {
        return gather(x, &mma.d_slots, c, mask, |value| encode(value, Element::F32));
    }
    for (slot, block) in mma.d_slots.iter().zip(c.as_flattened().as_chunks::<64>().0) {
        let half = |at: usize| encode(block[at], Element::F16);
        let out: [u32; 32] = std::array::from_fn(|lane| half(2 * lane) | half(2 * lane + 1) << 16);
        x.put(*slot, &out, mask);
    }
}
