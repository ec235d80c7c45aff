//! Checks of array arguments, in the order that a reader would fix them: kind, device, dtype, rank, sizes, contiguity,
//! alignment, writability. Each success binds symbols for the arguments that follow.

use super::call::{any_of, Call, Problem};
use super::Spec;
use crate::device;
use crate::dtype::{self, Class, DType};
use crate::error::{Error, Kind, Result};
use crate::manifest::expr::Expr;
use crate::manifest::{Arg, ArrayArg, DTypeRef, Intent, Shape};
use crate::value::{tuple_text, Tensor, Value};

impl Call<'_> {
    /// Checks all inputs, or all outputs that are given.
    pub fn check_arrays(&mut self, outputs: bool) -> Result<()> {
        for (arg, value) in self.values.clone() {
            let Some(array) = arg.array() else { continue };
            if arg.is_output() != outputs {
                continue;
            }
            match value {
                Value::None if array.optional || outputs => {}
                Value::Tensor(tensor) => self.check_tensor(arg, array, tensor)?,
                Value::Numbers(numbers) if array.inline.is_some() => self.check_numbers(arg, array, numbers)?,
                other => return Err(self.wrong_kind(arg, array, other)),
            }
        }
        Ok(())
    }

    fn wrong_kind(&self, arg: &Arg, array: &ArrayArg, value: &Value<'_>) -> Error {
        let dtypes = any_of(self.manifest.allowed(&array.dtype));
        let expected = match array.inline {
            Some(count) => format!("an array of {dtypes} or a sequence of {count} numbers"),
            None => format!("an array of {dtypes}"),
        };
        let (verb, found) = if matches!(value, Value::None) {
            ("is missing", String::new())
        } else {
            ("is", value.describe())
        };
        self.refuse(
            arg,
            Problem {
                verb,
                found,
                expected,
                hint: "",
            },
        )
    }

    fn check_tensor(&mut self, arg: &Arg, array: &ArrayArg, tensor: &Tensor<'_>) -> Result<()> {
        self.check_device(arg, array, tensor)?;
        let dtype = self.check_dtype(arg, array, tensor)?;
        match &array.shape {
            Shape::Any(symbol) => self.check_any_shape(arg, symbol, tensor)?,
            Shape::Dims(dims) => self.check_dims(arg, dims, tensor)?,
        }
        self.check_layout(arg, array, tensor, dtype)
    }

    fn check_device(&mut self, arg: &Arg, array: &ArrayArg, tensor: &Tensor<'_>) -> Result<()> {
        let place = self.manifest.place(arg);
        let found = device::by_dlpack(tensor.device_type, tensor.device_id).map_err(|why| {
            self.error(Kind::Device, &format!("{place} {why}"))
                .with("argument", arg.name.as_str())
        })?;
        let Some((first, first_place, _)) = &self.device else {
            self.device = Some((found, place, (tensor.device_type, tensor.device_id)));
            return Ok(());
        };
        if first.index == found.index {
            return Ok(());
        }
        let hint = if array.inline.is_some() {
            "move it there, or pass a sequence of numbers"
        } else {
            "move one of them first"
        };
        let expected = format!("{}, where {first_place} is", first.name());
        let problem = Problem {
            verb: "is on",
            found: found.name(),
            expected,
            hint,
        };
        Err(self.refuse(arg, problem))
    }

    fn check_dtype(&mut self, arg: &Arg, array: &ArrayArg, tensor: &Tensor<'_>) -> Result<DType> {
        let problem = |expected| Problem {
            verb: "is",
            found: dtype::describe(tensor.dtype),
            expected,
            hint: "convert it first",
        };
        let found = DType::from_dlpack(tensor.dtype);
        if let DTypeRef::Variable(name) = &array.dtype {
            if let Some((bound, by)) = self.dtypes.get(name) {
                let expected = format!("{}, {by}", bound.name());
                return found
                    .filter(|f| f == bound)
                    .ok_or_else(|| self.refuse(arg, problem(expected)));
            }
        }
        let allowed = self.manifest.allowed(&array.dtype);
        let Some(found) = found.filter(|f| allowed.contains(f)) else {
            return Err(self.refuse(arg, problem(any_of(allowed))));
        };
        if let DTypeRef::Variable(name) = &array.dtype {
            self.dtypes
                .insert(name.clone(), (found, format!("like {}", self.manifest.place(arg))));
        }
        Ok(found)
    }

    fn check_any_shape(&mut self, arg: &Arg, symbol: &str, tensor: &Tensor<'_>) -> Result<()> {
        let elements = tensor.elements().and_then(|n| i64::try_from(n).ok());
        let elements = elements.ok_or_else(|| self.refuse(arg, too_large(tensor)))?;
        if let Some((shape, by)) = self.shapes.get(symbol) {
            if shape == tensor.shape {
                return Ok(());
            }
            let expected = format!("{}, the shape of {by}", tuple_text(shape));
            let found = tuple_text(tensor.shape);
            return Err(self.refuse_shape(arg, found, expected));
        }
        let place = self.manifest.place(arg);
        if let Some((bound, by)) = self.symbols.get(symbol).filter(|(bound, _)| *bound != elements) {
            let expected = format!("{bound} elements, because {symbol} is {bound} in {by}");
            let found = format!("{elements} elements");
            return Err(self.refuse(
                arg,
                Problem {
                    verb: "has",
                    found,
                    expected,
                    hint: "reshape or slice it first",
                },
            ));
        }
        self.symbols.insert(symbol.to_owned(), (elements, place.clone()));
        self.shapes.insert(symbol.to_owned(), (tensor.shape.to_vec(), place));
        Ok(())
    }

    fn check_dims(&mut self, arg: &Arg, dims: &[Expr], tensor: &Tensor<'_>) -> Result<()> {
        if dims.len() != tensor.shape.len() {
            let dimensions = |n: usize| {
                if n == 1 {
                    "1 dimension".into()
                } else {
                    format!("{n} dimensions")
                }
            };
            let found = format!("{}, shape {}", dimensions(tensor.shape.len()), tuple_text(tensor.shape));
            let expected = format!("{}, shape {}", dimensions(dims.len()), written(dims));
            return Err(self.refuse(
                arg,
                Problem {
                    verb: "has",
                    found,
                    expected,
                    hint: "reshape it first",
                },
            ));
        }
        tensor
            .contiguous_bytes()
            .ok_or_else(|| self.refuse(arg, too_large(tensor)))?;
        let place = self.manifest.place(arg);
        for (dim, &size) in dims.iter().zip(tensor.shape) {
            if let Some(symbol) = dim.as_symbol().filter(|symbol| self.is_free(symbol)) {
                self.symbols.insert(symbol.to_owned(), (size, place.clone()));
                continue;
            }
            let wanted = self.eval(&place, dim)?;
            if wanted != size {
                return Err(self.wrong_size(arg, dims, dim, wanted, tensor));
            }
        }
        Ok(())
    }

    /// Whether a shape may bind this symbol: nothing has yet, and it is not defined by an expression.
    fn is_free(&self, symbol: &str) -> bool {
        !self.symbols.contains_key(symbol) && !self.manifest.symbols.iter().any(|(name, _)| name == symbol)
    }

    fn wrong_size(&self, arg: &Arg, dims: &[Expr], dim: &Expr, wanted: i64, tensor: &Tensor<'_>) -> Error {
        let because = match dim.as_symbol().and_then(|symbol| self.symbols.get(symbol)) {
            Some((_, by)) => format!(", because {dim} is {wanted} in {by}"),
            None if dim.as_constant().is_some() => String::new(),
            None => format!(", because {dim} is {wanted}"),
        };
        let known: Vec<_> = dims
            .iter()
            .map(|d| d.value(self).map_or_else(|_| d.to_string(), |v| v.to_string()))
            .collect();
        // Symbols that this very argument binds say nothing by their value: show their names.
        let place = self.manifest.place(arg);
        let shown: Vec<_> = dims
            .iter()
            .zip(known)
            .map(|(d, value)| {
                let own = d
                    .as_symbol()
                    .and_then(|s| self.symbols.get(s))
                    .is_some_and(|(_, by)| *by == place);
                if own {
                    d.to_string()
                } else {
                    value
                }
            })
            .collect();
        let expected = format!("{}{because}", in_parentheses(&shown));
        let found = tuple_text(tensor.shape);
        self.refuse_shape(arg, found, expected)
    }

    fn refuse_shape(&self, arg: &Arg, found: String, expected: String) -> Error {
        let (verb, hint) = ("has shape", "reshape or slice it first");
        self.refuse(
            arg,
            Problem {
                verb,
                found,
                expected,
                hint,
            },
        )
    }

    fn check_layout(&self, arg: &Arg, array: &ArrayArg, tensor: &Tensor<'_>, dtype: DType) -> Result<()> {
        if !tensor.is_c_contiguous() {
            let strides = tuple_text(tensor.strides.unwrap_or(&[]));
            let expected = format!("a C-contiguous array of shape {}", tuple_text(tensor.shape));
            let problem = Problem {
                verb: "has strides",
                found: strides,
                expected,
                hint: "make a contiguous copy first",
            };
            return Err(self.refuse(arg, problem));
        }
        let align = array.align.unwrap_or(dtype.bytes() as u64);
        let is_empty = tensor.shape.contains(&0);
        if !is_empty && !tensor.address.is_multiple_of(align) {
            let found = format!("{:#x}", tensor.address);
            let expected = format!("a multiple of {align}");
            let problem = Problem {
                verb: "has address",
                found,
                expected,
                hint: "make a copy first",
            };
            return Err(self.refuse(arg, problem));
        }
        if array.intent != Intent::In && tensor.read_only {
            let expected = "a writable array".into();
            let problem = Problem {
                verb: "is",
                found: "read-only".into(),
                expected,
                hint: "pass another array, or a copy",
            };
            return Err(self.refuse(arg, problem));
        }
        Ok(())
    }

    fn check_numbers(&mut self, arg: &Arg, array: &ArrayArg, numbers: &[f64]) -> Result<()> {
        let count = array.inline.unwrap_or(0);
        if numbers.len() != count {
            let (found, expected) = (format!("{} numbers", numbers.len()), count.to_string());
            return Err(self.refuse(
                arg,
                Problem {
                    verb: "has",
                    found,
                    expected,
                    hint: "",
                },
            ));
        }
        let dtype = self.manifest.allowed(&array.dtype)[0];
        let fits = |v: f64| match dtype.integer_range() {
            Some((least, most)) => v.fract() == 0.0 && (least as f64..=most as f64).contains(&v),
            None => dtype.class() == Class::Float,
        };
        match numbers.iter().position(|&v| !fits(v)) {
            Some(index) => {
                let expected = format!("numbers that {} holds", dtype.name());
                let found = format!("{} at position {}", numbers[index], index + 1);
                Err(self.refuse(
                    arg,
                    Problem {
                        verb: "has",
                        found,
                        expected,
                        hint: "",
                    },
                ))
            }
            None => Ok(()),
        }
    }

    /// Fails unless every output is there.
    pub fn need_outputs(&self) -> Result<()> {
        let missing = self
            .values
            .iter()
            .find(|(arg, value)| arg.is_output() && matches!(value, Value::None));
        match missing.and_then(|(arg, value)| Some((arg, arg.array()?, value))) {
            Some((arg, array, value)) => Err(self.wrong_kind(arg, array, value)),
            None => Ok(()),
        }
    }

    /// Shape, dtype and device of each output.
    pub fn outputs(&self) -> Result<Vec<Spec>> {
        let Some((_, _, device)) = &self.device else {
            return Err(self.error(
                Kind::Argument,
                "no array among the arguments, expected one that says where to run",
            ));
        };
        let spec = |(arg, array): (&Arg, &ArrayArg)| -> Result<Spec> {
            let place = self.manifest.place(arg);
            let unknown = |symbol: &str| {
                self.error(
                    Kind::Argument,
                    &format!("nothing given says how large {place} is ({symbol}); pass it as out="),
                )
            };
            let shape = match &array.shape {
                Shape::Any(symbol) => self.shapes.get(symbol).ok_or_else(|| unknown(symbol))?.0.clone(),
                Shape::Dims(dims) => dims
                    .iter()
                    .map(|dim| self.output_size(&place, dim))
                    .collect::<Result<_>>()?,
            };
            let dtype = self.dtype(&array.dtype).ok_or_else(|| unknown("dtype"))?;
            Ok(Spec {
                shape,
                dtype,
                device: *device,
            })
        };
        let outputs = self.manifest.args.iter().filter(|arg| arg.is_output());
        outputs.filter_map(|arg| Some((arg, arg.array()?))).map(spec).collect()
    }

    fn output_size(&self, place: &str, dim: &Expr) -> Result<i64> {
        let size = self.eval(&format!("{place} has no size for {dim}"), dim)?;
        if size < 0 {
            return Err(self.error(
                Kind::Argument,
                &format!("{place} would have size {dim} = {size}, expected at least 0"),
            ));
        }
        Ok(size)
    }
}

fn too_large(tensor: &Tensor<'_>) -> Problem<'static> {
    Problem {
        verb: "has shape",
        found: tuple_text(tensor.shape),
        expected: "fewer than 2^63 bytes".into(),
        hint: "",
    }
}

fn written(dims: &[Expr]) -> String {
    in_parentheses(&dims.iter().map(Expr::to_string).collect::<Vec<_>>())
}

fn in_parentheses(items: &[String]) -> String {
    match items {
        [one] => format!("({one},)"),
        _ => format!("({})", items.join(", ")),
    }
}
