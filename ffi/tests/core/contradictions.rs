//! Manifests that contradict their PTX: refused when they are loaded.

use warpbridge::error::Kind;

use crate::support::{load, DEMO};

/// A manifest that contradicts its PTX: what to replace, by what, the key blamed, the rest of the text.
const CONTRADICTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "entry = \"demo_f16\"",
        "entry = \"demo_f64\"",
        "variants[1].entry",
        "is \"demo_f64\", but core.ptx has add, pause, report, spin, outside, stuck, demo_f32, demo_f16, pieces; name one of \
         its entries",
    ),
    (
        "arch = \"sm_80\"\nentry = \"demo_f32\"",
        "arch = \"sm_75\"\nentry = \"demo_f32\"",
        "variants[0].arch",
        "is sm_75, but core.ptx has .target sm_80; expected sm_80 or later",
    ),
    (
        "name = \"count\"\nkind = \"size\"\ndtype = \"uint32\"",
        "name = \"count\"\nkind = \"size\"\ndtype = \"uint64\"",
        "args[9]",
        "(count) takes 8 bytes, but parameter 13 of entry demo_f32 of core.ptx is .u32 of 4 bytes; expected the same size",
    ),
    (
        "shape = [3]",
        "shape = [4]",
        "args",
        "make 15 PTX parameters, but entry demo_f32 of core.ptx has 14; expected the same number",
    ),
    (
        "block = 32",
        "block = [16, 2]",
        "launch.block",
        "is [16, 2, 1], but entry demo_f32 of core.ptx has .reqntid [32, 1, 1]; expected the same",
    ),
    (
        "launch = { block = 64 }",
        "launch = { block = 96 }",
        "variants[1].launch.block",
        "is [96, 1, 1], but entry demo_f16 of core.ptx has .maxntid [64, 1, 1]; expected no more threads",
    ),
];

#[test]
fn manifest_that_contradicts_its_ptx_is_refused_at_load() {
    for (good, bad, key, text) in CONTRADICTIONS {
        assert_eq!(DEMO.matches(good).count(), 1, "the row must spoil one place: {good}");
        let error = load(&DEMO.replace(good, bad)).err().expect("a contradiction");
        assert_eq!(error.message, format!("core.toml: {key} {text}"));
        assert_eq!((error.kind, &error.fields["key"]), (Kind::Manifest, &(*key).into()));
    }
}

#[test]
fn ptx_file_that_is_not_there_is_refused_at_load() {
    let two = DEMO.replacen("core.ptx", "other.ptx", 1);
    let error = load(&two).err().expect("no such file");
    assert_eq!(
        error.message,
        "core.toml: variants[0].ptx is \"other.ptx\", which cannot be read: the manifest was handed over without a \
         directory; load it from a file, or name only the PTX given"
    );
}
