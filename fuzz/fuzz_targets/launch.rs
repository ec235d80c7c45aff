//! The bytes choose edits of the repository's smaller PTX, and how its entries are launched on small arrays.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../emulator/tests/mutants/mod.rs"]
mod mutants;

static CORPUS: OnceLock<Vec<String>> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let corpus = CORPUS.get_or_init(|| mutants::corpus(12 << 10));
    let (how, edits) = bytes.split_at(bytes.len().min(24));
    let text = mutants::mutant(corpus, &mut mutants::Bytes(edits));
    if let Ok(module) = emulator::Module::parse(&text) {
        mutants::launch::launch_all(&module, &mut mutants::Bytes(how));
    }
});
