//! Each way in which an argument of a kernel can be wrong: one row, the whole text.

use std::sync::Arc;

use serde_json::Value as Json;
use warpbridge::bind::{self, Spec};
use warpbridge::device;
use warpbridge::dtype::{DType, DlDtype};
use warpbridge::error::{Error, Kind};
use warpbridge::module::Kernel;
use warpbridge::value::{Tensor, Value};

use crate::support::{at, kernel, load, DEMO};

/// Positions in the list of visible arguments.
const X: usize = 0;
const TABLE: usize = 1;
const LUT: usize = 2;
const Z: usize = 3;
const Y: usize = 4;
const K: usize = 5;
const A: usize = 6;
const FLAG: usize = 7;
const BIG: usize = 8;

fn demo() -> Arc<Kernel> {
    kernel(DEMO)
}

/// A call that is right: x (4, 6), table (4, 2), lut inline, z (4,), outputs and defaults left out.
fn good() -> Vec<Value<'static>> {
    vec![
        Value::Tensor(at(0x1000, DType::Float32, &[4, 6])),
        Value::Tensor(at(0x2000, DType::Int32, &[4, 2])),
        Value::Numbers(&[0.5, 1.0, -2.0]),
        Value::Tensor(at(0x3000, DType::Float32, &[4])),
        Value::None,
        Value::None,
        Value::Float(1.5),
        Value::None,
        Value::None,
    ]
}

