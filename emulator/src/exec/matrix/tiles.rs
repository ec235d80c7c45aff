//! `ldmatrix`, `stmatrix`, `movmatrix` (ISA 9.7.14.5.15 to .17): 8x8 tiles of 16-bit elements, a row of 16 bytes from the
//! address of one lane.

use super::super::ctx::Ctx;
use super::super::inst::{Flow, Handler, Inst};
use super::super::lanes::wide;
use super::super::memory::{addresses, place, resolve, space};
use super::whole_warp;

/// Bit of `Inst::d`: `.trans`.
pub(crate) const TRANSPOSED: u32 = 1;

/// Host addresses of the rows of `count` tiles. Nobody looks at each access of an unjudged launch: one check is enough.
#[inline(always)]
fn rows(x: &mut Ctx<'_>, i: &Inst, mask: u32, count: usize, write: bool) -> Result<[usize; 32], Flow> {
    let mut rows = [0usize; 32];
    if x.cluster.judge.is_none() {
        let first = (1u64 << (8 * count)) as u32;
        let found = resolve(x, i, mask & first.wrapping_sub(1), 16, write)?;
        for (lane, row) in rows.iter_mut().enumerate().take(8 * count) {
            *row = found.at(x, lane, 16);
        }
        return Ok(rows);
    }
    let at = addresses(x, i, mask);
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

/// The handler of `ldmatrix`: `a` address, list `c` of destinations.
pub(crate) fn loader() -> Handler {
    #[cfg(target_arch = "x86_64")]
    if wide() {
        return load_v3;
    }
    load
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn load_v3(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    fetch(x, i, mask)
}

unsafe fn load(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    fetch(x, i, mask)
}

#[inline(always)]
fn fetch(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    if let Some(flow) = whole_warp(x, mask) {
        return flow;
    }
    let slots = &x.env.program.lists[i.c as usize];
    let rows = match rows(x, i, mask, slots.len(), false) {
        Ok(rows) => rows,
        Err(flow) => return flow,
    };
    for (slot, rows) in slots.iter().zip(rows.as_chunks::<8>().0) {
        // SAFETY: `rows` found the 16 bytes of each row.
        let tile = rows.map(|row| unsafe { (row as *const [u32; 4]).read_unaligned() });
        let out = if i.d & TRANSPOSED != 0 { turned(&tile) } else { tile };
        // A row's four words belong to four lanes side by side.
        let out: [u32; 32] = std::array::from_fn(|lane| out[lane / 4][lane % 4]);
        x.put(*slot, &out, mask);
    }
    Flow::Next
}

/// An 8x8 tile of 16-bit elements, transposed.
#[inline(always)]
fn turned(tile: &[[u32; 4]; 8]) -> [[u32; 4]; 8] {
    let element = |row: usize, column: usize| tile[row][column / 2] >> (16 * (column % 2)) & 0xffff;
    std::array::from_fn(|row| std::array::from_fn(|pair| element(2 * pair, row) | element(2 * pair + 1, row) << 16))
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
    let tile: [[u32; 4]; 8] =
        std::array::from_fn(|row| std::array::from_fn(|word| x.lanes::<u32>(i.a)[row * 4 + word]));
    let out = turned(&tile);
    let out: [u32; 32] = std::array::from_fn(|lane| out[lane / 4][lane % 4]);
    x.put(i.dst, &out, mask);
    Flow::Next
}
