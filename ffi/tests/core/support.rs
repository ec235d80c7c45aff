//! What the tests share: the PTX, manifests, tensors over slices, a mode.

use std::sync::Arc;
use std::time::Duration;

use warpbridge::bound::Mode;
use warpbridge::dtype::{DType, DlDtype};
use warpbridge::error::Error;
use warpbridge::module::{Kernel, Module};
use warpbridge::value::{Tensor, Value};

pub const PTX: &str = include_str!("data/core.ptx");

/// Every kind of argument; see `data/core.ptx`.
pub const DEMO: &str = r#"
manifest = 1
name = "demo"
[dtypes]
T = ["float32", "float16"]
[[variants]]
ptx = "core.ptx"
arch = "sm_80"
entry = "demo_f32"
dtypes = { T = "float32" }
[[variants]]
ptx = "core.ptx"
arch = "sm_80"
entry = "demo_f16"
dtypes = { T = "float16" }
launch = { block = 64 }
[symbols]
tiles = "ceil_div(n * m, 8)"
[launch]
block = 32
grid = ["min(tiles, 2)"]
shared_bytes = "itemsize(T) * tiles"
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
name = "table"
kind = "array"
intent = "in"
dtype = "int32"
shape = ["n", 2]
optional = true
[[args]]
name = "lut"
kind = "array"
intent = "in"
dtype = "float32"
shape = [3]
inline = true
[[args]]
name = "z"
kind = "array"
intent = "inout"
dtype = "float32"
shape = ["n"]
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
max = "4 * m"
[[args]]
name = "a"
kind = "scalar"
dtype = "float16"
[[args]]
name = "flag"
kind = "scalar"
dtype = "bool"
default = false
[[args]]
name = "big"
kind = "scalar"
dtype = "uint64"
default = 0
[[args]]
name = "count"
kind = "size"
dtype = "uint32"
value = "n"
[[args]]
name = "control"
kind = "control"
[[requires]]
expression = "m < 100"
message = "m is {m}, expected less than 100, whatever {n} is"
"#;

pub const PAUSE: &str = r#"
manifest = 1
name = "pause"
variants = [{ ptx = "core.ptx", arch = "sm_80", entry = "pause" }]
launch = { block = 1, grid = 1 }
args = [
  { name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n..."] },
  { name = "control", kind = "control" },
]
"#;

pub const REPORT: &str = r#"
manifest = 1
name = "report"
variants = [{ ptx = "core.ptx", arch = "sm_80", entry = "report" }]
launch = { block = 1, grid = 1 }
args = [
  { name = "y", kind = "array", intent = "inout", dtype = "uint32", shape = ["n..."] },
  { name = "i", kind = "scalar", dtype = "int64" },
  { name = "control", kind = "control" },
]
faults = [{ code = 7, message = "row {detail1} is {detail0}" }]
"#;

pub fn load(manifest: &str) -> Result<Module, Error> {
    Module::load(PTX, "core.ptx", Some((manifest, "core.toml")), None)
}

pub fn kernel(manifest: &str) -> Arc<Kernel> {
    let module = load(manifest).unwrap_or_else(|e| panic!("{e}"));
    let name = module.describe()["kernels"][0].as_str().expect("one kernel").to_owned();
    module.kernel(&name).unwrap_or_else(|e| panic!("{e}"))
}

pub fn entries() -> Module {
    Module::load(PTX, "core.ptx", None, None).unwrap_or_else(|e| panic!("{e}"))
}

/// A tensor at an address; nothing looks behind it unless it is launched.
pub fn at(address: u64, dtype: DType, shape: &[i64]) -> Tensor<'_> {
    Tensor {
        address,
        device_type: 1,
        device_id: 0,
        dtype: dtype.dlpack(),
        shape,
        strides: None,
        read_only: false,
    }
}

/// A tensor over numbers of 32 bits that the test keeps alive.
pub fn over<'a, T>(data: &mut [T], code: u8, shape: &'a [i64]) -> Value<'a> {
    assert_eq!(data.len() as i64, shape.iter().product::<i64>());
    let dtype = DlDtype {
        code,
        bits: 32,
        lanes: 1,
    };
    let tensor = at(data.as_mut_ptr() as u64, DType::Float32, shape);
    Value::Tensor(Tensor { dtype, ..tensor })
}

pub const UINT: u8 = 1;
pub const FLOAT: u8 = 2;

pub fn timeout(limit: Duration) -> Mode {
    Mode {
        timeout: Some(limit),
        ..Mode::default()
    }
}
