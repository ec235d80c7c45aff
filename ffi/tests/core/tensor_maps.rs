//! Tensor maps of host arrays: what is encoded, what is refused, how one gets into an entry's parameters.

use emulator::{Interleave, MapElement, Swizzle, TensorMap};
use warpbridge::bind::{bind_entry, EntryGeometry};
use warpbridge::dtype::DType;
use warpbridge::error::Kind;
use warpbridge::module::Module;
use warpbridge::tensor_map::{encode, Options};
use warpbridge::value::{Tensor, Value};

use crate::support::at;

fn encoded(tensor: &Tensor<'_>, options: &Options<'_>) -> TensorMap {
    let bytes = encode(tensor, options).unwrap_or_else(|e| panic!("{e}"));
    TensorMap::decode(&bytes).expect("the CPU device's own")
}

fn of_box(box_sizes: &[i64]) -> Options<'_> {
    Options {
        box_sizes,
        ..Options::default()
    }
}

#[test]
fn axes_are_reversed() {
    let found = encoded(
        &at(0x1000, DType::Float16, &[5, 6, 32]),
        &Options {
            element_strides: Some(&[3, 2, 1]),
            swizzle: Some("64B"),
            oob_fill: Some("nan"),
            ..of_box(&[1, 2, 16])
        },
    );
    let expected = TensorMap {
        rank: 3,
        element: MapElement::F16,
        address: 0x1000,
        sizes: [32, 6, 5, 0, 0],
        strides: [64, 384, 0, 0],
        box_sizes: [16, 2, 1, 0, 0],
        element_strides: [1, 2, 3, 0, 0],
        interleave: Interleave::None,
        swizzle: Swizzle::Bytes64,
        nan_fill: true,
    };
    assert_eq!(found, expected);
}

#[test]
fn strides_are_the_arrays_own_or_the_given_ones() {
    let tensor = at(0x1000, DType::Float32, &[4, 8]);
    let sliced = Tensor {
        strides: Some(&[12, 1]),
        ..tensor.clone()
    };
    assert_eq!(encoded(&sliced, &of_box(&[4, 4])).strides[0], 48);
    let given = Options {
        strides: Some(&[16, 4]),
        ..of_box(&[4, 4])
    };
    assert_eq!(encoded(&tensor, &given).strides[0], 16);
}

#[test]
fn stride_of_a_single_element_does_not_matter() {
    let tensor = Tensor {
        strides: Some(&[7, 3, 1]),
        ..at(0x1000, DType::Float32, &[1, 1, 6])
    };
    assert_eq!(encoded(&tensor, &of_box(&[1, 1, 4])).strides[..2], [32, 32]);
}

#[test]
fn dtype_says_what_the_elements_are_taken_for() {
    let tensor = at(0x1000, DType::Uint16, &[64]);
    assert_eq!(encoded(&tensor, &of_box(&[8])).element, MapElement::U16);
    let bfloat16 = Options {
        element: Some("bfloat16"),
        ..of_box(&[8])
    };
    assert_eq!(encoded(&tensor, &bfloat16).element, MapElement::Bf16);
}

const PTX: &str = "
.version 8.0
.target sm_90
.address_size 64
.visible .entry take(.param .u32 n, .param .align 64 .b8 map[128], .param .align 8 .b8 pair[16]) { ret; }
";

#[test]
fn entry_takes_the_bytes_and_registers_the_array() {
    let module = Module::load(PTX, "take.ptx", None, None).expect("good PTX");
    let tensor = at(0x1000, DType::Float32, &[4, 8]);
    let bytes = encode(&tensor, &of_box(&[4, 4])).expect("a good map");
    let geometry = EntryGeometry {
        grid: [1; 3],
        block: [32, 1, 1],
        cluster: [0; 3],
        shared_bytes: 0,
    };
    let map = || Value::TensorMap(&bytes, tensor.clone());
    let bound = bind_entry(
        &module,
        "take",
        &geometry,
        &[Value::Int(1), map(), Value::Bytes(&[0; 16])],
    );
    let bound = bound.unwrap_or_else(|e| panic!("{e}"));
    let plan = bound.plan.as_ref().expect("something to launch");
    assert_eq!(plan.params[64..192], bytes);
    let range = &plan.ranges[0];
    assert_eq!((range.address, range.bytes, range.writable), (0x1000, 128, true));
    assert_eq!(bound.arguments, "n = 1, map map of float32 (4, 8), pair = 16 bytes");
    let error = bind_entry(&module, "take", &geometry, &[Value::Int(1), map(), map()])
        .err()
        .expect("too long");
    assert_eq!(error.kind, Kind::Argument);
    assert_eq!(
        error.message,
        "take: argument 3 (pair) is a tensor map, expected a value for .b8 of 16 bytes, because a tensor map has 128 bytes"
    );
}

