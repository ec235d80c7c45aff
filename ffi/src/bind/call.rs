//! What is known about one call of a kernel: dtypes, symbols, device; and how its errors read.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Kind, Result};
use crate::manifest::expr::{Expr, Names};
use crate::manifest::{names_in, Arch, Arg, DTypeRef, Limit, Manifest};
use crate::module::Kernel;
use crate::number::Number;
use crate::value::Value;

/// State of one call while it is checked.
pub struct Call<'a> {
    /// What is called.
    pub kernel: &'a Arc<Kernel>,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Visible arguments with their values.
    pub values: Vec<(&'a Arg, &'a Value<'a>)>,
    /// Dtype variables bound so far, and why: `like argument 1 (x)`.
    pub dtypes: BTreeMap<String, (DType, String)>,
    /// A variant asked for.
    pub arch: Option<Arch>,
    /// Symbols bound so far, and by what.
    pub symbols: HashMap<String, (i64, String)>,
    /// Shapes of variadic symbols, and of what.
    pub shapes: HashMap<String, (Vec<i64>, String)>,
    /// Where the arrays are, with the place of the first, and its DLPack device.
    pub device: Option<(&'static Arc<Device>, String, (i32, i32))>,
    /// Scalars, after `finish_scalars`.
    pub scalars: HashMap<String, Number>,
    depth: Cell<u32>,
}

/// One problem of one argument, as `kernel: place verb found, expected; hint`.
pub struct Problem<'t> {
    /// `is`, `has shape` ...
    pub verb: &'t str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do; may be empty.
    pub hint: &'t str,
}

impl<'a> Call<'a> {
    /// A call of which only the number of arguments is checked.
    pub fn new(kernel: &'a Arc<Kernel>, values: &'a [Value<'a>], choices: Option<&str>) -> Result<Self> {
        let manifest = &kernel.manifest;
        let visible: Vec<_> = manifest.visible().collect();
        if visible.len() != values.len() {
            let names: Vec<_> = visible.iter().map(|arg| arg.name.as_str()).collect();
            let text = format!(
                "{} values, expected {} ({})",
                values.len(),
                visible.len(),
                names.join(", ")
            );
            let error = Error::new(Kind::Argument, format!("{}: {text}", manifest.name));
            return Err(error.with("kernel", manifest.name.as_str()));
        }
        let mut call = Self {
            kernel,
            manifest,
            values: visible.into_iter().zip(values).collect(),
            dtypes: BTreeMap::new(),
            arch: None,
            symbols: HashMap::new(),
            shapes: HashMap::new(),
            device: None,
            scalars: HashMap::new(),
            depth: Cell::new(0),
        };
        for choice in choices
            .unwrap_or("")
            .split(',')
            .map(str::trim)
            .filter(|c| !c.is_empty())
        {
            call.choose(choice)?;
        }
        Ok(call)
    }

    /// Takes one of `T=float16` and `arch=sm_80`.
    fn choose(&mut self, choice: &str) -> Result<()> {
        let (name, value) = choice.split_once('=').unwrap_or((choice, ""));
        if name == "arch" {
            let arch = Arch::parse(value);
            let wanted = "expected an architecture, such as sm_90";
            self.arch =
                Some(arch.ok_or_else(|| self.error(Kind::Argument, &format!("arch is \"{value}\", {wanted}")))?);
            return Ok(());
        }
        let instances = self.manifest.instances(name);
        if instances.is_empty() {
            let known: Vec<_> = self.manifest.dtypes.iter().map(|(n, _)| n.as_str()).collect();
            let known = if known.is_empty() {
                "none, because the kernel has no dtype variable".into()
            } else {
                known.join(", ")
            };
            return Err(self.error(Kind::Argument, &format!("dtype variable \"{name}\", expected {known}")));
        }
        match DType::from_name(value).filter(|d| instances.contains(d)) {
            Some(dtype) => {
                self.dtypes.insert(name.to_owned(), (dtype, "as asked for".into()));
                Ok(())
            }
            None => Err(self.error(
                Kind::Argument,
                &format!("dtype{} is {value}, expected {}", self.role(name), any_of(instances)),
            )),
        }
    }

    /// What a dtype variable is the type of, for error texts: ` of y`.
    fn role(&self, variable: &str) -> String {
        let is_of = |arg: &&Arg| {
            let array = arg.array();
            array.is_some_and(|a| matches!(&a.dtype, DTypeRef::Variable(name) if name == variable))
        };
        let names: Vec<_> = self
            .manifest
            .args
            .iter()
            .filter(is_of)
            .map(|arg| arg.name.as_str())
            .collect();
        match names.is_empty() {
            true => format!(" {variable}"),
            false => format!(" of {}", names.join(" and ")),
        }
    }

    /// An error about the call as a whole.
    pub fn error(&self, kind: Kind, text: &str) -> Error {
        let name = self.manifest.name.as_str();
        Error::new(kind, format!("{name}: {text}")).with("kernel", name)
    }

    /// An error about one argument.
    pub fn refuse(&self, arg: &Arg, problem: Problem<'_>) -> Error {
        let Problem {
            verb,
            found,
            expected,
            hint,
        } = problem;
        let hint = if hint.is_empty() {
            String::new()
        } else {
            format!("; {hint}")
        };
        let separator = if found.is_empty() { "" } else { " " };
        let place = self.manifest.place(arg);
        let index = self.manifest.position(arg).map_or(Json::Null, Json::from);
        self.error(
            Kind::Argument,
            &format!("{place} {verb}{separator}{found}, expected {expected}{hint}"),
        )
        .with("argument", arg.name.as_str())
        .with("index", index)
        .with(
            "found",
            if found.is_empty() {
                verb.trim_start_matches("is ").to_owned()
            } else {
                found
            },
        )
        .with("expected", expected)
    }

    /// The dtype that a reference means in this call; before `choose_dtypes` only if something bound it.
    pub fn dtype(&self, reference: &DTypeRef) -> Option<DType> {
        match reference {
            DTypeRef::Fixed(fixed) => Some(*fixed),
            DTypeRef::Variable(name) => self.dtypes.get(name).map(|(dtype, _)| *dtype),
        }
    }

    /// Gives variables that nothing bound their default.
    pub fn choose_dtypes(&mut self) {
        for (name, instances) in &self.manifest.dtypes {
            self.dtypes
                .entry(name.clone())
                .or_insert_with(|| (instances[0], "the default".into()));
        }
    }

    /// Evaluates an expression of the manifest; a failure is the call's.
    pub fn eval(&self, what: &str, expr: &Expr) -> Result<i64> {
        expr.value(self)
            .map_err(|why| self.error(Kind::Argument, &format!("{what}: {why}")))
    }

    /// Checks `[[requires]]`.
    pub fn check_requires(&self) -> Result<()> {
        for require in &self.manifest.requires {
            if self.eval("requires", &require.expression)? == 0 {
                return Err(self.error(Kind::Argument, &self.filled_in(&require.message)));
            }
        }
        Ok(())
    }

    /// A message of the manifest with values instead of `{symbol}`.
    pub fn filled_in(&self, message: &str) -> String {
        names_in(message).fold(message.to_owned(), |text, name| match self.value(name) {
            Ok(value) => text.replace(&format!("{{{name}}}"), &value.to_string()),
            Err(_) => text,
        })
    }
}

impl Call<'_> {
    /// A dtype by its name, or by that of a variable.
    fn named_dtype(&self, name: &str) -> Result<DType, String> {
        let dtype = DType::from_name(name).or_else(|| self.dtypes.get(name).map(|(dtype, _)| *dtype));
        dtype.ok_or_else(|| format!("nothing given binds {name}"))
    }
}

