//! The committed C header is what cbindgen makes of `src/abi/`.
//! `WARPBRIDGE_WRITE_HEADER=1` writes it instead of comparing.

use std::path::Path;

fn generated() -> String {
    let crate_dir = env!("CARGO_MANIFEST_DIR");
    let config = cbindgen::Config::from_file(Path::new(crate_dir).join("cbindgen.toml")).expect("cbindgen.toml reads");
    let bindings = cbindgen::Builder::new()
        .with_crate(crate_dir)
        .with_config(config)
        .generate();
    let mut header = Vec::new();
    bindings.expect("the C ABI parses").write(&mut header);
    String::from_utf8(header).expect("the header is text")
}

#[test]
fn header_matches_abi() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/warpbridge.h");
    let header = generated();
    if std::env::var_os("WARPBRIDGE_WRITE_HEADER").is_some() {
        std::fs::write(&path, &header).expect("the header can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("include/warpbridge.h is there");
    assert!(
        committed == header,
        "include/warpbridge.h is not what cbindgen makes; run WARPBRIDGE_WRITE_HEADER=1 cargo test -p warpbridge-ffi --test header"
    );
}

#[test]
fn header_needs_no_preprocessor_but_for_numbers() {
    for line in generated().lines().filter(|line| line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_number = matches!(words[..], ["#define", _, value] if value.parse::<i64>().is_ok());
        assert!(is_number, "cffi cannot parse: {line}");
    }
}
