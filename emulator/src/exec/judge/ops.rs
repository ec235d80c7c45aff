//! What the judge must look at: for each instruction, whether it touches memory that threads share, and how. Read from
//! the text of the module, once, so that decoding and the handlers know nothing of the judge.

use super::registers::ignored_waits;
use super::shadow::{STRONG, WRITE};
use crate::exec::livelock::Poll;
use crate::exec::memory::space;
use crate::exec::program::Program;
use crate::fault::Space;
use crate::ptx::types::Ty;

/// What an instruction does, as far as the judge cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or its handler tells the judge.
    Other,
    /// `ld`, `st`, `atom`, `red` in a space that is or may be shared or local.
    Access,
    /// Its handler finds its addresses with `memory::place`: `ldmatrix`, `stmatrix`, `wmma.load`, `wmma.store`,
    /// `tensormap.replace`, `tensormap.cp_fenceproxy`.
    Placed,
    /// `fence.proxy.async`.
    ProxyFence,
    Call,
}

/// What the lanes of a warp must do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Free,
    /// A barrier with `.aligned`: all lanes that have not exited.
    Barrier,
    /// Everything else with `.aligned`: all 32.
    Whole,
    /// A member mask, which must name the lane itself.
    Members,
}

/// What an instruction does with registers that were never written: see `registers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flowing {
    /// Each lane's results are as good as the worst of its sources.
    Worst,
    /// As good as the best: packing, bits set one by one.
    Best,
    /// Results count as written: matrices, whose fragments belong to several lanes.
    Written,
    /// Chosen by a predicate.
    Select,
    /// `shfl`: those of another lane.
    Shuffle,
    /// `vote` and the like: one bad lane spoils all.
    Warp,
    /// An address is read.
    Load,
    /// The same, and values go to memory.
    Store,
    /// Every operand matters at once.
    Needs,
    /// A wait on an mbarrier whose answer nothing reads.
    Unread,
    /// A call: arguments become the callee's registers.
    Call,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub kind: Kind,
    pub flow: Flowing,
    pub rule: Rule,
    /// `shadow::STRONG`, `shadow::WRITE`.
    pub flags: u8,
    /// Bytes per lane.
    pub bytes: u8,
}

const OTHER: Op = Op {
    kind: Kind::Other,
    rule: Rule::Free,
    flow: Flowing::Worst,
    flags: 0,
    bytes: 0,
};

/// One per instruction of the program.
pub(crate) fn table(program: &Program, global: bool) -> Vec<Op> {
    let place = |pc: usize| program.places.get(pc).map(|p| (p.start, p.end));
    let op = |pc: usize| {
        let Some((start, end)) = place(pc) else { return OTHER };
        // The steps that compute an operand have the same place and stand in front.
        if place(pc + 1) == Some((start, end)) {
            return OTHER;
        }
        let text = program.text.get(start as usize..end as usize).unwrap_or("");
        classify(text, program.code[pc].extra, global)
    };
    let mut ops: Vec<Op> = (0..program.code.len()).map(op).collect();
    for pc in ignored_waits(program) {
        ops[pc as usize].flow = Flowing::Unread;
    }
    ops
}

/// Bytes per lane of an instruction that reads memory which others may write: `ld`, `atom`, `red`.
pub(crate) fn polled(program: &Program, pc: u32) -> Option<u32> {
    let (place, next) = (program.place(pc), program.place(pc + 1));
    if (place.start, place.end) == (next.start, next.end) {
        return None;
    }
    let text = program.text.get(place.start as usize..place.end as usize)?;
    let op = classify(text, program.code[pc as usize].extra, true);
    let plain_store = opcode(text).starts_with("st.");
    (op.kind == Kind::Access && !plain_store).then_some(u32::from(op.bytes))
}

/// Lines of instructions that may write what is polled: stores and atomics on that space, less those at other fixed
/// addresses, and less the one that polls.
pub(crate) fn writers(program: &Program, poll: Poll) -> Vec<u32> {
    let own = if poll.space == Space::Global {
        space::GLOBAL
    } else {
        space::SHARED
    };
    let mut lines = Vec::new();
    for (pc, inst) in program.code.iter().enumerate() {
        let (place, next) = (program.place(pc as u32), program.place(pc as u32 + 1));
        let text = program.text.get(place.start as usize..place.end as usize).unwrap_or("");
        if pc as u32 == poll.pc || (place.start, place.end) == (next.start, next.end) {
            continue;
        }
        let (op, code) = (classify(text, inst.extra, true), inst.extra & space::MASK);
        let writes = op.kind == Kind::Access && op.flags & WRITE != 0 && (code == own || code == space::GENERIC);
        let fixed = program.constant(inst.a).map(|base| base.wrapping_add(inst.imm));
        let apart = |at: u64| at + u64::from(op.bytes) <= poll.place.1 || at >= poll.place.1 + 8;
        let elsewhere = own == space::SHARED && fixed.is_some_and(apart);
        if writes && !elsewhere && !lines.contains(&place.line) {
            lines.push(place.line);
        }
    }
    lines
}