impl Names for Call<'_> {
    fn value(&self, name: &str) -> Result<i64, String> {
        if let Some((value, _)) = self.symbols.get(name) {
            return Ok(*value);
        }
        if name == "sm_count" || name == "is_gpu" {
            let device = self.device.as_ref();
            let device = device.ok_or_else(|| format!("{name} is not known without an array"))?;
            let info = device.0.backend.info();
            return Ok(match name {
                "sm_count" => i64::from(info.sm_count),
                _ => i64::from(info.counts_as_gpu),
            });
        }
        let symbol = self
            .manifest
            .symbols
            .iter()
            .find(|(symbol, _)| symbol == name)
            .map(|(_, expr)| expr);
        let scalar = self
            .manifest
            .args
            .iter()
            .find(|arg| arg.name == name)
            .and_then(Arg::scalar);
        let default = scalar.and_then(|s| match &s.default {
            Some(Limit::Integer(expr)) => Some(expr),
            _ => None,
        });
        let Some(expr) = symbol.or(default) else {
            return Err(format!("nothing given binds {name}"));
        };
        // Circles are refused when the manifest is read; the depth still bounds the stack for long chains.
        if self.depth.get() > 64 {
            return Err(format!("{name} depends on too many other symbols"));
        }
        self.depth.set(self.depth.get() + 1);
        let value = expr.value(self);
        self.depth.set(self.depth.get() - 1);
        value
    }
    fn itemsize(&self, name: &str) -> Result<i64, String> {
        self.named_dtype(name).map(|dtype| dtype.bytes() as i64)
    }
    fn is_dtype(&self, name: &str, dtype: &str) -> Result<bool, String> {
        Ok(self.named_dtype(name)? == self.named_dtype(dtype)?)
    }
    fn is_value(&self, name: &str, number: i64) -> Result<bool, String> {
        match self.scalars.get(name) {
            Some(Number::Integer(value)) => Ok(*value == i128::from(number)),
            Some(Number::Float(value)) => Ok(*value == number as f64),
            None => Err(format!("nothing given binds {name}")),
        }
    }
}

/// `float32 or float16`.
pub fn any_of(dtypes: &[DType]) -> String {
    let names: Vec<_> = dtypes.iter().map(|d| d.name()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}
