//! The manifest as checked values: what a kernel is called with, and how it is launched (docs/manifest.md).
//!
//! `table.rs` reads keys, `read.rs` turns them into these types, `names.rs` checks that every name means something,
//! `ptx.rs` compares with the PTX, `expr.rs` evaluates. Arguments of a call are checked in `crate::bind`.

mod arch;
pub mod expr;
mod names;
mod ptx;
mod read;
mod table;

pub use arch::Arch;
use expr::Expr;
pub use names::{names_in, DETAILS};

use crate::dtype::DType;

/// One kernel.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// File, for error texts.
    pub origin: String,
    /// Name in Python.
    pub name: String,
    /// One line.
    pub summary: String,
    /// Loadable by name, not listed.
    pub hidden: bool,
    /// Dtype variables and their instances; the first is the default.
    pub dtypes: Vec<(String, Vec<DType>)>,
    /// PTX entries.
    pub variants: Vec<Variant>,
    /// Named expressions.
    pub symbols: Vec<(String, Expr)>,
    /// Geometry, unless a variant overrides it.
    pub launch: LaunchSpec,
    /// Warps by name.
    pub roles: Vec<Role>,
    /// Arguments in PTX order.
    pub args: Vec<Arg>,
    /// Conditions on symbols.
    pub requires: Vec<Require>,
    /// Texts of the kernel's own faults.
    pub faults: Vec<FaultText>,
    /// The file as JSON, for callers.
    pub json: serde_json::Value,
}

/// One PTX entry for one architecture and dtype instance, and where it says so for some sizes only.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Where in the file, for error texts: `variants[0]`.
    pub key: String,
    /// Path relative to the manifest.
    pub ptx: String,
    /// Least architecture.
    pub arch: Arch,
    /// Entry of the PTX.
    pub entry: String,
    /// Instance of each dtype variable; a variable left out may be any.
    pub dtypes: Vec<(String, DType)>,
    /// Non-zero: it runs the call, rather than one that has no condition.
    pub when: Option<Expr>,
    /// What it launches differently.
    pub launch: LaunchSpec,
}

/// Geometry as expressions; `None` where not given.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct LaunchSpec {
    pub block: Option<Vec<Expr>>,
    pub grid: Option<Vec<Expr>>,
    pub shared_bytes: Option<Expr>,
    pub cluster: Option<Vec<Expr>>,
    /// Warps of roles by their names, in place of what `[[roles]]` says.
    pub warps: Vec<(String, Expr)>,
}

/// Consecutive warps of a thread block.
#[derive(Clone, Debug)]
pub struct Role {
    /// Name, for reports.
    pub name: String,
    /// How many.
    pub warps: Expr,
}

/// A condition that a call must meet.
#[derive(Clone, Debug)]
pub struct Require {
    /// Non-zero: met.
    pub expression: Expr,
    /// What to say otherwise; `{symbol}` is replaced.
    pub message: String,
}

/// The text of a fault code.
#[derive(Clone, Debug)]
pub struct FaultText {
    /// `fault_code` of the control block.
    pub code: u32,
    /// `{detail0}` and `{detail1}` are replaced.
    pub message: String,
}

/// One argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Where in the file, for error texts: `args[0]`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ArgKind,
}

/// What an argument is.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ArgKind {
    Array(ArrayArg),
    Scalar(ScalarArg),
    /// Computed, not in Python's signature.
    Size {
        dtype: DTypeRef,
        value: Expr,
    },
    /// The control block's address.
    Control {
        on_device: bool,
    },
}

/// Who writes an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Intent {
    In,
    Out,
    InOut,
}

/// A dtype or a dtype variable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DTypeRef {
    Fixed(DType),
    Variable(String),
}

/// An array argument.
#[derive(Clone, Debug)]
pub struct ArrayArg {
    /// Who writes.
    pub intent: Intent,
    /// Elements.
    pub dtype: DTypeRef,
    /// Extent.
    pub shape: Shape,
    /// The address is a multiple of it; `None`: of the item size.
    pub align: Option<u64>,
    /// `None` passes address 0.
    pub optional: bool,
    /// Number of elements that a host sequence must have; `None` for arrays on the device only.
    pub inline: Option<usize>,
    /// Arrays that this one, which is written, may be: the same bytes, none more, none less.
    pub in_place: Vec<String>,
    /// Not a result: memory that the kernel needs while it runs.
    pub workspace: bool,
    /// Its bytes are zero when a launch begins.
    pub zeroed: bool,
}

/// The shape of an array.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Any rank; the symbol is the number of elements.
    Any(String),
    /// One expression per dimension; a plain symbol binds.
    Dims(Vec<Expr>),
}

/// A scalar argument.
#[derive(Clone, Debug)]
pub struct ScalarArg {
    /// Width.
    pub dtype: DTypeRef,
    /// Value when omitted; `None`: required.
    pub default: Option<Limit>,
    /// Least value; the least finite number, where only infinity and NaN are refused.
    pub min: Option<Limit>,
    /// Greatest value, or the greatest finite number.
    pub max: Option<Limit>,
}

