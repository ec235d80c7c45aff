//! Entries launched by hand: arguments against the PTX parameters, geometry against the entry.

use warpbridge::bind::{bind_entry, EntryGeometry};
use warpbridge::dtype::DType;
use warpbridge::error::{Error, Kind};
use warpbridge::module::Module;
use warpbridge::value::{Tensor, Value};

use crate::support::{at, entries, PTX};

const ONE: EntryGeometry = EntryGeometry {
    grid: [1, 1, 1],
    block: [32, 1, 1],
    cluster: [0, 0, 0],
    shared_bytes: 0,
};

fn good() -> Vec<Value<'static>> {
    vec![
        Value::Tensor(at(0x1000, DType::Float32, &[4])),
        Value::Bytes(&[7; 16]),
        Value::Float(0.5),
        Value::Float(1.0),
        Value::Int(-3),
    ]
}

fn refused(values: &[Value<'_>]) -> Error {
    bind_entry(&entries(), "pieces", &ONE, values)
        .err()
        .expect("a call that must be refused")
}

#[test]
fn numbers_take_the_width_of_their_parameter() {
    let bound = bind_entry(&entries(), "pieces", &ONE, &good()).expect("a good call");
    let plan = bound.plan.as_ref().expect("something to launch");
    let bytes = |i: usize| &plan.params[plan.layout[i].0..][..plan.layout[i].1];
    assert_eq!(bytes(0), 0x1000u64.to_le_bytes());
    assert_eq!(bytes(1), [7; 16]);
    assert_eq!(bytes(2), 0.5f32.to_le_bytes());
    assert_eq!(bytes(3), 1.0f32.to_le_bytes());
    assert_eq!(bytes(4), [253]);
    assert_eq!(plan.control_offset, None);
    let mut values = good();
    values[3] = Value::Int(-1);
    let bound = bind_entry(&entries(), "pieces", &ONE, &values).expect("a good call");
    let plan = bound.plan.as_ref().expect("something to launch");
    assert_eq!(plan.params[plan.layout[3].0..][..4], [255; 4]);
}

type Change = fn() -> Value<'static>;

/// Argument, new value, the rest of the text.
const REFUSED: &[(usize, Change, &str)] = &[
    (0, || Value::None, "argument 1 (x) is missing, expected an array, a number or bytes for .u64 of 8 bytes"),
    (0, || Value::Float(1.0), "argument 1 (x) is the float 1.0, expected an integer for .u64 of 8 bytes"),
    (0, || Value::Bytes(&[1; 4]), "argument 1 (x) is 4 bytes, expected 8 bytes for .u64 of 8 bytes"),
    (1, || Value::Int(1), "argument 2 (pair) is the integer 1, expected 16 bytes for .b8 of 16 bytes"),
    (1, || Value::Bytes(&[1; 12]), "argument 2 (pair) is 12 bytes, expected 16 bytes for .b8 of 16 bytes"),
    (
        2,
        || Value::Tensor(at(0x1000, DType::Float32, &[4])),
        "argument 3 (f) is an array, expected a value for .f32 of 4 bytes, because an array passes an address of 8 bytes",
    ),
    (2, || Value::Float(1e39), "argument 3 (f) is the float 1e39, expected a value that float32 holds"),
    (
        3,
        || Value::Int(1 << 32),
        "argument 4 (bits) is the integer 4294967296, expected 0 to 4294967295, the range of uint32",
    ),
    (4, || Value::Int(128), "argument 5 (small) is the integer 128, expected -128 to 127, the range of int8"),
    (4, || Value::Float(1.0), "argument 5 (small) is the float 1.0, expected an integer for .s8 of 1 bytes"),
];

#[test]
fn argument_that_does_not_fit_its_parameter_is_refused() {
    for (argument, change, text) in REFUSED {
        let mut values = good();
        values[*argument] = change();
        let error = refused(&values);
        assert_eq!(error.message, format!("pieces: {text}"));
        assert_eq!(
            (error.kind, &error.fields["index"]),
            (Kind::Argument, &(argument + 1).into())
        );
    }
}

#[test]
fn wrong_number_of_arguments_lists_the_parameters() {
    assert_eq!(
        refused(&good()[..2]).message,
        "pieces: 2 arguments, expected 5 (.u64 x, .b8 pair, .f32 f, .b32 bits, .s8 small)"
    );
}

#[test]
fn unknown_entry_lists_what_there_is() {
    let error = bind_entry(&entries(), "ad", &ONE, &[]).err().expect("no such entry");
    assert_eq!(
        error.message,
        "core.ptx: no entry \"ad\", expected one of add, pause, report, spin, outside, stuck, demo_f32, demo_f16, pieces"
    );
    assert_eq!(error.kind, Kind::Load);
}

#[test]
fn geometry_that_cannot_be_launched_is_refused() {
    let cases = [
        (
            EntryGeometry {
                block: [0, 1, 1],
                ..ONE
            },
            "block is [0, 1, 1], expected 1 to [1024, 1024, 64]",
        ),
        (
            EntryGeometry {
                block: [32, 8, 8],
                ..ONE
            },
            "block is [32, 8, 8] with 2048 threads, expected at most 1024",
        ),
        (
            EntryGeometry {
                grid: [1, 65536, 1],
                ..ONE
            },
            "grid is [1, 65536, 1], expected 0 to [2147483647, 65535, 65535]",
        ),
        (
            EntryGeometry {
                grid: [3, 1, 1],
                cluster: [2, 1, 1],
                ..ONE
            },
            "cluster is [2, 1, 1], expected divisors of the grid [3, 1, 1], at most 16",
        ),
        (
            EntryGeometry {
                shared_bytes: 300_000,
                ..ONE
            },
            "shared_bytes is 300000, expected 0 to 232448 on cpu",
        ),
    ];
    for (geometry, text) in cases {
        let error = bind_entry(&entries(), "pieces", &geometry, &good())
            .err()
            .expect("an impossible geometry");
        assert_eq!(
            (error.message.as_str(), error.kind),
            (format!("pieces: {text}").as_str(), Kind::Launch)
        );
    }
}

#[test]
fn block_other_than_reqntid_is_refused() {
    let values: Vec<_> = (0..14).map(|_| Value::Int(0)).collect();
    let block = EntryGeometry {
        block: [64, 1, 1],
        ..ONE
    };
    let error = bind_entry(&entries(), "demo_f32", &block, &values)
        .err()
        .expect("another block");
    assert_eq!(
        error.message,
        "demo_f32: block is [64, 1, 1], expected [32, 1, 1], the .reqntid of entry demo_f32"
    );
    let block = EntryGeometry {
        block: [65, 1, 1],
        ..ONE
    };
    let error = bind_entry(&entries(), "demo_f16", &block, &values)
        .err()
        .expect("too many threads");
    assert_eq!(
        error.message,
        "demo_f16: block is [65, 1, 1] with 65 threads, expected at most 64, the .maxntid of entry demo_f16"
    );
}

#[test]
fn strided_array_registers_all_it_spans() {
    let mut values = good();
    values[0] = Value::Tensor(Tensor {
        strides: Some(&[-2]),
        ..at(0x1018, DType::Float32, &[4])
    });
    let bound = bind_entry(&entries(), "pieces", &ONE, &values).expect("a good call");
    let range = &bound.plan.as_ref().expect("something to launch").ranges[0];
    assert_eq!((range.address, range.bytes), (0x1000, 28));
}

#[test]
fn syntax_error_names_origin_line_and_column() {
    let spoiled = PTX.replace("ld.param.f32 %f0, [c];", "ld.param.f33 %f0, [c];");
    let error = Module::load(&spoiled, "core.ptx", None, None)
        .err()
        .expect("an unknown type");
    assert_eq!(error.kind, Kind::Load);
    assert_eq!(
        (&error.fields["origin"], &error.fields["line"]),
        (&"core.ptx".into(), &22.into())
    );
    assert!(
        error.message.starts_with("core.ptx: line 22, column "),
        "{}",
        error.message
    );
}

#[test]
fn ptx_newer_than_the_device_names_both_versions() {
    let module = Module::load(&PTX.replace(".version 8.0", ".version 99.1"), "new.ptx", None, None);
    let error = bind_entry(&module.expect("parses"), "pieces", &ONE, &good())
        .err()
        .expect("too new");
    assert_eq!(
        error.message,
        "new.ptx: PTX version 99.1, but cpu accepts at most 9.1; build it with an older .version"
    );
    assert_eq!((error.kind, &error.fields["device"]), (Kind::Load, &"cpu".into()));
}

#[test]
fn ptx_for_another_architecture_names_both() {
    let module = Module::load(&PTX.replace(".target sm_80", ".target sm_100a"), "new.ptx", None, None);
    let error = bind_entry(&module.expect("parses"), "pieces", &ONE, &good())
        .err()
        .expect("too new");
    assert_eq!(
        error.message,
        "new.ptx: .target sm_100a, which runs on that architecture only, but cpu is sm_90; expected PTX for sm_90 or earlier"
    );
}
