//! PTX that was right until a few of its lines, operands, modifiers and numbers were exchanged: what random bytes never
//! get to. Shared by `robustness.rs` (a fixed seed) and by the fuzzers (`fuzz/`, where the choices are the fuzzer's bytes).
#![allow(dead_code)] // each user takes its part

pub mod launch;

use std::path::Path;

/// Where choices come from.
pub trait Choices {
    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize;
    /// Whether there is anything left to choose with.
    fn is_over(&self) -> bool;
}

/// Choices from a fuzzer's bytes, two at a time.
pub struct Bytes<'a>(pub &'a [u8]);

impl Choices for Bytes<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let (first, rest) = self.0.split_at(self.0.len().min(2));
        self.0 = rest;
        let number = first.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        number % bound
    }
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// splitmix64.
pub struct Seeded(pub u64);

impl Choices for Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
    fn is_over(&self) -> bool {
        false
    }
}

/// PTX of this repository: shipped kernels, what other compilers emitted, the judge's cases; and of `WARPBRIDGE_PTX`, a
/// folder. In one order everywhere; texts of more than `most` bytes are left out.
pub fn corpus(most: usize) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let inside = [
        "kernels/ptx",
        "tests/compiled/ptx",
        "emulator/tests/ptx/judge",
        "emulator/tests/ptx/hostile",
    ];
    let mut folders: Vec<_> = inside.iter().map(|folder| root.join(folder)).collect();
    folders.extend(std::env::var_os("WARPBRIDGE_PTX").map(Into::into));
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten())
        .collect();
    files.sort_by_key(|file| file.as_ref().map(std::fs::DirEntry::path).ok());
    let paths = files.into_iter().filter_map(|file| Some(file.ok()?.path()));
    let texts = paths
        .filter(|p| p.extension().is_some_and(|e| e == "ptx"))
        .filter_map(|p| std::fs::read_to_string(p).ok());
    let found: Vec<_> = texts.filter(|text| text.len() <= most).collect();
    assert!(
        found.len() > 20,
        "the repository's PTX is not where it was: {}",
        root.display()
    );
    found
}

/// Numbers at the edges of what something is counted in.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "8",
    "15",
    "16",
    "31",
    "32",
    "33",
    "63",
    "64",
    "127",
    "128",
    "255",
    "256",
    "1023",
    "1024",
    "1025",
    "4096",
    "65535",
    "65536",
    "16777216",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0f7fc00000",
    "0f7f800000",
    "0d7ff8000000000000",
    "0fFFFFFFFF",
    "0x",
    "1e999",
    "%tid.x",
    "_",
    "{}",
    "[0]",
];

/// Pieces that a text may hold anywhere.
const PIECES: &[&str] = &[
    "{",
    "}",
    "{{{{{{{{{{{{{{{{",
    "}}}}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ":",
    "@%p1 ",
    "@!%p1 ",
    "\0",
    "\u{e9}",
    "/*",
    "*/",
    "//",
    "\"",
    "<",
    ">",
    "=",
    ".reg .b32 %r<4294967296>;",
    ".reg .v4 .b128 %w<9>;",
    ".local .align 4096 .b8 big[524288];",
    ".shared .b8 huge[16777216];",
    ".global .b8 vast[268435456];",
    ".global .u64 self = self;",
    ".param .b8 p[32764];",
    ".extern .shared .b8 dyn[];",
    "ret;",
    "exit;",
    "trap;",
    "bra AGAIN;",
    "AGAIN:",
    "call (%r1), f, (%r1);",
    ".branchtargets A, B;",
    ".callprototype _ ();",
    ".loc 1 2 3",
    ".file 1 \"x\"",
    ".section .debug { }",
    ".pragma \"nounroll\";",
    ".reqntid 0",
    ".maxntid 65536, 65536, 65536",
    ".reqnctapercluster 4294967295, 4294967295",
    ".align 4096",
    "bar.sync 0;",
    "barrier.cluster.arrive;",
    "barrier.cluster.wait;",
    "mbarrier.init.shared.b64 [%r1], 1;",
    "alloca.u64 %rd1, %rd2, 16;",
    "stackrestore.u64 %rd1;",
    "brx.idx %r1, T;",
];

