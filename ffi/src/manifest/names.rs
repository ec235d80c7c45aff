//! Do the names of a manifest mean something: unique arguments, symbols that something binds, no circles, placeholders
//! of messages that exist. The PTX is compared in `ptx.rs`.

use super::expr::Expr;
use super::table::error;
use super::{Arg, ArgKind, LaunchSpec, Limit, Manifest, Shape};
use crate::dtype::{Class, DType};
use crate::error::Result;

/// Checks all names of a manifest.
pub fn check(manifest: &Manifest) -> Result<()> {
    unique(manifest)?;
    for (key, expr) in expressions(manifest) {
        for name in expr.symbols() {
            if !is_known(manifest, name) {
                let text = format!(
                    "uses the unknown symbol {name} in \"{expr}\", expected one of {}",
                    known(manifest).join(", ")
                );
                return Err(error(&manifest.origin, &key, &text));
            }
        }
        for name in expr.dtypes() {
            if DType::from_name(name).is_none() && manifest.instances(name).is_empty() {
                let text =
                    format!("uses the unknown dtype {name} in \"{expr}\"; expected a dtype or a variable of [dtypes]");
                return Err(error(&manifest.origin, &key, &text));
            }
        }
        if let Some(name) = expr.scalars().into_iter().find(|name| !is_scalar(manifest, name)) {
            let text = format!("asks for the value of {name} in \"{expr}\"; expected the name of a scalar argument");
            return Err(error(&manifest.origin, &key, &text));
        }
    }
    in_place(manifest)?;
    warps(manifest)?;
    circles(manifest)?;
    placeholders(manifest)
}

/// `in_place` names other arrays of the kernel.
fn in_place(manifest: &Manifest) -> Result<()> {
    for arg in &manifest.args {
        let names = arg.array().map_or(&[][..], |array| &array.in_place);
        let is_other =
            |name: &String| *name != arg.name && manifest.args.iter().any(|a| a.name == *name && a.array().is_some());
        if let Some(wrong) = names.iter().find(|name| !is_other(name)) {
            let text = format!("has \"{wrong}\", expected names of other array arguments");
            return Err(error(&manifest.origin, &format!("{}.in_place", arg.key), &text));
        }
    }
    Ok(())
}

/// `launch.warps` names roles.
fn warps(manifest: &Manifest) -> Result<()> {
    let roles: Vec<&str> = manifest.roles.iter().map(|role| role.name.as_str()).collect();
    for (key, spec) in launches(manifest) {
        if let Some((wrong, _)) = spec.warps.iter().find(|(name, _)| !roles.contains(&name.as_str())) {
            let text = format!("is no role, expected one of {}", roles.join(", "));
            return Err(error(&manifest.origin, &format!("{key}.warps.{wrong}"), &text));
        }
    }
    Ok(())
}

fn unique(manifest: &Manifest) -> Result<()> {
    for (i, arg) in manifest.args.iter().enumerate() {
        if let Some(first) = manifest.args[..i].iter().find(|a| a.name == arg.name) {
            let text = format!(
                "is \"{}\" like {}.name, expected a name of its own",
                arg.name, first.key
            );
            return Err(error(&manifest.origin, &format!("{}.name", arg.key), &text));
        }
    }
    let bound = bound_symbols(manifest);
    for (name, _) in &manifest.symbols {
        if bound.contains(&name.as_str()) {
            let text = "is bound by an argument too; give it another name";
            return Err(error(&manifest.origin, &format!("symbols.{name}"), text));
        }
    }
    let controls = manifest
        .args
        .iter()
        .filter(|a| matches!(a.kind, ArgKind::Control { .. }))
        .nth(1);
    controls.map_or(Ok(()), |arg| {
        Err(error(
            &manifest.origin,
            &arg.key,
            "is a second control argument, expected at most one",
        ))
    })
}

impl Manifest {
    /// Whether anything but the argument itself depends on a number of this name: an expression, a shape that binds it, or the text
    /// of a fault, which is made when a call is checked.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        let is_shape = |arg: &Arg| match arg.array().map(|array| &array.shape) {
            Some(Shape::Any(symbol)) => symbol == name,
            _ => false,
        };
        self.args.iter().any(is_shape)
            || expressions(self)
                .iter()
                .any(|(_, expr)| expr.symbols().contains(&name) || expr.scalars().contains(&name))
            || self
                .faults
                .iter()
                .any(|fault| names_in(&fault.message).any(|named| named == name))
    }
}

/// Every geometry with its key, the variants' first.
fn launches(manifest: &Manifest) -> impl Iterator<Item = (String, &LaunchSpec)> {
    let variants = manifest.variants.iter();
    let own = variants.map(|v| (format!("{}.launch", v.key), &v.launch));
    own.chain([("launch".to_owned(), &manifest.launch)])
}

