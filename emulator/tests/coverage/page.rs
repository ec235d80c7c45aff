//! Asks the decoder about every spelling of the ISA's list and writes the page.

use std::collections::BTreeSet;
use std::fmt::Write;

use emulator::Module;

use super::isa::{Isa, Row, Section};
use super::operands::{instruction, module};

const INTRODUCTION: &str = "\
# PTX on the CPU device

Which instructions of PTX ISA 8.x for `sm_80` to `sm_90a` the CPU device executes. Written by a test that asks the decoder about every spelling; to
write it again after a change: `WARPBRIDGE_WRITE_COVERAGE=1 cargo test -p warpbridge-emulator --test coverage`. What is refused is a `LoadError` that names
the instruction and its line. Forms were held against `ptxas` for `sm_90a`. Instructions that only `sm_100` and later have (`tcgen05`, `clusterlaunchcontrol`, `st.bulk`, three-input `min` and `max`,
`add.f32x2` ...) are no part of the list and are refused by name too.

`{.x}` is optional, `.(a|b)` one of several, `<class>` one of a class below. Operands stand in brackets where one spelling has several kinds. A form with very
many spellings was asked with every pair of its choices. Cache hints, prefetches, `griddepcontrol` and `pmevent` are executed in so far as they change
nothing here.
";

/// A row and what the decoder said.
pub struct Answer<'a> {
    row: &'a Row,
    spellings: usize,
    refused: Vec<String>,
    /// Refused with a text that does not name the instruction.
    unnamed: Vec<String>,
}

/// Asks about one row. The refused spellings come back as they are written.
pub fn ask<'a>(isa: &Isa, row: &'a Row) -> Answer<'a> {
    let whole = format!("{}\n{}", row.pattern, row.operands);
    let mut texts = Vec::new();
    for spelling in isa.spellings(&whole) {
        let (opcode, operands) = spelling.split_once('\n').expect("was joined with one");
        texts.push((instruction(opcode, operands), opcode.to_owned()));
    }
    let list: Vec<_> = texts.iter().map(|t| t.0.clone()).collect();
    let text = module(&list);
    let mut answer = Answer {
        row,
        spellings: texts.len(),
        refused: Vec::new(),
        unnamed: Vec::new(),
    };
    let loaded = match Module::parse(&text) {
        Ok(module) => module,
        Err(error) => {
            let line = text.lines().nth(error.line as usize - 1).unwrap_or("");
            answer.unnamed.push(format!("{line}: not even read: {error}"));
            return answer;
        }
    };
    for (n, (written, spelling)) in texts.into_iter().enumerate() {
        let Some(error) = loaded.unsupported_in(&format!("e{n}")) else {
            continue;
        };
        let by_name = format!("instruction \"{}\" is not supported", short(&spelling));
        let by_register = format!(
            "register \"{}\" is not declared",
            written.rsplit(' ').next().unwrap_or("")
        );
        if ![by_name, by_register].contains(&error.message) {
            answer
                .unnamed
                .push(format!("{written}: refused, but not by name: {error}"));
        }
        answer.refused.push(written);
    }
    answer
}

/// As messages cut long names.
fn short(spelling: &str) -> String {
    match spelling.char_indices().nth(160) {
        Some((end, _)) => format!("{}...", &spelling[..end]),
        None => spelling.to_owned(),
    }
}

impl Answer<'_> {
    /// What is wrong with the row: forms are executed or refused as a whole, and refused by name.
    pub fn complaint(&self) -> Option<String> {
        let (refused, all) = (self.refused.len(), self.spellings);
        if let Some(first) = self.unnamed.first() {
            return Some(format!("{}: {} times: {first}", self.row.pattern, self.unnamed.len()));
        }
        let shown = self.refused[..refused.min(4)].join("; ");
        let split = refused > 0 && refused < all;
        split.then(|| format!("{}: refused {refused} of {all}: {shown}", self.row.pattern))
    }
}

/// Every form of the decoder's table that no spelling of the list reaches.
pub fn unlisted(isa: &Isa) -> Vec<&'static str> {
    let mut reached = BTreeSet::new();
    for row in isa.sections.iter().flat_map(|s| &s.rows) {
        let found = isa.spellings(&row.pattern).into_iter();
        reached.extend(found.filter_map(|spelling| emulator::form_of(&spelling)));
    }
    emulator::forms().filter(|form| !reached.contains(form)).collect()
}

/// The whole page.
pub fn page(isa: &Isa, answers: &[(&Section, Vec<Answer<'_>>)]) -> String {
    let mut out = INTRODUCTION.to_owned();
    let rows = || answers.iter().flat_map(|(_, rows)| rows);
    let (all, refused) = (rows().count(), rows().filter(|a| !a.refused.is_empty()).count());
    let spellings: usize = rows().map(|a| a.spellings).sum();
    let _ = write!(
        out,
        "\n{all} forms ({spellings} spellings asked): {} executed, {refused} refused.\n",
        all - refused
    );
    let mut distinct = BTreeSet::new();
    out += "\n## Refused\n\n";
    for answer in rows().filter(|a| !a.refused.is_empty()) {
        let line = named(answer);
        if distinct.insert(line.clone()) {
            let _ = writeln!(out, "- {line}");
        }
    }
    for (section, rows) in answers {
        let _ = write!(out, "\n## {}\n\n| form | CPU device |\n|---|---|\n", section.title);
        for answer in rows {
            let status = if answer.refused.is_empty() {
                "executed"
            } else {
                "**refused**"
            };
            let _ = writeln!(out, "| {} | {status} |", named(answer).replace('|', "\\|"));
        }
    }
    out += "\n## Classes\n\n| class | members |\n|---|---|\n";
    for (name, members) in isa.classes() {
        let _ = writeln!(out, "| `<{name}>` | `{}` |", members.join(" "));
    }
    out
}

/// The pattern, with the operands where these tell rows apart.
fn named(answer: &Answer<'_>) -> String {
    let row = answer.row;
    let opcode = row.pattern.split(['.', '{']).next().unwrap_or("");
    if matches!(opcode, "mov" | "wgmma" | "call" | "vadd2") && !row.operands.is_empty() {
        return format!("`{}` [`{}`]", row.pattern, row.operands);
    }
    format!("`{}`", row.pattern)
}
