//! What a manifest must be before its PTX is looked at: each row spoils a good one and compares the whole error.

use warpbridge::error::Kind;
use warpbridge::manifest::{Limit, Manifest};

const GOOD: &str = r#"
manifest = 1
name = "demo"
[dtypes]
T = ["float32", "float16"]
[[variants]]
ptx = "demo.ptx"
arch = "sm_80"
entry = "demo"
dtypes = { T = "float32" }
[symbols]
tiles = "ceil_div(n, 4)"
[launch]
block = 32
grid = ["tiles"]
shared_bytes = "tiles * itemsize(T)"
[[roles]]
name = "all"
warps = 1
[[args]]
name = "x"
kind = "array"
intent = "in"
dtype = "T"
shape = ["n", "m"]
align = 16
[[args]]
name = "y"
kind = "array"
intent = "out"
dtype = "T"
shape = ["n", "2 * k"]
[[args]]
name = "k"
kind = "scalar"
dtype = "int32"
default = "m"
min = 1
max = "m"
[[args]]
name = "count"
kind = "size"
dtype = "uint32"
value = "n"
[[args]]
name = "control"
kind = "control"
[[requires]]
expression = "k <= m"
message = "k is {k}, expected at most {m}"
[[faults]]
code = 1
message = "row {detail0} is bad"
"#;

fn refused(text: &str) -> warpbridge::error::Error {
    let error = Manifest::parse(text, "demo.toml").expect_err("a spoiled manifest");
    assert_eq!(error.kind, Kind::Manifest);
    assert_eq!(error.fields["file"], "demo.toml");
    error
}

#[test]
fn good_manifest_reads() {
    let manifest = Manifest::parse(GOOD, "demo.toml").expect("reads");
    assert_eq!(manifest.name, "demo");
    let visible: Vec<_> = manifest.visible().map(|arg| arg.name.as_str()).collect();
    assert_eq!(visible, ["x", "y", "k"]);
    let places: Vec<_> = manifest.visible().map(|arg| manifest.place(arg)).collect();
    assert_eq!(places, ["argument 1 (x)", "out (y)", "argument 2 (k)"]);
}

#[test]
fn json_reads_like_toml() {
    let toml = Manifest::parse(GOOD, "demo.toml").expect("reads");
    let json = Manifest::parse(&toml.json.to_string(), "demo.json").expect("reads");
    assert_eq!(json.json, toml.json);
    assert_eq!(json.args.len(), toml.args.len());
}

#[test]
fn nan_is_a_default_of_floats_only() {
    let with = |dtype: &str| {
        let scalar = format!(
            "name = \"v\"\nkind = \"scalar\"\ndtype = \"{dtype}\"\ndefault = \"nan\"\n[[args]]\nname = \"count\""
        );
        GOOD.replace("name = \"count\"", &scalar)
    };
    let manifest = Manifest::parse(&with("float64"), "demo.toml").expect("reads");
    let default = manifest.args[3].scalar().and_then(|scalar| scalar.default.as_ref());
    assert!(matches!(default, Some(Limit::Number(number)) if number.is_nan()));
    assert_eq!(
        refused(&with("int32")).message,
        "demo.toml: args[3].default uses the unknown symbol nan in \"nan\", expected one of is_gpu, k, m, n, sm_count, tiles, v"
    );
}

