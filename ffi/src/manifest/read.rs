//! From keys to values: TOML or JSON text becomes a [`Manifest`]. Each function reads one kind of table.
//! Whether names mean something is checked later, in `names.rs`.

use serde_json::Value;

use super::expr::Expr;
use super::table::{Node, Table};
use super::{
    Arch, Arg, ArgKind, ArrayArg, DTypeRef, FaultText, Intent, LaunchSpec, Limit, Manifest, Require, Role, ScalarArg,
    Shape, Variant,
};
use crate::dtype::{Class, DType};
use crate::error::{Error, Kind, Result};

type Dtypes = Vec<(String, Vec<DType>)>;

/// Reads a whole file.
pub fn read(text: &str, origin: &str) -> Result<Manifest> {
    let json = syntax(text, origin)?;
    let root = Node::root(origin, &json).table()?;
    let version = root.need("manifest")?;
    if version.integer(1)? != 1 {
        return Err(version.expected("1, the version this warpbridge reads; install a newer one"));
    }
    let dtypes = root.get("dtypes").map_or(Ok(Vec::new()), |node| read_dtypes(&node))?;
    let manifest = Manifest {
        origin: origin.to_owned(),
        name: root.need("name")?.identifier()?,
        summary: root.text_or_empty("summary")?,
        hidden: root.get("hidden").map_or(Ok(false), |node| node.bool())?,
        variants: each(&root, "variants", |t| read_variant(t, &dtypes))?,
        symbols: read_named(&root, "symbols")?,
        launch: read_launch(&root.need("launch")?.table()?)?,
        roles: each(&root, "roles", read_role)?,
        args: each(&root, "args", |t| read_arg(t, &dtypes))?,
        requires: each(&root, "requires", read_require)?,
        faults: each(&root, "faults", read_fault)?,
        dtypes,
        json: json.clone(),
    };
    root.text_or_empty("doc")?;
    root.finish()?;
    for (name, list) in [
        ("variants", manifest.variants.is_empty()),
        ("args", manifest.args.is_empty()),
    ] {
        if list {
            return Err(super::table::error(
                origin,
                name,
                "is missing, expected at least one entry; add one",
            ));
        }
    }
    if manifest.launch.block.is_none() && manifest.variants.iter().any(|v| v.launch.block.is_none()) {
        return Err(super::table::error(
            origin,
            "launch.block",
            "is missing, expected a value; add the key",
        ));
    }
    if manifest.launch.grid.is_none() && manifest.variants.iter().any(|v| v.launch.grid.is_none()) {
        return Err(super::table::error(
            origin,
            "launch.grid",
            "is missing, expected a value; add the key",
        ));
    }
    Ok(manifest)
}

fn syntax(text: &str, origin: &str) -> Result<Value> {
    let failed = |line: usize, column: usize, what: &str| {
        let text = format!("{origin}: line {line}, column {column}: {what}");
        let error = Error::new(Kind::Manifest, text).with("file", origin);
        error.with("line", line).with("column", column)
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e: serde_json::Error| {
            let whole = e.to_string();
            let what = whole.split(" at line ").next().unwrap_or(&whole);
            failed(e.line(), e.column(), what)
        });
    }
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        failed(before.matches('\n').count() + 1, column, e.message())
    })
}

fn each<T>(root: &Table<'_>, name: &'static str, read: impl Fn(&Table<'_>) -> Result<T>) -> Result<Vec<T>> {
    let read_one = |table: Table<'_>| {
        let value = read(&table)?;
        table.finish()?;
        Ok(value)
    };
    root.tables(name)?.into_iter().map(read_one).collect()
}

fn read_dtypes(node: &Node<'_>) -> Result<Dtypes> {
    let read_one = |(name, node): (String, Node<'_>)| {
        let list = node.list()?.iter().map(read_dtype).collect::<Result<Vec<_>>>()?;
        if list.is_empty() || DType::from_name(&name).is_some() {
            return Err(node.error("is no dtype variable; give it a name of its own and at least one instance"));
        }
        Ok((name, list))
    };
    node.named()?.into_iter().map(read_one).collect()
}

fn read_dtype(node: &Node<'_>) -> Result<DType> {
    DType::from_name(&node.text()?).ok_or_else(|| node.expected("a dtype, such as float32"))
}

fn read_dtype_ref(node: &Node<'_>, dtypes: &Dtypes) -> Result<DTypeRef> {
    let text = node.text()?;
    if let Some(fixed) = DType::from_name(&text) {
        return Ok(DTypeRef::Fixed(fixed));
    }
    if dtypes.iter().any(|(name, _)| *name == text) {
        return Ok(DTypeRef::Variable(text));
    }
    Err(node.expected("a dtype, such as float32, or a variable of [dtypes]"))
}

