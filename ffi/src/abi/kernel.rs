//! Kernels and entries: what they are called with, checks, binding.

use std::ffi::c_char;
use std::sync::Arc;

use serde_json::json;

use super::guard::{borrow, free, give, guard, null, put_json, text, values};
use super::types::{wb_bound, wb_dl_device, wb_dl_dtype, wb_geometry, wb_kernel, wb_module, wb_spec, wb_value};
use crate::bind;
use crate::error::{Error, Kind, Result};

/// A kernel of a module.
#[no_mangle]
pub unsafe extern "C" fn wb_kernel_get(module: *const wb_module, name: *const c_char, out: *mut *mut wb_kernel) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let module = unsafe { borrow(module, "module") }?;
        // SAFETY: as above.
        let name = unsafe { text(name, "name") }?.ok_or_else(|| null("name"))?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_kernel(module.0.kernel(name)?)) }
    })
}

/// The manifest as JSON, plus "visible": names of array and scalar arguments in the order that wb_value arrays follow.
#[no_mangle]
pub unsafe extern "C" fn wb_kernel_json(kernel: *const wb_kernel, json: *mut *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the module's contract.
        let kernel = unsafe { borrow(kernel, "kernel") }?;
        let mut value = kernel.0.manifest.json.clone();
        value["visible"] = json!(kernel
            .0
            .manifest
            .visible()
            .map(|arg| arg.name.as_str())
            .collect::<Vec<_>>());
        // SAFETY: as above.
        unsafe { put_json(json, "json", &value) }
    })
}

/// Frees a kernel; NULL is allowed.
#[no_mangle]
pub unsafe extern "C" fn wb_kernel_free(kernel: *mut wb_kernel) {
    // SAFETY: the module's contract.
    unsafe { free(kernel) }
}

/// What each output must be. `args`: one per visible argument (outputs included), in manifest order. `dtypes`:
/// "T=float16,U=..." or NULL; "arch=sm_80" in it asks for a variant.
#[no_mangle]
pub unsafe extern "C" fn wb_kernel_infer(
    kernel: *const wb_kernel,
    args: *const wb_value,
    n_args: u32,
    dtypes: *const c_char,
    outputs: *mut wb_spec,
    n_outputs: u32,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let kernel = unsafe { borrow(kernel, "kernel") }?;
        // SAFETY: as above.
        let args = unsafe { values(args, n_args) }?;
        // SAFETY: as above.
        let dtypes = unsafe { text(dtypes, "dtypes") }?;
        let specs = bind::infer(&kernel.0, &args, dtypes)?;
        if specs.len() != n_outputs as usize {
            let name = &kernel.0.manifest.name;
            let text = format!("{name}: n_outputs is {n_outputs}, expected {}", specs.len());
            return Err(Error::new(Kind::Argument, text));
        }
        if outputs.is_null() && n_outputs != 0 {
            return Err(null("outputs"));
        }
        for (index, spec) in specs.iter().enumerate() {
            // SAFETY: the caller gave room for `n_outputs` items.
            unsafe { outputs.add(index).write(to_c(spec)?) };
        }
        Ok(())
    })
}

fn to_c(spec: &bind::Spec) -> Result<wb_spec> {
    let mut shape = [0; 8];
    let too_many = || {
        Error::new(
            Kind::Argument,
            format!("an output has {} dimensions, expected at most 8", spec.shape.len()),
        )
    };
    shape
        .get_mut(..spec.shape.len())
        .ok_or_else(too_many)?
        .copy_from_slice(&spec.shape);
    let dtype = spec.dtype.dlpack();
    Ok(wb_spec {
        ndim: spec.shape.len() as i32,
        dtype: wb_dl_dtype {
            code: dtype.code,
            bits: dtype.bits,
            lanes: dtype.lanes,
        },
        device: wb_dl_device {
            device_type: spec.device.0,
            device_id: spec.device.1,
        },
        shape,
    })
}

/// Checks a call and lays out its launch. Arguments as in wb_kernel_infer; outputs must be there.
#[no_mangle]
pub unsafe extern "C" fn wb_kernel_bind(
    kernel: *const wb_kernel,
    args: *const wb_value,
    n_args: u32,
    dtypes: *const c_char,
    out: *mut *mut wb_bound,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let kernel = unsafe { borrow(kernel, "kernel") }?;
        // SAFETY: as above.
        let args = unsafe { values(args, n_args) }?;
        // SAFETY: as above.
        let dtypes = unsafe { text(dtypes, "dtypes") }?;
        let bound = bind::bind(&kernel.0, &args, dtypes)?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_bound(Arc::new(bound))) }
    })
}

/// Checks the arguments of an entry against its PTX parameters and lays out its launch. Tensors pass their address,
/// numbers are converted to the parameter's width, bytes fill a by-value struct.
#[no_mangle]
pub unsafe extern "C" fn wb_entry_bind(
    module: *const wb_module,
    entry: *const c_char,
    geometry: *const wb_geometry,
    args: *const wb_value,
    n_args: u32,
    out: *mut *mut wb_bound,
) -> i32 {
    guard(|| {
        // SAFETY: the module's contract, here and below.
        let module = unsafe { borrow(module, "module") }?;
        // SAFETY: as above.
        let entry = unsafe { text(entry, "entry") }?.ok_or_else(|| null("entry"))?;
        // SAFETY: as above.
        let g = unsafe { borrow(geometry, "geometry") }?;
        // SAFETY: as above.
        let args = unsafe { values(args, n_args) }?;
        let (grid, block, cluster, shared_bytes) = (g.grid, g.block, g.cluster, g.shared_bytes);
        let geometry = bind::EntryGeometry {
            grid,
            block,
            cluster,
            shared_bytes,
        };
        let bound = bind::bind_entry(&module.0, entry, &geometry, &args)?;
        // SAFETY: as above.
        unsafe { give(out, "out", wb_bound(Arc::new(bound))) }
    })
}