/// A number, or an expression for one.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Limit {
    Number(f64),
    Integer(Expr),
}

impl Arg {
    /// Whether callers see it.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        matches!(self.kind, ArgKind::Array(_) | ArgKind::Scalar(_))
    }
    /// The array, if it is one.
    #[must_use]
    pub fn array(&self) -> Option<&ArrayArg> {
        if let ArgKind::Array(array) = &self.kind {
            Some(array)
        } else {
            None
        }
    }
    /// The scalar, if it is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&ScalarArg> {
        if let ArgKind::Scalar(scalar) = &self.kind {
            Some(scalar)
        } else {
            None
        }
    }
    /// Whether it is a pure output.
    #[must_use]
    pub fn is_output(&self) -> bool {
        self.array().is_some_and(|a| a.intent == Intent::Out)
    }
}

impl Manifest {
    /// Reads TOML or JSON text. Everything that can be known without the PTX is checked.
    pub fn parse(text: &str, origin: &str) -> crate::error::Result<Self> {
        let manifest = read::read(text, origin)?;
        names::check(&manifest)?;
        Ok(manifest)
    }
    /// Arguments that callers see, in manifest order.
    pub fn visible(&self) -> impl Iterator<Item = &Arg> {
        self.args.iter().filter(|arg| arg.is_visible())
    }
    /// Arguments of the Python signature in its order: required arrays, optional arrays, scalars. Outputs are not in it.
    #[must_use]
    pub fn signature(&self) -> Vec<&Arg> {
        let rank = |arg: &&Arg| match arg.array() {
            Some(array) => u8::from(array.optional),
            None => 2,
        };
        let mut args: Vec<_> = self.visible().filter(|arg| !arg.is_output()).collect();
        args.sort_by_key(rank);
        args
    }
    /// How error texts call an argument: `argument 1 (x)`, `out (y)`, or `out[1] (z)` where there are several outputs.
    #[must_use]
    pub fn place(&self, arg: &Arg) -> String {
        if let Some(index) = self.position(arg) {
            return format!("argument {index} ({})", arg.name);
        }
        let is_workspace = |arg: &Arg| arg.array().is_some_and(|array| array.workspace);
        if is_workspace(arg) {
            return format!("workspace {}", arg.name);
        }
        let outputs: Vec<_> = self.args.iter().filter(|a| a.is_output() && !is_workspace(a)).collect();
        match outputs.iter().position(|a| a.name == arg.name) {
            Some(index) if outputs.len() > 1 => format!("out[{index}] ({})", arg.name),
            _ => format!("out ({})", arg.name),
        }
    }
    /// Place in the Python signature, from 1; `None` for outputs.
    #[must_use]
    pub fn position(&self, arg: &Arg) -> Option<usize> {
        self.signature().iter().position(|a| a.name == arg.name).map(|i| i + 1)
    }
    /// Instances of a dtype variable.
    #[must_use]
    pub fn instances(&self, variable: &str) -> &[DType] {
        self.dtypes
            .iter()
            .find(|(name, _)| name == variable)
            .map_or(&[], |(_, list)| list)
    }
    /// What an argument's dtype may be.
    #[must_use]
    pub fn allowed<'a>(&'a self, dtype: &'a DTypeRef) -> &'a [DType] {
        match dtype {
            DTypeRef::Fixed(fixed) => std::slice::from_ref(fixed),
            DTypeRef::Variable(name) => self.instances(name),
        }
    }
    /// A variant's geometry, its own keys first.
    #[must_use]
    pub fn geometry<'a>(&'a self, variant: &'a Variant) -> Geometry<'a> {
        let (own, common) = (&variant.launch, &self.launch);
        Geometry {
            block: own.block.as_deref().or(common.block.as_deref()).unwrap_or(&[]),
            grid: own.grid.as_deref().or(common.grid.as_deref()).unwrap_or(&[]),
            cluster: own.cluster.as_deref().or(common.cluster.as_deref()).unwrap_or(&[]),
            shared_bytes: own.shared_bytes.as_ref().or(common.shared_bytes.as_ref()),
        }
    }
    /// How many warps a role has in a variant.
    #[must_use]
    pub fn warps<'a>(&'a self, variant: &'a Variant, role: &'a Role) -> &'a Expr {
        let mut told = variant.launch.warps.iter().chain(&self.launch.warps);
        told.find(|(name, _)| *name == role.name)
            .map_or(&role.warps, |(_, warps)| warps)
    }
}

/// A [`LaunchSpec`] with overrides applied; an empty list stands for 1 on each axis.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Geometry<'a> {
    pub block: &'a [Expr],
    pub grid: &'a [Expr],
    pub cluster: &'a [Expr],
    pub shared_bytes: Option<&'a Expr>,
}