fn read_variant(table: &Table<'_>, dtypes: &Dtypes) -> Result<Variant> {
    let arch = table.need("arch")?;
    let mut chosen = Vec::new();
    if let Some(node) = table.get("dtypes") {
        for (name, node) in node.named()? {
            let instances = dtypes.iter().find(|(known, _)| *known == name).map(|(_, list)| list);
            let instances = instances.ok_or_else(|| node.error("is unknown, expected a variable of [dtypes]"))?;
            let dtype = read_dtype(&node)?;
            if !instances.contains(&dtype) {
                return Err(node.expected(&format!("an instance of {name} in [dtypes]")));
            }
            chosen.push((name, dtype));
        }
    }
    Ok(Variant {
        key: table.key().to_owned(),
        ptx: table.need("ptx")?.text()?,
        arch: Arch::parse(&arch.text()?).ok_or_else(|| arch.expected("an architecture, such as sm_90"))?,
        entry: table.need("entry")?.text()?,
        dtypes: chosen,
        when: table.get("when").map(|node| node.expression()).transpose()?,
        launch: table
            .get("launch")
            .map_or(Ok(LaunchSpec::default()), |node| read_launch(&node.table()?))?,
    })
}

/// Expressions by names that are the author's own.
fn read_named(table: &Table<'_>, name: &'static str) -> Result<Vec<(String, Expr)>> {
    let Some(node) = table.get(name) else {
        return Ok(Vec::new());
    };
    node.named()?
        .into_iter()
        .map(|(name, node)| Ok((name, node.expression()?)))
        .collect()
}

fn read_launch(table: &Table<'_>) -> Result<LaunchSpec> {
    let axes = |name| -> Result<Option<Vec<Expr>>> {
        let Some(node) = table.get(name) else { return Ok(None) };
        let items = node
            .list_or_single()?
            .iter()
            .map(Node::expression)
            .collect::<Result<Vec<_>>>()?;
        if items.is_empty() || items.len() > 3 {
            return Err(node.error(&format!("has {} items, expected 1 to 3", items.len())));
        }
        Ok(Some(items))
    };
    let spec = LaunchSpec {
        block: axes("block")?,
        grid: axes("grid")?,
        shared_bytes: table.get("shared_bytes").map(|node| node.expression()).transpose()?,
        cluster: axes("cluster")?,
        warps: read_named(table, "warps")?,
    };
    table.finish()?;
    Ok(spec)
}

fn read_role(table: &Table<'_>) -> Result<Role> {
    Ok(Role {
        name: table.need("name")?.text()?,
        warps: table.need("warps")?.expression()?,
    })
}

fn read_require(table: &Table<'_>) -> Result<Require> {
    Ok(Require {
        expression: table.need("expression")?.expression()?,
        message: table.need("message")?.text()?,
    })
}

fn read_fault(table: &Table<'_>) -> Result<FaultText> {
    let code = table.need("code")?;
    let number = u32::try_from(code.integer(0)?).map_err(|_| code.expected("a 32-bit number"))?;
    Ok(FaultText {
        code: number,
        message: table.need("message")?.text()?,
    })
}

fn read_arg(table: &Table<'_>, dtypes: &Dtypes) -> Result<Arg> {
    let kind = table.need("kind")?;
    table.text_or_empty("summary")?;
    Ok(Arg {
        key: table.key().to_owned(),
        name: table.need("name")?.identifier()?,
        kind: match kind.text()?.as_str() {
            "array" => ArgKind::Array(read_array(table, dtypes)?),
            "scalar" => ArgKind::Scalar(read_scalar(table, dtypes)?),
            "size" => {
                let dtype = table.need("dtype")?;
                let reference = read_dtype_ref(&dtype, dtypes)?;
                let is_integer = matches!(&reference, DTypeRef::Fixed(d) if d.integer_range().is_some());
                if !is_integer {
                    return Err(dtype.expected("an integer dtype"));
                }
                ArgKind::Size {
                    dtype: reference,
                    value: table.need("value")?.expression()?,
                }
            }
            "control" => ArgKind::Control {
                on_device: read_control_memory(table)?,
            },
            "tensormap" => return Err(kind.error("is \"tensormap\", which is reserved; pass an array instead")),
            _ => return Err(kind.expected("array, scalar, size or control")),
        },
    })
}

/// Whether the control block lies in the device's memory; host memory is for kernels that know no mirror.
fn read_control_memory(table: &Table<'_>) -> Result<bool> {
    let Some(memory) = table.get("memory") else {
        return Ok(false);
    };
    match memory.text()?.as_str() {
        "device" => Ok(true),
        "host" => Ok(false),
        _ => Err(memory.expected("device or host")),
    }
}

