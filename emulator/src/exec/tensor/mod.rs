//! `cp.async.bulk.tensor`, `cp.reduce.async.bulk.tensor` and their prefetch (ISA 9.7.9.27), `.tile` mode: operands and checks
//! of one copy. Tensor maps are read in `map` and changed in `replace`; `walk` moves a box. Copies fly with those of `copies`.

pub(crate) mod map;
pub(crate) mod replace;
pub(crate) mod walk;

use super::copies::{known_barrier, operand, submit, way, BulkCopy, Signal};
use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use super::mbarrier::Arrival;
use super::memory::{place, space, RANK_SHIFT};
use super::place::extent;
use super::reduce::{Combine, REDUCTIONS};
use crate::ptx::types::Ty;
use crate::tensor_map::{MapElement, TensorMap};
use walk::TensorBox;

/// Operations of `cp.reduce.async.bulk.tensor`; `Inst::dst` is a number from here plus one, 0 for a copy.
pub(crate) const OPERATIONS: [&str; 8] = ["add", "min", "max", "inc", "dec", "and", "or", "xor"];

/// A box in shared memory starts at a multiple of this (ISA 5.5.6).
const SHARED_ALIGN: u32 = 128;
/// A box starts in global memory at a multiple of this, as H100 and H200 fault on others.
const GLOBAL_ALIGN: i64 = 16;

/// Where things stand in the list of a copy; the coordinates follow.
pub(crate) mod at {
    pub(crate) const MAP_OFFSET: usize = 0;
    pub(crate) const SHARED_OFFSET: usize = 1;
    pub(crate) const BARRIER_OFFSET: usize = 2;
    /// The slot of a mask of ranks.
    pub(crate) const RANKS: usize = 3;
    pub(crate) const COORDINATES: usize = 4;
}

/// `a` map, `b` shared address, `d` mbarrier; `imm`: the list, see [`at`]; `dst`: see [`OPERATIONS`]; `extra`: see [`way`],
/// `NARROW_SOURCE` for the map and `NARROW_TARGET` for the shared address.
pub(crate) unsafe fn copy_tensor(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let slot = x.env.program.lists[i.imm as usize][at::RANKS];
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        if i.extra & way::MULTICAST == 0 {
            if let Err(flow) = issue(x, i, lane, None) {
                return flow;
            }
            continue;
        }
        let ranks = x.lanes::<u16>(slot)[lane as usize];
        for rank in (0..16u64).filter(|r| ranks >> r & 1 != 0) {
            if let Err(flow) = issue(x, i, lane, Some(rank)) {
                return flow;
            }
        }
    }
    Flow::Next
}

/// `cp.async.bulk.prefetch.tensor`: nothing moves, but what would be wrong is.
pub(crate) unsafe fn prefetch_tensor(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        if let Err(flow) = start(x, i, lane) {
            return flow;
        }
    }
    Flow::Next
}

fn list<'a>(x: &Ctx<'a>, i: &Inst) -> &'a [u32] {
    &x.env.program.lists[i.imm as usize]
}

fn offset(list: &[u32], at: usize) -> u64 {
    i64::from(list[at] as i32) as u64
}

/// The map and the coordinates of a lane's copy, checked.
fn start(x: &mut Ctx<'_>, i: &Inst, lane: u32) -> Result<(TensorMap, [i64; 5]), Flow> {
    let (list, l) = (list(x, i), lane as usize);
    let address = operand(x, i.a, i.extra & way::NARROW_SOURCE != 0, l).wrapping_add(offset(list, at::MAP_OFFSET));
    let slots = &list[at::COORDINATES..];
    let map = map::read(x, address, slots.len() as u32, lane)?;
    let mut start = [0; 5];
    for (coordinate, slot) in start.iter_mut().zip(slots) {
        *coordinate = i64::from(x.lanes::<u32>(*slot)[l] as i32);
    }
    let bytes = i64::from(map.element.bytes());
    if start[0] * bytes % GLOBAL_ALIGN != 0 {
        let text = format!(
            "the box starts at element {} of the innermost dimension, {} bytes in, expected a multiple of {GLOBAL_ALIGN} bytes",
            start[0],
            start[0] * bytes
        );
        return Err(x.trap(Some(lane), text));
    }
    let stores = i.extra & way::DIRECTION == way::STORE;
    if let Some(at) = start.iter().position(|c| stores && *c < 0) {
        let text = format!(
            "a store to a tensor starts at element {} of dimension {at}, expected 0 or more; only loads may begin outside",
            start[at]
        );
        return Err(x.trap(Some(lane), text));
    }
    Ok((map, start))
}

