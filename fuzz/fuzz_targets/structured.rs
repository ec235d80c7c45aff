//! The bytes choose edits of the repository's PTX, which is then loaded.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../emulator/tests/mutants/mod.rs"]
mod mutants;

static CORPUS: OnceLock<Vec<String>> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let corpus = CORPUS.get_or_init(|| mutants::corpus(64 << 10));
    let text = mutants::mutant(corpus, &mut mutants::Bytes(bytes));
    match emulator::Module::parse(&text) {
        Ok(module) => drop(emulator::survey(&module)),
        Err(error) => drop(error.to_string()),
    }
});