/// What to replace in `GOOD`, by what, the key blamed, and the rest of the text.
const SPOILED: &[(&str, &str, &str, &str)] = &[
    ("manifest = 1", "manifest = 2", "manifest", "is 2, expected 1, the version this warpbridge reads; install a newer one"),
    ("name = \"demo\"", "", "name", "is missing, expected a value; add the key"),
    ("intent = \"in\"", "intnet = \"in\"", "args[0].intent", "is missing, but intnet is there; spell it intent"),
    ("kind = \"size\"", "knd = \"size\"", "args[3].kind", "is missing, but knd is there; spell it kind"),
    ("min = 1", "finite = true", "args[2].finite", "is true, expected a scalar of floating point: integers are finite"),
    ("name = \"demo\"", "name = \"de mo\"", "name", "is \"de mo\", expected an identifier"),
    ("name = \"demo\"", "name = 3", "name", "is 3, expected a string"),
    (
        "name = \"demo\"",
        "name = \"demo\"\nnaem = 1",
        "naem",
        "is an unknown key, expected one of args, doc, dtypes, faults, hidden, launch, manifest, name, requires, roles, \
         summary, symbols, variants",
    ),
    ("T = [\"float32\", \"float16\"]", "T = [\"float\"]", "dtypes.T[0]", "is \"float\", expected a dtype, such as float32"),
    (
        "T = [\"float32\", \"float16\"]",
        "T = []",
        "dtypes.T",
        "is no dtype variable; give it a name of its own and at least one instance",
    ),
    ("arch = \"sm_80\"", "arch = \"ampere\"", "variants[0].arch", "is \"ampere\", expected an architecture, such as sm_90"),
    (
        "{ T = \"float32\" }",
        "{ T = \"float64\" }",
        "variants[0].dtypes.T",
        "is \"float64\", expected an instance of T in [dtypes]",
    ),
    (
        "{ T = \"float32\" }",
        "{ U = \"float32\" }",
        "variants[0].dtypes.U",
        "is unknown, expected a variable of [dtypes]",
    ),
    ("block = 32", "", "launch.block", "is missing, expected a value; add the key"),
    ("block = 32", "block = [1, 1, 1, 1]", "launch.block", "has 4 items, expected 1 to 3"),
    ("block = 32", "block = 32.5", "launch.block", "is 32.5, expected an integer or an expression in a string"),
    (
        "\"ceil_div(n, 4)\"",
        "\"ceil_div(n)\"",
        "symbols.tiles",
        "is not valid: expression \"ceil_div(n)\": ceil_div has 1 arguments, expected 2",
    ),
    (
        "\"ceil_div(n, 4)\"",
        "\"ceil_div(q, 4)\"",
        "symbols.tiles",
        "uses the unknown symbol q in \"ceil_div(q, 4)\", expected one of is_gpu, k, m, n, sm_count, tiles",
    ),
    (
        "\"ceil_div(n, 4)\"",
        "\"tiles + 1\"",
        "symbols.tiles",
        "depends on itself through \"tiles + 1\", expected other symbols",
    ),
    (
        "default = \"m\"",
        "default = \"tiles + k\"",
        "args[2].default",
        "depends on itself through \"tiles + k\", expected other symbols",
    ),
    (
        "itemsize(T)",
        "itemsize(U)",
        "launch.shared_bytes",
        "uses the unknown dtype U in \"tiles * itemsize(U)\"; expected a dtype or a variable of [dtypes]",
    ),
    (
        "itemsize(T)",
        "is_value(n, 1)",
        "launch.shared_bytes",
        "asks for the value of n in \"tiles * is_value(n, 1)\"; expected the name of a scalar argument",
    ),
    (
        "itemsize(T)\"",
        "itemsize(T)\"\nwarps = { others = 2 }",
        "launch.warps.others",
        "is no role, expected one of all",
    ),
    (
        "itemsize(T)\"",
        "itemsize(T)\"\nwarps = { all = \"2 * q\" }",
        "launch.warps.all",
        "uses the unknown symbol q in \"2 * q\", expected one of is_gpu, k, m, n, sm_count, tiles",
    ),
    ("warps = 1", "", "roles[0].warps", "is missing, expected a value; add the key"),
    ("kind = \"size\"", "kind = \"sise\"", "args[3].kind", "is \"sise\", expected array, scalar, size or control"),
    (
        "kind = \"size\"",
        "kind = \"tensormap\"",
        "args[3].kind",
        "is \"tensormap\", which is reserved; pass an array instead",
    ),
    ("dtype = \"uint32\"", "dtype = \"float32\"", "args[3].dtype", "is \"float32\", expected an integer dtype"),
    ("intent = \"out\"", "intent = \"output\"", "args[1].intent", "is \"output\", expected in, out or inout"),
    (
        "intent = \"out\"",
        "intent = \"out\"\noptional = true",
        "args[1].intent",
        "is not \"in\", but only inputs can be optional or inline; remove that key",
    ),
    (
        "align = 16",
        "inline = true",
        "args[0].shape",
        "is a list, expected integers only, 1 to 64 elements in all, because of inline = true",
    ),
    ("align = 16", "align = 24", "args[0].align", "is 24, expected a power of two"),
    ("align = 16", "align = 0", "args[0].align", "is 0, expected an integer of at least 1"),
    (
        "align = 16",
        "optonal = true",
        "args[0].optonal",
        "is an unknown key, expected one of align, dtype, in_place, inline, intent, kind, name, optional, shape, summary, workspace, zeroed",
    ),
    ("name = \"count\"", "name = \"x\"", "args[3].name", "is \"x\" like args[0].name, expected a name of its own"),
    (
        "name = \"control\"\nkind = \"control\"",
        "name = \"control\"\nkind = \"control\"\n[[args]]\nname = \"more\"\nkind = \"control\"",
        "args[5]",
        "is a second control argument, expected at most one",
    ),
    ("dtype = \"int32\"", "dtype = \"complex64\"", "args[2].dtype", "is \"complex64\", expected a real dtype, because complex scalars are not supported"),
    ("dtype = \"int32\"", "dtype = \"float8_e4m3fn\"", "args[2].dtype", "is \"float8_e4m3fn\", expected a dtype of 16 bits or an integer, because float8 scalars are not supported"),
    (
        "k is {k}",
        "k is {q}",
        "requires[0].message",
        "uses the unknown symbol {q}, expected one of is_gpu, k, m, n, sm_count, tiles",
    ),
    (
        "row {detail0}",
        "row {detail2}",
        "faults[0].message",
        "uses the unknown number {detail2}, expected {detail0}, {detail1} or one of is_gpu, k, m, n, sm_count, tiles",
    ),
    ("code = 1", "code = -1", "faults[0].code", "is -1, expected an integer of at least 0"),
];

#[test]
fn spoiled_manifest_names_file_and_key() {
    for (good, bad, key, text) in SPOILED {
        assert_eq!(GOOD.matches(good).count(), 1, "the row must spoil one place: {good}");
        let error = refused(&GOOD.replace(good, bad));
        assert_eq!(error.message, format!("demo.toml: {key} {text}"));
        assert_eq!(error.fields["key"], *key);
    }
}

#[test]
fn toml_syntax_error_names_line_and_column() {
    let error = refused("manifest = 1\nname = demo\n");
    assert_eq!(
        error.message,
        "demo.toml: line 2, column 8: string values must be quoted, expected literal string"
    );
    assert_eq!((&error.fields["line"], &error.fields["column"]), (&2.into(), &8.into()));
}

#[test]
fn json_syntax_error_names_line_and_column() {
    let error = refused("{\"manifest\": 1,\n name: 3}");
    assert_eq!(error.message, "demo.toml: line 2, column 2: key must be a string");
}
