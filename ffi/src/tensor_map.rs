//! Tensor maps: 128 bytes that tell `cp.async.bulk.tensor` how to walk an array. Every limit that `cuTensorMapEncodeTiled`
//! documents is checked here, in the words and the order of the array's axes, so that both devices refuse the same; what the
//! bytes look like is the device's affair ([`crate::backend::Backend::tensor_map`]).

use emulator::{Interleave, MapElement, Swizzle, TensorMap, TENSOR_MAP_BYTES};

use crate::device;
use crate::dtype::describe;
use crate::error::{Error, Kind, Result};
use crate::value::{tuple_text, Tensor};

/// What a map is to be; lists have one item per axis of the array, in its order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Elements that one copy moves.
    pub box_sizes: &'a [i64],
    /// Bytes from one index to the next; `None`: the array's own.
    pub strides: Option<&'a [i64]>,
    /// Every how many elements one is moved; `None`: all.
    pub element_strides: Option<&'a [i64]>,
    /// What the elements are taken for, by name; `None`: the array's dtype.
    pub element: Option<&'a str>,
    /// `16B` or `32B`.
    pub interleave: Option<&'a str>,
    /// `32B`, `64B` or `128B`.
    pub swizzle: Option<&'a str>,
    /// `64B`, `128B` or `256B`.
    pub l2_promotion: Option<&'a str>,
    /// `nan`.
    pub oob_fill: Option<&'a str>,
}

/// Names of element types; several names of one type differ in meaning only. The first thirteen are dtypes of arrays.
const ELEMENTS: [(&str, MapElement); 16] = [
    ("bool", MapElement::U8),
    ("int8", MapElement::U8),
    ("uint8", MapElement::U8),
    ("int16", MapElement::U16),
    ("uint16", MapElement::U16),
    ("int32", MapElement::S32),
    ("uint32", MapElement::U32),
    ("int64", MapElement::S64),
    ("uint64", MapElement::U64),
    ("float16", MapElement::F16),
    ("bfloat16", MapElement::Bf16),
    ("float32", MapElement::F32),
    ("float64", MapElement::F64),
    ("float32_ftz", MapElement::F32Ftz),
    ("tfloat32", MapElement::Tf32),
    ("tfloat32_ftz", MapElement::Tf32Ftz),
];

const MOST_BOX: i64 = 256;
const MOST_ELEMENT_STRIDE: i64 = 8;
const MOST_SIZE: i64 = 1 << 32;
const MOST_STRIDE: i64 = 1 << 40;

/// Checks a map of an array and encodes it for the array's device.
pub fn encode(tensor: &Tensor<'_>, options: &Options<'_>) -> Result<[u8; TENSOR_MAP_BYTES]> {
    let device = device::by_dlpack(tensor.device_type, tensor.device_id)
        .map_err(|why| Error::new(Kind::Device, format!("tensor_map: the array {why}")))?;
    let promotion = choice("l2_promotion", options.l2_promotion, &["64B", "128B", "256B"])?;
    let map = describe_array(tensor, options)?;
    device.backend.tensor_map(&map, promotion)
}

fn refuse(argument: &str, text: &str) -> Error {
    Error::new(Kind::Argument, format!("tensor_map: {text}")).with("argument", argument)
}

/// The number of a name in a list, from 1; 0 for none.
fn choice(argument: &str, given: Option<&str>, names: &[&str]) -> Result<u32> {
    let Some(given) = given else { return Ok(0) };
    match names.iter().position(|name| *name == given) {
        Some(at) => Ok(at as u32 + 1),
        None => {
            let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            let text = format!("{argument} is \"{given}\", expected None or {}", list.join(" or "));
            Err(refuse(argument, &text))
        }
    }
}

fn describe_array(tensor: &Tensor<'_>, options: &Options<'_>) -> Result<TensorMap> {
    let rank = tensor.shape.len();
    if !(1..=5).contains(&rank) {
        return Err(refuse(
            "array",
            &format!("array has {rank} dimensions, expected 1 to 5"),
        ));
    }
    let element = element(tensor, options.element)?;
    let interleave = choice("interleave", options.interleave, &["16B", "32B"])?;
    let swizzle = choice("swizzle", options.swizzle, &["32B", "64B", "128B"])?;
    let mut map = TensorMap {
        rank: rank as u32,
        element,
        address: tensor.address,
        interleave: Interleave::from_code(interleave).unwrap_or_default(),
        swizzle: Swizzle::from_code(swizzle).unwrap_or_default(),
        nan_fill: choice("oob_fill", options.oob_fill, &["nan"])? != 0,
        ..TensorMap::default()
    };
    check_modes(&map)?;
    sizes(&mut map, tensor)?;
    strides(&mut map, tensor, options)?;
    boxes(&mut map, options)?;
    Ok(map)
}

