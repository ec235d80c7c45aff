//! Tensor maps.

use super::guard::{borrow, guard, null, read_tensor, slice, text};
use super::types::{wb_map_options, wb_tensor};
use crate::error::Result;
use crate::tensor_map::{encode, Options};

/// Encodes a tensor map for the device of `tensor`: 128 bytes, to be passed with `WB_TENSOR_MAP`.
#[no_mangle]
pub unsafe extern "C" fn wb_tensor_map_encode(
    tensor: *const wb_tensor,
    options: *const wb_map_options,
    bytes: *mut u8,
) -> i32 {
    guard(|| {
        if bytes.is_null() {
            return Err(null("bytes"));
        }
        // SAFETY: the module's contract, here and below.
        let tensor = unsafe { read_tensor(tensor, 0, "tensor") }?;
        // SAFETY: as above.
        let options = unsafe { read_options(borrow(options, "options")?) }?;
        let encoded = encode(&tensor, &options)?;
        // SAFETY: not null, so with room for a map.
        unsafe { bytes.copy_from_nonoverlapping(encoded.as_ptr(), encoded.len()) };
        Ok(())
    })
}

/// # Safety
/// As in the module; lists and strings live for `'a`.
unsafe fn read_options<'a>(raw: &wb_map_options) -> Result<Options<'a>> {
    // SAFETY: the caller's contract is this function's; so for all that follow.
    let list = |items, count, name| unsafe { slice(items, count as usize, name) };
    let optional = |items: *const i64, count, name| match items.is_null() {
        true => Ok(None),
        false => list(items, count, name).map(Some),
    };
    // SAFETY: as above.
    let name = |pointer, name| unsafe { text(pointer, name) };
    Ok(Options {
        box_sizes: list(raw.box_sizes, raw.n_box_sizes, "box_sizes")?,
        strides: optional(raw.strides, raw.n_strides, "strides")?,
        element_strides: optional(raw.element_strides, raw.n_element_strides, "element_strides")?,
        element: name(raw.element, "element")?,
        interleave: name(raw.interleave, "interleave")?,
        swizzle: name(raw.swizzle, "swizzle")?,
        l2_promotion: name(raw.l2_promotion, "l2_promotion")?,
        oob_fill: name(raw.oob_fill, "oob_fill")?,
    })
}
