//! Checks of scalar arguments: kind, width, range, defaults. Integer scalars are symbols under their own names.

use super::call::{Call, Problem};
use crate::backend::changes::ScalarRule;
use crate::dtype::Class;
use crate::error::{Error, Result};
use crate::manifest::{Arg, Limit, ScalarArg};
use crate::number::{encode, kind_text, show, Number};
use crate::value::Value;

impl Call<'_> {
    /// Reads the scalars that are given, and binds those that are symbols.
    pub fn bind_scalars(&mut self) -> Result<()> {
        for (arg, value) in self.values.clone() {
            let Some(scalar) = arg.scalar() else { continue };
            if matches!(value, Value::None) {
                continue;
            }
            let number = self.read_scalar(arg, scalar, value)?;
            self.scalars.insert(arg.name.clone(), number);
            if let Number::Integer(value) = number {
                self.bind_symbol(arg, value)?;
            }
        }
        Ok(())
    }

    fn read_scalar(&self, arg: &Arg, scalar: &ScalarArg, value: &Value<'_>) -> Result<Number> {
        let class = self.manifest.allowed(&scalar.dtype)[0].class();
        match (class, value) {
            (Class::Bool, Value::Bool(v)) => Ok(Number::Integer(i128::from(*v))),
            (Class::Unsigned, Value::Bool(v)) if is_flag(scalar) => Ok(Number::Integer(i128::from(*v))),
            (Class::Float, Value::Int(v)) => Ok(Number::Float(*v as f64)),
            (Class::Float, Value::UInt(v)) => Ok(Number::Float(*v as f64)),
            (Class::Float, Value::Float(v)) => Ok(Number::Float(*v)),
            (Class::Bool | Class::Signed | Class::Unsigned, Value::Int(v)) => Ok(Number::Integer(i128::from(*v))),
            (Class::Bool | Class::Signed | Class::Unsigned, Value::UInt(v)) => Ok(Number::Integer(i128::from(*v))),
            _ => Err(self.refuse(
                arg,
                Problem {
                    verb: "is",
                    found: value.describe(),
                    expected: kind_text(class),
                    hint: "",
                },
            )),
        }
    }

    fn bind_symbol(&mut self, arg: &Arg, value: i128) -> Result<()> {
        let place = self.manifest.place(arg);
        let Ok(value) = i64::try_from(value) else { return Ok(()) };
        if let Some((bound, by)) = self.symbols.get(&arg.name).filter(|(bound, _)| *bound != value) {
            let expected = format!("{bound}, because {} is {bound} in {by}", arg.name);
            return Err(self.refuse(
                arg,
                Problem {
                    verb: "is",
                    found: value.to_string(),
                    expected,
                    hint: "",
                },
            ));
        }
        self.symbols.entry(arg.name.clone()).or_insert((value, place));
        Ok(())
    }

    /// Fills in defaults, then checks width and range of every scalar.
    pub fn finish_scalars(&mut self) -> Result<()> {
        for (arg, _) in self.values.clone() {
            let Some(scalar) = arg.scalar() else { continue };
            let number = match self.scalars.get(&arg.name) {
                Some(number) => *number,
                None => self.default_of(arg, scalar)?,
            };
            self.scalars.insert(arg.name.clone(), number);
            if let Number::Integer(value) = number {
                self.bind_symbol(arg, value)?;
            }
        }
        for (arg, _) in &self.values {
            let (Some(scalar), Some(number)) = (arg.scalar(), self.scalars.get(&arg.name)) else {
                continue;
            };
            self.check_limits(arg, scalar, *number)?;
            let dtype = self
                .dtype(&scalar.dtype)
                .unwrap_or(self.manifest.allowed(&scalar.dtype)[0]);
            if let Err(expected) = encode(*number, dtype) {
                return Err(self.refuse(
                    arg,
                    Problem {
                        verb: "is",
                        found: show(*number),
                        expected,
                        hint: "",
                    },
                ));
            }
        }
        Ok(())
    }

    fn default_of(&self, arg: &Arg, scalar: &ScalarArg) -> Result<Number> {
        let class = self.manifest.allowed(&scalar.dtype)[0].class();
        if let Some((value, _)) = self.symbols.get(&arg.name).filter(|_| class != Class::Float) {
            return Ok(Number::Integer(i128::from(*value)));
        }
        match &scalar.default {
            None => {
                let problem = Problem {
                    verb: "is missing",
                    found: String::new(),
                    expected: kind_text(class),
                    hint: "",
                };
                Err(self.refuse(arg, problem))
            }
            Some(limit) => self.limit(arg, limit, class),
        }
    }

    fn limit(&self, arg: &Arg, limit: &Limit, class: Class) -> Result<Number> {
        let number = match limit {
            Limit::Number(value) => return Ok(Number::Float(*value)),
            Limit::Integer(expr) => self.eval(&self.manifest.place(arg), expr)?,
        };
        Ok(if class == Class::Float {
            Number::Float(number as f64)
        } else {
            Number::Integer(i128::from(number))
        })
    }

    fn check_limits(&self, arg: &Arg, scalar: &ScalarArg, number: Number) -> Result<()> {
        let class = self.manifest.allowed(&scalar.dtype)[0].class();
        for (limit, word) in [(&scalar.min, "at least"), (&scalar.max, "at most")] {
            let Some(limit) = limit else { continue };
            let bound = self.limit(arg, limit, class)?;
            let is_met = match word {
                "at least" => number.is_at_least(bound),
                _ => number.is_at_most(bound),
            };
            if !is_met {
                return Err(self.out_of_limits(arg, number, word, bound));
            }
        }
        Ok(())
    }

    fn out_of_limits(&self, arg: &Arg, number: Number, word: &str, bound: Number) -> Error {
        let expected = match bound {
            Number::Float(bound) if bound.abs() == f64::MAX => "a finite number".into(),
            _ => format!("{word} {}", show(bound)),
        };
        self.refuse(
            arg,
            Problem {
                verb: "is",
                found: show(number),
                expected,
                hint: "",
            },
        )
    }

    /// What else may be passed for a scalar while everything but its own bytes stays as it is; `None` where something does
    /// not: the name of an integer is a symbol, of which shapes, geometry or other arguments may be made.
    pub fn scalar_rule(&self, arg: &Arg, scalar: &ScalarArg) -> Result<Option<ScalarRule>> {
        let dtype = self
            .dtype(&scalar.dtype)
            .unwrap_or(self.manifest.allowed(&scalar.dtype)[0]);
        let class = dtype.class();
        if class == Class::Bool || self.manifest.mentions(&arg.name) {
            return Ok(None);
        }
        let limit = |limit: &Option<Limit>| limit.as_ref().map(|limit| self.limit(arg, limit, class)).transpose();
        let whole = Some(dtype);
        Ok(Some(ScalarRule {
            dtypes: [whole.filter(|_| class == Class::Float), whole, whole],
            as_float: class == Class::Float,
            least: limit(&scalar.min)?,
            most: limit(&scalar.max)?,
        }))
    }
}

/// Whether an unsigned scalar has 1 as its greatest value: true and false are what callers mean by it.
fn is_flag(scalar: &ScalarArg) -> bool {
    matches!(&scalar.max, Some(Limit::Integer(expr)) if expr.as_constant() == Some(1))
}
