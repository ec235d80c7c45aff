//! Shared memory: which entry can reach which variable, and where each one lies.

use std::collections::{BTreeSet, HashMap};

use super::{inner_variables, Layout, Memory, Symbol, MAX_SHARED};
use crate::decode::lower::Lowered;
use crate::exec::memory::window;
use crate::module::LoadError;
use crate::ptx::tree::{File, Function, Operand, OperandKind, Statement, VarSpace, Variable};

/// Most pairs of a function and another that it can call, directly or through others.
const MAX_REACH: usize = 1 << 22;

/// Shared variables and functions that a function names.
#[derive(Default)]
struct Uses<'t> {
    shared: BTreeSet<Var<'t>>,
    functions: BTreeSet<usize>,
    dynamic: bool,
}

/// A shared variable: function (or `usize::MAX`), name, which of that name.
type Var<'t> = (usize, &'t str, usize);

impl<'t> Layout<'t> {
    pub(super) fn shared(&mut self, file: &File<'t>, memory: &mut Memory) -> Lowered<()> {
        let module: HashMap<&str, &Variable<'t>> = file
            .variables
            .iter()
            .filter(|v| v.space == VarSpace::Shared)
            .map(|v| (v.name.text, v))
            .collect();
        let uses: Vec<Uses<'t>> = file
            .functions
            .iter()
            .enumerate()
            .map(|(n, f)| self.uses(&module, n, f))
            .collect();
        let mut reach: Vec<BTreeSet<usize>> = Vec::new();
        let mut reached = 0;
        for (number, function) in file.functions.iter().enumerate() {
            reach.push(reachable(&uses, number));
            reached += reach[number].len();
            if reached > MAX_REACH {
                let text =
                    format!("found functions that reach each other in more than {MAX_REACH} ways, expected less");
                return Err(LoadError::at(function.name.pos, text));
            }
        }
        let entries: Vec<usize> = (0..uses.len()).filter(|n| file.functions[*n].is_entry).collect();
        let mut users: HashMap<Var<'t>, BTreeSet<usize>> = HashMap::new();
        for entry in &entries {
            for function in &reach[*entry] {
                for variable in &uses[*function].shared {
                    users.entry(*variable).or_default().insert(*entry);
                }
            }
        }
        let mut placed: HashMap<Var<'t>, u64> = HashMap::new();
        let variables = shared_variables(file);
        let mut common = 0u64;
        for (key, variable) in &variables {
            if users.get(key).map_or(0, BTreeSet::len) != 1 {
                placed.insert(*key, take(&mut common, variable)?);
            }
        }
        let mut ends: HashMap<usize, u64> = entries.iter().map(|e| (*e, 0)).collect();
        for (key, variable) in &variables {
            let Some(list) = users.get(key) else { continue };
            if let (1, Some(entry)) = (list.len(), list.first()) {
                let end = ends.entry(*entry).or_insert(0);
                *end = (*end).max(common);
                placed.insert(*key, take(end, variable)?);
            } else {
                for entry in list {
                    let end = ends.entry(*entry).or_insert(0);
                    *end = (*end).max(common);
                }
            }
        }
        self.place_dynamic(file, &uses, &reach, &ends);
        self.reach = reach;
        self.name_shared(file, &placed, memory)
    }