/// The opcode with its modifiers.
pub(crate) fn opcode(text: &str) -> &str {
    let text = text.trim_start();
    let text = match text.strip_prefix('@') {
        Some(rest) => rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start(),
        None => text,
    };
    let word = text.split(|c: char| c.is_whitespace() || c == '[').next().unwrap_or("");
    word.trim_end_matches(';')
}

fn classify(text: &str, extra: u32, global: bool) -> Op {
    let word = opcode(text);
    let parts: Vec<&str> = word.split('.').collect();
    Op {
        rule: rule(&parts),
        flow: flow(&parts, text.contains('{')),
        ..by_kind(word, &parts, extra, global)
    }
}

fn flow(parts: &[&str], list: bool) -> Flowing {
    let has = |name: &str| parts.contains(&name);
    match parts[0] {
        "mov" if list => Flowing::Best,
        "and" | "or" | "xor" | "lop3" | "prmt" | "bfi" | "shf" => Flowing::Best,
        "cvt" if has("f16x2") || has("bf16x2") || has("pack") => Flowing::Best,
        "selp" => Flowing::Select,
        "shfl" => Flowing::Shuffle,
        "vote" | "match" | "redux" => Flowing::Warp,
        "ld" | "ldu" | "ldmatrix" => Flowing::Load,
        "st" if !has("async") => Flowing::Store,
        "atom" | "red" | "mbarrier" | "bar" | "barrier" | "cp" | "brx" | "elect" => Flowing::Needs,
        "mma" | "wmma" | "wgmma" | "stmatrix" | "movmatrix" | "tensormap" | "prefetch" => Flowing::Written,
        "call" => Flowing::Call,
        _ => Flowing::Worst,
    }
}

fn rule(parts: &[&str]) -> Rule {
    let has = |name: &str| parts.contains(&name);
    match parts[0] {
        "bar" if has("warp") => Rule::Members,
        "shfl" | "vote" | "match" | "redux" | "elect" if has("sync") => Rule::Members,
        "bar" => Rule::Barrier,
        "barrier" if has("aligned") => Rule::Barrier,
        _ if has("aligned") => Rule::Whole,
        _ => Rule::Free,
    }
}

fn by_kind(word: &str, parts: &[&str], extra: u32, global: bool) -> Op {
    let has = |name: &str| parts.contains(&name);
    match parts[0] {
        "ld" | "ldu" | "st" | "atom" | "red" => access(parts, extra, global),
        "fence" if has("proxy") && has("async") => Op {
            kind: Kind::ProxyFence,
            ..OTHER
        },
        _ if word.starts_with("fence.proxy.async") => Op {
            kind: Kind::ProxyFence,
            ..OTHER
        },
        "ldmatrix" | "stmatrix" | "tensormap" => Op {
            kind: Kind::Placed,
            ..OTHER
        },
        "wmma" if has("load") || has("store") => Op {
            kind: Kind::Placed,
            ..OTHER
        },
        "call" => Op {
            kind: Kind::Call,
            ..OTHER
        },
        _ => OTHER,
    }
}

fn access(parts: &[&str], extra: u32, global: bool) -> Op {
    let has = |name: &str| parts.contains(&name);
    let updates = matches!(parts[0], "atom" | "red");
    let code = extra & space::MASK;
    let element = parts.last().and_then(|name| Ty::parse(name)).map_or(0, Ty::bytes);
    let local = matches!(code, space::SHARED | space::LOCAL | space::GENERIC);
    let strong = updates
        || ["volatile", "relaxed", "acquire", "release", "mmio"]
            .iter()
            .any(|q| has(q));
    let interesting = local || code == space::GLOBAL && (global || strong);
    if !interesting || element == 0 || has("async") {
        return OTHER;
    }
    let count = match (has("v2"), has("v4"), has("v8")) {
        (true, _, _) => 2,
        (_, true, _) => 4,
        (_, _, true) => 8,
        _ => 1,
    };
    Op {
        kind: Kind::Access,
        flow: Flowing::Worst,
        rule: Rule::Free,
        flags: if strong { STRONG } else { 0 } | if updates || parts[0] == "st" { WRITE } else { 0 },
        bytes: (element * count) as u8,
    }
}
