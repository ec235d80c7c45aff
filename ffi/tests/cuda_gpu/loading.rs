//! Modules: what loads, and what users read when something does not.

use warpbridge::backend::{Backend, Loaded};
use warpbridge::error::Kind;

use crate::gpu::{ending_of, plan, source, Gpu, Value, CLUSTER, KERNELS};

/// What every text about this GPU says.
struct Names {
    arch: String,
    driver: String,
    greatest: String,
}

fn names(gpu: &Gpu) -> Names {
    let info = gpu.device.info();
    Names {
        arch: info.arch.clone(),
        driver: info.driver.clone(),
        greatest: format!("{}.{}", info.ptx_version.0, info.ptx_version.1),
    }
}

#[test]
#[ignore = "needs a GPU"]
fn test_info_describes_the_device() {
    let gpu = Gpu::open();
    let info = gpu.device.info();
    println!("{info:#?}");
    println!("{:#?}", warpbridge::backend::cuda::driver_status());
    assert_eq!((info.kind, info.ordinal), ("cuda", 0));
    assert!(info.arch.starts_with("sm_"));
    assert_eq!(info.uuid.len(), 32);
    assert!(info.sm_count > 0 && info.memory_bytes > 1 << 30 && info.max_shared_bytes >= 48 * 1024);
    assert!(info.ptx_version >= (8, 0));
    assert_eq!(warpbridge::backend::cuda::driver_status().reason, "");
}

#[test]
#[ignore = "needs a GPU"]
fn test_load_with_an_unknown_register_carries_the_compiler_log() {
    let gpu = Gpu::open();
    let text =
        "\n.version 7.0\n.target sm_70\n.address_size 64\n.visible .entry bad()\n{\n    add.u32 %r1, %r1, 1;\n    \
                ret;\n}\n";
    let error = gpu.load(text, "bad.ptx").map(drop).expect_err("the PTX is wrong");
    let Names { arch, driver, greatest } = names(&gpu);
    let log = error.fields["log"].as_str().expect("a text");
    println!("{error}");
    assert_eq!(error.kind, Kind::Load);
    assert_eq!(
        error.message,
        format!(
            "bad.ptx: the driver's compiler refused the PTX on cuda:0 ({arch}): CUDA_ERROR_INVALID_PTX (a PTX JIT \
             compilation failed); found .version 7.0 .target sm_70, expected at most .version {greatest} (driver CUDA \
             {driver}) and a target that {arch} runs\n{log}"
        )
    );
    assert!(log.contains("%r1"), "the log names the register: {log}");
    assert_eq!(error.fields["line"], 7);
}

#[test]
#[ignore = "needs a GPU"]
fn test_load_of_a_newer_ptx_version_says_both_versions() {
    let gpu = Gpu::open();
    let text = KERNELS.replace(".version 7.0", ".version 99.0");
    let error = gpu.load(&text, "new.ptx").map(drop).expect_err("no driver knows it");
    let Names { arch, driver, greatest } = names(&gpu);
    println!("{error}\n{:?}", error.fields);
    let head = format!(
        "new.ptx: PTX .version 99.0, expected at most {greatest}, the greatest that the driver (CUDA {driver}) accepts on \
         cuda:0 ({arch}); update the driver, or build the PTX for {greatest} or lower: CUDA_ERROR_"
    );
    assert_eq!(error.kind, Kind::Load);
    assert!(error.message.starts_with(&head), "found {}", error.message);
}

#[test]
#[ignore = "needs a GPU"]
fn test_load_for_another_architecture_names_both() {
    let gpu = Gpu::open();
    let text = KERNELS
        .replace(".version 7.0", ".version 8.7")
        .replace(".target sm_70", ".target sm_120a");
    let error = gpu.load(&text, "other.ptx").map(drop).expect_err("the wrong GPU");
    println!("{error}\n{:?}", error.fields);
    assert_eq!(error.kind, Kind::Load);
    assert_eq!(error.fields["ptx_target"], "sm_120a");
    assert_eq!(error.fields["arch"], gpu.device.info().arch);
    assert!(error.message.contains("sm_120a") && error.message.contains(&gpu.device.info().arch));
}

#[test]
#[ignore = "needs a GPU"]
fn test_function_that_is_missing_is_named() {
    let gpu = Gpu::open();
    let module = gpu.load(KERNELS, "kernels.ptx").expect("the PTX loads");
    let error = module.function("nothing", 0).map(drop).expect_err("it is missing");
    assert_eq!(
        error.message,
        "kernels.ptx: no entry nothing in the loaded PTX, expected a .visible .entry of that name"
    );
}

fn far_shared(gpu: &Gpu, module: &dyn Loaded, shared_bytes: u32) -> (String, u32) {
    let out = gpu.upload(&[0u32]);
    let function = module
        .function("far_shared", shared_bytes)
        .expect("the device has as much");
    let mut plan = plan("far_shared", function, &[Value::U64(out), Value::U32(shared_bytes)]);
    plan.shared_bytes = shared_bytes;
    let ticket = gpu.submit(&plan.into(), Default::default());
    (ending_of(&ticket), gpu.download::<u32>(out, 1)[0])
}

#[test]
#[ignore = "needs a GPU"]
fn test_function_may_use_all_shared_memory_and_then_less() {
    let gpu = Gpu::open();
    let most = gpu.device.info().max_shared_bytes;
    let module = gpu.load(KERNELS, "kernels.ptx").expect("the PTX loads");
    for shared_bytes in [1024, most, 64 * 1024, most] {
        assert_eq!(far_shared(&gpu, &*module, shared_bytes), ("finished".into(), 42));
    }
    let error = module.function("far_shared", most + 4).map(drop).expect_err("too much");
    assert_eq!(
        error.message,
        format!(
            "far_shared: {} bytes of dynamic shared memory per thread block, expected at most {most} on cuda:0 ({most} \
             less 0 that the entry declares); use fewer stages or smaller tiles",
            most + 4
        )
    );
}

#[test]
#[ignore = "needs a GPU"]
fn test_cluster_launch_has_the_size_of_the_plan() {
    let gpu = Gpu::open();
    let module = gpu
        .device
        .load_ptx(&source(CLUSTER, "cluster.ptx"))
        .expect("an sm_90 GPU");
    for size in [1u32, 2, 8, 16] {
        let out = gpu.upload(&[0u32]);
        let function = module.function("cluster_size", 0).expect("the entry is there");
        let mut plan = plan("cluster_size", function, &[Value::U64(out)]);
        plan.grid = [16, 1, 1];
        plan.cluster = [size, 1, 1];
        let ticket = gpu.submit(&plan.into(), Default::default());
        assert_eq!(ending_of(&ticket), "finished");
        assert_eq!(gpu.download::<u32>(out, 1), [size]);
    }
}
