//! `wmma` (ISA 9.7.14.4): fragments whose layout the ISA leaves to the device. Here element `e` of lane `l` is number
//! `l * count + e` of the matrix by rows, counted round where a fragment holds more elements than the matrix.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Inst};
use super::super::memory::{addresses, place, space};
use super::element::Element;
use super::product::{encode, narrow, Combine};
use super::whole_warp;

/// One `wmma.load` or `wmma.store`.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub rows: u32,
    pub columns: u32,
    pub element: Element,
    pub by_row: bool,
    pub slots: Vec<u32>,
    /// Slot of the stride in elements.
    pub stride: u32,
}

/// One `wmma.mma`.
#[derive(Clone, Debug)]
pub(crate) struct Wmma {
    pub shape: (u32, u32, u32),
    pub a: Element,
    pub b: Element,
    pub c: Element,
    pub d: Element,
    pub saturate: bool,
    pub combine: Combine,
    pub a_slots: Vec<u32>,
    pub b_slots: Vec<u32>,
    pub c_slots: Vec<u32>,
    pub d_slots: Vec<u32>,
}

/// Registers of a lane, as one string of bits read by element.
fn bits(x: &Ctx<'_>, slots: &[u32], t: Element, lane: usize, number: u32) -> u64 {
    let packed = t.per_register();
    let slot = slots[(number / packed) as usize];
    if t == Element::F64 {
        return x.lanes::<u64>(slot)[lane];
    }
    let size = t.bits();
    let mask = if size == 32 { u32::MAX } else { (1 << size) - 1 };
    u64::from(x.lanes::<u32>(slot)[lane] >> (number % packed * size) & mask)
}

/// Elements of one lane.
fn count(slots: &[u32], t: Element) -> u32 {
    slots.len() as u32 * t.per_register()
}

/// Bit offset of element (row, column) in memory, from the tile's address.
fn memory_bit(tile: &Tile, row: u32, column: u32, stride: u64) -> u64 {
    let (major, minor) = if tile.by_row { (row, column) } else { (column, row) };
    (u64::from(major) * stride + u64::from(minor)) * u64::from(tile.element.bits())
}

/// Base address and stride, the same in all lanes.
fn base(x: &Ctx<'_>, i: &Inst, mask: u32, tile: &Tile) -> (u64, u64) {
    let lane = mask.trailing_zeros() as usize & 31;
    (
        addresses(x, i, mask)[lane],
        u64::from(x.lanes::<u32>(tile.stride)[lane]),
    )
}

/// `a` address, `c` number of the tile.
pub(crate) unsafe fn load(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let tile = &x.env.program.tiles[i.c as usize];
    let (base, stride) = base(x, i, mask, tile);
    let (each, total) = (count(&tile.slots, tile.element), tile.rows * tile.columns);
    let packed = tile.element.per_register();
    for (register, slot) in tile.slots.iter().enumerate() {
        let mut out = [0u64; 32];
        for lane in 0..32u32 {
            for element in 0..packed {
                let number = (lane * each + register as u32 * packed + element) % total;
                let bit = memory_bit(tile, number / tile.columns, number % tile.columns, stride);
                match fetch(x, i, base, bit, tile.element, lane) {
                    Ok(value) => out[lane as usize] |= value << (element * tile.element.bits() % 64),
                    Err(flow) => return flow,
                }
            }
        }
        put(x, *slot, tile.element, &out, mask);
    }
    Flow::Next
}

fn put(x: &mut Ctx<'_>, slot: u32, t: Element, values: &[u64; 32], mask: u32) {
    if t == Element::F64 {
        x.put(slot, values, mask);
    } else {
        x.put(slot, &values.map(|v| v as u32), mask);
    }
}

fn fetch(x: &mut Ctx<'_>, i: &Inst, base: u64, bit: u64, t: Element, lane: u32) -> Result<u64, Flow> {
    let bytes = t.bits().div_ceil(8);
    let at = base.wrapping_add(bit / 8);
    let host = place(x, i.extra & space::MASK, at, bytes, bytes, false, lane)?;
    let mut value = [0u8; 8];
    // SAFETY: `place` found these bytes.
    unsafe { std::ptr::copy_nonoverlapping(host as *const u8, value.as_mut_ptr(), bytes as usize) };
    let value = u64::from_le_bytes(value) >> (bit % 8);
    Ok(if t.bits() < 8 {
        value & ((1 << t.bits()) - 1)
    } else {
        value
    })
}

