//! Arrays that share memory: refused where one of them is written, unless the manifest allows the two to be the same.
//! And arrays that are no results: workspace.

use std::sync::Arc;

use warpbridge::bind;
use warpbridge::dtype::DType;
use warpbridge::module::Kernel;
use warpbridge::value::Value;

use crate::support::{at, kernel, load, DEMO};

fn in_place() -> Arc<Kernel> {
    kernel(&DEMO.replace(
        "name = \"y\"\nkind = \"array\"",
        "name = \"y\"\nin_place = [\"x\"]\nkind = \"array\"",
    ))
}

/// x (4, 6) float32 at 0x1000 (96 bytes), table (4, 2) int32, z (4,) float32, y (4, 12) float32; no lut on the device.
fn call(kernel: &Arc<Kernel>, x: u64, table: u64, z: u64, y: u64, k: i64) -> Result<(), String> {
    let shape = [4, 2 * k];
    let values = [
        Value::Tensor(at(x, DType::Float32, &[4, 6])),
        Value::Tensor(at(table, DType::Int32, &[4, 2])),
        Value::Numbers(&[0.5, 1.0, -2.0]),
        Value::Tensor(at(z, DType::Float32, &[4])),
        Value::Tensor(at(y, DType::Float32, &shape)),
        Value::Int(k),
        Value::Float(1.5),
        Value::None,
        Value::None,
    ];
    bind::infer(kernel, &values, None).map(drop).map_err(|e| e.message)
}

#[test]
fn arrays_that_touch_share_nothing() {
    assert_eq!(call(&kernel(DEMO), 0x1000, 0x1060, 0x1080, 0x1090, 6), Ok(()));
}

#[test]
fn inputs_may_share() {
    assert_eq!(call(&kernel(DEMO), 0x1000, 0x1010, 0x2000, 0x3000, 6), Ok(()));
}

#[test]
fn empty_arrays_share_nothing() {
    let values = [
        Value::Tensor(at(0, DType::Float32, &[0, 6])),
        Value::Tensor(at(0, DType::Int32, &[0, 2])),
        Value::Numbers(&[0.5, 1.0, -2.0]),
        Value::Tensor(at(0, DType::Float32, &[0])),
        Value::Tensor(at(0, DType::Float32, &[0, 12])),
        Value::None,
        Value::Float(1.5),
        Value::None,
        Value::None,
    ];
    assert!(bind::infer(&kernel(DEMO), &values, None).is_ok());
}

#[test]
fn output_over_an_input_is_refused() {
    let refused = call(&kernel(DEMO), 0x1000, 0x2000, 0x3000, 0x1050, 6);
    assert_eq!(
        refused.unwrap_err(),
        "demo: out (y) shares 16 bytes of memory with argument 1 (x), expected memory of its own; pass another array, or a \
         copy"
    );
}

#[test]
fn inout_over_an_input_before_or_behind_it_is_refused() {
    for z in [0x1ff4, 0x201c] {
        let refused = call(&kernel(DEMO), 0x1000, 0x2000, z, 0x3000, 6);
        assert_eq!(
            refused.unwrap_err(),
            "demo: argument 3 (z) shares 4 bytes of memory with argument 4 (table), expected memory of its own; pass \
             another array, or a copy"
        );
    }
}

#[test]
fn two_arrays_that_are_written_are_refused_by_the_later() {
    let refused = call(&kernel(DEMO), 0x1000, 0x2000, 0x3000, 0x3000, 6);
    assert_eq!(
        refused.unwrap_err(),
        "demo: out (y) shares 16 bytes of memory with argument 3 (z), expected memory of its own; pass another array, or a \
         copy"
    );
}

#[test]
fn same_memory_is_refused_unless_the_manifest_allows_it() {
    let refused = call(&kernel(DEMO), 0x1000, 0x2000, 0x3000, 0x1000, 3);
    assert_eq!(
        refused.unwrap_err(),
        "demo: out (y) shares 96 bytes of memory with argument 1 (x), expected memory of its own, because the manifest does \
         not allow it in place; pass another array, or a copy"
    );
    assert_eq!(call(&in_place(), 0x1000, 0x2000, 0x3000, 0x1000, 3), Ok(()));
}

#[test]
fn in_place_means_the_same_bytes() {
    for (y, k, shared) in [(0x1010, 3, 80), (0x1000, 6, 96), (0x0ff0, 3, 80)] {
        assert_eq!(
            call(&in_place(), 0x1000, 0x2000, 0x3000, y, k).unwrap_err(),
            format!(
                "demo: out (y) shares {shared} bytes of memory with argument 1 (x), expected exactly the memory of argument \
                 1 (x), or none of it; pass another array, or a copy"
            )
        );
    }
}

#[test]
fn in_place_is_for_arrays_that_are_written_and_names_others() {
    let of = |name: &str, list: &str| {
        let key = format!("name = \"{name}\"\nin_place = {list}");
        let manifest = DEMO.replacen(&format!("name = \"{name}\""), &key, 1);
        load(&manifest).err().map(|e| e.message).unwrap_or_default()
    };
    assert_eq!(
        of("x", "[\"y\"]"),
        "core.toml: args[0].intent is \"in\", but only an array that is written can be in_place; remove that key"
    );
    for (list, wrong) in [("[\"x\", \"w\"]", "w"), ("[\"y\"]", "y"), ("[\"k\"]", "k")] {
        assert_eq!(
            of("y", list),
            format!("core.toml: args[4].in_place has \"{wrong}\", expected names of other array arguments")
        );
    }
}

#[test]
fn workspace_and_zeros_are_for_outputs() {
    for key in ["workspace", "zeroed"] {
        let keys = format!("name = \"x\"\n{key} = true");
        let error = load(&DEMO.replacen("name = \"x\"", &keys, 1)).err();
        assert_eq!(
            error.map(|e| e.message).unwrap_or_default(),
            "core.toml: args[0].intent is not \"out\", but only outputs can be workspace or zeroed; remove that key"
        );
    }
    let keys = "name = \"y\"\nworkspace = true\nzeroed = true";
    assert!(load(&DEMO.replacen("name = \"y\"", keys, 1)).is_ok());
}
