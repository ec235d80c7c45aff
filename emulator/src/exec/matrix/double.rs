//! `mma` of f64: each sum is a chain of fused multiply-adds in the order of k.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Inst};
use super::fragment::{place, Part};
use super::whole_warp;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
pub(crate) unsafe fn run_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    double(x, i, mask)
}

pub(crate) unsafe fn run(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    double(x, i, mask)
}

#[inline(always)]
fn double(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let (mut a, mut b, mut c) = ([0f64; 16 * 16], [0f64; 16 * 8], [0f64; 16 * 8]);
    let (m, _, k) = mma.shape;
    for (part, slots) in [
        (Part::A, &mma.a_slots),
        (Part::B, &mma.b_slots),
        (Part::C, &mma.c_slots),
    ] {
        for (register, slot) in slots.iter().enumerate() {
            let values = x.lanes::<f64>(*slot);
            for lane in 0..32u32 {
                let (row, column) = place(part, m, 1, lane, register as u32, 0);
                let (row, column) = (row as usize, column as usize);
                match part {
                    Part::A => a[row * k as usize + column] = values[lane as usize],
                    Part::B => b[row * 8 + column] = values[lane as usize],
                    Part::C => c[row * 8 + column] = values[lane as usize],
                }
            }
        }
    }
    for row in 0..m as usize {
        for column in 0..8 {
            let mut sum = c[row * 8 + column];
            for step in 0..k as usize {
                sum = a[row * k as usize + step].mul_add(b[step * 8 + column], sum);
            }
            c[row * 8 + column] = sum;
        }
    }
    for (register, slot) in mma.d_slots.iter().enumerate() {
        let out: [f64; 32] = std::array::from_fn(|lane| {
            let (row, column) = place(Part::C, m, 1, lane as u32, register as u32, 0);
            c[row as usize * 8 + column as usize]
        });
        x.put(*slot, &out, mask);
    }
    Flow::Next
}