/// One to eight edits of one program; lines, operands and modifiers may come from any other.
pub fn mutant(corpus: &[String], random: &mut impl Choices) -> String {
    let base = &corpus[random.below(corpus.len())];
    let mut lines: Vec<String> = base.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(8) {
        edit(&mut lines, corpus, random);
        if random.is_over() {
            break;
        }
    }
    lines.join("\n")
}

fn edit(lines: &mut Vec<String>, corpus: &[String], random: &mut impl Choices) {
    if lines.is_empty() {
        return;
    }
    let at = random.below(lines.len());
    match random.below(12) {
        0 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        1 => drop(lines.remove(at)),
        2 => lines.insert(at, lines[random.below(lines.len())].clone()),
        3 => {
            let donor = &corpus[random.below(corpus.len())];
            let count = donor.lines().count().max(1);
            let line = donor.lines().nth(random.below(count)).unwrap_or("");
            lines.insert(at, line.to_owned());
        }
        4 => lines.insert(at, PIECES[random.below(PIECES.len())].to_owned()),
        5 => {
            let piece = PIECES[random.below(PIECES.len())];
            let places: Vec<_> = lines[at].char_indices().map(|(place, _)| place).collect();
            if !places.is_empty() {
                lines[at].insert_str(places[random.below(places.len())], piece);
            }
        }
        6 => lines.truncate(at + 1),
        7 | 8 => exchange(lines, at, corpus, random, |word| word.starts_with('.')),
        9 => number(lines, at, random),
        _ => exchange(lines, at, corpus, random, |word| !word.starts_with('.')),
    }
}

/// Words with their place: `.modifier`, `%register`, `name`, `123`.
fn words(line: &str) -> Vec<(usize, usize)> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_$%:".contains(c);
    let mut list = Vec::new();
    let mut start = None;
    for (at, letter) in line.char_indices().chain([(line.len(), ' ')]) {
        if letter == '.' || !inside(letter) {
            list.extend(start.take().map(|from| (from, at)));
        }
        if start.is_none() && (letter == '.' || inside(letter)) {
            start = Some(at);
        }
    }
    list
}

/// Puts another word of the same kind in place of one: half of the time from the same program, so that it means something.
fn exchange(
    lines: &mut [String],
    at: usize,
    corpus: &[String],
    random: &mut impl Choices,
    kind: impl Fn(&str) -> bool,
) {
    let fitting =
        |line: &str| -> Vec<(usize, usize)> { words(line).into_iter().filter(|w| kind(&line[w.0..w.1])).collect() };
    let own = fitting(&lines[at]);
    let donor: &str = if random.below(2) == 0 {
        &lines[random.below(lines.len())]
    } else {
        let text = &corpus[random.below(corpus.len())];
        let count = text.lines().count().max(1);
        text.lines().nth(random.below(count)).unwrap_or("")
    };
    let theirs = fitting(donor);
    if own.is_empty() || theirs.is_empty() {
        return;
    }
    let (from, to) = theirs[random.below(theirs.len())];
    let word = donor[from..to].to_owned();
    let (from, to) = own[random.below(own.len())];
    lines[at].replace_range(from..to, &word);
}

fn number(lines: &mut [String], at: usize, random: &mut impl Choices) {
    let digits = |line: &str| -> Vec<(usize, usize)> {
        let found = words(line).into_iter();
        found
            .filter(|w| line[w.0..w.1].starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    };
    let own = digits(&lines[at]);
    if !own.is_empty() {
        let (from, to) = own[random.below(own.len())];
        lines[at].replace_range(from..to, NUMBERS[random.below(NUMBERS.len())]);
    }
}
