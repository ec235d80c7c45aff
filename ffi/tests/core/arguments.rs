//! Each way in which an argument of a kernel can be wrong: one row, the whole text.

use std::sync::Arc;

use serde_json::Value as Json;
use warpbridge::bind::{self, Spec};
use warpbridge::device;
use warpbridge::dtype::{DType, DlDtype};
use warpbridge::error::{Error, Kind};
use warpbridge::module::Kernel;
use warpbridge::value::{Tensor, Value};

use crate::support::{at, kernel, DEMO};

/// Positions in the list of visible arguments.
pub const X: usize = 0;
pub const TABLE: usize = 1;
pub const LUT: usize = 2;
pub const Z: usize = 3;
pub const Y: usize = 4;
const K: usize = 5;
const A: usize = 6;
const FLAG: usize = 7;
const BIG: usize = 8;

pub fn demo() -> Arc<Kernel> {
    kernel(DEMO)
}

/// A call that is right: x (4, 6), table (4, 2), lut inline, z (4,), outputs and defaults left out.
pub fn good() -> Vec<Value<'static>> {
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

#[test]
fn scalar_that_must_be_finite_is_refused_otherwise() {
    let manifest = DEMO.replace(
        "dtype = \"float16\"\n[[args]]",
        "dtype = \"float16\"\nfinite = true\n[[args]]",
    );
    let refused = |a: f64| {
        let mut values = good();
        values[A] = Value::Float(a);
        bind::infer(&kernel(&manifest), &values, None)
            .err()
            .map(|error| error.message)
    };
    assert_eq!(refused(-65504.0), None);
    let cases = [(f64::NAN, "nan"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")];
    for (a, shown) in cases {
        let text = format!("demo: argument 6 (a) is {shown}, expected a finite number");
        assert_eq!(refused(a), Some(text));
    }
}
