//! Entries launched by hand: arguments against the PTX `.param` list (number, sizes, ranges), geometry against the entry.
//! There is no manifest, so nothing is known of dtypes and shapes: arrays pass their address, whatever their layout.

use std::ops::Range;
use std::sync::Arc;

use super::geometry::{self, Extents};
use crate::backend::changes::{ScalarPlace, ScalarRule, MOST_SCALARS};
use crate::backend::{ArrayRange, LaunchPlan};
use crate::bound::Bound;
use crate::device::{self, Device};
use crate::dtype::DType;
use crate::error::{Error, Kind, Result};
use crate::module::Module;
use crate::number::{encode, show, Number};
use crate::value::{tuple_text, Tensor, Value};

/// Extents as the caller gives them; zeros in `cluster` stand for what the entry requires, else for no cluster.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct EntryGeometry {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub shared_bytes: u32,
}

/// Checks the arguments of an entry and lays out its launch.
pub fn bind_entry(module: &Module, name: &str, geometry: &EntryGeometry, values: &[Value<'_>]) -> Result<Bound> {
    let image = module.image();
    let Some(entry) = image.image().module.entry(name) else {
        let names: Vec<_> = image.image().module.entries().iter().map(|e| e.name.as_str()).collect();
        let origin = &image.image().origin;
        let text = format!("{origin}: no entry \"{name}\", expected one of {}", names.join(", "));
        return Err(Error::new(Kind::Load, text).with("origin", origin.as_str()));
    };
    if entry.params.len() != values.len() {
        let params: Vec<_> = entry
            .params
            .iter()
            .map(|p| format!(".{} {}", p.type_name, p.name))
            .collect();
        let text = format!(
            "{name}: {} arguments, expected {} ({})",
            values.len(),
            params.len(),
            params.join(", ")
        );
        return Err(Error::new(Kind::Argument, text).with("kernel", name));
    }
    let device = choose_device(entry, values)?;
    let wide = |axes: [u32; 3]| axes.map(i64::from);
    let extents = Extents {
        grid: wide(geometry.grid),
        block: wide(geometry.block),
        cluster: (geometry.cluster != [0; 3]).then(|| wide(geometry.cluster.map(|axis| axis.max(1)))),
        shared_bytes: i64::from(geometry.shared_bytes),
    };
    let checked = geometry::check(name, &extents, entry, device)?;
    let mut params = vec![0; entry.param_bytes];
    for (index, (param, value)) in entry.params.iter().zip(values).enumerate() {
        let bytes = param_bytes(param, value).map_err(|expected| refuse(entry, index, value, &expected))?;
        params[param.offset..param.offset + param.bytes].copy_from_slice(&bytes);
    }
    let (arguments, scalars) = written(entry, values);
    let mut bound = Bound {
        label: name.to_owned(),
        arguments,
        device: Arc::clone(device),
        entry: name.to_owned(),
        arch: image.image().module.target().to_owned(),
        extents: checked,
        faults: Vec::new(),
        plan: None,
    };
    if !checked.is_empty {
        bound.plan = Some(Arc::new(LaunchPlan {
            label: bound.label.clone(),
            arguments: bound.arguments.clone(),
            function: image.on(device)?.function(name, checked.shared_bytes)?,
            grid: checked.grid,
            block: checked.block,
            cluster: checked.cluster,
            shared_bytes: checked.shared_bytes,
            params,
            layout: entry.params.iter().map(|p| (p.offset, p.bytes)).collect(),
            control_offset: None,
            control_on_device: false,
            ranges: ranges(entry, values)?,
            scalars,
            roles: Vec::new(),
        }));
    }
    Ok(bound)
}

fn place(entry: &emulator::Entry, index: usize) -> String {
    format!("argument {} ({})", index + 1, entry.params[index].name)
}

fn refuse(entry: &emulator::Entry, index: usize, value: &Value<'_>, expected: &str) -> Error {
    let found = value.describe();
    Error::new(
        Kind::Argument,
        format!(
            "{}: {} is {found}, expected {expected}",
            entry.name,
            place(entry, index)
        ),
    )
    .with("kernel", entry.name.as_str())
    .with("argument", entry.params[index].name.as_str())
    .with("index", index + 1)
    .with("found", found)
    .with("expected", expected)
}

/// The device of the arrays; without any, the CPU device.
fn choose_device(entry: &emulator::Entry, values: &[Value<'_>]) -> Result<&'static Arc<Device>> {
    let mut chosen: Option<(&'static Arc<Device>, usize)> = None;
    for (index, value) in values.iter().enumerate() {
        let Some(tensor) = value.tensor() else { continue };
        let error = |kind, text: String| {
            Error::new(kind, format!("{}: {} {text}", entry.name, place(entry, index)))
                .with("kernel", entry.name.as_str())
                .with("argument", entry.params[index].name.as_str())
                .with("index", index + 1)
        };
        let found = device::by_dlpack(tensor.device_type, tensor.device_id).map_err(|why| error(Kind::Device, why))?;
        match chosen {
            None => chosen = Some((found, index)),
            Some((first, _)) if first.index == found.index => {}
            Some((first, at)) => {
                let (a, b) = (found.name(), first.name());
                let text = format!(
                    "is on {a}, expected {b}, where {} is; move one of them first",
                    place(entry, at)
                );
                return Err(error(Kind::Argument, text).with("found", a).with("expected", b));
            }
        }
    }
    Ok(chosen.map_or(&device::all()[0], |(device, _)| device))
}

/// The bytes of one parameter; the error says what was expected.
fn param_bytes(param: &emulator::Param, value: &Value<'_>) -> Result<Vec<u8>, String> {
    let kind = format!(".{} of {} bytes", param.type_name, param.bytes);
    let number = match value {
        Value::Tensor(tensor) if param.bytes == 8 => return Ok(tensor.address.to_le_bytes().to_vec()),
        Value::Tensor(_) => {
            return Err(format!(
                "a value for {kind}, because an array passes an address of 8 bytes"
            ))
        }
        Value::TensorMap(bytes, _) if param.bytes == bytes.len() => return Ok(bytes.to_vec()),
        Value::TensorMap(..) => return Err(format!("a value for {kind}, because a tensor map has 128 bytes")),
        Value::Bytes(bytes) if bytes.len() == param.bytes => return Ok(bytes.to_vec()),
        Value::Bytes(_) => return Err(format!("{} bytes for {kind}", param.bytes)),
        Value::Int(v) => Number::Integer(i128::from(*v)),
        Value::UInt(v) => Number::Integer(i128::from(*v)),
        Value::Bool(v) => Number::Integer(i128::from(*v)),
        Value::Float(v) => Number::Float(*v),
        Value::None | Value::Numbers(_) => return Err(format!("an array, a number or bytes for {kind}")),
    };
    let dtype = scalar_dtype(param, number).ok_or_else(|| match number {
        Number::Float(_) => format!("an integer for {kind}"),
        Number::Integer(_) => format!("{} bytes for {kind}", param.bytes),
    })?;
    encode(number, dtype)
}

/// In which type a number is written. Untyped parameters (`.b32`) take what the number is: recent LLVM declares floats
/// so. Their integers may be signed or unsigned.
fn scalar_dtype(param: &emulator::Param, number: Number) -> Option<DType> {
    let (letter, bits) = param.type_name.split_at_checked(1)?;
    let bits: usize = bits.parse().ok()?;
    if bits != param.bytes * 8 {
        return None;
    }
    let signed = matches!(number, Number::Integer(v) if v < 0);
    let name = match (letter, number) {
        ("f", _) | ("b", Number::Float(_)) => format!("float{bits}"),
        ("u", Number::Integer(_)) => format!("uint{bits}"),
        ("s", Number::Integer(_)) => format!("int{bits}"),
        ("b", Number::Integer(_)) if signed => format!("int{bits}"),
        ("b", Number::Integer(_)) => format!("uint{bits}"),
        _ => return None,
    };
    DType::from_name(&name)
}

fn ranges(entry: &emulator::Entry, values: &[Value<'_>]) -> Result<Vec<ArrayRange>> {
    let mut ranges = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let Some(tensor) = value.tensor() else { continue };
        let too_large = || refuse(entry, index, value, "an array of fewer than 2^63 bytes");
        let (offset, bytes) = tensor.extent().ok_or_else(too_large)?;
        let (address, name) = (
            tensor.address.wrapping_add_signed(offset),
            entry.params[index].name.clone(),
        );
        ranges.push(ArrayRange {
            address,
            bytes,
            name,
            writable: !tensor.read_only,
            align: 1,
            param: (offset == 0).then_some(entry.params[index].offset),
            zeroed: false,
        });
    }
    Ok(ranges)
}

/// The arguments in one line, and the numbers in it that may change.
fn written(entry: &emulator::Entry, values: &[Value<'_>]) -> (String, Vec<ScalarPlace>) {
    let array = |t: &Tensor<'_>| format!("{} {}", crate::dtype::describe(t.dtype), tuple_text(t.shape));
    let (mut text, mut places) = (String::new(), Vec::new());
    for (param, value) in entry.params.iter().zip(values) {
        let (link, shown) = match value {
            Value::Tensor(tensor) => ("", array(tensor)),
            Value::TensorMap(_, tensor) => ("map of ", array(tensor)),
            Value::Float(v) => ("= ", show(Number::Float(*v))),
            Value::Int(v) => ("= ", v.to_string()),
            Value::UInt(v) => ("= ", v.to_string()),
            other => ("= ", other.describe()),
        };
        let separator = if text.is_empty() { "" } else { ", " };
        text += &format!("{separator}{} {link}", param.name);
        let start = text.len();
        text += &shown;
        if matches!(value, Value::Float(_) | Value::Int(_) | Value::UInt(_)) && places.len() < MOST_SCALARS {
            places.push(place_of(param, start..text.len()));
        }
    }
    (text, places)
}

fn place_of(param: &emulator::Param, text: Range<usize>) -> ScalarPlace {
    let like = [Number::Float(0.0), Number::Integer(0), Number::Integer(-1)];
    let rule = ScalarRule {
        dtypes: like.map(|number| scalar_dtype(param, number)),
        as_float: false,
        least: None,
        most: None,
    };
    ScalarPlace {
        name: param.name.clone(),
        offset: param.offset,
        bytes: param.bytes,
        text,
        rule,
    }
}
