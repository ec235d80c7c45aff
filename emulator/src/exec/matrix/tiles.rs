//! `ldmatrix`, `stmatrix`, `movmatrix` (ISA 9.7.14.5.15 to .17): 8x8 tiles of 16-bit elements, a row of 16 bytes from the
//! address of one lane.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Inst};
use super::super::memory::{addresses, place, space};
use super::whole_warp;

/// Bit of `Inst::d`: `.trans`.
pub(crate) const TRANSPOSED: u32 = 1;

/// Host addresses of the rows of `count` tiles.
fn rows(x: &mut Ctx<'_>, i: &Inst, mask: u32, count: usize, write: bool) -> Result<[usize; 32], Flow> {
    let at = addresses(x, i, mask);
    let mut rows = [0usize; 32];
    for lane in 0..8 * count {
        rows[lane] = place(x, i.extra & space::MASK, at[lane], 16, 16, write, lane as u32)?;
    }
    Ok(rows)
}

/// Row and column of element `half` of lane `lane` in a tile.
fn element(lane: usize, half: usize, transposed: bool) -> (usize, usize) {
    let (a, b) = (lane / 4, 2 * (lane % 4) + half);
    if transposed {
        (b, a)
    } else {
        (a, b)
    }
}

/// `a` address, list `c` of destinations.
pub(crate) unsafe fn load(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let slots = &x.env.program.lists[i.c as usize];
    let rows = match rows(x, i, mask, slots.len(), false) {
        Ok(rows) => rows,
        Err(flow) => return flow,
    };
    for (tile, slot) in slots.iter().enumerate() {
        let out: [u32; 32] = std::array::from_fn(|lane| {
            (0..2).fold(0, |all, half| {
                let (row, column) = element(lane, half, i.d & TRANSPOSED != 0);
                let at = rows[tile * 8 + row] + column * 2;
                // SAFETY: `place` found the 16 bytes of this row.
                let bits = unsafe { (at as *const u16).read() };
                all | u32::from(bits) << (16 * half)
            })
        });
        x.put(*slot, &out, mask);
    }
    Flow::Next
}

/// `a` address, list `c` of sources.
pub(crate) unsafe fn store(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let slots = &x.env.program.lists[i.c as usize];
    let rows = match rows(x, i, mask, slots.len(), true) {
        Ok(rows) => rows,
        Err(flow) => return flow,
    };
    for (tile, slot) in slots.iter().enumerate() {
        let values = x.lanes::<u32>(*slot);
        for lane in (0..32).filter(|l| mask >> l & 1 != 0) {
            for half in 0..2 {
                let (row, column) = element(lane, half, i.d & TRANSPOSED != 0);
                let at = rows[tile * 8 + row] + column * 2;
                // SAFETY: `place` found the 16 writable bytes of this row.
                unsafe { (at as *mut u16).write((values[lane] >> (16 * half)) as u16) };
            }
        }
    }
    x.touch();
    Flow::Next
}

/// `movmatrix`: the tile of the warp, transposed.
pub(crate) unsafe fn transpose(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let values = x.lanes::<u32>(i.a);
    let out: [u32; 32] = std::array::from_fn(|lane| {
        (0..2).fold(0, |all, half| {
            let (row, column) = element(lane, half, true);
            let bits = values[row * 4 + column / 2] >> (16 * (column % 2)) & 0xffff;
            all | bits << (16 * half)
        })
    });
    x.put(i.dst, &out, mask);
    Flow::Next
}
