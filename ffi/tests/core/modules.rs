//! Where PTX comes from: embedded, from a manifest's directory, handed over as text.

use std::path::{Path, PathBuf};

use warpbridge::bundled;
use warpbridge::error::Kind;
use warpbridge::manifest::Manifest;
use warpbridge::module::Module;

use crate::support::{load, DEMO};

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_manifest_of_the_repository_is_bundled_and_fits_its_ptx() {
    let files = std::fs::read_dir(kernels()).expect("kernels/ is there");
    let paths = files.map(|file| file.expect("a file").path());
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|e| e == "toml") && !path.ends_with("Cargo.toml");
    let name = |path: PathBuf| {
        Manifest::parse(&read(&path), "x")
            .unwrap_or_else(|e| panic!("{e}"))
            .name
    };
    let mut names: Vec<String> = paths.filter(is_manifest).map(name).collect();
    names.sort();
    let list = bundled::list().expect("the catalogue reads");
    let bundled: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|k| k["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(bundled, names);
    for name in names {
        let module = bundled::load(&name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(module.kernel(&name).expect("its kernel").manifest.name, name);
    }
}

#[test]
fn unknown_bundled_kernel_lists_what_is_shown() {
    let error = bundled::load("sacle").err().expect("no such kernel");
    assert_eq!(
        error.message,
        "no bundled kernel \"sacle\", expected one of cross_entropy, dequant_matvec, fft_frames, fft_power, field_to_rgba, field_to_rgba_own_range, gather_rows, image_prep, \
         image_resize, layer_norm, layer_norm_long, layer_norm_quantised, layer_norm_residual, layer_norm_residual_quantised, rms_norm, rms_norm_long, rms_norm_quantised, rms_norm_quantised_long, \
         rms_norm_residual, rms_norm_residual_quantised, scale, softmax, softmax_long, spectral_multiply, stencil3d"
    );
    assert_eq!(error.kind, Kind::Load);
}

#[test]
fn other_variants_are_read_beside_the_manifest() {
    let manifest = read(&kernels().join("scale.toml"));
    let ptx = kernels().join("ptx/scale.sm_90.ptx");
    let base = kernels();
    let base = base.to_str().expect("UTF-8");
    let origin = ptx.to_str().expect("UTF-8");
    let module = Module::load(&read(&ptx), origin, Some((&manifest, "scale.toml")), Some(base)).expect("loads");
    assert_eq!(
        module.image().image().origin,
        origin,
        "the text handed over is used, not read again"
    );
    let kernel = module.kernel("scale").expect("its kernel");
    assert_eq!(kernel.image(2).image().origin, format!("{base}/ptx/scale.sm_80.ptx"));
}

#[test]
fn missing_variant_beside_the_manifest_names_the_path() {
    let two = DEMO.replacen("core.ptx", "other.ptx", 1);
    let ptx = crate::support::PTX;
    let error = Module::load(ptx, "core.ptx", Some((&two, "core.toml")), Some("/nowhere"))
        .err()
        .expect("no such file");
    assert_eq!(
        error.message,
        "core.toml: variants[0].ptx is \"other.ptx\", which cannot be read: /nowhere/other.ptx: No such file or directory \
         (os error 2); put the file there"
    );
}

#[test]
fn unknown_kernel_of_a_module_names_the_one_there_is() {
    let error = load(DEMO).expect("loads").kernel("omed").err().expect("no such kernel");
    assert_eq!(error.message, "core.toml: no kernel \"omed\", expected demo");
}
