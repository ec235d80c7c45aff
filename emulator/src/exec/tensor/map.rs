//! Reading a tensor map from the memory that a copy names, and what it must say to be used. Hosts check their maps when
//! they make them (`wb.tensor_map`), but device code may have changed every field since.

use crate::exec::ctx::Ctx;
use crate::exec::inst::Flow;
use crate::exec::memory::{place, space, space_of};
use crate::fault::Space;
use crate::tensor_map::{Interleave, MapElement, TensorMap, TENSOR_MAP_BYTES};

/// Tensor maps stand at multiples of this.
pub(crate) const MAP_ALIGN: u32 = 64;

/// The map at a generic address, fit for a copy with `rank` coordinates.
pub(crate) fn read(x: &mut Ctx<'_>, address: u64, rank: u32, lane: u32) -> Result<TensorMap, Flow> {
    if matches!(space_of(space::GENERIC, address), Space::Shared | Space::Local) {
        let text = "the tensor map is in shared or local memory, expected a parameter of the entry, .const or .global";
        return Err(x.trap(Some(lane), text.into()));
    }
    let host = place(
        x,
        space::GENERIC,
        address,
        TENSOR_MAP_BYTES as u32,
        MAP_ALIGN,
        false,
        lane,
    )?;
    let map = decode(x, host, lane)?;
    match refusal(&map, rank) {
        Some(text) => Err(x.trap(Some(lane), text)),
        None => Ok(map),
    }
}

/// The map at a host address that was checked.
pub(super) fn decode(x: &mut Ctx<'_>, host: usize, lane: u32) -> Result<TensorMap, Flow> {
    // SAFETY: the caller has found `TENSOR_MAP_BYTES` at this address with `place`.
    let bytes = unsafe { (host as *const [u8; TENSOR_MAP_BYTES]).read_unaligned() };
    TensorMap::decode(&bytes).ok_or_else(|| {
        let text =
            "found no tensor map in these 128 bytes, expected one of wb.tensor_map for an array on the CPU, or zeros \
                    that tensormap.replace fills in";
        x.trap(Some(lane), text.into())
    })
}

/// Why no copy can use a map; the limits are those of `cuTensorMapEncodeTiled`.
fn refusal(map: &TensorMap, rank: u32) -> Option<String> {
    if map.rank != rank {
        return Some(format!(
            "the tensor map has {} dimensions, expected {rank} as the instruction",
            map.rank
        ));
    }
    if map.interleave != Interleave::None {
        return Some(
            "the tensor map interleaves, which the CPU device does not execute, expected interleave none".into(),
        );
    }
    if !map.address.is_multiple_of(16) {
        return Some(format!(
            "the tensor map's tensor is at address {:#x}, expected a multiple of 16",
            map.address
        ));
    }
    let dimensions = rank as usize;
    let strides = &map.strides[..dimensions - 1];
    if let Some(at) = strides.iter().position(|s| s % 16 != 0 || *s >= 1 << 40) {
        return Some(format!(
            "the tensor map's stride of dimension {} is {} bytes, expected a multiple of 16 below 2**40",
            at + 1,
            strides[at]
        ));
    }
    let boxes = &map.box_sizes[..dimensions];
    if let Some(at) = boxes.iter().position(|b| !(1..=256).contains(b)) {
        return Some(format!(
            "the tensor map's box has {} elements in dimension {at}, expected 1 to 256",
            boxes[at]
        ));
    }
    let steps = &map.element_strides[..dimensions];
    if let Some(at) = steps.iter().position(|s| !(1..=8).contains(s)) {
        return Some(format!(
            "the tensor map's element stride of dimension {at} is {}, expected 1 to 8",
            steps[at]
        ));
    }
    refuse_row(map)
}

/// What is asked of the box's rows in shared memory.
fn refuse_row(map: &TensorMap) -> Option<String> {
    let row = map.box_sizes[0] * map.element.bytes();
    if !row.is_multiple_of(16) {
        return Some(format!(
            "the tensor map's box has rows of {row} bytes, expected a multiple of 16"
        ));
    }
    match map.swizzle.span_bytes() {
        Some(span) if row > span => Some(format!(
            "the tensor map's box has rows of {row} bytes, expected at most {span}, the length of its swizzle"
        )),
        // How a GPU lays out shorter rows is not documented, and was not measured.
        Some(span) if row < span => Some(format!(
            "the tensor map's box has rows of {row} bytes in a swizzle of {span}, which the CPU device does not execute, \
             expected rows as long as the swizzle"
        )),
        _ => None,
    }
}

/// As `tensormap.replace` and the driver call it.
pub(super) fn element_name(element: MapElement) -> &'static str {
    match element {
        MapElement::U8 => "u8",
        MapElement::U16 => "u16",
        MapElement::U32 => "u32",
        MapElement::S32 => "s32",
        MapElement::U64 => "u64",
        MapElement::S64 => "s64",
        MapElement::F16 => "f16",
        MapElement::F32 => "f32",
        MapElement::F32Ftz => "f32.ftz",
        MapElement::F64 => "f64",
        MapElement::Bf16 => "bf16",
        MapElement::Tf32 => "tf32",
        MapElement::Tf32Ftz => "tf32.ftz",
    }
}
