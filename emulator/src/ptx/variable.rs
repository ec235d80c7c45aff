//! Variables, parameters and registers: `.align`, type, name, dimensions, initialiser (ISA 5.4).

use super::lexer::Kind;
use super::parser::{shorten, Parsed, Parser};
use super::tree::{Init, Literal, Name, RegName, Statement, VarSpace, Variable};
use super::types::Ty;
use crate::module::LoadError;

/// Most elements that short rows of initialisers are filled up with, in all of a module.
const MAX_FILLED: usize = 1 << 24;

/// Everything a `.reg`, variable or parameter declaration says before its name.
pub(super) struct Prefix {
    ty: Ty,
    vector: u32,
    align: Option<u32>,
}

impl<'t> Parser<'t> {
    /// `.align`, `.v4`, `.ptr`, the type: in any order, as compilers differ.
    pub(super) fn prefix(&mut self) -> Parsed<Prefix> {
        let (mut ty, mut vector, mut align, mut pointer) = (None, 1, None, false);
        while self.peek().kind == Kind::Dot {
            let token = self.next();
            match token.text.get(1..).unwrap_or("") {
                // Behind `.ptr` an alignment is the pointee's.
                "align" => {
                    let value = self.small()?;
                    if !value.is_power_of_two() || value > 4096 {
                        return Err(LoadError::at(
                            token.pos,
                            format!("found alignment {value}, expected a power of two"),
                        ));
                    }
                    align = if pointer { align } else { Some(value) };
                }
                "v2" => vector = 2,
                "v4" => vector = 4,
                "v8" => vector = 8,
                "ptr" => pointer = true,
                "global" | "const" | "shared" | "local" | "param" | "generic" if pointer => {}
                "texref" | "samplerref" | "surfref" => ty = Some(Ty::B64),
                "attribute" => self.skip_attribute()?,
                text => match Ty::parse(text) {
                    Some(found) => ty = Some(found),
                    None => {
                        return Err(LoadError::at(
                            token.pos,
                            format!("found \"{}\", expected a type", shorten(token.text)),
                        ))
                    }
                },
            }
        }
        match ty {
            Some(ty) => Ok(Prefix { ty, vector, align }),
            None => self.unexpected("a type"),
        }
    }

    fn skip_attribute(&mut self) -> Parsed<()> {
        self.expect(b'(')?;
        let mut depth = 1usize;
        while depth > 0 {
            match self.next().kind {
                Kind::Punct(b'(') => depth += 1,
                Kind::Punct(b')') => depth -= 1,
                Kind::End => return self.unexpected("\")\""),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn variables(&mut self, external: bool) -> Parsed<Vec<Variable<'t>>> {
        let space = match self.next().text {
            ".global" => VarSpace::Global,
            ".const" => VarSpace::Const,
            ".shared" => VarSpace::Shared,
            ".local" => VarSpace::Local,
            _ => VarSpace::Param,
        };
        let prefix = self.prefix()?;
        let mut list = Vec::new();
        loop {
            let mut variable = self.declarator(&prefix, space)?;
            variable.external = external;
            list.push(variable);
            if !self.take(b',') {
                self.expect(b';')?;
                return Ok(list);
            }
        }
    }

    /// `name[4][8] = {...}`; the name may be missing in prototypes.
    pub(super) fn declarator(&mut self, prefix: &Prefix, space: VarSpace) -> Parsed<Variable<'t>> {
        let pos = self.peek().pos;
        let name = match self.peek().kind {
            Kind::Word => self.name("a name")?,
            _ => Name { text: "_", pos },
        };
        let element = u64::from(prefix.ty.bytes()) * u64::from(prefix.vector);
        let mut dims = Vec::new();
        while self.take(b'[') {
            dims.push(if self.is(b']') { 0 } else { self.unsigned()? });
            self.expect(b']')?;
        }
        let bytes = dims.iter().try_fold(element, |total, dim| total.checked_mul(*dim));
        let bytes = bytes.ok_or_else(|| LoadError::at(pos, "found an array size that does not fit 64 bits".into()))?;
        let init = if self.take(b'=') {
            self.initialiser(name, &dims)?
        } else {
            Vec::new()
        };
        let bytes = if bytes == 0 { init.len() as u64 * element } else { bytes };
        let least = u32::try_from(element).unwrap_or(1);
        Ok(Variable {
            name,
            space,
            ty: prefix.ty,
            align: prefix.align.unwrap_or(least),
            bytes,
            external: false,
            init,
            in_register: false,
        })
    }

    /// Nested braces are rows; a short row is filled up with zeros.
    fn initialiser(&mut self, name: Name<'t>, dims: &[u64]) -> Parsed<Vec<Init<'t>>> {
        let Name { text: name, pos } = name;
        let mut list = Vec::new();
        if !self.is(b'{') {
            list.push(self.init_value()?);
            return Ok(list);
        }
        let limit = dims
            .iter()
            .try_fold(1u64, |n, dim| n.checked_mul(*dim))
            .unwrap_or(u64::MAX);
        let mut starts: Vec<usize> = Vec::new();
        loop {
            if self.take(b'{') {
                starts.push(list.len());
            } else if self.take(b'}') {
                let depth = starts.len();
                let start = starts.pop().unwrap_or(0);
                let row: u64 = dims.get(depth - 1..).unwrap_or(&[]).iter().product();
                // Only inner rows are filled, and only what the array can hold.
                if depth > 1 && depth <= dims.len() && row > 0 {
                    let target = start as u64 + row;
                    if target <= limit.min(1 << 20) {
                        let zero = Init::Value(Literal::Int(0));
                        self.filled += (target as usize).saturating_sub(list.len());
                        if self.filled > MAX_FILLED {
                            let text = format!("\"{name}\" has initial values of more than {MAX_FILLED} elements so far, expected at most that in a module");
                            return Err(LoadError::at(pos, text));
                        }
                        list.resize(list.len().max(target as usize), zero);
                    }
                }
                if starts.is_empty() {
                    return Ok(list);
                }
            } else if !self.take(b',') {
                list.push(self.init_value()?);
            }
        }
    }

    fn init_value(&mut self) -> Parsed<Init<'t>> {
        if self.peek().kind != Kind::Word {
            return Ok(Init::Value(self.constant()?));
        }
        let mut name = self.name("a value")?;
        if name.text == "generic" && self.take(b'(') {
            name = self.name("a variable")?;
            self.expect(b')')?;
        }
        let mut offset = 0i64;
        if self.is(b'+') || self.is(b'-') {
            let negative = self.next().kind == Kind::Punct(b'-');
            let value = self.unsigned()? as i64;
            offset = if negative { value.wrapping_neg() } else { value };
        }
        Ok(Init::Address(name, offset))
    }

    pub(super) fn registers(&mut self) -> Parsed<Statement<'t>> {
        let prefix = self.prefix()?;
        let mut names = Vec::new();
        loop {
            let name = self.name("a register name")?;
            let count = if self.take(b'<') {
                let count = self.unsigned()?;
                self.expect(b'>')?;
                Some(count)
            } else {
                None
            };
            names.push(RegName { name, count });
            if !self.take(b',') {
                self.expect(b';')?;
                let (ty, vector) = (prefix.ty, prefix.vector);
                return Ok(Statement::Registers { ty, vector, names });
            }
        }
    }
}