fn infer_error(values: &[Value<'_>], choices: Option<&str>) -> Error {
    bind::infer(&demo(), values, choices).expect_err("a call that must be refused")
}

type Change = fn() -> Value<'static>;

fn tensor(dtype: DType, shape: &'static [i64]) -> Tensor<'static> {
    at(0x1000, dtype, shape)
}

/// Argument, new value, the rest of the text, and the fields index, found and expected.
type Refused = (usize, Change, &'static str, Option<u64>, &'static str, &'static str);

const REFUSED: &[Refused] = &[
    (X, || Value::None, "argument 1 (x) is missing, expected an array of float32 or float16", Some(1), "missing", "an array of float32 or float16"),
    (
        X,
        || Value::Int(3),
        "argument 1 (x) is the integer 3, expected an array of float32 or float16",
        Some(1),
        "the integer 3",
        "an array of float32 or float16",
    ),
    (
        X,
        || Value::Numbers(&[1.0]),
        "argument 1 (x) is a sequence of 1 numbers, expected an array of float32 or float16",
        Some(1),
        "a sequence of 1 numbers",
        "an array of float32 or float16",
    ),
    (
        X,
        || Value::Tensor(tensor(DType::Float64, &[4, 6])),
        "argument 1 (x) is float64, expected float32 or float16; convert it first",
        Some(1),
        "float64",
        "float32 or float16",
    ),
    (
        X,
        || Value::Tensor(Tensor { dtype: DlDtype { code: 2, bits: 32, lanes: 2 }, ..tensor(DType::Float32, &[4, 6]) }),
        "argument 1 (x) is float32x2, expected float32 or float16; convert it first",
        Some(1),
        "float32x2",
        "float32 or float16",
    ),
    (
        X,
        || Value::Tensor(tensor(DType::Float32, &[24])),
        "argument 1 (x) has 1 dimension, shape (24,), expected 2 dimensions, shape (n, m); reshape it first",
        Some(1),
        "1 dimension, shape (24,)",
        "2 dimensions, shape (n, m)",
    ),
    (
        X,
        || Value::Tensor(Tensor { strides: Some(&[1, 4]), ..tensor(DType::Float32, &[4, 6]) }),
        "argument 1 (x) has strides (1, 4), expected a C-contiguous array of shape (4, 6); make a contiguous copy first",
        Some(1),
        "(1, 4)",
        "a C-contiguous array of shape (4, 6)",
    ),
    (
        X,
        || Value::Tensor(at(0x1008, DType::Float32, &[4, 6])),
        "argument 1 (x) has address 0x1008, expected a multiple of 16; make a copy first",
        Some(1),
        "0x1008",
        "a multiple of 16",
    ),
    (
        X,
        || Value::Tensor(tensor(DType::Float32, &[1 << 31, 1 << 31])),
        "argument 1 (x) has shape (2147483648, 2147483648), expected fewer than 2^63 bytes",
        Some(1),
        "(2147483648, 2147483648)",
        "fewer than 2^63 bytes",
    ),
    (
        TABLE,
        || Value::Tensor(tensor(DType::Int32, &[5, 2])),
        "argument 4 (table) has shape (5, 2), expected (4, 2), because n is 4 in argument 1 (x); reshape or slice it first",
        Some(4),
        "(5, 2)",
        "(4, 2), because n is 4 in argument 1 (x)",
    ),
    (
        TABLE,
        || Value::Tensor(tensor(DType::Int32, &[4, 3])),
        "argument 4 (table) has shape (4, 3), expected (4, 2); reshape or slice it first",
        Some(4),
        "(4, 3)",
        "(4, 2)",
    ),
    (
        TABLE,
        || Value::Tensor(tensor(DType::Int64, &[4, 2])),
        "argument 4 (table) is int64, expected int32; convert it first",
        Some(4),
        "int64",
        "int32",
    ),
    (
        TABLE,
        || Value::Tensor(at(0x2002, DType::Int32, &[4, 2])),
        "argument 4 (table) has address 0x2002, expected a multiple of 4; make a copy first",
        Some(4),
        "0x2002",
        "a multiple of 4",
    ),
    (
        LUT,
        || Value::Float(0.5),
        "argument 2 (lut) is the float 0.5, expected an array of float32 or a sequence of 3 numbers",
        Some(2),
        "the float 0.5",
        "an array of float32 or a sequence of 3 numbers",
    ),
    (
        LUT,
        || Value::Numbers(&[1.0, 2.0]),
        "argument 2 (lut) has 2 numbers, expected 3",
        Some(2),
        "2 numbers",
        "3",
    ),
    (
        Z,
        || Value::Tensor(Tensor { read_only: true, ..tensor(DType::Float32, &[4]) }),
        "argument 3 (z) is read-only, expected a writable array; pass another array, or a copy",
        Some(3),
        "read-only",
        "a writable array",
    ),
    (
        Y,
        || Value::Tensor(tensor(DType::Float16, &[4, 12])),
        "out (y) is float16, expected float32, like argument 1 (x); convert it first",
        None,
        "float16",
        "float32, like argument 1 (x)",
    ),
    (
        Y,
        || Value::Tensor(tensor(DType::Float32, &[4, 10])),
        "out (y) has shape (4, 10), expected (4, 12), because 2 * k is 12; reshape or slice it first",
        None,
        "(4, 10)",
        "(4, 12), because 2 * k is 12",
    ),
    (
        Y,
        || Value::Tensor(Tensor { read_only: true, ..tensor(DType::Float32, &[4, 12]) }),
        "out (y) is read-only, expected a writable array; pass another array, or a copy",
        None,
        "read-only",
        "a writable array",
    ),
    (K, || Value::Float(2.0), "argument 5 (k) is the float 2.0, expected an integer", Some(5), "the float 2.0", "an integer"),
    (K, || Value::Bool(true), "argument 5 (k) is the bool true, expected an integer", Some(5), "the bool true", "an integer"),
    (K, || Value::Int(0), "argument 5 (k) is 0, expected at least 1", Some(5), "0", "at least 1"),
    (K, || Value::Int(25), "argument 5 (k) is 25, expected at most 24", Some(5), "25", "at most 24"),
    (A, || Value::None, "argument 6 (a) is missing, expected a number", Some(6), "missing", "a number"),
    (A, || Value::Float(70000.0), "argument 6 (a) is 70000.0, expected a value that float16 holds", Some(6), "70000.0", "a value that float16 holds"),
    (A, || Value::Int(65536), "argument 6 (a) is 65536.0, expected a value that float16 holds", Some(6), "65536.0", "a value that float16 holds"),
    (FLAG, || Value::Int(2), "argument 7 (flag) is 2, expected 0 to 1, the range of bool", Some(7), "2", "0 to 1, the range of bool"),
    (FLAG, || Value::Float(1.0), "argument 7 (flag) is the float 1.0, expected a bool", Some(7), "the float 1.0", "a bool"),
    (
        BIG,
        || Value::Int(-1),
        "argument 8 (big) is -1, expected 0 to 18446744073709551615, the range of uint64",
        Some(8),
        "-1",
        "0 to 18446744073709551615, the range of uint64",
    ),
];

#[test]
fn wrong_argument_is_refused_by_place_found_and_expected() {
    for (argument, change, text, index, found, expected) in REFUSED {
        let mut values = good();
        values[*argument] = change();
        let error = infer_error(&values, None);
        assert_eq!(error.message, format!("demo: {text}"));
        assert_eq!(error.kind, Kind::Argument, "{text}");
        assert_eq!(error.fields["kernel"], "demo");
        assert_eq!(error.fields["index"], index.map_or(Json::Null, Json::from), "{text}");
        assert_eq!(
            (&error.fields["found"], &error.fields["expected"]),
            (&(*found).into(), &(*expected).into())
        );
    }
}

#[test]
fn good_call_infers_its_output() {
    let shape = vec![4, 12];
    let expected = vec![Spec {
        shape,
        dtype: DType::Float32,
        device: (1, 0),
    }];
    assert_eq!(bind::infer(&demo(), &good(), None).expect("a good call"), expected);
}

#[test]
fn scalar_decides_an_output_size_and_dtype_is_inherited() {
    let mut values = good();
    values[X] = Value::Tensor(tensor(DType::Float16, &[4, 6]));
    values[K] = Value::Int(5);
    let specs = bind::infer(&demo(), &values, None).expect("a good call");
    assert_eq!((&specs[0].shape, specs[0].dtype), (&vec![4, 10], DType::Float16));
}

#[test]
fn missing_output_is_an_error_of_bind() {
    let error = bind::bind(&demo(), &good(), None).err().expect("no output");
    assert_eq!(
        error.message,
        "demo: out (y) is missing, expected an array of float32 or float16"
    );
}

#[test]
fn wrong_number_of_values_is_refused() {
    let error = infer_error(&good()[..3], None);
    assert_eq!(
        error.message,
        "demo: 3 values, expected 9 (x, table, lut, z, y, k, a, flag, big)"
    );
}

#[test]
fn requirement_shows_its_symbols() {
    let mut values = good();
    values[X] = Value::Tensor(tensor(DType::Float32, &[4, 100]));
    assert_eq!(
        infer_error(&values, None).message,
        "demo: m is 100, expected less than 100, whatever 4 is"
    );
}

#[test]
fn array_on_unknown_device_names_what_there_is() {
    let mut values = good();
    values[X] = Value::Tensor(Tensor {
        device_type: 2,
        device_id: 99,
        ..tensor(DType::Float32, &[4, 6])
    });
    let error = infer_error(&values, None);
    let names: Vec<_> = device::all().iter().map(|d| d.name()).collect();
    let reason = &device::driver().reason;
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    let there = names.join(", ");
    assert_eq!(
        error.message,
        format!("demo: argument 1 (x) is on cuda:99, expected one of {there}{why}")
    );
    assert_eq!(error.kind, Kind::Device);
}

#[test]
fn array_of_another_kind_of_device_is_refused() {
    let mut values = good();
    values[Z] = Value::Tensor(Tensor {
        device_type: 15,
        ..tensor(DType::Float32, &[4])
    });
    let text = "demo: argument 3 (z) is on a WebGPU device, expected cpu or cuda; convert it first";
    assert_eq!(infer_error(&values, None).message, text);
}

#[test]
fn choices_that_do_not_exist_are_refused() {
    let cases = [
        ("U=float32", "demo: dtype variable \"U\", expected T"),
        (
            "T=float64",
            "demo: dtype of x and y is float64, expected float32 or float16",
        ),
        (
            "T=float16",
            "demo: argument 1 (x) is float32, expected float16, as asked for; convert it first",
        ),
        (
            "arch=ampere",
            "demo: arch is \"ampere\", expected an architecture, such as sm_90",
        ),
    ];
    for (choices, text) in cases {
        assert_eq!(infer_error(&good(), Some(choices)).message, text);
    }
}

fn with_output() -> Vec<Value<'static>> {
    let mut values = good();
    values[Y] = Value::Tensor(at(0x4000, DType::Float32, &[4, 12]));
    values
}

#[test]
fn bind_lays_out_every_parameter() {
    let bound = bind::bind(&demo(), &with_output(), None).expect("a good call");
    let plan = bound.plan.as_ref().expect("something to launch");
    let param = |i: usize| {
        let (offset, bytes) = plan.layout[i];
        let mut wide = [0u8; 8];
        wide[..bytes].copy_from_slice(&plan.params[offset..offset + bytes]);
        u64::from_le_bytes(wide)
    };
    let f32_bits = |v: f32| u64::from(v.to_bits());
    let expected = [
        0x1000,
        0x2000,
        0,
        f32_bits(0.5),
        f32_bits(1.0),
        f32_bits(-2.0),
        0x3000,
        0x4000,
        6,
        0x3e00,
        0,
        0,
        4,
        0,
    ];
    assert_eq!((0..14).map(param).collect::<Vec<_>>(), expected);
    assert_eq!(plan.control_offset, Some(plan.layout[13].0));
    assert_eq!((plan.grid, plan.block, plan.shared_bytes), ([2, 1, 1], [32, 1, 1], 12));
    let ranges: Vec<_> = plan
        .ranges
        .iter()
        .map(|r| (r.name.as_str(), r.address, r.bytes, r.writable))
        .collect();
    let expected = [
        ("x", 0x1000, 96, false),
        ("table", 0x2000, 32, false),
        ("z", 0x3000, 16, true),
        ("y", 0x4000, 192, true),
    ];
    assert_eq!(ranges, expected);
    assert_eq!(
        plan.roles
            .iter()
            .map(|r| (r.name.as_str(), r.warps))
            .collect::<Vec<_>>(),
        [("all", 1)]
    );
    assert_eq!(
        bound.arguments,
        "x float32 (4, 6), table int32 (4, 2), lut [0.5, 1.0, -2.0], z float32 (4,), y float32 (4, 12), k = 6, a = 1.5, \
         flag = 0, big = 0"
    );
}

#[test]
fn optional_array_left_out_passes_address_zero() {
    let mut values = with_output();
    values[TABLE] = Value::None;
    let bound = bind::bind(&demo(), &values, None).expect("a good call");
    let plan = bound.plan.as_ref().expect("something to launch");
    assert_eq!(plan.params[plan.layout[1].0..][..8], [0; 8]);
}

#[test]
fn inline_array_on_the_device_passes_its_address() {
    let mut values = with_output();
    values[LUT] = Value::Tensor(at(0x5000, DType::Float32, &[3]));
    let bound = bind::bind(&demo(), &values, None).expect("a good call");
    let plan = bound.plan.as_ref().expect("something to launch");
    assert_eq!(plan.params[plan.layout[2].0..][..8], 0x5000u64.to_le_bytes());
    assert_eq!(plan.ranges[2].name, "lut");
}

#[test]
fn dtype_chooses_the_variant() {
    let mut values = with_output();
    values[X] = Value::Tensor(at(0x1000, DType::Float16, &[4, 6]));
    values[Y] = Value::Tensor(at(0x4000, DType::Float16, &[4, 12]));
    let bound = bind::bind(&demo(), &values, None).expect("a good call");
    assert_eq!((bound.entry.as_str(), bound.extents.block), ("demo_f16", [64, 1, 1]));
    assert_eq!(bound.extents.shared_bytes, 6);
}

#[test]
fn empty_grid_has_no_plan() {
    let mut values = with_output();
    values[X] = Value::Tensor(at(0, DType::Float32, &[0, 6]));
    values[TABLE] = Value::None;
    values[Z] = Value::Tensor(at(0, DType::Float32, &[0]));
    values[Y] = Value::Tensor(at(0, DType::Float32, &[0, 12]));
    assert!(bind::bind(&demo(), &values, None).expect("a good call").plan.is_none());
}

#[test]
fn variant_that_the_device_cannot_run_is_refused() {
    let wanted = bind::bind(&demo(), &with_output(), Some("arch=sm_90"))
        .err()
        .expect("no such variant");
    assert_eq!(
        wanted.message,
        "demo: variant sm_90 was asked for, but there are variants for sm_80; ask for one of them"
    );
    assert_eq!(wanted.kind, Kind::Device);
    let newer = kernel(&DEMO.replace("arch = \"sm_80\"", "arch = \"sm_120\""));
    let error = bind::bind(&newer, &with_output(), None).err().expect("too new");
    assert_eq!(
        error.message,
        "demo: variants for sm_120, but cpu is sm_90; expected one for sm_90 or earlier"
    );
    let error = bind::bind(&newer, &with_output(), Some("arch=sm_120"))
        .err()
        .expect("too new");
    assert_eq!(
        error.message,
        "demo: variant sm_120 was asked for, but cpu is sm_90; ask for another of the variants for sm_120"
    );
}

/// A manifest that contradicts its PTX: what to replace, by what, the key blamed, the rest of the text.
const CONTRADICTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "entry = \"demo_f16\"",
        "entry = \"demo_f64\"",
        "variants[1].entry",
        "is \"demo_f64\", but core.ptx has add, pause, report, spin, outside, stuck, demo_f32, demo_f16, pieces; name one of \
         its entries",
    ),
    (
        "arch = \"sm_80\"\nentry = \"demo_f32\"",
        "arch = \"sm_75\"\nentry = \"demo_f32\"",
        "variants[0].arch",
        "is sm_75, but core.ptx has .target sm_80; expected sm_80 or later",
    ),
    (
        "name = \"count\"\nkind = \"size\"\ndtype = \"uint32\"",
        "name = \"count\"\nkind = \"size\"\ndtype = \"uint64\"",
        "args[9]",
        "(count) takes 8 bytes, but parameter 13 of entry demo_f32 of core.ptx is .u32 of 4 bytes; expected the same size",
    ),
    (
        "shape = [3]",
        "shape = [4]",
        "args",
        "make 15 PTX parameters, but entry demo_f32 of core.ptx has 14; expected the same number",
    ),
    (
        "block = 32",
        "block = [16, 2]",
        "launch.block",
        "is [16, 2, 1], but entry demo_f32 of core.ptx has .reqntid [32, 1, 1]; expected the same",
    ),
    (
        "launch = { block = 64 }",
        "launch = { block = 96 }",
        "variants[1].launch.block",
        "is [96, 1, 1], but entry demo_f16 of core.ptx has .maxntid [64, 1, 1]; expected no more threads",
    ),
];

#[test]
fn manifest_that_contradicts_its_ptx_is_refused_at_load() {
    for (good, bad, key, text) in CONTRADICTIONS {
        assert_eq!(DEMO.matches(good).count(), 1, "the row must spoil one place: {good}");
        let error = load(&DEMO.replace(good, bad)).err().expect("a contradiction");
        assert_eq!(error.message, format!("core.toml: {key} {text}"));
        assert_eq!((error.kind, &error.fields["key"]), (Kind::Manifest, &(*key).into()));
    }
}

#[test]
fn ptx_file_that_is_not_there_is_refused_at_load() {
    let two = DEMO.replacen("core.ptx", "other.ptx", 1);
    let error = load(&two).err().expect("no such file");
    assert_eq!(
        error.message,
        "core.toml: variants[0].ptx is \"other.ptx\", which cannot be read: the manifest was handed over without a \
         directory; load it from a file, or name only the PTX given"
    );
}
