//! What is wrong for certain, without running it: pairs that lack one half, aligned operations that one lane alone
//! executes, constants out of range. What depends on data is left to a run under `checks="all"`.

use std::collections::HashMap;

use super::{barrier_number, constant, is, name};
use crate::ptx::tree::{Function, Instruction, OperandKind, Statement};

/// Static shared memory that a GPU accepts; more must be dynamic.
const STATIC_SHARED: u32 = 48 * 1024;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// Line of the PTX, from 1; 0 where no line is to blame.
    pub line: u32,
    /// Found, then expected.
    pub text: String,
}

/// The instructions that an entry can get to.
struct Code<'f, 't>(Vec<&'f Instruction<'t>>);

impl<'t> Code<'_, 't> {
    fn first(&self, test: impl Fn(&Instruction<'t>) -> bool) -> Option<&Instruction<'t>> {
        self.0.iter().copied().find(|i| test(i))
    }
    fn has(&self, test: impl Fn(&Instruction<'t>) -> bool) -> bool {
        self.first(test).is_some()
    }
}

/// All hazards of an entry, by line.
pub(super) fn find(entry: &Function<'_>, reached: &[&Function<'_>], static_shared: u32) -> Vec<Hazard> {
    let mut found = Vec::new();
    if static_shared > STATIC_SHARED {
        found.push(Hazard {
            line: entry.name.pos.line,
            text: format!(
                "{static_shared} bytes of static shared memory, expected at most {STATIC_SHARED}: a GPU's compiler \
                 refuses more; make it dynamic (.extern .shared)"
            ),
        });
    }
    let mut all = Vec::new();
    for function in reached {
        let body = instructions(function);
        lone_lanes(&body, &mut found);
        body.iter().for_each(|i| constants(i, &mut found));
        all.extend(body);
    }
    pairs(&Code(all), &mut found);
    found.sort_by_key(|h| h.line);
    found
}

fn instructions<'f, 't>(function: &'f Function<'t>) -> Vec<&'f Instruction<'t>> {
    let body = function.body.iter().flatten();
    body.filter_map(|s| match s {
        Statement::Instruction(i) => Some(i),
        _ => None,
    })
    .collect()
}

fn text(i: &Instruction<'_>) -> String {
    let mut words = vec![i.opcode];
    words.extend(&i.modifiers);
    words.join(".")
}

/// Whether all lanes of a warp must execute it together.
fn is_aligned(i: &Instruction<'_>) -> bool {
    let has = |m| i.modifiers.contains(&m);
    match i.opcode {
        "bar" => !has("warp"),
        "barrier" | "wgmma" | "mma" | "wmma" | "ldmatrix" | "stmatrix" | "setmaxnreg" => has("aligned"),
        _ => false,
    }
}

/// Aligned operations under a predicate that is true in one lane only.
fn lone_lanes(body: &[&Instruction<'_>], found: &mut Vec<Hazard>) {
    let lanes = Lanes::new(body);
    for i in body.iter().filter(|i| is_aligned(i)) {
        let Some((predicate, _)) = i.guard else { continue };
        let Some(why) = lanes.differ(predicate.text) else {
            continue;
        };
        found.push(Hazard {
            line: i.pos.line,
            text: format!(
                "{} under {}, which {why}; expected all lanes of the warp to execute it together: branch on a value that \
                 is the same in the whole warp",
                text(i),
                predicate.text
            ),
        });
    }
}

/// Definitions of registers that are written once.
struct Lanes<'f, 't>(HashMap<&'t str, Option<&'f Instruction<'t>>>);

impl<'f, 't> Lanes<'f, 't> {
    fn new(body: &[&'f Instruction<'t>]) -> Self {
        let mut map = HashMap::new();
        for i in body {
            for target in i.operands.first().into_iter().flat_map(targets) {
                map.entry(target).and_modify(|d| *d = None).or_insert(Some(*i));
            }
        }
        Self(map)
    }

    fn definition(&self, register: &str) -> Option<&'f Instruction<'t>> {
        self.0.get(register).copied().flatten()
    }

    /// Why lanes of one warp do not agree on a predicate, where that is certain.
    fn differ(&self, predicate: &str) -> Option<String> {
        let definition = self.definition(predicate)?;
        if definition.opcode == "elect" {
            return Some(format!(
                "elect.sync in line {} gives to one lane only",
                definition.pos.line
            ));
        }
        if definition.opcode != "setp" || definition.operands.len() != 3 {
            return None;
        }
        let comparison = definition.modifiers.first().copied().unwrap_or_default();
        let number = constant(&definition.operands[2])?;
        let source = self.source(name(&definition.operands[1])?)?;
        let splits = match comparison {
            "eq" | "ne" => true,
            "lt" | "ge" | "lo" | "hs" => number % 32 != 0,
            "le" | "gt" | "ls" | "hi" => (number + 1) % 32 != 0,
            _ => false,
        };
        let line = definition.pos.line;
        splits.then(|| format!("line {line} computes from {source}: lanes of one warp differ"))
    }

    /// The special register that a value is a copy of, if it numbers lanes.
    fn source(&self, register: &'t str) -> Option<&'t str> {
        if matches!(register, "%tid.x" | "%laneid") {
            return Some(register);
        }
        let definition = self
            .definition(register)
            .filter(|d| d.opcode == "mov" && d.guard.is_none())?;
        let from = name(definition.operands.get(1)?)?;
        matches!(from, "%tid.x" | "%laneid").then_some(from)
    }
}

/// The registers that a first operand names.
fn targets<'t>(operand: &crate::ptx::tree::Operand<'t>) -> Vec<&'t str> {
    match &operand.kind {
        OperandKind::Name(n) => vec![n],
        OperandKind::Pair(a, b) => [targets(a), targets(b)].concat(),
        OperandKind::Vector(list) => list.iter().flat_map(targets).collect(),
        _ => Vec::new(),
    }
}

/// Constants that the ISA does not allow.
fn constants(i: &Instruction<'_>, found: &mut Vec<Hazard>) {
    let mut add = |text: String| found.push(Hazard { line: i.pos.line, text });
    if let Some(Some(number)) = barrier_number(i) {
        if number > 15 {
            add(format!("barrier number is {number}, expected 0 to 15"));
        }
        let place = 1 + usize::from(i.modifiers.contains(&"red"));
        let threads = i.operands.get(place).and_then(constant);
        if let Some(threads) = threads.filter(|t| *t == 0 || t % 32 != 0) {
            add(format!(
                "barrier {number} is given {threads} threads, expected a positive multiple of 32"
            ));
        }
    }
    let bulk = i.opcode == "cp" && i.modifiers.contains(&"bulk") && !i.modifiers.contains(&"tensor");
    let moves = bulk && !i.modifiers.iter().any(|m| matches!(*m, "commit_group" | "wait_group"));
    let place = if i.modifiers.contains(&"prefetch") { 1 } else { 2 };
    if let Some(bytes) = i.operands.get(place).filter(|_| moves).and_then(constant) {
        if bytes % 16 != 0 {
            add(format!("a bulk copy of {bytes} bytes, expected a multiple of 16"));
        }
    }
    if is(i, "mbarrier", "init") && i.operands.get(1).and_then(constant) == Some(0) {
        add("mbarrier count is 0, expected 1 to 1048575".into());
    }
}

/// Halves of pairs that lack the other.
fn pairs(code: &Code<'_, '_>, found: &mut Vec<Hazard>) {
    let mut add = |i: Option<&Instruction<'_>>, missing: bool, what: &str| {
        if let Some(i) = i.filter(|_| missing) {
            let text = format!("{}, but {what}", text(i));
            found.push(Hazard { line: i.pos.line, text });
        }
    };
    let cp = |i: &Instruction<'_>, words: &[&str]| i.opcode == "cp" && i.modifiers.starts_with(words);
    let bulk_has = |i: &Instruction<'_>, word: &str| {
        i.opcode == "cp" && i.modifiers.contains(&"bulk") && i.modifiers.contains(&word)
    };

    let lane = code.first(|i| cp(i, &["async", "ca"]) || cp(i, &["async", "cg"]));
    let by_mbarrier = code.has(|i| cp(i, &["async", "mbarrier"]));
    let waits = code.has(|i| cp(i, &["async", "wait_group"]));
    let waits_all = code.has(|i| cp(i, &["async", "wait_all"]));
    let commits = code.has(|i| cp(i, &["async", "commit_group"]));
    add(
        lane,
        !by_mbarrier && !waits && !waits_all,
        "nothing waits for it, expected cp.async.wait_group, cp.async.wait_all or cp.async.mbarrier.arrive",
    );
    add(
        lane,
        waits && !commits && !waits_all && !by_mbarrier,
        "no cp.async.commit_group puts it into a group, expected one in front of cp.async.wait_group",
    );

    let store = code.first(|i| bulk_has(i, "bulk_group"));
    let bulk_commits = code.has(|i| bulk_has(i, "commit_group"));
    let bulk_waits = code.has(|i| bulk_has(i, "wait_group"));
    add(
        store,
        !bulk_commits,
        "no cp.async.bulk.commit_group puts it into a group, expected one behind it",
    );
    add(store, bulk_commits && !bulk_waits, "nothing waits for it, expected cp.async.bulk.wait_group before its shared memory is used again or the thread exits");
    let writes_shared = code.has(|i| i.opcode == "st" && i.modifiers.iter().any(|m| m.starts_with("shared")));
    let proxy = code.has(|i| i.opcode == "fence" && i.modifiers.starts_with(&["proxy", "async"]));
    add(
        store,
        writes_shared && !proxy,
        "st.shared writes what it reads without fence.proxy.async, expected that fence between them (ISA 9.7.13.4)",
    );

    let load = code.first(|i| bulk_has(i, "mbarrier::complete_tx::bytes"));
    let tests = code.has(|i| is(i, "mbarrier", "try_wait") || is(i, "mbarrier", "test_wait"));
    add(
        load,
        !tests,
        "nothing waits on an mbarrier, expected mbarrier.try_wait or mbarrier.test_wait before the data are read",
    );
    let init = code.first(|i| is(i, "mbarrier", "init"));
    let fenced = proxy || code.has(|i| i.opcode == "fence" && i.modifiers.contains(&"mbarrier_init"));
    add(init, load.is_some() && !fenced, "bulk copies signal it without a fence in between, expected fence.mbarrier_init.release.cluster or fence.proxy.async behind it");

    let product = code.first(|i| is(i, "wgmma", "mma_async"));
    add(
        product,
        !code.has(|i| is(i, "wgmma", "fence")),
        "there is no wgmma.fence, expected one in front of the first product",
    );
    add(
        product,
        !code.has(|i| is(i, "wgmma", "commit_group")),
        "no wgmma.commit_group puts it into a group, expected one behind it",
    );
    add(
        product,
        !code.has(|i| is(i, "wgmma", "wait_group")),
        "nothing waits for it, expected wgmma.wait_group before its registers are read",
    );
}
