//! What cannot be executed here but is no mistake: the module loads, and says which entries it concerns.

use emulator::{Fault, Launch, LoadError, Module, Settings, Stop};

const HEAD: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// Line 4 is the first of `body`.
fn parse(body: &str) -> Result<Module, LoadError> {
    Module::parse(&format!("{HEAD}{body}"))
}

fn text(error: Option<&LoadError>) -> String {
    error.map_or("none".into(), LoadError::to_string)
}

const MIXED: &str = "\
.func helper()
{
    .reg .b32 %r<2>;
    unheard.of.u32 %r0, %r1;
    unheard.again.u32 %r0, %r1;
    ret;
}
.func between()
{
    call helper;
    ret;
}
.visible .entry calls() { call between; ret; }
.visible .entry good(.param .u64 y)
{
    .reg .b64 %rd<2>;
    ld.param.u64 %rd0, [y];
    st.global.u32 [%rd0], 7;
    ret;
}
.visible .entry bad()
{
    .reg .b32 %r<2>;
again:
    bra again;
    another.u32 %r0, %r1;
}
";
const FIRST: &str = "line 7, column 5: instruction \"unheard.of.u32\" is not supported";

#[test]
fn unknown_instruction_concerns_the_entries_that_reach_it() {
    let module = parse(MIXED).expect("no mistake");
    assert_eq!(text(module.unsupported()), FIRST);
    assert_eq!(text(module.unsupported_in("calls")), FIRST);
    assert_eq!(text(module.unsupported_in("good")), "none");
    let own = "line 29, column 5: instruction \"another.u32\" is not supported";
    assert_eq!(text(module.unsupported_in("bad")), own);
    assert_eq!(text(module.unsupported_in("absent")), "none");
}

fn run(module: &Module, entry: &str, params: &[u8], ranges: &[emulator::Range]) -> Result<emulator::Outcome, Fault> {
    let launch = Launch {
        grid: [1; 3],
        block: [32, 1, 1],
        cluster: [1; 3],
        shared_bytes: 0,
        params,
        ranges,
        roles: &[],
        settings: Settings::default(),
        stop: &Stop::default(),
    };
    emulator::run(module, entry, &launch)
}

#[test]
fn other_entries_of_the_module_run() {
    let module = parse(MIXED).expect("no mistake");
    let mut y = [0u32];
    let range = emulator::Range {
        address: y.as_mut_ptr() as u64,
        bytes: 4,
        name: "y".into(),
        access: emulator::Access::ReadWrite,
    };
    let params = range.address.to_le_bytes();
    run(&module, "good", &params, &[range]).expect("a good launch");
    assert_eq!(y, [7]);
}

#[test]
fn launch_of_an_entry_that_reaches_it_is_refused() {
    let module = parse(MIXED).expect("no mistake");
    let refused = run(&module, "calls", &[], &[]);
    assert_eq!(refused, Err(Fault::BadLaunch(format!("calls: {FIRST}"))));
}

#[test]
fn mistakes_fail_at_once_also_behind_an_unknown_instruction() {
    let cases = [
        (
            "unheard.of.u32 %r0, %r1; add.u32 %r0, %r9, 1;",
            "line 6, column 39: register \"%r9\" is not declared",
        ),
        (
            "unheard.of.u32 %r0, %r1; @%p9 bra out;",
            "line 6, column 27: \"%p9\" is not declared, expected a predicate register",
        ),
        (
            "unheard.of.u32 %r0, %r1; ld.u32 %r0, [%rd9];",
            "line 6, column 38: \"%rd9\" is not declared",
        ),
        (
            "unheard.of.u32 %r0, %r1; .reg .u32 %r;.reg .u32 %r;",
            "line 6, column 49: \"%r\" is declared twice",
        ),
    ];
    for (body, expected) in cases {
        let refused = parse(&format!(".visible .entry e()\n{{ .reg .b32 %r<2>;\n{body}\n}}"));
        assert_eq!(
            refused.map(drop).map_err(|e| e.to_string()),
            Err(expected.to_owned()),
            "{body}"
        );
    }
}

#[test]
fn special_register_that_is_not_known_here_is_put_off() {
    let module = parse(".visible .entry e()\n{ .reg .b32 %r<2>;\nmov.u32 %r0, %pm3;\n}").expect("no mistake");
    let expected = "line 6, column 14: register \"%pm3\" is not declared";
    assert_eq!(text(module.unsupported()), expected);
}