/// Every expression with its key.
fn expressions(manifest: &Manifest) -> Vec<(String, &Expr)> {
    let mut all: Vec<(String, &Expr)> = Vec::new();
    all.extend(
        manifest
            .symbols
            .iter()
            .map(|(name, expr)| (format!("symbols.{name}"), expr)),
    );
    let conditions = manifest.variants.iter().filter_map(|v| Some((v, v.when.as_ref()?)));
    all.extend(conditions.map(|(v, when)| (format!("{}.when", v.key), when)));
    for (key, spec) in launches(manifest) {
        for (name, list) in [("block", &spec.block), ("grid", &spec.grid), ("cluster", &spec.cluster)] {
            all.extend(list.iter().flatten().map(|expr| (format!("{key}.{name}"), expr)));
        }
        all.extend(
            spec.shared_bytes
                .iter()
                .map(|expr| (format!("{key}.shared_bytes"), expr)),
        );
        let warps = spec.warps.iter();
        all.extend(warps.map(|(name, expr)| (format!("{key}.warps.{name}"), expr)));
    }
    all.extend(
        manifest
            .roles
            .iter()
            .enumerate()
            .map(|(i, role)| (format!("roles[{i}].warps"), &role.warps)),
    );
    all.extend(
        manifest
            .requires
            .iter()
            .enumerate()
            .map(|(i, r)| (format!("requires[{i}].expression"), &r.expression)),
    );
    for arg in &manifest.args {
        match &arg.kind {
            ArgKind::Array(array) => {
                if let Shape::Dims(dims) = &array.shape {
                    all.extend(dims.iter().map(|expr| (format!("{}.shape", arg.key), expr)));
                }
            }
            ArgKind::Scalar(scalar) => {
                for (name, limit) in [("default", &scalar.default), ("min", &scalar.min), ("max", &scalar.max)] {
                    if let Some(Limit::Integer(expr)) = limit {
                        all.push((format!("{}.{name}", arg.key), expr));
                    }
                }
            }
            ArgKind::Size { value, .. } => all.push((format!("{}.value", arg.key), value)),
            ArgKind::Control { .. } => {}
        }
    }
    all
}

/// Symbols that arguments bind: shapes and integer scalars.
fn bound_symbols(manifest: &Manifest) -> Vec<&str> {
    let mut names = Vec::new();
    for arg in &manifest.args {
        match &arg.kind {
            ArgKind::Array(array) => match &array.shape {
                Shape::Any(symbol) => names.push(symbol.as_str()),
                Shape::Dims(dims) => names.extend(dims.iter().filter_map(Expr::as_symbol)),
            },
            ArgKind::Scalar(scalar) => {
                let is_integer = |d: &DType| !matches!(d.class(), Class::Float | Class::Narrow | Class::Complex);
                if manifest.allowed(&scalar.dtype).iter().all(is_integer) {
                    names.push(arg.name.as_str());
                }
            }
            ArgKind::Size { .. } | ArgKind::Control { .. } => {}
        }
    }
    // A shape may use a name of [symbols]: then it does not bind.
    names.retain(|name| !manifest.symbols.iter().any(|(symbol, _)| symbol == name) || is_scalar(manifest, name));
    names
}

fn is_scalar(manifest: &Manifest, name: &str) -> bool {
    manifest
        .args
        .iter()
        .any(|arg| arg.name == name && arg.scalar().is_some())
}

fn known(manifest: &Manifest) -> Vec<&str> {
    let mut names = bound_symbols(manifest);
    names.extend(manifest.symbols.iter().map(|(name, _)| name.as_str()));
    names.extend(["is_gpu", "sm_count"]);
    names.sort_unstable();
    names.dedup();
    names
}

fn is_known(manifest: &Manifest, name: &str) -> bool {
    known(manifest).contains(&name)
}

/// Symbols and defaults are evaluated when first asked for; a circle among them would never end.
fn circles(manifest: &Manifest) -> Result<()> {
    let definition = |name: &str| -> Option<(String, &Expr)> {
        if let Some((_, expr)) = manifest.symbols.iter().find(|(symbol, _)| symbol == name) {
            return Some((format!("symbols.{name}"), expr));
        }
        let arg = manifest.args.iter().find(|arg| arg.name == name)?;
        match &arg.scalar()?.default {
            Some(Limit::Integer(expr)) => Some((format!("{}.default", arg.key), expr)),
            _ => None,
        }
    };
    let names: Vec<&str> = known(manifest);
    for start in &names {
        let Some((key, expr)) = definition(start) else { continue };
        let (mut reached, mut open): (Vec<&str>, Vec<&str>) = (Vec::new(), expr.symbols());
        while let Some(name) = open.pop() {
            if name == *start {
                let text = format!("depends on itself through \"{expr}\", expected other symbols");
                return Err(error(&manifest.origin, &key, &text));
            }
            if !reached.contains(&name) {
                reached.push(name);
                open.extend(definition(name).map(|(_, expr)| expr.symbols()).unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// What a kernel says of its fault, by the names that the fault's text has for it.
pub const DETAILS: [&str; 2] = ["detail0", "detail1"];

fn placeholders(manifest: &Manifest) -> Result<()> {
    let known = known(manifest);
    for (i, require) in manifest.requires.iter().enumerate() {
        if let Some(name) = names_in(&require.message).find(|name| !known.contains(name)) {
            let text = format!(
                "uses the unknown symbol {{{name}}}, expected one of {}",
                known.join(", ")
            );
            return Err(error(&manifest.origin, &format!("requires[{i}].message"), &text));
        }
    }
    for (i, fault) in manifest.faults.iter().enumerate() {
        let is_known = |name: &str| DETAILS.contains(&name) || known.contains(&name);
        if let Some(name) = names_in(&fault.message).find(|name| !is_known(name)) {
            let text = format!(
                "uses the unknown number {{{name}}}, expected {{detail0}}, {{detail1}} or one of {}",
                known.join(", ")
            );
            return Err(error(&manifest.origin, &format!("faults[{i}].message"), &text));
        }
    }
    Ok(())
}

/// The names between braces of a message.
pub fn names_in(message: &str) -> impl Iterator<Item = &str> {
    message
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}').map(|(name, _)| name))
}
