//! What a module needs and what can be said against it without running it: [`survey`] reads the syntax tree, `features`
//! knows what instructions ask of a GPU, `hazards` what is wrong for certain. Nothing here is needed to execute PTX.

mod features;
mod hazards;

use std::collections::{BTreeMap, BTreeSet};

use crate::module::Module;
use crate::ptx::parse;
use crate::ptx::tree::{File, Function, Instruction, Literal, Operand, OperandKind, Statement};

pub use features::Feature;
pub use hazards::Hazard;

/// What one entry needs, with the functions that it calls by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The entry's name.
    pub entry: String,
    /// Instructions in the text.
    pub instructions: u32,
    /// Declared registers by type; a GPU's compiler decides how many it uses.
    pub registers: BTreeMap<String, u64>,
    /// Numbers of `bar`/`barrier` that are written as constants; `None`: some number is computed.
    pub barriers: Option<BTreeSet<u32>>,
    /// Places in the text that initialise an mbarrier.
    pub mbarrier_inits: u32,
    /// Whether it uses dynamic shared memory (`.extern .shared`).
    pub dynamic_shared: bool,
    /// What it uses that not every GPU has, in order of the text.
    pub features: Vec<Feature>,
    /// By line.
    pub hazards: Vec<Hazard>,
}

/// Surveys every entry, in order.
#[must_use]
pub fn survey(module: &Module) -> Vec<Survey> {
    let Ok(file) = parse(&module.program().text) else {
        return Vec::new(); // it was parsed before
    };
    let entries = file.functions.iter().filter(|f| f.is_entry && f.body.is_some());
    entries.map(|entry| entry_survey(module, &file, entry)).collect()
}

fn entry_survey(module: &Module, file: &File<'_>, entry: &Function<'_>) -> Survey {
    let reached = reached(file, entry);
    let mut found = Survey {
        entry: entry.name.text.to_owned(),
        barriers: Some(BTreeSet::new()),
        ..Survey::default()
    };
    let dynamic: Vec<&str> = file
        .variables
        .iter()
        .filter(|v| v.external)
        .map(|v| v.name.text)
        .collect();
    for function in &reached {
        for statement in function.body.iter().flatten() {
            match statement {
                Statement::Registers { ty, vector, names } => {
                    let known = found.registers.entry(ty.name().to_owned()).or_default();
                    for name in names {
                        let count = name.count.unwrap_or(1).saturating_mul(u64::from(*vector));
                        *known = known.saturating_add(count);
                    }
                }
                Statement::Instruction(instruction) => note(&mut found, instruction, &dynamic),
                _ => {}
            }
        }
    }
    let static_shared = module.entry(&found.entry).map_or(0, |e| e.static_shared_bytes);
    found.hazards = hazards::find(entry, &reached, static_shared);
    found
}

fn note(found: &mut Survey, instruction: &Instruction<'_>, dynamic: &[&str]) {
    found.instructions += 1;
    found.dynamic_shared |= instruction.operands.iter().any(|o| names_any(o, dynamic));
    if let Some(feature) = features::of(instruction) {
        if !found.features.iter().any(|f| f.name == feature.name) {
            found.features.push(feature);
        }
    }
    if is(instruction, "mbarrier", "init") {
        found.mbarrier_inits += 1;
    }
    if let Some(number) = barrier_number(instruction) {
        match (number, &mut found.barriers) {
            (Some(number), Some(known)) => {
                known.insert(number);
            }
            _ => found.barriers = None,
        }
    }
}

/// The entry and every function that it can get to by calls that name one.
fn reached<'f, 't>(file: &'f File<'t>, entry: &'f Function<'t>) -> Vec<&'f Function<'t>> {
    let mut list = vec![entry];
    let mut at = 0;
    while at < list.len() {
        for statement in list[at].body.iter().flatten() {
            let Statement::Instruction(call) = statement else {
                continue;
            };
            if call.opcode != "call" {
                continue;
            }
            for name in call.operands.iter().filter_map(name) {
                let callee = file.functions.iter().find(|f| f.name.text == name && f.body.is_some());
                if let Some(callee) = callee.filter(|c| !list.iter().any(|known| std::ptr::eq(*known, *c))) {
                    list.push(callee);
                }
            }
        }
        at += 1;
    }
    list
}

/// Whether an instruction begins so.
fn is(instruction: &Instruction<'_>, opcode: &str, first: &str) -> bool {
    instruction.opcode == opcode && instruction.modifiers.first() == Some(&first)
}

/// `bar`'s number: `Some(None)` where it is computed, `None` for other instructions.
fn barrier_number(instruction: &Instruction<'_>) -> Option<Option<u32>> {
    let modifiers = &instruction.modifiers;
    let barrier = matches!(instruction.opcode, "bar" | "barrier");
    if !barrier || modifiers.contains(&"cluster") || modifiers.contains(&"warp") {
        return None;
    }
    let place = usize::from(modifiers.contains(&"red"));
    Some(
        instruction
            .operands
            .get(place)
            .and_then(constant)
            .and_then(|n| u32::try_from(n).ok()),
    )
}

fn constant(operand: &Operand<'_>) -> Option<u64> {
    match operand.kind {
        OperandKind::Literal(Literal::Int(value)) => Some(value),
        _ => None,
    }
}

fn name<'t>(operand: &Operand<'t>) -> Option<&'t str> {
    match operand.kind {
        OperandKind::Name(name) => Some(name),
        _ => None,
    }
}

fn names_any(operand: &Operand<'_>, names: &[&str]) -> bool {
    match &operand.kind {
        OperandKind::Name(n) | OperandKind::Offset(n, _) | OperandKind::Address(Some(n), _) => names.contains(n),
        OperandKind::Tensor(list) | OperandKind::Vector(list) | OperandKind::List(list) => {
            list.iter().any(|o| names_any(o, names))
        }
        _ => false,
    }
}
