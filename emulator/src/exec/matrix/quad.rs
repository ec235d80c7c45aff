//! `mma.m8n8k4` of f16: four products of 8x8, one for each eight lanes.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Inst, FULL};
use super::element::Element;
use super::fragment::{place_quad, Part};
use super::product::encode;
use super::whole_warp;

pub(crate) unsafe fn run(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let (mut a, mut b, mut c) = ([[0f32; 32]; 4], [[0f32; 32]; 4], [[0f32; 64]; 4]);
    for lane in 0..32u32 {
        let quad = (lane >> 2 & 3) as usize;
        for number in 0..4 {
            let value = |slots: &[u32]| {
                let bits = x.lanes::<u32>(slots[(number / 2) as usize])[lane as usize];
                Element::F16.real(bits, number % 2)
            };
            let (row, column) = place_quad(Part::A, mma.by_row.0, false, lane, number);
            a[quad][(row * 4 + column) as usize] = value(&mma.a_slots);
            let (row, column) = place_quad(Part::B, mma.by_row.1, false, lane, number);
            b[quad][(row * 8 + column) as usize] = value(&mma.b_slots);
        }
        let packed = mma.c.per_register();
        for number in 0..8 {
            let (row, column) = place_quad(Part::C, true, mma.c == Element::F32, lane, number);
            let bits = x.lanes::<u32>(mma.c_slots[(number / packed) as usize])[lane as usize];
            c[quad][(row * 8 + column) as usize] = mma.c.real(bits, number % packed);
        }
    }
    for quad in 0..4 {
        for (place, sum) in c[quad].iter_mut().enumerate() {
            for step in 0..4 {
                *sum += a[quad][place / 8 * 4 + step] * b[quad][step * 8 + place % 8];
            }
        }
    }
    let packed = mma.d.per_register();
    for (register, slot) in mma.d_slots.iter().enumerate() {
        let out: [u32; 32] = std::array::from_fn(|lane| {
            let quad = lane >> 2 & 3;
            (0..packed).fold(0, |all, element| {
                let number = register as u32 * packed + element;
                let (row, column) = place_quad(Part::C, true, mma.d == Element::F32, lane as u32, number);
                all | encode(c[quad][(row * 8 + column) as usize], mma.d) << (16 * element)
            })
        });
        x.put(*slot, &out, FULL & mask);
    }
    Flow::Next
}
