//! Any bytes as PTX text: parsed, laid out, decoded, surveyed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match emulator::Module::parse(&text) {
        Ok(module) => drop(emulator::survey(&module)),
        Err(error) => drop(error.to_string()),
    }
});
