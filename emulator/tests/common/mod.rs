//! Runs PTX on host arrays: what every test of this crate needs.
#![allow(dead_code)] // each test file uses its part

use emulator::{Access, Fault, Launch, Module, Outcome, Range, Role, Schedule, Settings, Stop, TraceSink};

/// Parameters, laid out as they are pushed.
#[derive(Default)]
pub struct Args {
    pub bytes: Vec<u8>,
    pub ranges: Vec<Range>,
}

impl Args {
    pub fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }
    pub fn push<const N: usize>(&mut self, value: [u8; N]) {
        self.align(N);
        self.bytes.extend(value);
    }
    pub fn array<T>(&mut self, name: &str, data: &mut [T]) {
        self.range(
            name,
            data.as_mut_ptr() as u64,
            std::mem::size_of_val(data) as u64,
            Access::ReadWrite,
        );
    }
    pub fn input<T>(&mut self, name: &str, data: &[T]) {
        self.range(
            name,
            data.as_ptr() as u64,
            std::mem::size_of_val(data) as u64,
            Access::Read,
        );
    }
    fn range(&mut self, name: &str, address: u64, bytes: u64, access: Access) {
        self.push(address.to_le_bytes());
        self.ranges.push(Range {
            address,
            bytes,
            name: name.to_owned(),
            access,
        });
    }
}

/// One launch with the defaults that tests want.
pub struct Run<'a> {
    pub module: &'a Module,
    pub entry: &'a str,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub shared_bytes: u32,
    pub roles: Vec<Role>,
    pub settings: Settings,
}

impl<'a> Run<'a> {
    pub fn new(module: &'a Module, entry: &'a str, grid: u32, block: u32) -> Self {
        Self {
            module,
            entry,
            grid: [grid, 1, 1],
            block: [block, 1, 1],
            cluster: [1, 1, 1],
            shared_bytes: 0,
            roles: Vec::new(),
            settings: Settings {
                threads: 2,
                ..Settings::default()
            },
        }
    }

    pub fn schedule(mut self, schedule: Schedule, seed: u64) -> Self {
        self.settings.schedule = schedule;
        self.settings.seed = seed;
        self
    }

    pub fn shared(mut self, bytes: u32) -> Self {
        self.shared_bytes = bytes;
        self
    }

    pub fn roles(mut self, roles: &[(&str, u32)]) -> Self {
        let role = |(name, warps): &(&str, u32)| Role {
            name: (*name).to_owned(),
            warps: *warps,
        };
        self.roles = roles.iter().map(role).collect();
        self
    }

    pub fn go(&self, args: &Args) -> Result<Outcome, Fault> {
        self.until(
            args,
            &Stop::new(Some(std::time::Instant::now() + std::time::Duration::from_secs(20))),
        )
    }

    pub fn until(&self, args: &Args, stop: &Stop) -> Result<Outcome, Fault> {
        emulator::run(self.module, self.entry, &self.launch(args, stop))
    }

    pub fn traced(&self, args: &Args, sink: &TraceSink) -> Result<Outcome, Fault> {
        let stop = Stop::new(None);
        emulator::run_traced(self.module, self.entry, &self.launch(args, &stop), sink)
    }

    fn launch<'b>(&'b self, args: &'b Args, stop: &'b Stop) -> Launch<'b> {
        Launch {
            grid: self.grid,
            block: self.block,
            cluster: self.cluster,
            shared_bytes: self.shared_bytes,
            params: &args.bytes,
            ranges: &args.ranges,
            roles: &self.roles,
            settings: self.settings,
            stop,
        }
    }
}

/// The three schedules, the last with two seeds.
pub const SCHEDULES: [(Schedule, u64); 4] = [
    (Schedule::Eager, 0),
    (Schedule::Latest, 0),
    (Schedule::Seeded, 1),
    (Schedule::Seeded, 99),
];

/// Parses or fails with the error's text.
pub fn parse(text: &str) -> Module {
    Module::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

/// An entry with the given parameters and body.
pub fn entry(params: &str, body: &str) -> String {
    format!(".version 8.3\n.target sm_90a\n.address_size 64\n.visible .entry k({params})\n{{\n{body}\n}}\n")
}
