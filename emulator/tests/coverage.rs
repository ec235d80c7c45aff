//! docs/ptx-coverage.md says what the decoder does. `WARPBRIDGE_WRITE_COVERAGE=1` writes it instead of comparing.
#![allow(missing_docs)]

#[path = "coverage/isa.rs"]
mod isa;
#[path = "coverage/operands.rs"]
mod operands;
#[path = "coverage/page.rs"]
mod page;

const COMMAND: &str = "WARPBRIDGE_WRITE_COVERAGE=1 cargo test -p warpbridge-emulator --test coverage";

#[test]
fn committed_page_is_what_the_decoder_answers() {
    let isa = isa::read();
    let sections = isa.sections.iter();
    let asked = sections.map(|section| (section, section.rows.iter().map(|row| page::ask(&isa, row)).collect()));
    let answers: Vec<(_, Vec<page::Answer<'_>>)> = asked.collect();
    let rows = answers.iter().flat_map(|(_, rows)| rows);
    let wrong: Vec<_> = rows.filter_map(page::Answer::complaint).collect();
    assert!(
        wrong.is_empty(),
        "forms that are executed in part, or refused without their name: split their rows in emulator/tests/coverage/isa.txt\n{}",
        wrong.join("\n")
    );
    let made = page::page(&isa, &answers);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ptx-coverage.md");
    if std::env::var_os("WARPBRIDGE_WRITE_COVERAGE").is_some() {
        std::fs::write(path, &made).expect("docs/ is writable");
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let differs = committed.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(
        committed == made,
        "docs/ptx-coverage.md is out of date; run {COMMAND}\nfirst difference: {differs:?}"
    );
}

#[test]
fn every_form_of_the_decoder_stands_in_the_list() {
    let unlisted = page::unlisted(&isa::read());
    assert!(
        unlisted.is_empty(),
        "forms that emulator/tests/coverage/isa.txt lacks; add rows, then run {COMMAND}\n{}",
        unlisted.join("\n")
    );
}