/// Array's address, dtype and shape; options; the text behind `tensor_map: `.
type Refused = (u64, DType, &'static [i64], fn() -> Options<'static>, &'static str);

const REFUSED: &[Refused] = &[
    (
        0x1000,
        DType::Float32,
        &[],
        || of_box(&[]),
        "array has 0 dimensions, expected 1 to 5",
    ),
    (
        0x1000,
        DType::Float32,
        &[1, 1, 1, 1, 1, 4],
        || of_box(&[1, 1, 1, 1, 1, 4]),
        "array has 6 dimensions, expected 1 to 5",
    ),
    (
        0x1000,
        DType::Complex64,
        &[4],
        || of_box(&[4]),
        "array has dtype complex64, expected one of bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float16, \
         bfloat16, float32, float64; take a view of it",
    ),
    (
        0x1008,
        DType::Float32,
        &[8],
        || of_box(&[4]),
        "array's first element is at address 0x1008, expected a multiple of 16; copy it, or start elsewhere",
    ),
    (
        0x1000,
        DType::Float32,
        &[0, 8],
        || of_box(&[4, 4]),
        "array has shape (0, 8), expected 1 to 2**32 elements on axis 0",
    ),
    (
        0x1000,
        DType::Float32,
        &[4, 7],
        || of_box(&[4, 4]),
        "array has strides of (28, 4) bytes, expected multiples of 16, from 0 to below 2**40, on axis 0; pad or copy it",
    ),
    (
        0x1000,
        DType::Float32,
        &[8, 8],
        || Options {
            strides: Some(&[32, 8]),
            ..of_box(&[4, 4])
        },
        "strides is (32, 8), expected 4 on the last axis, whose elements must be dense; copy it",
    ),
    (
        0x1000,
        DType::Float32,
        &[8, 8],
        || Options {
            strides: Some(&[48, 4]),
            ..of_box(&[4, 4])
        },
        "strides is (48, 4), which reaches 368 bytes behind the first element, expected at most 256, where the array ends",
    ),
    (
        0x1000,
        DType::Int32,
        &[8],
        || Options {
            oob_fill: Some("nan"),
            ..of_box(&[4])
        },
        "oob_fill is \"nan\", but the elements are integers, expected None; or give a float dtype",
    ),
    (
        0x1000,
        DType::Float32,
        &[4, 4, 8],
        || Options {
            interleave: Some("32B"),
            ..of_box(&[1, 1, 4])
        },
        "interleave=\"32B\" needs swizzle=\"32B\", found another; give both, or no interleave",
    ),
    (
        0x1010,
        DType::Float32,
        &[4, 4, 8],
        || Options {
            interleave: Some("32B"),
            swizzle: Some("32B"),
            ..of_box(&[1, 1, 4])
        },
        "array's first element is at address 0x1010, expected a multiple of 32; copy it, or start elsewhere",
    ),
    (
        0x1000,
        DType::Float32,
        &[8],
        || Options {
            l2_promotion: Some("512B"),
            ..of_box(&[4])
        },
        "l2_promotion is \"512B\", expected None or \"64B\" or \"128B\" or \"256B\"",
    ),
];

#[test]
fn array_or_option_outside_the_documented_limits_is_refused() {
    for (address, dtype, shape, options, text) in REFUSED {
        let error = encode(&at(*address, *dtype, shape), &options()).expect_err(text);
        assert_eq!(
            (error.kind, error.message),
            (Kind::Argument, format!("tensor_map: {text}"))
        );
    }
}

#[test]
fn array_on_a_device_that_is_not_there_is_refused() {
    let tensor = Tensor {
        device_type: 4,
        ..at(0x1000, DType::Float32, &[8])
    };
    let error = encode(&tensor, &of_box(&[4])).expect_err("an OpenCL buffer");
    assert_eq!(error.kind, Kind::Device);
    assert_eq!(
        error.message,
        "tensor_map: the array is on an OpenCL device, expected cpu or cuda; convert it first"
    );
}
