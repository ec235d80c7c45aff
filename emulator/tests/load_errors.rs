//! What PTX that cannot be loaded answers: the whole text, with line and column; and that no text at all panics.
#![allow(missing_docs)]

mod common;
use common::entry;
use emulator::Module;

fn error(text: &str) -> String {
    match Module::parse(text) {
        Ok(module) => module
            .unsupported()
            .map_or_else(|| panic!("loaded: {text}"), ToString::to_string),
        Err(e) => e.to_string(),
    }
}

/// The error of one statement in an otherwise valid entry; it stands in line 7, from column 5 on.
fn body_error(statement: &str) -> String {
    error(&entry(
        ".param .u64 x",
        &format!(
            "    .reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .pred %p<4>; .reg .f32 %f<4>;\n    {statement}\n    ret;"
        ),
    ))
}

#[test]
fn statements_that_cannot_be_loaded_say_what_was_found_and_expected() {
    let cases = [
        (
            "frobnicate.u32 %r1, %r2;",
            "line 7, column 5: instruction \"frobnicate.u32\" is not supported",
        ),
        (
            "add.wrong.u32 %r1, %r2, %r3;",
            "line 7, column 5: instruction \"add.wrong.u32\" is not supported",
        ),
        (
            "add.u32 %r1, %r2;",
            "line 7, column 5: \"add.u32\" has 2 operands, expected 3",
        ),
        (
            "add.u32 %r1, %r2, %r9;",
            "line 7, column 23: register \"%r9\" is not declared",
        ),
        (
            "add.u32 %r1, %rd2, %r3;",
            "line 7, column 18: \"%rd2\" is a .b64 register, expected one of the size of .u32",
        ),
        (
            "add.u32 %r1, %r2, %r3",
            "line 8, column 5: found \"ret\", expected \",\" or \";\"",
        ),
        (
            "bra NOWHERE;",
            "line 7, column 9: label \"NOWHERE\" does not stand in this function",
        ),
        (
            "mma.sp.sync.aligned.m16n8k32.row.col.f16.f16.f16.f16 {%r0, %r1}, {%r0, %r1, %r2, %r3}, {%r0, %r1, %r2, %r3}, \
             {%r0, %r1}, %r0, 2;",
            "line 7, column 131: found a sparsity selector outside 0 to 1, expected one of these",
        ),
        (
            "setmaxnreg.dec.sync.aligned.u32 20;",
            "line 7, column 37: setmaxnreg is given 20 registers, expected a multiple of 8 from 24 to 256",
        ),
        (
            "setmaxnreg.inc.sync.aligned.u32 100;",
            "line 7, column 37: setmaxnreg is given 100 registers, expected a multiple of 8 from 24 to 256",
        ),
        (
            "setmaxnreg.inc.sync.aligned.u32 %r1;",
            "line 7, column 37: setmaxnreg is given no constant, expected a multiple of 8 from 24 to 256",
        ),
        ("A: A: ret;", "line 7, column 8: label \"A\" stands twice"),
        ("mov.u32 %r1, ;", "line 7, column 18: found \";\", expected an operand"),
        (
            "mov.u32 %r1, 99999999999999999999;",
            "line 7, column 18: found \"99999999999999999999\", expected a number that fits 64 bits",
        ),
        ("ld.global.u32 %r1, [%r];", "line 7, column 24: \"%r\" is not declared"),
        (
            "ld.param.u64 %rd1, [x+8];",
            "line 7, column 24: reads behind the end of the parameters",
        ),
        (
            "@%r1 bra A; A:",
            "line 7, column 6: \"%r1\" is a .b32 register, expected a predicate",
        ),
        (
            ".reg .b32 a; .reg .b32 a;",
            "line 7, column 28: \"a\" is declared twice",
        ),
        (".reg .wrong a;", "line 7, column 10: found \".wrong\", expected a type"),
        (
            "mov.u32 %r1, \u{e9};",
            "line 7, column 18: found character 'é', expected PTX",
        ),
        (
            "call missing, ();",
            "line 7, column 10: function \"missing\" is not declared",
        ),
        (
            "shl.b32 %r1, %r2, [%rd1];",
            "line 7, column 23: found no .u32 value, expected a register or a number",
        ),
    ];
    for (statement, expected) in cases {
        assert_eq!(body_error(statement), expected, "for: {statement}");
    }
}

#[test]
fn modules_that_cannot_be_loaded_say_what_was_found_and_expected() {
    let cases = [
        (
            "",
            "line 0, column 0: found no \".version\", expected it in front of everything",
        ),
        (
            ".version 8.0\n",
            "line 0, column 0: found no \".target\", expected one behind \".version\"",
        ),
        (
            ".version eight\n",
            "line 1, column 10: found \"eight\", expected a version such as 8.0",
        ),
        ("hello", "line 1, column 1: found \"hello\", expected a directive"),
        (
            ".version 8.0\n.target sm_90\n.entry k() {",
            "line 3, column 13: found the end of the text, expected an instruction, a directive, a label or \"}\"",
        ),
        (
            ".version 8.0\n.target sm_90\n.wrong",
            "line 3, column 1: found \".wrong\", expected a module directive",
        ),
        (
            ".version 8.0\n/* open",
            "line 2, column 1: comment is never closed, expected \"*/\"",
        ),
        (
            ".version 8.0\n.target sm_90\n.global .b8 a[99999999999];",
            "line 3, column 13: \"a\" takes module variables beyond 268435456 bytes",
        ),
        (
            ".version 8.0\n.target sm_90\n.global .align 3 .b8 a[4];",
            "line 3, column 9: found alignment 3, expected a power of two",
        ),
        (
            ".version 8.0\n.target sm_90\n.global .u32 a[1] = {1, 2};",
            "line 3, column 14: \"a\" has more initial values than elements",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected, "for: {text}");
    }
}

/// A small generator: the tests must not depend on the clock.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

const SEED: &str = include_str!("seed.ptx");

#[test]
fn truncated_text_never_panics() {
    for end in 0..SEED.len() {
        if let Some(text) = SEED.get(..end) {
            let _ = Module::parse(text);
        }
    }
}

#[test]
fn damaged_text_never_panics() {
    let mut random = Random(7);
    let words: Vec<&str> = SEED.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
    for _ in 0..3000 {
        let mut bytes = SEED.as_bytes().to_vec();
        for _ in 0..=random.next(4) {
            let at = random.next(bytes.len());
            match random.next(4) {
                0 => bytes[at] ^= 1 << random.next(7),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, b"{}[]();,.%@!0-"[random.next(14)]),
                _ => {
                    let word = words[random.next(words.len())].as_bytes();
                    let end = (at + word.len()).min(bytes.len());
                    bytes.splice(at..end, word.iter().copied());
                }
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Module::parse(&text);
        }
    }
}

#[test]
fn nesting_and_counts_cost_no_stack_and_no_memory() {
    let deep = "{".repeat(200_000);
    let _ = Module::parse(&entry("", &deep));
    let _ = Module::parse(&entry("", &format!("mov.u32 %r1, {};", "(".repeat(200_000))));
    let _ = Module::parse(&entry("", &format!("mov.u32 %r1, {}1;", "-".repeat(200_000))));
    let _ = Module::parse(&format!(
        ".version 8.0\n.target sm_90\n.global .u32 a[4] = {};",
        "{".repeat(200_000)
    ));
    let _ = Module::parse(&entry("", ".reg .b32 %r<18446744073709551615>; mov.u32 %r5, 1; ret;"));
    let _ = Module::parse(&entry("", &"a:b:".repeat(100_000)));
}