/// `a` address, `c` number of the tile.
pub(crate) unsafe fn store(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let tile = &x.env.program.tiles[i.c as usize];
    let (base, stride) = base(x, i, mask, tile);
    let (each, total) = (count(&tile.slots, tile.element), tile.rows * tile.columns);
    let bytes = tile.element.bits() / 8;
    for lane in 0..32u32 {
        for number in 0..each.min(total) {
            let index = (lane * each + number) % total;
            let bit = memory_bit(tile, index / tile.columns, index % tile.columns, stride);
            let at = base.wrapping_add(bit / 8);
            let host = match place(x, i.extra & space::MASK, at, bytes, bytes, true, lane) {
                Ok(host) => host,
                Err(flow) => return flow,
            };
            let value = bits(x, &tile.slots, tile.element, lane as usize, number).to_le_bytes();
            // SAFETY: `place` found these writable bytes.
            unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), host as *mut u8, bytes as usize) };
        }
    }
    x.touch();
    Flow::Next
}

/// The matrix behind a fragment, by rows.
fn matrix<T: Copy + Default>(slots: &[u32], t: Element, total: u32, value: impl Fn(usize, u32) -> T) -> Vec<T> {
    let each = count(slots, t);
    let mut out = vec![T::default(); total as usize];
    for (index, place) in out.iter_mut().enumerate() {
        *place = value(index / each as usize, index as u32 % each);
    }
    out
}

/// `c` number of the product.
pub(crate) unsafe fn product(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let op = &x.env.program.fragments[i.c as usize];
    let out = match op.a {
        Element::F64 => doubles(x, op),
        _ if op.a.is_float() => floats(x, op),
        _ => integers(x, op),
    };
    let each = count(&op.d_slots, op.d);
    let packed = op.d.per_register();
    for (register, slot) in op.d_slots.iter().enumerate() {
        let values: [u64; 32] = std::array::from_fn(|lane| {
            (0..packed).fold(0, |all, element| {
                let index = lane as u32 * each + register as u32 * packed + element;
                all | out[index as usize % out.len()] << (element * op.d.bits() % 64)
            })
        });
        put(x, *slot, op.d, &values, mask);
    }
    Flow::Next
}

fn floats(x: &Ctx<'_>, op: &Wmma) -> Vec<u64> {
    let (m, n, k) = op.shape;
    let real = |slots: &[u32], t: Element, lane: usize, number: u32| t.real(bits(x, slots, t, lane, number) as u32, 0);
    let a = matrix(&op.a_slots, op.a, m * k, |l, e| real(&op.a_slots, op.a, l, e));
    let b = matrix(&op.b_slots, op.b, k * n, |l, e| real(&op.b_slots, op.b, l, e));
    let c = matrix(&op.c_slots, op.c, m * n, |l, e| real(&op.c_slots, op.c, l, e));
    let (n, k) = (n as usize, k as usize);
    let sums = c.iter().enumerate().map(|(at, c)| {
        let (row, column) = (at / n, at % n);
        (0..k).fold(*c, |sum, step| sum + a[row * k + step] * b[step * n + column])
    });
    sums.map(|sum| u64::from(encode(sum, op.d))).collect()
}

fn doubles(x: &Ctx<'_>, op: &Wmma) -> Vec<u64> {
    let (m, n, k) = op.shape;
    let real = |slots: &[u32], lane: usize, number: u32| f64::from_bits(bits(x, slots, Element::F64, lane, number));
    let a = matrix(&op.a_slots, op.a, m * k, |l, e| real(&op.a_slots, l, e));
    let b = matrix(&op.b_slots, op.b, k * n, |l, e| real(&op.b_slots, l, e));
    let c = matrix(&op.c_slots, op.c, m * n, |l, e| real(&op.c_slots, l, e));
    let (n, k) = (n as usize, k as usize);
    let sums = c.iter().enumerate().map(|(at, c)| {
        let (row, column) = (at / n, at % n);
        (0..k).fold(*c, |sum, step| a[row * k + step].mul_add(b[step * n + column], sum))
    });
    sums.map(f64::to_bits).collect()
}

fn integers(x: &Ctx<'_>, op: &Wmma) -> Vec<u64> {
    let (m, n, k) = op.shape;
    let integer =
        |slots: &[u32], t: Element, lane: usize, number: u32| t.integer(bits(x, slots, t, lane, number) as u32, 0);
    let a = matrix(&op.a_slots, op.a, m * k, |l, e| integer(&op.a_slots, op.a, l, e));
    let b = matrix(&op.b_slots, op.b, k * n, |l, e| integer(&op.b_slots, op.b, l, e));
    let c = matrix(&op.c_slots, op.c, m * n, |l, e| integer(&op.c_slots, op.c, l, e));
    let (n, k) = (n as usize, k as usize);
    let sums = c.iter().enumerate().map(|(at, c)| {
        let (row, column) = (at / n, at % n);
        (0..k).fold(i64::from(*c), |sum, step| {
            let (a, b) = (a[row * k + step], b[step * n + column]);
            sum + i64::from(match op.combine {
                Combine::Multiply => a * b,
                Combine::XorPopc => a ^ b,
                Combine::AndPopc => a & b,
            })
        })
    });
    sums.map(|sum| u64::from(narrow(sum, op.saturate))).collect()
}
