//! Where variables are: module variables in memory of their own, shared variables by entry, functions by number.
//!
//! A `.shared` variable that one entry uses alone lies behind those that several use, so that an entry pays only
//! for what it can reach. Dynamic shared memory begins behind the static one.

mod shared;

use std::collections::{BTreeSet, HashMap};

use super::lower::Lowered;
use crate::exec::block::Block;
use crate::exec::memory::window;
use crate::exec::program::End;
use crate::module::LoadError;
use crate::ptx::tree::{File, Init, Literal, Signature, Statement, VarSpace, Variable};
use crate::ptx::types::Ty;

/// Most memory that module variables may take.
const MAX_GLOBAL: u64 = 256 << 20;
/// Most static shared memory: offsets in a cluster have 24 bits.
const MAX_SHARED: u64 = 1 << 24;
/// The bank of `.const`.
const MAX_CONST: u64 = 64 << 10;

/// What a module-level name means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Symbol {
    /// An address of a space; functions are in the window of functions.
    At(u64, VarSpace),
    /// `.extern .shared`: behind the static shared memory of the entry.
    DynamicShared,
}

/// See the module.
pub(crate) struct Layout<'t> {
    symbols: HashMap<&'t str, Symbol>,
    signatures: HashMap<&'t str, Signature<'t>>,
    defined: Vec<bool>,
    /// Variables declared inside each function, in order.
    pub inner: Vec<Vec<Symbol>>,
    /// Functions that each function names, directly or through others, itself included.
    pub reach: Vec<BTreeSet<usize>>,
    /// Static shared bytes in front of dynamic memory, by function.
    pub dynamic_shared: Vec<u32>,
    pub globals: Vec<(String, Block, u64)>,
    pub constants: Block,
    pub constant_bytes: u32,
}

/// The frame ends of a function's parameters and results, with their types: the same for callers and callee.
pub(crate) type Ends = Vec<(End, Ty)>;

/// Lays out parameters, then results, from the start of the callee's frame.
pub(crate) fn ends(signature: &Signature<'_>) -> (Ends, Ends) {
    let (mut slot, mut local) = (0u32, 0u32);
    let mut place = |variable: &Variable<'_>| {
        if variable.in_register {
            let bytes = variable.ty.lane_bytes() * 32;
            let at = slot.next_multiple_of(64);
            slot = at + bytes;
            return (End::Register(at, variable.ty.lane_bytes()), variable.ty);
        }
        let at = local.next_multiple_of(variable.align.max(1));
        local = at.saturating_add(variable.bytes as u32);
        (End::Local(at), variable.ty)
    };
    let params = signature.params.iter().map(&mut place).collect();
    let results = signature.results.iter().map(&mut place).collect();
    (params, results)
}

impl<'t> Layout<'t> {
    pub(crate) fn new(file: &File<'t>) -> Lowered<Self> {
        let mut layout = Layout {
            symbols: HashMap::new(),
            signatures: HashMap::new(),
            defined: Vec::new(),
            inner: vec![Vec::new(); file.functions.len()],
            reach: Vec::new(),
            dynamic_shared: vec![0; file.functions.len()],
            globals: Vec::new(),
            constants: Block::new(1),
            constant_bytes: 0,
        };
        layout.functions(file)?;
        let mut memory = Memory::default();
        for variable in &file.variables {
            if let Some(symbol) = memory.place(variable)? {
                layout.symbols.insert(variable.name.text, symbol);
            }
        }
        layout.shared(file, &mut memory)?;
        layout.constant_bytes = memory.constant_bytes;
        layout.constants = Block::new(memory.constant_bytes as usize);
        layout.globals = std::mem::take(&mut memory.globals);
        layout.initialise(file)?;
        Ok(layout)
    }

    pub(crate) fn symbol(&self, name: &str) -> Option<Symbol> {
        self.symbols.get(name).copied()
    }

