//! A short run of what `fuzz/` does at length: mutants of the repository's PTX from a fixed seed are loaded and launched.
//! Nothing may panic or go on for ever; what hostile texts may cost is in `hostile.rs`.
#![allow(missing_docs)]

mod mutants;

use std::sync::mpsc;
use std::time::Duration;

use emulator::Module;
use mutants::{corpus, launch::launch_all, mutant, Seeded};

/// Runs `case` on a thread of its own; a case that neither ends nor panics in time is named by its seed.
fn each(seeds: std::ops::Range<u64>, case: impl Fn(u64) + Send + 'static) {
    let (report, reports) = mpsc::channel();
    let last = seeds.end;
    let worker = std::thread::spawn(move || {
        for seed in seeds {
            let _ = report.send(seed);
            case(seed);
        }
        let _ = report.send(last);
    });
    let mut current = None;
    loop {
        match reports.recv_timeout(Duration::from_secs(60)) {
            Ok(seed) if seed == last => break,
            Ok(seed) => current = Some(seed),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {current:?} goes on for more than 60 s"),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("seed {current:?} panicked; the text is above"),
        }
    }
    worker.join().expect("said that it was over");
}

#[test]
fn loading_mutants_never_panics() {
    let corpus = corpus(64 << 10);
    each(0..3000, move |seed| {
        let text = mutant(&corpus, &mut Seeded(seed));
        match emulator::Module::parse(&text) {
            Ok(module) => drop(emulator::survey(&module)),
            Err(error) => drop(error.to_string()),
        }
    });
}

#[test]
fn launching_mutants_never_panics_and_always_ends() {
    let corpus = corpus(12 << 10);
    each(0..400, move |seed| {
        let mut random = Seeded(seed);
        if let Ok(module) = Module::parse(&mutant(&corpus, &mut random)) {
            launch_all(&module, &mut random);
        }
    });
}
