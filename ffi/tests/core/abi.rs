//! The C ABI from end to end, called as C would: load, describe, bind, submit, be called back, and every way to be told
//! of an error.

use std::ffi::{c_char, c_void, CStr};
use std::ptr::{null, null_mut};
use std::sync::mpsc;

use serde_json::Value as Json;
use warpbridge::abi::*;

use crate::support::{PAUSE, PTX};

const MODE: wb_mode = wb_mode {
    stream: 0,
    timeout_s: 0.0,
    schedule: 0,
    checks: 1,
    seed: 0,
    threads: 0,
    reserved: 0,
};

/// What this thread was last told: status, message, fields.
fn last_error() -> (i32, String, Json) {
    let (mut message, mut fields) = (null(), null());
    // SAFETY: both pointers are this function's own.
    let status = unsafe { wb_last_error(&mut message, &mut fields) };
    let fields = string(fields);
    (
        status,
        string(message),
        if fields.is_empty() {
            Json::Null
        } else {
            serde_json::from_str(&fields).expect("JSON")
        },
    )
}

fn string(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    // SAFETY: warpbridge's strings end with NUL and live until its next call on this thread.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
fn ok(status: i32) {
    assert_eq!(status, 0, "{:?}", last_error());
}

fn json(call: impl FnOnce(*mut *const c_char) -> i32) -> Json {
    let mut text = null();
    ok(call(&mut text));
    serde_json::from_str(&string(text)).expect("JSON")
}

fn load(manifest: Option<&CStr>) -> *mut wb_module {
    let mut module = null_mut();
    let manifest = manifest.map_or(null(), CStr::as_ptr);
    // SAFETY: the pointers are to this function's locals and to constants.
    ok(unsafe {
        wb_module_load(
            PTX.as_ptr(),
            PTX.len(),
            c"core.ptx".as_ptr(),
            manifest,
            null(),
            null(),
            &mut module,
        )
    });
    module
}

fn value(tag: u16, payload: u64) -> wb_value {
    wb_value {
        tag,
        flags: 0,
        length: 0,
        payload,
    }
}

fn tensor(data: &mut [f32], shape: &mut [i64; 1]) -> wb_tensor {
    wb_tensor {
        data: data.as_mut_ptr().cast(),
        device: wb_dl_device {
            device_type: 1,
            device_id: 0,
        },
        ndim: 1,
        dtype: wb_dl_dtype {
            code: 2,
            bits: 32,
            lanes: 1,
        },
        shape: shape.as_mut_ptr(),
        strides: null_mut(),
        byte_offset: 0,
    }
}

#[test]
fn tensor_map_is_encoded_and_its_errors_are_told() {
    let (mut data, mut shape) = ([[0f32; 4]; 5], [16]);
    let data = data.as_flattened_mut();
    let mut tensor = tensor(data, &mut shape);
    let skipped = (tensor.data as u64).next_multiple_of(16) - tensor.data as u64;
    tensor.byte_offset = skipped;
    let sizes = [4i64];
    let mut options = wb_map_options {
        box_sizes: sizes.as_ptr(),
        strides: null(),
        element_strides: null(),
        n_box_sizes: 1,
        n_strides: 0,
        n_element_strides: 0,
        reserved: 0,
        element: c"tfloat32".as_ptr(),
        interleave: null(),
        swizzle: null(),
        l2_promotion: c"128B".as_ptr(),
        oob_fill: null(),
    };
    let mut bytes = [0u8; 128];
    // SAFETY: the pointers are to this function's locals and to constants, here and below.
    ok(unsafe { wb_tensor_map_encode(&tensor, &options, bytes.as_mut_ptr()) });
    let map = emulator::TensorMap::decode(&bytes).expect("the CPU device's own");
    assert_eq!((map.rank, map.sizes[0], map.box_sizes[0]), (1, 16, 4));
    assert_eq!(
        (map.address, map.element),
        (tensor.data as u64 + skipped, emulator::MapElement::Tf32)
    );
    options.n_box_sizes = 0;
    // SAFETY: as above.
    let status = unsafe { wb_tensor_map_encode(&tensor, &options, bytes.as_mut_ptr()) };
    assert_eq!(status, 1);
    assert_eq!(
        last_error().1,
        "tensor_map: box is (), expected length 1, one item per axis of the array"
    );
    // SAFETY: as above.
    assert_eq!(unsafe { wb_tensor_map_encode(null(), &options, bytes.as_mut_ptr()) }, 1);
    assert_eq!(last_error().1, "tensor is NULL, expected a valid pointer");
}

/// What a callback was told, sent on to the test.
unsafe extern "C" fn tell(user: *mut c_void, outcome: *const wb_outcome) {
    // SAFETY: the tests pass a sender that outlives the launch.
    let sender = unsafe { &*user.cast::<mpsc::Sender<(i32, String)>>() };
    // SAFETY: warpbridge's outcome is valid during the call.
    let outcome = unsafe { &*outcome };
    sender
        .send((outcome.status, string(outcome.message)))
        .expect("the test listens");
}

#[test]
fn layouts_are_those_of_the_header() {
    assert_eq!(size_of::<wb_value>(), 16);
    assert_eq!(size_of::<wb_tensor>(), 48);
    assert_eq!(size_of::<wb_spec>(), 80);
    assert_eq!(size_of::<wb_mode>(), 40);
    assert_eq!(size_of::<wb_geometry>(), 40);
    assert_eq!(size_of::<wb_map_options>(), 80);
    assert_eq!(size_of::<wb_tensor_map>(), 136);
    assert_eq!(wb_abi_version(), WB_ABI_VERSION);
    assert_eq!(string(wb_version()), env!("CARGO_PKG_VERSION"));
}

#[test]
fn device_zero_is_the_cpu() {
    let mut count = 0;
    // SAFETY: a local.
    ok(unsafe { wb_device_count(&mut count) });
    assert!(count >= 1);
    // SAFETY: the pointer is `json`'s local.
    let cpu = json(|out| unsafe { wb_device_json(0, out) });
    assert_eq!(
        (&cpu["kind"], &cpu["ordinal"], &cpu["arch"]),
        (&"cpu".into(), &0.into(), &"sm_90".into())
    );
    // SAFETY: as above.
    let driver = json(|out| unsafe { wb_driver_json(out) });
    assert!(driver["cuda"]["found"].is_boolean());
    // SAFETY: as above.
    assert_eq!(unsafe { wb_device_json(99, &mut null()) }, 11);
    let (_, message, fields) = last_error();
    assert!(message.starts_with("device 99, expected one of cpu"), "{message}");
    assert_eq!(fields["index"], 99);
}

#[test]
fn entry_runs_and_its_queue_and_callback_hear_of_it() {
    let module = load(None);
    // SAFETY: the module lives, the pointer is `json`'s local.
    let info = json(|out| unsafe { wb_module_json(module, out) });
    assert_eq!(
        (&info["target"], &info["ptx_version"]),
        (&"sm_80".into(), &vec![8, 0].into())
    );
    assert_eq!(
        info["entries"][0]["params"][3],
        serde_json::json!({"name": "c", "type": "f32", "bytes": 4})
    );

    let (mut x, mut shape) = (vec![1.0f32, 2.0, 3.0], [3]);
    let tensor = tensor(&mut x, &mut shape);
    let address = &raw const tensor as u64;
    let args = [
        value(WB_TENSOR, address),
        value(WB_TENSOR, address),
        value(WB_INT, 3),
        value(WB_FLOAT, 0.5f64.to_bits()),
    ];
    let geometry = wb_geometry {
        grid: [1, 1, 1],
        block: [32, 1, 1],
        cluster: [0; 3],
        shared_bytes: 0,
    };
    let (mut bound, mut queue, mut pending) = (null_mut(), null_mut(), null_mut());
    // SAFETY: all pointers are to locals that outlive the calls, here and below.
    ok(unsafe { wb_entry_bind(module, c"add".as_ptr(), &geometry, args.as_ptr(), 4, &mut bound) });
    // SAFETY: as above.
    ok(unsafe { wb_queue_new(&mut queue) });
    let (sender, receiver) = mpsc::channel::<(i32, String)>();
    let user = (&raw const sender).cast_mut().cast();
    // SAFETY: as above; the sender outlives the launch, which is waited for.
    ok(unsafe { wb_bound_submit(bound, &MODE, Some(tell), user, queue, 77, &mut pending) });
    let (mut token, mut got, mut done) = (0, 0, 0);
    // SAFETY: as above.
    ok(unsafe { wb_queue_next(queue, 60.0, &mut token, &mut got) });
    assert_eq!((token, got), (77, 1));
    assert_eq!(receiver.try_recv(), Ok((0, String::new())), "told before the token");
    // SAFETY: as above.
    ok(unsafe { wb_pending_wait(pending, 60.0, &mut done) });
    assert_eq!(done, 1);
    // SAFETY: as above.
    ok(unsafe { wb_pending_result(pending) });
    let mut progress = 0.0;
    // SAFETY: as above.
    ok(unsafe { wb_pending_progress(pending, &mut progress) });
    assert_eq!(progress, 1.0);
    // SAFETY: as above.
    ok(unsafe { wb_bound_launch(bound, &MODE) });
    // SAFETY: as above.
    ok(unsafe { wb_stream_wait(0, 0, 60.0, &mut done) });
    assert_eq!(x, [2.0, 3.0, 4.0]);
    // SAFETY: freed once each, and not used again.
    unsafe {
        wb_pending_free(pending);
        wb_queue_free(queue);
        wb_bound_free(bound);
        wb_module_free(module);
    }
}

#[test]
fn cancelled_kernel_reports_its_status_to_the_callback() {
    let manifest = std::ffi::CString::new(PAUSE.replace("uint32", "float32")).expect("no NUL");
    let module = load(Some(&manifest));
    let (mut kernel, mut bound, mut queue, mut pending) = (null_mut(), null_mut(), null_mut(), null_mut());
    // SAFETY: all pointers are to locals that outlive the calls, here and below.
    ok(unsafe { wb_kernel_get(module, c"pause".as_ptr(), &mut kernel) });
    // SAFETY: freed once; its kernel lives on.
    unsafe { wb_module_free(module) };
    // SAFETY: as above.
    let info = json(|out| unsafe { wb_kernel_json(kernel, out) });
    assert_eq!((&info["name"], &info["visible"]), (&"pause".into(), &vec!["y"].into()));
    let (mut y, mut shape) = (vec![0f32], [1]);
    let tensor = tensor(&mut y, &mut shape);
    let args = [value(WB_TENSOR, &raw const tensor as u64)];
    // SAFETY: as above.
    ok(unsafe { wb_kernel_bind(kernel, args.as_ptr(), 1, null(), &mut bound) });
    let (sender, receiver) = mpsc::channel::<(i32, String)>();
    let user = (&raw const sender).cast_mut().cast();
    // SAFETY: as above.
    ok(unsafe { wb_queue_new(&mut queue) });
    // SAFETY: as above; the token comes after the callback, and the sender outlives it.
    ok(unsafe { wb_bound_submit(bound, &MODE, Some(tell), user, queue, 0, &mut pending) });
    // SAFETY: as above.
    assert_eq!(unsafe { wb_pending_result(pending) }, 4);
    assert_eq!(
        last_error().1,
        "the launch has not ended; wait for it before asking for its result"
    );
    // SAFETY: as above.
    ok(unsafe { wb_pending_cancel(pending) });
    let (mut token, mut got) = (0, 0);
    // SAFETY: as above.
    ok(unsafe { wb_queue_next(queue, 60.0, &mut token, &mut got) });
    assert_eq!(got, 2, "one that failed");
    let (status, message) = receiver.recv().expect("the callback");
    assert_eq!(status, 6);
    // SAFETY: as above.
    assert_eq!(unsafe { wb_pending_result(pending) }, 6);
    let (kind, text, fields) = last_error();
    assert_eq!((kind, text, &fields["kernel"]), (6, message, &"pause".into()));
    // SAFETY: freed once each, and not used again.
    unsafe {
        wb_pending_free(pending);
        wb_queue_free(queue);
        wb_bound_free(bound);
        wb_kernel_free(kernel);
    }
}

#[test]
fn infer_fills_specs_of_a_bundled_kernel() {
    // SAFETY: the pointer is `json`'s local.
    let list = json(|out| unsafe { wb_bundled_json(out) });
    let names: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|k| k["name"].as_str().expect("a name"))
        .collect();
    assert!(names.is_sorted() && names.len() > 10, "{names:?}");
    assert!(
        ["deadlock_demo", "scale", "softmax"]
            .iter()
            .all(|name| names.contains(name)),
        "{names:?}"
    );
    let (mut module, mut kernel) = (null_mut(), null_mut());
    // SAFETY: all pointers are to locals that outlive the calls, here and below.
    ok(unsafe { wb_bundled_load(c"scale".as_ptr(), &mut module) });
    // SAFETY: as above.
    ok(unsafe { wb_kernel_get(module, c"scale".as_ptr(), &mut kernel) });
    let (mut x, mut shape) = (vec![0f32; 3], [3]);
    let tensor = tensor(&mut x, &mut shape);
    let none = value(WB_NONE, 0);
    let args = [value(WB_TENSOR, &raw const tensor as u64), none, value(WB_INT, 2), none];
    let device = wb_dl_device {
        device_type: 0,
        device_id: 0,
    };
    let dtype = wb_dl_dtype {
        code: 0,
        bits: 0,
        lanes: 0,
    };
    let mut spec = wb_spec {
        ndim: 0,
        dtype,
        device,
        shape: [0; 8],
    };
    // SAFETY: as above.
    ok(unsafe { wb_kernel_infer(kernel, args.as_ptr(), 4, null(), &mut spec, 1) });
    assert_eq!(
        (spec.ndim, spec.shape[0], spec.dtype.code, spec.dtype.bits),
        (1, 3, 2, 32)
    );
    assert_eq!((spec.device.device_type, spec.device.device_id), (1, 0));
    // SAFETY: as above.
    let status = unsafe { wb_kernel_infer(kernel, args.as_ptr(), 4, null(), &mut spec, 2) };
    assert_eq!(status, 1);
    assert_eq!(last_error().1, "scale: n_outputs is 2, expected 1");
    // SAFETY: freed once each, and not used again.
    unsafe {
        wb_kernel_free(kernel);
        wb_module_free(module);
    }
}