/// What the elements are.
fn element(tensor: &Tensor<'_>, name: Option<&str>) -> Result<MapElement> {
    let own = describe(tensor.dtype);
    let by_name = |name: &str| ELEMENTS.iter().find(|row| row.0 == name).map(|row| row.1);
    let names: Vec<_> = ELEMENTS.iter().map(|row| row.0).collect();
    let Some(of_array) = by_name(&own) else {
        let text = format!(
            "array has dtype {own}, expected one of {}; take a view of it",
            names[..13].join(", ")
        );
        return Err(refuse("array", &text));
    };
    let Some(name) = name else { return Ok(of_array) };
    let found = by_name(name);
    let fitting = found.filter(|element| element.bytes() == of_array.bytes());
    fitting.ok_or_else(|| {
        let wanted = ELEMENTS.iter().filter(|row| row.1.bytes() == of_array.bytes());
        let list: Vec<_> = wanted.map(|row| row.0).collect();
        let bytes = of_array.bytes();
        let text = format!(
            "dtype is \"{name}\", expected one of {bytes} bytes like the array's {own}: {}",
            list.join(", ")
        );
        refuse("dtype", &text)
    })
}

/// What the modes ask of each other.
fn check_modes(map: &TensorMap) -> Result<()> {
    if map.interleave != Interleave::None && map.rank < 3 {
        let text = format!("interleave needs 3 to 5 dimensions, but array has {}", map.rank);
        return Err(refuse("interleave", &text));
    }
    if map.interleave == Interleave::Bytes32 && map.swizzle != Swizzle::Bytes32 {
        let text = "interleave=\"32B\" needs swizzle=\"32B\", found another; give both, or no interleave";
        return Err(refuse("swizzle", text));
    }
    if map.nan_fill && !map.element.is_float() {
        let text = "oob_fill is \"nan\", but the elements are integers, expected None; or give a float dtype";
        return Err(refuse("oob_fill", text));
    }
    let align = alignment(map);
    if !map.address.is_multiple_of(align as u64) {
        let text = format!(
            "array's first element is at address {:#x}, expected a multiple of {align}; copy it, or start elsewhere",
            map.address
        );
        return Err(refuse("array", &text));
    }
    Ok(())
}

/// Of the address and the strides, in bytes.
fn alignment(map: &TensorMap) -> i64 {
    if map.interleave == Interleave::Bytes32 {
        32
    } else {
        16
    }
}

fn sizes(map: &mut TensorMap, tensor: &Tensor<'_>) -> Result<()> {
    for (axis, &size) in tensor.shape.iter().enumerate() {
        if !(1..=MOST_SIZE).contains(&size) {
            let shape = tuple_text(tensor.shape);
            let text = format!("array has shape {shape}, expected 1 to 2**32 elements on axis {axis}");
            return Err(refuse("array", &text));
        }
        map.sizes[tensor.shape.len() - 1 - axis] = size as u64;
    }
    Ok(())
}

/// One item per axis, or an error.
fn per_axis<'a>(argument: &str, items: &'a [i64], rank: usize) -> Result<&'a [i64]> {
    if items.len() == rank {
        return Ok(items);
    }
    let text = format!(
        "{argument} is {}, expected length {rank}, one item per axis of the array",
        tuple_text(items)
    );
    Err(refuse(argument, &text))
}