fn read_array(table: &Table<'_>, dtypes: &Dtypes) -> Result<ArrayArg> {
    let intent = table.need("intent")?;
    let shape_node = table.need("shape")?;
    let shape = read_shape(&shape_node)?;
    let flag = |name| table.get(name).map_or(Ok(false), |node: Node<'_>| node.bool());
    let align = match table.get("align") {
        None => None,
        Some(node) => {
            let bytes = node.integer(1)? as u64;
            Some(bytes)
                .filter(|b| b.is_power_of_two())
                .ok_or_else(|| node.expected("a power of two"))
                .map(Some)?
        }
    };
    let array = ArrayArg {
        intent: match intent.text()?.as_str() {
            "in" => Intent::In,
            "out" => Intent::Out,
            "inout" => Intent::InOut,
            _ => return Err(intent.expected("in, out or inout")),
        },
        dtype: read_dtype_ref(&table.need("dtype")?, dtypes)?,
        inline: if flag("inline")? {
            Some(inline_length(&shape_node, &shape)?)
        } else {
            None
        },
        shape,
        align,
        optional: flag("optional")?,
        in_place: read_in_place(table)?,
        workspace: flag("workspace")?,
        zeroed: flag("zeroed")?,
    };
    if array.intent != Intent::In && (array.optional || array.inline.is_some()) {
        return Err(intent.error("is not \"in\", but only inputs can be optional or inline; remove that key"));
    }
    if array.intent == Intent::In && !array.in_place.is_empty() {
        return Err(intent.error("is \"in\", but only an array that is written can be in_place; remove that key"));
    }
    if array.intent != Intent::Out && (array.workspace || array.zeroed) {
        return Err(intent.error("is not \"out\", but only outputs can be workspace or zeroed; remove that key"));
    }
    Ok(array)
}

/// The names of arrays; whether there are such is checked in `names.rs`.
fn read_in_place(table: &Table<'_>) -> Result<Vec<String>> {
    let Some(node) = table.get("in_place") else {
        return Ok(Vec::new());
    };
    node.list()?.iter().map(Node::identifier).collect()
}

fn inline_length(node: &Node<'_>, shape: &Shape) -> Result<usize> {
    let wanted = || node.expected("integers only, 1 to 64 elements in all, because of inline = true");
    let Shape::Dims(dims) = shape else { return Err(wanted()) };
    let count = dims.iter().try_fold(1usize, |n, dim| {
        n.checked_mul(usize::try_from(dim.as_constant()?).ok()?)
    });
    count.filter(|n| (1..=64).contains(n)).ok_or_else(wanted)
}

fn read_shape(node: &Node<'_>) -> Result<Shape> {
    let items = node.list()?;
    if let [only] = items.as_slice() {
        if let Some(symbol) = only.text().ok().as_deref().and_then(|text| text.strip_suffix("...")) {
            return match Expr::parse(symbol).ok().and_then(|e| e.as_symbol().map(str::to_owned)) {
                Some(symbol) => Ok(Shape::Any(symbol)),
                None => Err(only.expected("a symbol in front of \"...\"")),
            };
        }
    }
    if items.len() > 8 {
        return Err(node.error(&format!("has {} dimensions, expected at most 8", items.len())));
    }
    Ok(Shape::Dims(items.iter().map(Node::expression).collect::<Result<_>>()?))
}

fn read_scalar(table: &Table<'_>, dtypes: &Dtypes) -> Result<ScalarArg> {
    let node = table.need("dtype")?;
    let dtype = read_dtype_ref(&node, dtypes)?;
    let allowed: Vec<DType> = match &dtype {
        DTypeRef::Fixed(fixed) => vec![*fixed],
        DTypeRef::Variable(name) => dtypes
            .iter()
            .filter(|(n, _)| n == name)
            .flat_map(|(_, l)| l.clone())
            .collect(),
    };
    if allowed.iter().any(|d| d.class() == Class::Complex) {
        return Err(node.expected("a real dtype, because complex scalars are not supported"));
    }
    if allowed.iter().any(|d| d.class() == Class::Narrow) {
        return Err(node.expected("a dtype of 16 bits or an integer, because float8 scalars are not supported"));
    }
    let limit = |name| table.get(name).map(|node: Node<'_>| read_limit(&node)).transpose();
    let is_float = allowed.iter().all(|d| d.class() == Class::Float);
    let default = match table.get("default") {
        // TOML's own nan has no number in JSON, which tables are read into.
        Some(node) if is_float && node.text().is_ok_and(|text| text == "nan") => Some(Limit::Number(f64::NAN)),
        _ => limit("default")?,
    };
    let (mut min, mut max) = (limit("min")?, limit("max")?);
    if let Some(node) = table.get("finite").filter(|node| !matches!(node.bool(), Ok(false))) {
        if !(node.bool()? && is_float) {
            return Err(node.expected("a scalar of floating point: integers are finite"));
        }
        min.get_or_insert(Limit::Number(-f64::MAX));
        max.get_or_insert(Limit::Number(f64::MAX));
    }
    Ok(ScalarArg {
        dtype,
        default,
        min,
        max,
    })
}

fn read_limit(node: &Node<'_>) -> Result<Limit> {
    if let Ok(truth) = node.bool() {
        return Ok(Limit::Integer(Expr::constant(i64::from(truth))));
    }
    match node.number() {
        Some(number) if number.as_i64().is_none() => number
            .as_f64()
            .map(Limit::Number)
            .ok_or_else(|| node.expected("a number")),
        _ => node.expression().map(Limit::Integer),
    }
}