    /// Dynamic memory begins at one offset in all entries that share a function which names it.
    fn place_dynamic(
        &mut self,
        file: &File<'t>,
        uses: &[Uses<'t>],
        reach: &[BTreeSet<usize>],
        ends: &HashMap<usize, u64>,
    ) {
        let all = file.variables.iter().chain(inner_variables(file).map(|(_, v)| v));
        let align = all
            .filter(|v| is_dynamic(v))
            .map(|v| u64::from(v.align))
            .max()
            .unwrap_or(1);
        let most = ends.values().copied().max().unwrap_or(0).next_multiple_of(align);
        let helpers: BTreeSet<usize> = (0..uses.len())
            .filter(|n| uses[*n].dynamic && !file.functions[*n].is_entry)
            .collect();
        for (number, slot) in self.dynamic_shared.iter_mut().enumerate() {
            let end = ends.get(&number).map_or(most, |end| end.next_multiple_of(align));
            let sharing = !helpers.is_disjoint(&reach[number]);
            let plain = ends.get(&number).copied().unwrap_or(0);
            let dynamic = reach[number].iter().any(|f| uses[*f].dynamic);
            *slot = if sharing {
                most
            } else if dynamic {
                end
            } else {
                plain
            } as u32;
        }
    }

    /// Gives module-level shared variables their symbol, and inner variables their list.
    fn name_shared(&mut self, file: &File<'t>, placed: &HashMap<Var<'t>, u64>, memory: &mut Memory) -> Lowered<()> {
        for variable in file.variables.iter().filter(|v| v.space == VarSpace::Shared) {
            let key = (usize::MAX, variable.name.text, 0);
            let symbol = match placed.get(&key) {
                Some(offset) if !is_dynamic(variable) => Symbol::At(*offset, VarSpace::Shared),
                _ => Symbol::DynamicShared,
            };
            self.symbols.insert(variable.name.text, symbol);
        }
        let mut counts: HashMap<(usize, &str), usize> = HashMap::new();
        for (function, variable) in inner_variables(file) {
            let symbol = if variable.space == VarSpace::Shared {
                let count = counts.entry((function, variable.name.text)).or_insert(0);
                let key = (function, variable.name.text, *count);
                *count += 1;
                match placed.get(&key) {
                    Some(offset) if !is_dynamic(variable) => Symbol::At(*offset, VarSpace::Shared),
                    _ => Symbol::DynamicShared,
                }
            } else {
                memory.place(variable)?.unwrap_or(Symbol::At(0, VarSpace::Global))
            };
            self.inner[function].push(symbol);
        }
        Ok(())
    }

    /// Names that a function uses; everything that looks like a shared variable or a function counts.
    fn uses(&self, module: &HashMap<&str, &Variable<'t>>, number: usize, function: &Function<'t>) -> Uses<'t> {
        let mut uses = Uses::default();
        let mut inner: HashMap<&'t str, usize> = HashMap::new();
        for statement in function.body.iter().flatten() {
            match statement {
                Statement::Variable(variable) if variable.space == VarSpace::Shared => {
                    if is_dynamic(variable) {
                        uses.dynamic = true;
                        continue;
                    }
                    let count = inner.entry(variable.name.text).or_insert(0);
                    uses.shared.insert((number, variable.name.text, *count));
                    *count += 1;
                }
                Statement::Instruction(instruction) => {
                    let mut stack: Vec<&Operand<'t>> = instruction.operands.iter().collect();
                    while let Some(operand) = stack.pop() {
                        if let Some(name) = named(operand, &mut stack) {
                            self.note(name, module, &mut uses);
                        }
                    }
                }
                _ => {}
            }
        }
        uses
    }

    fn note(&self, name: &'t str, module: &HashMap<&str, &Variable<'t>>, uses: &mut Uses<'t>) {
        match (module.get(name), self.symbol(name)) {
            (Some(variable), _) if is_dynamic(variable) => uses.dynamic = true,
            (Some(_), _) => {
                uses.shared.insert((usize::MAX, name, 0));
            }
            (None, Some(Symbol::At(address, _))) if address & window::TAG == window::FUNCTION => {
                uses.functions.insert((address ^ window::FUNCTION) as usize);
            }
            _ => {}
        }
    }
}

/// The name in an operand; operands inside it go onto the stack.
fn named<'a, 't>(operand: &'a Operand<'t>, stack: &mut Vec<&'a Operand<'t>>) -> Option<&'t str> {
    match &operand.kind {
        OperandKind::Name(name) | OperandKind::Offset(name, _) | OperandKind::Not(name) => Some(name),
        OperandKind::Address(base, _) => *base,
        OperandKind::Vector(list) | OperandKind::List(list) | OperandKind::Tensor(list) => {
            stack.extend(list);
            None
        }
        OperandKind::Pair(a, b) => {
            stack.push(a);
            stack.push(b);
            None
        }
        OperandKind::Literal(_) | OperandKind::Sink => None,
    }
}

fn is_dynamic(variable: &Variable<'_>) -> bool {
    variable.space == VarSpace::Shared && (variable.external || variable.bytes == 0)
}

/// All shared variables that take room, in order.
fn shared_variables<'a, 't>(file: &'a File<'t>) -> Vec<(Var<'t>, &'a Variable<'t>)> {
    let module = file.variables.iter().map(|v| ((usize::MAX, v.name.text, 0), v));
    let mut counts: HashMap<(usize, &str), usize> = HashMap::new();
    let inner = inner_variables(file)
        .filter(|(_, v)| v.space == VarSpace::Shared && !is_dynamic(v))
        .map(|(function, v)| {
            let count = counts.entry((function, v.name.text)).or_insert(0);
            *count += 1;
            ((function, v.name.text, *count - 1), v)
        });
    module
        .chain(inner)
        .filter(|(_, v)| v.space == VarSpace::Shared && !is_dynamic(v))
        .collect()
}

fn take(end: &mut u64, variable: &Variable<'_>) -> Lowered<u64> {
    let offset = end.next_multiple_of(u64::from(variable.align.max(1)));
    match offset.checked_add(variable.bytes).filter(|e| *e <= MAX_SHARED) {
        Some(e) => {
            *end = e;
            Ok(offset)
        }
        None => {
            let text = format!(
                "\"{}\" takes static shared memory beyond {MAX_SHARED} bytes",
                variable.name.text
            );
            Err(LoadError::at(variable.name.pos, text))
        }
    }
}

/// Functions that a function can call, itself included.
fn reachable(uses: &[Uses<'_>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(function) = open.pop() {
        for next in &uses[function].functions {
            if seen.insert(*next) {
                open.push(*next);
            }
        }
    }
    seen
}
