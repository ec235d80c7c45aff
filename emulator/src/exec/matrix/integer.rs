//! `mma` and `mma.sp` of integers: 8 and 4 bits as products of 16-bit numbers, single bits by counting words.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Handler, Inst};
use super::element::Element;
use super::product::{narrow, Combine, Mma};
use super::sparse::{columns, expand};
use super::spread::{accumulators, gather, integers, registers, words, COLUMNS, ROWS};
use super::whole_warp;

/// The handler for `mma`.
pub(crate) fn handler(mma: &Mma, wide: bool) -> Handler {
    match (mma.a, mma.shape.2) {
        (Element::B1, _) => bits_handler(wide),
        (_, 16) => versions::<16>(wide),
        (_, 32) => versions::<32>(wide),
        (_, 64) => versions::<64>(wide),
        _ => versions::<128>(wide),
    }
}

fn bits_handler(wide: bool) -> Handler {
    #[cfg(target_arch = "x86_64")]
    if wide {
        return run_bits_v3;
    }
    let _ = wide;
    run_bits
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
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn run_v3<const K: usize>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    integer::<K>(x, i, mask)
}

unsafe fn run<const K: usize>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    integer::<K>(x, i, mask)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
unsafe fn run_bits_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    bits(x, i, mask)
}

unsafe fn run_bits(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    bits(x, i, mask)
}

#[inline(always)]
fn integer<const K: usize>(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let a = left::<K>(x, mma);
    let mut b = [[0i16; K]; COLUMNS];
    let width = 4 * mma.b.per_register() as usize;
    registers(x, &mma.b_slots, 1, width, K, |register, at| {
        integers(mma.b, register, &mut b.as_flattened_mut()[at..], K);
    });
    // At most 128 products of 8 bits: they fit.
    let dot = |row: usize, column: usize| -> i32 {
        let pairs = a[row].iter().zip(&b[column]);
        pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    finish(x, mma, mask, dot)
}

/// A, dense.
#[inline(always)]
fn left<const K: usize>(x: &Ctx<'_>, mma: &Mma) -> [[i16; K]; ROWS] {
    let mut a = [[0i16; K]; ROWS];
    let stride = if mma.sparsity.is_some() { K / 2 } else { K };
    let flat = a.as_flattened_mut();
    let width = 4 * mma.a.per_register() as usize;
    registers(
        x,
        &mma.a_slots,
        mma.shape.0 as usize / 8,
        width,
        stride,
        |register, at| {
            integers(mma.a, register, &mut flat[at..], stride);
        },
    );
    match mma.sparsity {
        Some(sparsity) => {
            let metadata = x.lanes::<u32>(sparsity.metadata);
            expand(flat, &columns(mma.a, K as u32, sparsity.selector, metadata))
        }
        None => a,
    }
}

/// Rows of 128 or 256 bits.
#[inline(always)]
fn bits(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let (mut a, mut b) = ([[0u32; 8]; ROWS], [[0u32; 8]; COLUMNS]);
    registers(x, &mma.a_slots, mma.shape.0 as usize / 8, 4, 8, |register, at| {
        words(register, &mut a.as_flattened_mut()[at..], 8);
    });
    registers(x, &mma.b_slots, 1, 4, 8, |register, at| {
        words(register, &mut b.as_flattened_mut()[at..], 8);
    });
    let both = |a: u32, b: u32| if mma.combine == Combine::XorPopc { a ^ b } else { a & b };
    let dot = |row: usize, column: usize| -> i32 {
        let pairs = a[row].iter().zip(&b[column]);
        pairs.map(|(a, b)| both(*a, *b).count_ones() as i32).sum()
    };
    finish(x, mma, mask, dot)
}

/// d = c + the sums, narrowed.
#[inline(always)]
fn finish(x: &mut Ctx<'_>, mma: &Mma, mask: u32, dot: impl Fn(usize, usize) -> i32) -> Flow {
    let mut c = [[0i64; COLUMNS]; ROWS];
    accumulators(x, &mma.c_slots, &mut c, |bits| i64::from(bits as i32));
    for (row, sums) in c.iter_mut().enumerate().take(mma.shape.0 as usize) {
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += i64::from(dot(row, column));
        }
    }
    gather(x, &mma.d_slots, &c, mask, |sum| narrow(sum, mma.saturate));
    Flow::Next
}
