//! Launches the entries of any module on small arrays, for a short time. What comes of it does not matter, only that it ends.

use std::time::{Duration, Instant};

use emulator::{Access, Checks, Entry, Launch, Module, Range, Schedule, Settings, Stop};

use super::Choices;

/// Time that one launch gets.
pub const LIMIT: Duration = Duration::from_millis(40);
/// How much longer a launch may take to notice that its time is over; generous, as machines that test are busy.
pub const GRACE: Duration = Duration::from_secs(60);
/// Entries of one module that are launched.
const ENTRIES: usize = 3;

/// Launches the first entries.
pub fn launch_all(module: &Module, random: &mut impl Choices) {
    let names: Vec<Entry> = module.entries().iter().take(ENTRIES).cloned().collect();
    for entry in names {
        one(module, &entry, random);
    }
}

fn one(module: &Module, entry: &Entry, random: &mut impl Choices) {
    let mut arrays: Vec<Vec<u64>> = Vec::new();
    let mut params = vec![0u8; entry.param_bytes];
    let mut ranges = Vec::new();
    for param in &entry.params {
        let place = &mut params[param.offset..param.offset + param.bytes];
        if param.bytes == 8 {
            let mut array = vec![0x3f80_0000_0000_0003u64; 1 << 10];
            let address = array.as_mut_ptr() as u64;
            place.copy_from_slice(&address.to_le_bytes());
            ranges.push(Range {
                address,
                bytes: 8 << 10,
                name: param.name.clone(),
                access: if random.below(4) == 0 {
                    Access::Read
                } else {
                    Access::ReadWrite
                },
            });
            arrays.push(array);
        } else {
            place
                .iter_mut()
                .for_each(|byte| *byte = [0, 1, 2, 5, 64, 255][random.below(6)]);
        }
    }
    let axis = |random: &mut dyn FnMut(usize) -> usize| [1, 2, 3, 32, 33, 64, 128][random(7)] as u32;
    let mut choose = |bound| random.below(bound);
    let block = entry
        .required_block
        .unwrap_or([axis(&mut choose), 1 + choose(2) as u32, 1]);
    let cluster = entry.required_cluster.unwrap_or([1 + choose(2) as u32, 1, 1]);
    let launch = Launch {
        grid: cluster.map(|n| n.saturating_mul(1 + choose(2) as u32)),
        block,
        cluster,
        shared_bytes: [0, 1024, 49152, 1 << 20][choose(4)],
        params: &params,
        ranges: &ranges,
        roles: &[],
        settings: Settings {
            schedule: [Schedule::Eager, Schedule::Latest, Schedule::Seeded][choose(3)],
            seed: choose(3) as u64,
            checks: [Checks::None, Checks::Memory, Checks::All, Checks::All][choose(4)],
            threads: 1 + choose(2) as u32,
            global_races: choose(2) == 1,
        },
        stop: &Stop::new(Some(Instant::now() + LIMIT)),
    };
    let begun = Instant::now();
    let end = emulator::run(module, &entry.name, &launch);
    assert!(
        begun.elapsed() < LIMIT + GRACE,
        "{} went on {:?} after its time: {end:?}",
        entry.name,
        begun.elapsed()
    );
    // What a fault says is made of the program's text: making it must not fail either.
    let _ = end.map_err(|fault| fault.to_string());
}
