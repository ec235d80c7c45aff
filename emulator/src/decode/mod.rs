//! From the syntax tree to a program: `layout` places variables, `lower` resolves one function's names and operands,
//! `table` (with `pattern`) says which forms exist, `build/` makes instructions of them.

pub(crate) mod build;
mod layout;
pub(crate) mod lower;
mod pattern;
mod pool;
mod table;

use std::collections::HashMap;

use crate::exec::control;
use crate::exec::inst::Inst;
use crate::exec::program::{Code, End, Program};
use crate::module::{Entry, LoadError, Param};
use crate::ptx::parse;
use crate::ptx::tree::{Function, Instruction, Statement, VarSpace, Variable};
use layout::{ends, Layout};
use lower::{blank, Local, Lower, Lowered, Output};
use pool::Pool;
use table::{Form, FORMS};

/// A module, ready to run.
pub(crate) struct Decoded {
    pub entries: Vec<Entry>,
    pub functions: Vec<u32>,
    /// By entry; see [`crate::Module::unsupported_in`].
    pub unsupported: Vec<Option<LoadError>>,
    /// See [`crate::Module::unsupported`].
    pub first_unsupported: Option<LoadError>,
    pub program: Program,
    pub version: (u32, u32),
    pub target: String,
}

/// Rows of the table by opcode.
type Forms = HashMap<&'static str, Vec<&'static Form>>;

/// Parses and decodes PTX text.
pub(crate) fn module(text: &str) -> Result<Decoded, LoadError> {
    let file = parse(text)?;
    let mut layout = Layout::new(&file)?;
    let mut forms = Forms::new();
    for form in FORMS {
        forms.entry(pattern::opcode(form.pattern)).or_default().push(form);
    }
    let mut out = Output {
        code: Vec::new(),
        places: Vec::new(),
        uses: Vec::new(),
        used: Vec::new(),
        text: text.as_ptr() as usize,
        pool: Pool::default(),
        calls: Vec::new(),
        lists: Vec::new(),
        table_entries: 0,
        products: Vec::new(),
        tiles: Vec::new(),
        fragments: Vec::new(),
        wgmmas: Vec::new(),
        named: text.contains("wgmma.mma_async").then(Vec::new),
    };
    let (mut codes, mut entries, mut functions) = (Vec::new(), Vec::new(), Vec::new());
    let mut lacking = Vec::new();
    for (number, function) in file.functions.iter().enumerate() {
        let (code, lacks) = decode_function(&mut out, &layout, &forms, number, function)?;
        codes.push(code);
        lacking.push(lacks);
        if function.is_entry && function.body.is_some() {
            entries.push(entry(function, layout.dynamic_shared[number])?);
            functions.push(number as u32);
        }
    }
    let first_of = |number: &u32| {
        let own = *number as usize;
        let mut reach = std::iter::once(&own).chain(&layout.reach[own]);
        reach.find_map(|function| lacking[*function].clone())
    };
    let unsupported = functions.iter().map(first_of).collect();
    let program = Program {
        text: text.to_owned(),
        code: out.code,
        places: out.places,
        uses: out.uses,
        used: out.used,
        pool: out.pool.block(),
        functions: codes,
        calls: out.calls,
        lists: out.lists,
        products: out.products,
        tiles: out.tiles,
        fragments: out.fragments,
        wgmmas: out.wgmmas,
        named: out.named.unwrap_or_default(),
        sources: file.sources,
        globals: std::mem::take(&mut layout.globals),
        constant_bytes: layout.constant_bytes,
        is_debug: file.is_debug,
        constants: layout.constants,
    };
    Ok(Decoded {
        entries,
        functions,
        unsupported,
        first_unsupported: lacking.into_iter().flatten().next(),
        program,
        version: file.version,
        target: file.target.to_owned(),
    })
}

/// Every instruction form that is executed, as a pattern: `add{.rn}.f32`, `.(a|b)` for one of several, `<int>` for a class.
pub fn forms() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|form| form.pattern)
}

/// The form that an instruction such as `add.rn.f32` has, going by its name and modifiers alone.
#[must_use]
pub fn form_of(spelling: &str) -> Option<&'static str> {
    let mut words = spelling.split('.');
    let opcode = words.next()?;
    let modifiers: Vec<_> = words.collect();
    let fits = |pattern: &&str| pattern::opcode(pattern) == opcode && pattern::matches(pattern, &modifiers);
    forms().find(fits)
}

/// Parameter offsets as the ABI lays them out.
fn parameters(function: &Function<'_>) -> Result<(Vec<Param>, usize), LoadError> {
    let mut list = Vec::new();
    let mut end = 0usize;
    for variable in &function.signature.params {
        let align = variable.align.max(1) as usize;
        let offset = end.next_multiple_of(align);
        let fits = usize::try_from(variable.bytes).ok().filter(|b| offset + b <= 32764);
        let Some(bytes) = fits else {
            return Err(LoadError::at(
                variable.name.pos,
                "parameters take more than 32764 bytes".into(),
            ));
        };
        end = offset + bytes;
        list.push(Param {
            name: variable.name.text.to_owned(),
            type_name: variable.ty.name().to_owned(),
            bytes,
            align,
            offset,
        });
    }
    Ok((list, end))
}

fn entry(function: &Function<'_>, static_shared_bytes: u32) -> Result<Entry, LoadError> {
    let (params, param_bytes) = parameters(function)?;
    Ok(Entry {
        name: function.name.text.to_owned(),
        params,
        param_bytes,
        required_block: function.required_block,
        max_block: function.max_block,
        launch_registers: launch_registers(function),
        required_cluster: function.required_cluster,
        static_shared_bytes,
    })
}

