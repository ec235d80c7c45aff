//! The last step of a bind: which variant runs, what its parameter bytes are, how large the launch is.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::call::Call;
use super::geometry::{self, Extents};
use crate::backend::changes::{ScalarPlace, MOST_SCALARS};
use crate::backend::{ArrayRange, LaunchPlan};
use crate::bound::Bound;
use crate::dtype::DType;
use crate::error::{Kind, Result};
use crate::manifest::expr::Expr;
use crate::manifest::{Arg, ArgKind, ArrayArg, FaultText, Intent, Variant};
use crate::number::{self, Number};
use crate::value::{tuple_text, Value};

/// Parameters as the PTX lays them out.
struct Laid<'a> {
    bytes: Vec<u8>,
    /// Where the control block's address goes.
    control: Option<usize>,
    control_on_device: bool,
    /// Where the address of each array argument stands.
    arrays: HashMap<&'a str, usize>,
    /// And the value of each scalar argument, with its length.
    scalars: HashMap<&'a str, (usize, usize)>,
}

impl Call<'_> {
    /// Lays out the launch.
    pub fn plan(&self) -> Result<Bound> {
        let Some((device, _, _)) = &self.device else {
            return Err(self.error(
                Kind::Argument,
                "no array among the arguments, expected one that says where to run",
            ));
        };
        let (index, variant) = self.choose_variant(device)?;
        let image = self.kernel.image(index);
        let Some(entry) = image.image().module.entry(&variant.entry) else {
            return Err(self.error(Kind::Internal, "the entry checked at load is gone"));
        };
        let extents = self.extents(variant)?;
        let checked = geometry::check(&self.manifest.name, &extents, entry, device)?;
        let written = self.arguments();
        let mut bound = Bound {
            label: self.manifest.name.clone(),
            arguments: written.text,
            device: Arc::clone(device),
            entry: entry.name.clone(),
            arch: variant.arch.to_string(),
            extents: checked,
            faults: self.fault_texts(),
            plan: None,
        };
        if checked.is_empty {
            return self.nothing_is_left(checked.grid).map(|()| bound);
        }
        let laid = self.params(entry)?;
        bound.plan = Some(Arc::new(LaunchPlan {
            label: bound.label.clone(),
            arguments: bound.arguments.clone(),
            function: image.on(device)?.function(&entry.name, checked.shared_bytes)?,
            grid: checked.grid,
            block: checked.block,
            cluster: checked.cluster,
            shared_bytes: checked.shared_bytes,
            params: laid.bytes,
            layout: entry.params.iter().map(|p| (p.offset, p.bytes)).collect(),
            control_offset: laid.control,
            control_on_device: laid.control_on_device,
            ranges: self.ranges(&laid.arrays),
            scalars: self.scalar_places(&laid.scalars, written.values)?,
            roles: self.roles(variant, checked.block)?,
        }));
        Ok(bound)
    }

    /// Refuses a grid of no blocks while there are results to write: the caller would read what was in the memory before.
    fn nothing_is_left(&self, grid: [u32; 3]) -> Result<()> {
        for (arg, value) in &self.values {
            let is_result = arg.array().is_some_and(|a| a.intent == Intent::Out && !a.workspace);
            let Value::Tensor(tensor) = value else { continue };
            if is_result && !tensor.shape.contains(&0) {
                let (name, shape) = (&arg.name, tuple_text(tensor.shape));
                let text = format!("grid is {grid:?}, expected a thread block at least: {name} has shape {shape}, and nobody would write it");
                return Err(self.error(Kind::Launch, &text));
            }
        }
        Ok(())
    }

    /// The texts of the kernel's faults, in which only what the kernel will say is missing.
    fn fault_texts(&self) -> Vec<(u32, String)> {
        let filled = |fault: &FaultText| (fault.code, self.filled_in(&fault.message));
        self.manifest.faults.iter().map(filled).collect()
    }

    fn extents(&self, variant: &Variant) -> Result<Extents> {
        let spec = self.manifest.geometry(variant);
        let axes = |name: &str, list: &[Expr]| -> Result<[i64; 3]> {
            let mut out = [1; 3];
            for (axis, expr) in out.iter_mut().zip(list) {
                *axis = self.eval(name, expr)?;
            }
            Ok(out)
        };
        Ok(Extents {
            grid: axes("grid", spec.grid)?,
            block: axes("block", spec.block)?,
            cluster: match spec.cluster {
                [] => None,
                given => Some(axes("cluster", given)?),
            },
            shared_bytes: spec
                .shared_bytes
                .map_or(Ok(0), |expr| self.eval("shared_bytes", expr))?,
        })
    }

    /// Parameter bytes, and where the control block's address goes. The manifest was checked against the PTX at load:
    /// parameters come in the order and sizes that the arguments make.
    fn params(&self, entry: &emulator::Entry) -> Result<Laid<'_>> {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let (mut control, mut control_on_device) = (None, false);
        let (mut arrays, mut scalars) = (HashMap::new(), HashMap::new());
        for arg in &self.manifest.args {
            match &arg.kind {
                ArgKind::Array(array) => {
                    arrays.extend(entry.params.get(pieces.len()).map(|p| (arg.name.as_str(), p.offset)));
                    pieces.extend(self.array_params(arg, array));
                }
                ArgKind::Scalar(scalar) => {
                    let dtype = self
                        .dtype(&scalar.dtype)
                        .unwrap_or(self.manifest.allowed(&scalar.dtype)[0]);
                    scalars.extend(
                        entry
                            .params
                            .get(pieces.len())
                            .map(|p| (arg.name.as_str(), (p.offset, p.bytes))),
                    );
                    let number = self.scalars.get(&arg.name).copied().unwrap_or(Number::Integer(0));
                    pieces.push(self.piece(&arg.name, number, dtype)?);
                }
                ArgKind::Size { dtype, value } => {
                    let dtype = self.dtype(dtype).unwrap_or(self.manifest.allowed(dtype)[0]);
                    let value = self.eval(&arg.name, value)?;
                    pieces.push(self.piece(&arg.name, Number::Integer(i128::from(value)), dtype)?);
                }
                ArgKind::Control { on_device } => {
                    control_on_device = *on_device;
                    control = entry.params.get(pieces.len()).map(|p| p.offset);
                    pieces.push(vec![0; 8]);
                }
            }
        }
        let mut bytes = vec![0; entry.param_bytes];
        for (param, piece) in entry.params.iter().zip(&pieces) {
            bytes[param.offset..param.offset + param.bytes].copy_from_slice(piece);
        }
        Ok(Laid {
            bytes,
            control,
            control_on_device,
            arrays,
            scalars,
        })
    }

    fn piece(&self, name: &str, number: Number, dtype: DType) -> Result<Vec<u8>> {
        let refuse = |expected| {
            self.error(
                Kind::Argument,
                &format!("{name} is {}, expected {expected}", number::show(number)),
            )
        };
        number::encode(number, dtype).map_err(refuse)
    }

    fn value_of(&self, arg: &Arg) -> &Value<'_> {
        self.values
            .iter()
            .find(|(a, _)| a.name == arg.name)
            .map_or(&Value::None, |(_, value)| value)
    }

    fn array_params(&self, arg: &Arg, array: &ArrayArg) -> Vec<Vec<u8>> {
        let dtype = self
            .dtype(&array.dtype)
            .unwrap_or(self.manifest.allowed(&array.dtype)[0]);
        let (address, numbers) = match self.value_of(arg) {
            Value::Tensor(tensor) => (tensor.address, &[][..]),
            Value::Numbers(numbers) => (0, *numbers),
            _ => (0, &[][..]),
        };
        let element = |i: usize| {
            let value = numbers.get(i).copied().unwrap_or(0.0);
            let integer = dtype.integer_range().map(|_| dtype.integer_bytes(value as i128));
            integer
                .or_else(|| dtype.float_bytes(value))
                .unwrap_or_else(|| vec![0; dtype.bytes()])
        };
        let elements = (0..array.inline.unwrap_or(0)).map(element);
        std::iter::once(address.to_le_bytes().to_vec())
            .chain(elements)
            .collect()
    }

    fn ranges(&self, params: &HashMap<&str, usize>) -> Vec<ArrayRange> {
        let range = |(arg, value): &(&Arg, &Value<'_>)| {
            let (array, Value::Tensor(tensor)) = (arg.array()?, value) else {
                return None;
            };
            Some(ArrayRange {
                address: tensor.address,
                bytes: tensor.contiguous_bytes()?,
                name: arg.name.clone(),
                writable: array.intent != Intent::In,
                align: array.align.unwrap_or(DType::from_dlpack(tensor.dtype)?.bytes() as u64),
                param: params.get(arg.name.as_str()).copied(),
                zeroed: array.zeroed,
            })
        };
        self.values.iter().filter_map(range).collect()
    }

    fn roles(&self, variant: &Variant, block: [u32; 3]) -> Result<Vec<emulator::Role>> {
        let mut roles = Vec::new();
        for role in &self.manifest.roles {
            let warps = self.eval(&format!("role {}", role.name), self.manifest.warps(variant, role))?;
            let wanted = || {
                self.error(
                    Kind::Launch,
                    &format!("role {} has {warps} warps, expected 1 to 32", role.name),
                )
            };
            let warps = u32::try_from(warps)
                .ok()
                .filter(|w| (1..=32).contains(w))
                .ok_or_else(wanted)?;
            roles.push(emulator::Role {
                name: role.name.clone(),
                warps,
            });
        }
        let there = block.iter().product::<u32>().div_ceil(32);
        let wanted: u32 = roles.iter().map(|r| r.warps).sum();
        if wanted > there {
            return Err(self.error(
                Kind::Launch,
                &format!("the roles have {wanted} warps, but the block {block:?} has {there}"),
            ));
        }
        Ok(roles)
    }

    /// The scalars that were given and of which nothing else is made.
    fn scalar_places(
        &self,
        params: &HashMap<&str, (usize, usize)>,
        values: Vec<(&str, Range<usize>)>,
    ) -> Result<Vec<ScalarPlace>> {
        let mut places = Vec::new();
        for (name, text) in values {
            let Some(arg) = self.manifest.args.iter().find(|arg| arg.name == name) else {
                continue;
            };
            let (Some(scalar), Some(&(offset, bytes))) = (arg.scalar(), params.get(name)) else {
                continue;
            };
            if matches!(self.value_of(arg), Value::None) {
                continue;
            }
            places.extend(self.scalar_rule(arg, scalar)?.map(|rule| ScalarPlace {
                name: name.to_owned(),
                offset,
                bytes,
                text,
                rule,
            }));
        }
        places.truncate(MOST_SCALARS);
        Ok(places)
    }

    fn arguments(&self) -> Written<'_> {
        let mut written = Written::default();
        for (arg, value) in &self.values {
            let text = &mut written.text;
            text.push_str(if text.is_empty() { "" } else { ", " });
            text.push_str(&arg.name);
            match (arg.array(), value) {
                (Some(_), Value::Tensor(t)) => {
                    *text += &format!(" {} {}", crate::dtype::describe(t.dtype), tuple_text(t.shape));
                }
                (Some(_), Value::Numbers(n)) => *text += &format!(" {n:?}"),
                (Some(_), _) => *text += " None",
                (None, _) => {
                    if let Some(number) = self.scalars.get(&arg.name) {
                        *text += " = ";
                        let start = text.len();
                        *text += &number::show(*number);
                        written.values.push((&arg.name, start..text.len()));
                    }
                }
            }
        }
        written
    }
}

/// The arguments in one line, and where in it the scalars' values stand.
#[derive(Default)]
struct Written<'a> {
    text: String,
    values: Vec<(&'a str, Range<usize>)>,
}
