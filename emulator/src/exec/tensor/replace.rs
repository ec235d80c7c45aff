//! `tensormap.replace` and `tensormap.cp_fenceproxy` (ISA 9.7.13.17): device code that changes a tensor map, field by field,
//! and publishes it. The judge sees their accesses to shared memory through `place`.

use std::sync::atomic::{fence, Ordering};

use super::map::{self, MAP_ALIGN};
use crate::exec::copies::move_bytes;
use crate::exec::ctx::Ctx;
use crate::exec::inst::{Flow, Inst};
use crate::exec::memory::{addresses, place, space};
use crate::tensor_map::{Interleave, MapElement, Swizzle, TensorMap, TENSOR_MAP_BYTES};

const BYTES: u32 = TENSOR_MAP_BYTES as u32;

/// Fields by name, with how many ordinals each has; `Inst::c` is a number from here.
pub(crate) const FIELDS: [(&str, u32); 10] = [
    ("global_address", 0),
    ("rank", 0),
    ("box_dim", 5),
    ("global_dim", 5),
    ("global_stride", 4),
    ("element_stride", 5),
    ("elemtype", 0),
    ("interleave_layout", 0),
    ("swizzle_mode", 0),
    ("fill_mode", 0),
];

/// `a`, `imm`, `extra`: the map's address; `b` new value, of 64 bits with `dst` 1; `c` field; `d` ordinal.
pub(crate) unsafe fn replace(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let at = addresses(x, i, mask);
    for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
        let l = lane as usize;
        let value = if i.dst == 1 {
            x.lanes::<u64>(i.b)[l]
        } else {
            u64::from(x.lanes::<u32>(i.b)[l])
        };
        if let Err(flow) = replace_one(x, i, at[l], value, lane) {
            return flow;
        }
    }
    x.touch();
    Flow::Next
}

fn replace_one(x: &mut Ctx<'_>, i: &Inst, address: u64, value: u64, lane: u32) -> Result<(), Flow> {
    let code = i.extra & space::MASK;
    place(x, code, address, BYTES, MAP_ALIGN, false, lane)?;
    let host = place(x, code, address, BYTES, MAP_ALIGN, true, lane)?;
    let mut map = map::decode(x, host, lane)?;
    let field = FIELDS[i.c as usize].0;
    if !set(&mut map, field, i.d as usize, value) {
        let text = format!("{value} is no value of .{field}, expected one of its numbers in the PTX ISA");
        return Err(x.trap(Some(lane), text));
    }
    let bytes = map.encode();
    move_bytes(bytes.as_ptr() as usize, host, TENSOR_MAP_BYTES);
    Ok(())
}

/// Changes a field; false when it has no such value.
fn set(map: &mut TensorMap, field: &str, ordinal: usize, value: u64) -> bool {
    let number = value as u32;
    match field {
        "global_address" => map.address = value,
        // One less than the number of dimensions.
        "rank" if number < 5 => map.rank = number + 1,
        "rank" => return false,
        "box_dim" => map.box_sizes[ordinal] = number,
        "global_dim" => map.sizes[ordinal] = u64::from(number),
        "global_stride" => map.strides[ordinal] = value,
        "element_stride" => map.element_strides[ordinal] = number,
        "elemtype" => return take(&mut map.element, MapElement::from_code(number)),
        "interleave_layout" => return take(&mut map.interleave, Interleave::from_code(number)),
        "swizzle_mode" => return take(&mut map.swizzle, Swizzle::from_code(number)),
        _ if number < 2 => map.nan_fill = number == 1,
        _ => return false,
    }
    true
}

fn take<T>(place: &mut T, value: Option<T>) -> bool {
    value.map(|value| *place = value).is_some()
}

/// `tensormap.cp_fenceproxy`: `a`, `imm`, `extra` the map's new place; `b`, `d` the old one in shared memory, of 64 bits with
/// `dst` 1. The warp does it once.
pub(crate) unsafe fn copy_fenced(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let lane = mask.trailing_zeros() & 31;
    let target = addresses(x, i, mask)[lane as usize];
    let source = if i.dst == 1 {
        x.lanes::<u64>(i.b)[lane as usize].wrapping_add(i64::from(i.d as i32) as u64)
    } else {
        u64::from(x.lanes::<u32>(i.b)[lane as usize].wrapping_add(i.d))
    };
    let source = match place(x, space::SHARED, source, BYTES, MAP_ALIGN, false, lane) {
        Ok(source) => source,
        Err(flow) => return flow,
    };
    match place(x, i.extra & space::MASK, target, BYTES, MAP_ALIGN, true, lane) {
        Ok(target) => move_bytes(source, target, TENSOR_MAP_BYTES),
        Err(flow) => return flow,
    }
    fence(Ordering::SeqCst);
    x.touch();
    Flow::Next
}