    pub(crate) fn signature(&self, name: &str) -> Option<&Signature<'t>> {
        self.signatures.get(name)
    }

    pub(crate) fn is_defined(&self, function: u32) -> bool {
        self.defined.get(function as usize).copied().unwrap_or(false)
    }

    /// Whether a function of that name has a body in this module.
    pub(crate) fn has_body(&self, name: &str) -> bool {
        match self.symbol(name) {
            Some(Symbol::At(address, _)) if address & window::TAG == window::FUNCTION => {
                self.is_defined((address ^ window::FUNCTION) as u32)
            }
            _ => false,
        }
    }

    /// Numbers functions; a definition wins over its declarations.
    fn functions(&mut self, file: &File<'t>) -> Lowered<()> {
        for (number, function) in file.functions.iter().enumerate() {
            let name = function.name.text;
            self.defined.push(function.body.is_some());
            let before = self.symbols.get(name).copied();
            if let Some(Symbol::At(address, _)) = before {
                let earlier = (address ^ window::FUNCTION) as usize;
                if self.defined[earlier] && function.body.is_some() {
                    return Err(LoadError::at(function.name.pos, format!("\"{name}\" is defined twice")));
                }
                if self.defined[earlier] {
                    continue;
                }
            }
            let address = window::FUNCTION | number as u64;
            self.symbols.insert(name, Symbol::At(address, VarSpace::Global));
            self.signatures.insert(name, function.signature.clone());
        }
        for (new, old) in &file.aliases {
            let Some(symbol) = self.symbol(old.text) else {
                return Err(LoadError::at(old.pos, format!("\"{}\" is not declared", old.text)));
            };
            self.symbols.insert(new.text, symbol);
            if let Some(signature) = self.signatures.get(old.text).cloned() {
                self.signatures.insert(new.text, signature);
            }
        }
        Ok(())
    }

    fn initialise(&mut self, file: &File<'t>) -> Lowered<()> {
        for variable in &file.variables {
            if let Some(symbol) = self.symbol(variable.name.text) {
                self.fill(variable, symbol)?;
            }
        }
        let mut seen = vec![0usize; file.functions.len()];
        for (function, variable) in inner_variables(file) {
            let symbol = self.inner[function][seen[function]];
            seen[function] += 1;
            self.fill(variable, symbol)?;
        }
        Ok(())
    }

    fn fill(&mut self, variable: &Variable<'t>, symbol: Symbol) -> Lowered<()> {
        let Symbol::At(address, space) = symbol else {
            return Ok(());
        };
        let size = u64::from(variable.ty.bytes());
        let base = match space {
            VarSpace::Global if address & window::TAG != window::FUNCTION => address as usize,
            VarSpace::Const => self.constants.start() as usize + address as usize,
            _ => return Ok(()),
        };
        if variable.init.len() as u64 * size > variable.bytes {
            let text = format!("\"{}\" has more initial values than elements", variable.name.text);
            return Err(LoadError::at(variable.name.pos, text));
        }
        for (number, value) in variable.init.iter().enumerate() {
            let bits = self.initial(value, variable.ty)?.to_le_bytes();
            let target = base + number * size as usize;
            // SAFETY: the variable's memory was allocated for `bytes`, and the count was compared above.
            unsafe { std::ptr::copy_nonoverlapping(bytes_of(&bits), target as *mut u8, size.min(8) as usize) };
        }
        Ok(())
    }

    fn initial(&self, value: &Init<'t>, ty: Ty) -> Lowered<u64> {
        Ok(match value {
            Init::Value(Literal::Int(bits)) if ty == Ty::F32 => u64::from((*bits as i64 as f32).to_bits()),
            Init::Value(Literal::Int(bits)) if ty == Ty::F64 => (*bits as i64 as f64).to_bits(),
            Init::Value(Literal::Int(bits)) => *bits,
            Init::Value(Literal::Single(x)) if ty.bytes() == 8 => f64::from(*x).to_bits(),
            Init::Value(Literal::Single(x)) => u64::from(x.to_bits()),
            Init::Value(Literal::Double(x)) if ty.bytes() == 4 => u64::from((*x as f32).to_bits()),
            Init::Value(Literal::Double(x)) => x.to_bits(),
            Init::Address(name, offset) => match self.symbol(name.text) {
                // Addresses in initialisers are generic where the window is not the variable's own.
                Some(Symbol::At(address, VarSpace::Const)) => (window::CONST | address).wrapping_add(*offset as u64),
                Some(Symbol::At(address, _)) => address.wrapping_add(*offset as u64),
                _ => return Err(LoadError::at(name.pos, format!("\"{}\" is not declared", name.text))),
            },
        })
    }
}

fn bytes_of(bits: &[u8; 8]) -> *const u8 {
    bits.as_ptr()
}

/// Module-like variables that stand inside functions, with their function.
fn inner_variables<'a, 't>(file: &'a File<'t>) -> impl Iterator<Item = (usize, &'a Variable<'t>)> {
    file.functions.iter().enumerate().flat_map(|(number, function)| {
        function
            .body
            .iter()
            .flatten()
            .filter_map(move |statement| match statement {
                Statement::Variable(v) if !matches!(v.space, VarSpace::Local | VarSpace::Param) => Some((number, v)),
                _ => None,
            })
    })
}

/// Module variables being placed.
#[derive(Default)]
struct Memory {
    globals: Vec<(String, Block, u64)>,
    global_bytes: u64,
    constant_bytes: u32,
}

impl Memory {
    /// `None` for variables that other modules define, and for shared ones, which `Layout::shared` places.
    fn place(&mut self, variable: &Variable<'_>) -> Lowered<Option<Symbol>> {
        let too_large = |most: u64| {
            let text = format!("\"{}\" takes module variables beyond {most} bytes", variable.name.text);
            Err(LoadError::at(variable.name.pos, text))
        };
        match variable.space {
            VarSpace::Global if !variable.external => {
                self.global_bytes = self.global_bytes.saturating_add(variable.bytes.max(64));
                if self.global_bytes > MAX_GLOBAL {
                    return too_large(MAX_GLOBAL);
                }
                let block = Block::new(variable.bytes as usize);
                let address = block.start() as u64;
                self.globals
                    .push((variable.name.text.to_owned(), block, variable.bytes));
                Ok(Some(Symbol::At(address, VarSpace::Global)))
            }
            VarSpace::Const if !variable.external => {
                let offset = u64::from(self.constant_bytes).next_multiple_of(u64::from(variable.align.max(1)));
                match offset.checked_add(variable.bytes).filter(|end| *end <= MAX_CONST) {
                    Some(end) => {
                        self.constant_bytes = end as u32;
                        Ok(Some(Symbol::At(offset, VarSpace::Const)))
                    }
                    None => too_large(MAX_CONST),
                }
            }
            _ => Ok(None),
        }
    }
}