#[test]
fn null_and_nonsense_are_refused_by_name() {
    let mut kernel = null_mut();
    let module = load(None);
    let geometry = wb_geometry {
        grid: [1; 3],
        block: [1; 3],
        cluster: [0; 3],
        shared_bytes: 0,
    };
    let strange = [value(99, 0)];
    // SAFETY: every null is refused before it is used; that is what is tested.
    let calls: [(&str, i32, &dyn Fn() -> i32); 6] = unsafe {
        [
            ("count is NULL, expected a valid pointer", 1, &|| {
                wb_device_count(null_mut())
            }),
            ("module is NULL, expected a valid pointer", 1, &|| {
                wb_module_json(null(), &mut null())
            }),
            ("name is NULL, expected a valid pointer", 1, &|| {
                wb_bundled_load(null(), &mut null_mut())
            }),
            ("bound is NULL, expected a valid pointer", 1, &|| {
                wb_bound_launch(null(), &MODE)
            }),
            ("pending is NULL, expected a valid pointer", 1, &|| {
                wb_pending_result(null())
            }),
            ("args[0].tag is 99, expected 0 to 8", 1, &|| {
                wb_entry_bind(
                    module,
                    c"spin".as_ptr(),
                    &geometry,
                    strange.as_ptr(),
                    1,
                    &mut null_mut(),
                )
            }),
        ]
    };
    for (text, status, call) in calls {
        assert_eq!((call(), last_error().1.as_str()), (status, text));
    }
    // SAFETY: the module lives, the rest are locals.
    assert_eq!(unsafe { wb_kernel_get(module, c"add".as_ptr(), &mut kernel) }, 2);
    assert_eq!(
        last_error().1,
        "core.ptx: no kernel \"add\", because it was loaded without a manifest; write one, or use its entries"
    );
    assert!(kernel.is_null(), "written only on success");
    // SAFETY: null is allowed; the module is freed once.
    unsafe {
        wb_module_free(module);
        wb_module_free(null_mut());
        wb_queue_free(null_mut());
        wb_pending_free(null_mut());
    }
    assert_eq!(last_error().0, 2, "freeing tells nothing");
}
