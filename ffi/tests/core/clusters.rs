//! Clusters of entries and kernels that say `.reqnctapercluster`: theirs when none is given, an error when another is.

use warpbridge::bind::{bind, bind_entry, EntryGeometry};
use warpbridge::dtype::DType;
use warpbridge::error::{Error, Kind};
use warpbridge::module::Module;
use warpbridge::value::Value;

use crate::support::at;

const PTX: &str = "
.version 8.0
.target sm_90
.address_size 64
.visible .entry pairs(.param .u64 y) .explicitcluster .reqnctapercluster 2, 1, 1 { ret; }
.visible .entry plain(.param .u64 y) { ret; }
";

const MANIFEST: &str = r#"
manifest = 1
name = "pairs"
variants = [{ ptx = "pairs.ptx", arch = "sm_90", entry = "pairs" }]
args = [{ name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n..."] }]
"#;

fn launched(entry: &str, grid: [u32; 3], cluster: [u32; 3]) -> Result<[u32; 3], Error> {
    let module = Module::load(PTX, "pairs.ptx", None, None)?;
    let geometry = EntryGeometry {
        grid,
        block: [32, 1, 1],
        cluster,
        shared_bytes: 0,
    };
    let values = [Value::Tensor(at(0x1000, DType::Uint32, &[4]))];
    let bound = bind_entry(&module, entry, &geometry, &values)?;
    Ok(bound.plan.expect("something to launch").cluster)
}

fn called(launch: &str) -> Result<[u32; 3], Error> {
    let manifest = format!("{MANIFEST}launch = {{ block = 32, grid = 4{launch} }}\n");
    let module = Module::load(PTX, "pairs.ptx", Some((&manifest, "pairs.toml")), None)?;
    let values = [Value::Tensor(at(0x1000, DType::Uint32, &[4]))];
    let bound = bind(&module.kernel("pairs")?, &values, None)?;
    Ok(bound.plan.expect("something to launch").cluster)
}

#[test]
fn entry_takes_the_cluster_that_its_ptx_requires() {
    assert_eq!(launched("pairs", [4, 1, 1], [0; 3]).expect("none given"), [2, 1, 1]);
    assert_eq!(launched("pairs", [4, 1, 1], [2, 1, 1]).expect("the same"), [2, 1, 1]);
    assert_eq!(launched("plain", [4, 1, 1], [0; 3]).expect("none"), [1, 1, 1]);
    assert_eq!(launched("plain", [4, 1, 1], [4, 0, 0]).expect("of choice"), [4, 1, 1]);
}

#[test]
fn cluster_other_than_the_required_one_is_refused() {
    for given in [[1, 1, 1], [4, 1, 1]] {
        let error = launched("pairs", [4, 1, 1], given).expect_err("another cluster");
        assert_eq!(error.kind, Kind::Launch);
        assert_eq!(
            error.message,
            format!(
                "pairs: cluster is {given:?}, expected [2, 1, 1], the .reqnctapercluster of entry pairs; give that, or none"
            )
        );
    }
}

#[test]
fn required_cluster_must_divide_the_grid() {
    let error = launched("pairs", [3, 1, 1], [0; 3]).expect_err("an odd grid");
    assert_eq!(
        error.message,
        "pairs: cluster is [2, 1, 1], expected divisors of the grid [3, 1, 1], at most 16"
    );
}

#[test]
fn kernel_takes_the_cluster_that_its_ptx_requires() {
    assert_eq!(called("").expect("none in the manifest"), [2, 1, 1]);
    assert_eq!(called(", cluster = 2").expect("the same"), [2, 1, 1]);
    let error = called(", cluster = 4").expect_err("another cluster");
    assert_eq!(
        error.message,
        "pairs: cluster is [4, 1, 1], expected [2, 1, 1], the .reqnctapercluster of entry pairs; give that, or none"
    );
}