/// Registers per thread at launch, as `ptxas` finds them: `.maxnreg`, or what the register file gives each thread of the
/// largest block. Without either it cannot tell, and `setmaxnreg` is ignored (ISA 9.7.17.5, and so says its warning).
fn launch_registers(function: &Function<'_>) -> Option<u32> {
    const FILE: u32 = 65536;
    if function.max_registers.is_some() {
        return function.max_registers;
    }
    let block = function.required_block.or(function.max_block)?;
    let threads = block.iter().try_fold(1u32, |n, axis| n.checked_mul(*axis))?;
    let resident = threads.max(1).checked_mul(function.min_blocks.unwrap_or(1).max(1))?;
    Some((FILE / resident / 8 * 8).clamp(24, 256))
}

/// A function's code, or what in it cannot be executed: nothing of it is kept then.
fn decode_function<'t>(
    out: &mut Output,
    layout: &Layout<'t>,
    forms: &Forms,
    number: usize,
    function: &Function<'t>,
) -> Lowered<(Code, Option<LoadError>)> {
    let start = out.code.len() as u32;
    let mut code = Code {
        name: function.name.text.to_owned(),
        start,
        ..Code::default()
    };
    let Some(body) = &function.body else {
        return Ok((code, None));
    };
    let mut lacks = None;
    let mut l = Lower::new(out, layout, function.is_entry, layout.dynamic_shared[number]);
    declare_parameters(&mut l, function)?;
    let mut inner = layout.inner[number].iter();
    for statement in body {
        match statement {
            Statement::Open => l.open(),
            Statement::Close => l.close(),
            Statement::Label(name) => l.label(*name)?,
            Statement::Source { file, line } => l.source = (*file, *line),
            Statement::Targets(name, list) => l.declare(*name, Local::Targets(list.clone()))?,
            Statement::Prototype(name, signature) => l.declare(*name, Local::Prototype(signature.clone()))?,
            Statement::Registers { ty, vector, names } => {
                for register in names {
                    match register.count {
                        Some(count) => l.declare_family(register.name.text, count, *ty),
                        None => {
                            l.declare_register(register.name, *ty, *vector)?;
                        }
                    }
                }
            }
            Statement::Variable(variable) => declare_variable(&mut l, variable, &mut inner)?,
            Statement::Instruction(instruction) => match decode(&mut l, forms, instruction) {
                Err(error) if error.certain => return Err(error),
                Err(error) => lacks = lacks.or(Some(error)),
                Ok(()) => {}
            },
        }
    }
    if lacks.is_some() {
        out.code.truncate(start as usize);
        out.places.truncate(start as usize);
        out.used.truncate(start as usize);
        if let Some(uses) = &mut out.named {
            uses.retain(|(pc, _)| *pc < start);
        }
        return Ok((code, lacks));
    }
    // Running off the end is a return.
    l.begin_implicit();
    l.emit(Inst { ..blank(control::ret) });
    l.finish()?;
    code.frame_bytes = l.frame_bytes.next_multiple_of(64);
    code.local_bytes = l.local_bytes.next_multiple_of(16);
    code.defined = true;
    Ok((code, None))
}

/// Branch lists and prototypes may stand behind their use; declaring them first would need two passes, and no compiler
/// emits them so.
fn declare_variable<'t, 'a>(
    l: &mut Lower<'_, 't>,
    variable: &Variable<'t>,
    inner: &mut impl Iterator<Item = &'a layout::Symbol>,
) -> Lowered<()> {
    if matches!(variable.space, VarSpace::Local | VarSpace::Param) {
        l.declare_frame(variable)?;
        return Ok(());
    }
    match inner.next() {
        Some(symbol) => l.declare(variable.name, Local::Symbol(*symbol)),
        None => Ok(()),
    }
}

fn declare_parameters<'t>(l: &mut Lower<'_, 't>, function: &Function<'t>) -> Lowered<()> {
    if function.is_entry {
        let (list, bytes) = parameters(function)?;
        l.param_bytes = bytes as u32;
        for (variable, param) in function.signature.params.iter().zip(list) {
            let offset = param.offset as u32;
            l.declare(variable.name, Local::Param { offset })?;
        }
        return Ok(());
    }
    let (params, results) = ends(&function.signature);
    let formals = function
        .signature
        .params
        .iter()
        .zip(params)
        .chain(function.signature.results.iter().zip(results));
    for (variable, (end, _)) in formals {
        match end {
            End::Register(slot, _) => {
                let made = l.declare_register(variable.name, variable.ty, 1)?;
                debug_assert_eq!(made[0].slot, slot, "callers compute the same slots");
            }
            End::Local(offset) => {
                let made = l.declare_frame(variable)?;
                debug_assert_eq!(made, offset, "callers compute the same offsets");
            }
        }
    }
    Ok(())
}

fn decode<'t>(l: &mut Lower<'_, 't>, forms: &Forms, instruction: &Instruction<'t>) -> Lowered<()> {
    let rows = forms.get(instruction.opcode).map_or(&[][..], Vec::as_slice);
    let row = rows
        .iter()
        .find(|row| pattern::matches(row.pattern, &instruction.modifiers));
    let Some(row) = row else {
        return Err(build::unsupported(instruction));
    };
    l.begin(instruction)?;
    (row.build)(l, instruction)
}
