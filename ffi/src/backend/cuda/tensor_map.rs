//! Tensor maps as the driver encodes them. Arguments were checked by the caller; what the driver still refuses is reported
//! with everything it was given.

use emulator::{MapElement, TensorMap, TENSOR_MAP_BYTES};

use super::result::Failure;
use super::state::DeviceState;
use crate::error::{Error, Kind, Result};

const ENCODING: &str = "tensor_map";

/// `CUtensorMapDataType`; PTX numbers the types otherwise.
fn data_type(element: MapElement) -> i32 {
    match element {
        MapElement::U8 => 0,
        MapElement::U16 => 1,
        MapElement::U32 => 2,
        MapElement::S32 => 3,
        MapElement::U64 => 4,
        MapElement::S64 => 5,
        MapElement::F16 => 6,
        MapElement::F32 => 7,
        MapElement::F64 => 8,
        MapElement::Bf16 => 9,
        MapElement::F32Ftz => 10,
        MapElement::Tf32 => 11,
        MapElement::Tf32Ftz => 12,
    }
}

/// The 128 bytes of a map for this device's kernels.
pub(super) fn encode(state: &DeviceState, map: &TensorMap, l2_promotion: u32) -> Result<[u8; TENSOR_MAP_BYTES]> {
    let _current = state.enter(ENCODING)?;
    let encoded = state.api().encode_tensor_map(map, data_type(map.element), l2_promotion);
    match encoded {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(too_old(&state.name)),
        Err(failure) if super::failure::loses_context(failure.code) => Err(state.error(ENCODING, failure)),
        Err(failure) => Err(refused(&state.name, map, &failure)),
    }
}

fn too_old(device: &str) -> Error {
    let text = format!(
        "{ENCODING}: the driver of {device} has no cuTensorMapEncodeTiled, expected CUDA 12.0 or newer; update the driver"
    );
    Error::new(Kind::Device, text).with("device", device)
}

fn refused(device: &str, map: &TensorMap, failure: &Failure) -> Error {
    let rank = map.rank as usize;
    let text = format!(
        "{ENCODING}: {failure} on {device} from cuTensorMapEncodeTiled; found, innermost first: {:?} at {:#x}, sizes {:?}, \
         strides {:?} bytes, box {:?}, element strides {:?}, interleave {:?}, swizzle {:?}; expected limits as its \
         documentation says, on a GPU of sm_90 or newer",
        map.element,
        map.address,
        &map.sizes[..rank],
        &map.strides[..rank - 1],
        &map.box_sizes[..rank],
        &map.element_strides[..rank],
        map.interleave,
        map.swizzle,
    );
    Error::new(Kind::Argument, text)
        .with("device", device)
        .with("cuda_error", failure.name.as_str())
        .with("cuda_code", failure.code)
        .with("cuda_call", failure.call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_refusal_shows_what_the_driver_was_given() {
        let map = TensorMap {
            rank: 2,
            element: MapElement::F16,
            address: 0x1000,
            sizes: [64, 32, 0, 0, 0],
            strides: [128, 0, 0, 0],
            box_sizes: [8, 8, 0, 0, 0],
            element_strides: [1; 5],
            ..TensorMap::default()
        };
        let failure = Failure {
            call: "cuTensorMapEncodeTiled",
            code: 1,
            name: "CUDA_ERROR_INVALID_VALUE".into(),
            text: "invalid argument".into(),
        };
        assert_eq!(
            refused("cuda:0", &map, &failure).message,
            "tensor_map: CUDA_ERROR_INVALID_VALUE (invalid argument) on cuda:0 from cuTensorMapEncodeTiled; found, innermost \
             first: F16 at 0x1000, sizes [64, 32], strides [128] bytes, box [8, 8], element strides [1, 1], interleave None, \
             swizzle None; expected limits as its documentation says, on a GPU of sm_90 or newer"
        );
    }
}
