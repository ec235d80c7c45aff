//! What becomes of a call whose arguments are right: parameters, ranges, geometry, the variant; and where none can run.

use warpbridge::bind;
use warpbridge::dtype::DType;
use warpbridge::error::Kind;
use warpbridge::value::Value;

use crate::arguments::{demo, good, LUT, TABLE, X, Y, Z};
use crate::support::{at, kernel, DEMO};

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
fn empty_grid_is_refused_while_there_are_results_to_write() {
    let idle = kernel(&DEMO.replace("min(tiles, 2)", "tiles - tiles"));
    let error = bind::bind(&idle, &with_output(), None)
        .err()
        .expect("y would keep what was in its memory");
    assert_eq!(
        error.message,
        "demo: grid is [0, 1, 1], expected a thread block at least: y has shape (4, 12), and nobody would write it"
    );
    assert_eq!(error.kind, Kind::Launch);
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
