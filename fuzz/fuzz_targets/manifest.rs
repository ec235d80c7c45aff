//! Any text as a manifest, TOML or JSON, and its description.
#![no_main]

use libfuzzer_sys::fuzz_target;
use warpbridge::manifest::Manifest;

fuzz_target!(|text: &str| {
    if let Ok(manifest) = Manifest::parse(text, "fuzz.toml") {
        let _ = manifest.signature().len();
    }
});
