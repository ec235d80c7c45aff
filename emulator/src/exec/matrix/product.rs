//! `mma.sync` (ISA 9.7.14.5): fragments are spread out to matrices, multiplied, and gathered again.
//! Floats are accumulated in f32 (f64 in f64) in the order of k and rounded once to the type of d; the ISA leaves both open.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Handler, Inst, FULL};
use super::super::lanes::wide;
use super::element::Element;
use super::fragment::{place, place_quad, Part};
use super::whole_warp;
use crate::num::float::canonical;
use crate::num::half::f32_to_f16;

/// How products are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    Multiply,
    XorPopc,
    AndPopc,
}

/// One `mma` instruction.
#[derive(Clone, Debug)]
pub(crate) struct Mma {
    pub shape: (u32, u32, u32),
    pub a: Element,
    pub b: Element,
    pub c: Element,
    pub d: Element,
    /// Layouts of A and B, for `m8n8k4` of f16 only.
    pub by_row: (bool, bool),
    pub saturate: bool,
    pub combine: Combine,
    pub a_slots: Vec<u32>,
    pub b_slots: Vec<u32>,
    pub c_slots: Vec<u32>,
    pub d_slots: Vec<u32>,
}

/// Most elements of A or B: 16 times 256 bits.
const MOST: usize = 16 * 256;

/// The handler of an `mma`; `extra` is its index in the program's list.
pub(crate) fn handler(mma: &Mma) -> Handler {
    #[cfg(target_arch = "x86_64")]
    if wide() {
        return match mma.a {
            Element::F64 => run_double_v3,
            Element::F16 if is_quad(mma) => run_quad,
            _ if mma.a.is_float() => run_float_v3,
            _ => run_integer,
        };
    }
    match mma.a {
        Element::F64 => run_double,
        Element::F16 if is_quad(mma) => run_quad,
        _ if mma.a.is_float() => run_float,
        _ => run_integer,
    }
}

pub(crate) fn is_quad(mma: &Mma) -> bool {
    mma.a == Element::F16 && mma.shape == (8, 8, 4)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn run_float_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    float(x, i, mask)
}

unsafe fn run_float(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    float(x, i, mask)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn run_double_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    double(x, i, mask)
}

unsafe fn run_double(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    double(x, i, mask)
}

/// Calls `each` with the place and the register bits of every element of a fragment.
#[inline(always)]
fn elements(x: &Ctx<'_>, mma: &Mma, part: Part, slots: &[u32], t: Element, mut each: impl FnMut(u32, u32, u32, u32)) {
    let packed = t.per_register();
    for (register, slot) in slots.iter().enumerate() {
        let values = x.lanes::<u32>(*slot);
        for lane in 0..32u32 {
            for element in 0..packed {
                let (row, column) = place(part, mma.shape.0, packed, lane, register as u32, element);
                each(row, column, values[lane as usize], element);
            }
        }
    }
}

#[inline(always)]
fn float(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let (mut a, mut b, mut c) = ([0f32; 16 * 32], [0f32; 32 * 8], [0f32; 16 * 8]);
    let k = mma.shape.2 as usize;
    elements(x, mma, Part::A, &mma.a_slots, mma.a, |row, column, bits, n| {
        a[row as usize * k + column as usize] = mma.a.real(bits, n);
    });
    elements(x, mma, Part::B, &mma.b_slots, mma.b, |row, column, bits, n| {
        b[row as usize * 8 + column as usize] = mma.b.real(bits, n);
    });
    elements(x, mma, Part::C, &mma.c_slots, mma.c, |row, column, bits, n| {
        c[row as usize * 8 + column as usize] = mma.c.real(bits, n);
    });
    for row in 0..mma.shape.0 as usize {
        let mut sum = [0f32; 8];
        sum.copy_from_slice(&c[row * 8..row * 8 + 8]);
        for step in 0..k {
            let factor = a[row * k + step];
            for column in 0..8 {
                sum[column] += factor * b[step * 8 + column];
            }
        }
        c[row * 8..row * 8 + 8].copy_from_slice(&sum);
    }
    store_float(x, mma, &c, mask);
    Flow::Next
}

fn store_float(x: &mut Ctx<'_>, mma: &Mma, c: &[f32], mask: u32) {
    let packed = mma.d.per_register();
    for (register, slot) in mma.d_slots.iter().enumerate() {
        let mut out = [0u32; 32];
        for lane in 0..32u32 {
            for element in 0..packed {
                let (row, column) = place(Part::C, mma.shape.0, packed, lane, register as u32, element);
                let value = c[row as usize * 8 + column as usize];
                out[lane as usize] |= encode(value, mma.d) << (16 * element);
            }
        }
        x.put(*slot, &out, mask);
    }
}

#[inline(always)]
pub(crate) fn encode(value: f32, t: Element) -> u32 {
    if t == Element::F16 {
        u32::from(f32_to_f16(value))
    } else {
        canonical(value).to_bits()
    }
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

unsafe fn run_integer(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let mma = &x.env.program.products[i.extra as usize];
    let (mut a, mut b, mut c) = ([0i32; MOST], [0i32; MOST / 2], [0i64; 16 * 8]);
    let (m, _, k) = mma.shape;
    let k = k as usize;
    elements(x, mma, Part::A, &mma.a_slots, mma.a, |row, column, bits, n| {
        a[row as usize * k + column as usize] = mma.a.integer(bits, n);
    });
    elements(x, mma, Part::B, &mma.b_slots, mma.b, |row, column, bits, n| {
        b[column as usize * k + row as usize] = mma.b.integer(bits, n);
    });
    elements(x, mma, Part::C, &mma.c_slots, mma.c, |row, column, bits, n| {
        c[row as usize * 8 + column as usize] = i64::from(mma.c.integer(bits, n));
    });
    for row in 0..m as usize {
        for column in 0..8 {
            let pairs = a[row * k..row * k + k].iter().zip(&b[column * k..column * k + k]);
            // At most 256 products of 8 bits: they fit.
            let sum: i32 = match mma.combine {
                Combine::Multiply => pairs.map(|(a, b)| a * b).sum(),
                Combine::XorPopc => pairs.map(|(a, b)| a ^ b).sum(),
                Combine::AndPopc => pairs.map(|(a, b)| a & b).sum(),
            };
            c[row * 8 + column] += i64::from(sum);
        }
    }
    for (register, slot) in mma.d_slots.iter().enumerate() {
        let out: [u32; 32] = std::array::from_fn(|lane| {
            let (row, column) = place(Part::C, m, 1, lane as u32, register as u32, 0);
            narrow(c[row as usize * 8 + column as usize], mma.saturate)
        });
        x.put(*slot, &out, mask);
    }
    Flow::Next
}

/// A sum as s32: clamped with `.satfinite`, else wrapped.
pub(crate) fn narrow(sum: i64, saturate: bool) -> u32 {
    if saturate {
        sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u32
    } else {
        sum as u32
    }
}

/// `mma.m8n8k4` of f16: four products, one for each eight lanes.
unsafe fn run_quad(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
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