/// One copy; with a rank, to that CTA's shared memory and mbarrier instead of the ones that the operands name.
fn issue(x: &mut Ctx<'_>, i: &Inst, lane: u32, rank: Option<u64>) -> Result<(), Flow> {
    let there = |address: u64| match rank {
        Some(rank) => address & ((1 << RANK_SHIFT) - 1) | (rank + 1) << RANK_SHIFT,
        None => address,
    };
    let (list, l) = (list(x, i), lane as usize);
    let (map, start) = start(x, i, lane)?;
    let loads = i.extra & way::DIRECTION == way::LOAD;
    let combine = operation(x, i.dst, map.element, lane)?;
    let bytes = walk::bytes(&map);
    let shared = operand(x, i.b, i.extra & way::NARROW_TARGET != 0, l).wrapping_add(offset(list, at::SHARED_OFFSET));
    let size = u32::try_from(bytes).unwrap_or(u32::MAX);
    let host = place(x, space::SHARED, there(shared), size, SHARED_ALIGN, loads, lane)?;
    let within = (shared & ((1 << RANK_SHIFT) - 1)) as u32;
    let tensor = TensorBox::new(map, start, host, within);
    if let Some((address, bytes)) = tensor.reach() {
        extent(x, address, bytes, !loads, lane)?;
    }
    let signal = if loads {
        let barrier =
            operand(x, i.d, i.extra & way::NARROW_BARRIER != 0, l).wrapping_add(offset(list, at::BARRIER_OFFSET));
        known_barrier(x, there(barrier), lane)?
    } else {
        Signal::bulk_group(x, lane)
    };
    let copy = BulkCopy {
        number: 0,
        by: Arrival::default(),
        source: if loads { 0 } else { host },
        held: Vec::new(),
        target: if loads { host } else { 0 },
        bytes,
        combine,
        signal,
        tensor: Some(Box::new(tensor)),
    };
    submit(x, lane, copy)
}

/// What operation `number` does with elements of the map's type (ISA 9.7.9.27.3: the pairs that are defined).
fn operation(x: &mut Ctx<'_>, number: u32, element: MapElement, lane: u32) -> Result<Option<Combine>, Flow> {
    let Some(index) = (number as usize).checked_sub(1) else {
        return Ok(None);
    };
    let types: &[Ty] = match element {
        MapElement::U32 => &[Ty::U32, Ty::B32],
        MapElement::S32 => &[Ty::S32, Ty::B32],
        MapElement::U64 => &[Ty::U64, Ty::B64],
        MapElement::S64 => &[Ty::S64, Ty::B64],
        MapElement::F16 => &[Ty::F16],
        MapElement::Bf16 => &[Ty::Bf16],
        MapElement::F32 | MapElement::F32Ftz => &[Ty::F32],
        _ => &[],
    };
    let name = OPERATIONS[index];
    match REDUCTIONS.iter().find(|row| row.0 == name && types.contains(&row.1)) {
        Some(row) => Ok(Some(row.2)),
        None => {
            let text = format!(
                "the tensor map's elements are {}, for which .{name} is not defined",
                map::element_name(element)
            );
            Err(x.trap(Some(lane), text))
        }
    }
}