fn strides(map: &mut TensorMap, tensor: &Tensor<'_>, options: &Options<'_>) -> Result<()> {
    let (rank, item) = (tensor.shape.len(), i64::from(map.element.bytes()));
    let given = options.strides.map(|own| per_axis("strides", own, rank)).transpose()?;
    let bytes = match (given, tensor.strides) {
        (Some(given), _) => given.to_vec(),
        (None, Some(own)) => own.iter().map(|stride| stride.saturating_mul(item)).collect(),
        (None, None) => dense(tensor.shape, item),
    };
    let found = || match given {
        Some(_) => format!("strides is {}", tuple_text(&bytes)),
        None => format!("array has strides of {} bytes", tuple_text(&bytes)),
    };
    let argument = if given.is_some() { "strides" } else { "array" };
    if tensor.shape[rank - 1] > 1 && bytes[rank - 1] != item {
        let text = format!(
            "{}, expected {item} on the last axis, whose elements must be dense; copy it",
            found()
        );
        return Err(refuse(argument, &text));
    }
    let align = alignment(map);
    let mut dense = (tensor.shape[rank - 1].saturating_mul(item) as u64).next_multiple_of(align as u64);
    for axis in (0..rank - 1).rev() {
        let stride = bytes[axis];
        let fits = (0..MOST_STRIDE).contains(&stride) && stride % align == 0;
        // An axis with one element is never walked, and libraries give it any stride.
        let chosen = match (fits, tensor.shape[axis]) {
            (true, _) => stride as u64,
            (false, 1) => dense.min(MOST_STRIDE as u64 - align as u64),
            (false, _) => {
                let text = format!(
                    "{}, expected multiples of {align}, from 0 to below 2**40, on axis {axis}; pad or copy it",
                    found()
                );
                return Err(refuse(argument, &text));
            }
        };
        map.strides[rank - 2 - axis] = chosen;
        dense = chosen.saturating_mul(tensor.shape[axis] as u64);
    }
    match given {
        Some(given) => check_reach(given, tensor, item),
        None => Ok(()),
    }
}

fn dense(shape: &[i64], item: i64) -> Vec<i64> {
    let mut strides = vec![item; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Strides of the caller's own must stay inside the array's memory: nothing else is known to be there.
fn check_reach(strides: &[i64], tensor: &Tensor<'_>, item: i64) -> Result<()> {
    let steps = strides.iter().zip(tensor.shape);
    let reach = steps.fold(item, |end, (stride, size)| {
        end.saturating_add(stride.saturating_mul(size - 1))
    });
    let there = tensor
        .extent()
        .map_or(0, |(offset, bytes)| offset.saturating_add_unsigned(bytes));
    if reach <= there {
        return Ok(());
    }
    let text = format!(
        "strides is {}, which reaches {reach} bytes behind the first element, expected at most {there}, where the array ends",
        tuple_text(strides)
    );
    Err(refuse("strides", &text))
}

fn boxes(map: &mut TensorMap, options: &Options<'_>) -> Result<()> {
    let rank = map.rank as usize;
    let sizes = per_axis("box", options.box_sizes, rank)?;
    let limited = |argument: &str, items: &[i64], most: i64| match items.iter().all(|i| (1..=most).contains(i)) {
        true => Ok(()),
        false => {
            let text = format!("{argument} is {}, expected 1 to {most} on each axis", tuple_text(items));
            Err(refuse(argument, &text))
        }
    };
    limited("box", sizes, MOST_BOX)?;
    let ones = [1; 5];
    let every = match options.element_strides {
        Some(given) => per_axis("element_strides", given, rank)?,
        None => &ones[..rank],
    };
    limited("element_strides", every, MOST_ELEMENT_STRIDE)?;
    for axis in 0..rank {
        map.box_sizes[rank - 1 - axis] = sizes[axis] as u32;
        map.element_strides[rank - 1 - axis] = every[axis] as u32;
    }
    let (bytes, most) = (map.box_sizes[0] * map.element.bytes(), map.swizzle.span_bytes());
    let row = format!("box is {} with {bytes} bytes on the last axis", tuple_text(sizes));
    if map.interleave == Interleave::None && bytes % 16 != 0 {
        return Err(refuse("box", &format!("{row}, expected a multiple of 16")));
    }
    match most.filter(|most| map.interleave == Interleave::None && bytes > *most) {
        Some(most) => {
            let text = format!("{row}, expected at most {most}, the length of the swizzle");
            Err(refuse("box", &text))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;

    #[test]
    fn every_dtype_of_an_array_has_an_element_type_of_its_width() {
        for (name, element) in &ELEMENTS[..13] {
            let dtype = DType::from_name(name).expect("a dtype");
            assert_eq!(dtype.bytes(), element.bytes() as usize, "{name}");
        }
    }
}
