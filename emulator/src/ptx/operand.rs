//! Operands of instructions (ISA 6): registers, numbers, addresses, vectors, call lists.
//! Groups nest at most two deep, which the PTX grammar guarantees; deeper text is an error, not recursion.

use super::lexer::Kind;
use super::parser::{Parsed, Parser};
use super::tree::{Literal, Operand, OperandKind};
use crate::module::LoadError;

impl<'t> Parser<'t> {
    /// Everything up to the semicolon.
    pub(super) fn operands(&mut self, opcode: &str) -> Parsed<Vec<Operand<'t>>> {
        let mut list = Vec::new();
        if self.is(b';') {
            return Ok(list);
        }
        loop {
            list.push(self.operand(0)?);
            // `call (results), function, (arguments)`: the separator is a comma everywhere.
            if !self.take(b',') {
                break;
            }
        }
        if opcode != "call" && !self.is(b';') {
            return self.unexpected("\",\" or \";\"");
        }
        Ok(list)
    }

    fn operand(&mut self, depth: u32) -> Parsed<Operand<'t>> {
        let first = self.single(depth)?;
        if self.take(b'|') {
            let second = self.single(depth)?;
            let pos = first.pos;
            let kind = OperandKind::Pair(Box::new(first), Box::new(second));
            return Ok(Operand { pos, kind });
        }
        Ok(first)
    }

    fn single(&mut self, depth: u32) -> Parsed<Operand<'t>> {
        let token = self.peek();
        let kind = match token.kind {
            Kind::Punct(b'[') if depth < 2 => self.address(depth)?,
            Kind::Punct(b'{') if depth < 2 => OperandKind::Vector(self.group(b'{', b'}', depth)?),
            Kind::Punct(b'(') if depth == 0 && !self.is_number_group() => {
                OperandKind::List(self.group(b'(', b')', depth)?)
            }
            Kind::Punct(b'!') => {
                self.next();
                OperandKind::Not(self.name("a predicate register")?.text)
            }
            Kind::Word if token.text == "_" => {
                self.next();
                OperandKind::Sink
            }
            Kind::Word => self.name_operand()?,
            Kind::Number | Kind::Punct(b'-' | b'+' | b'~' | b'(') => OperandKind::Literal(self.constant()?),
            _ => return self.unexpected("an operand"),
        };
        Ok(Operand { pos: token.pos, kind })
    }

    fn is_number_group(&self) -> bool {
        matches!(self.peek_at(1).kind, Kind::Number | Kind::Punct(b'-' | b'~'))
            && self.peek_at(2).kind != Kind::Punct(b',')
            && self.peek_at(2).kind != Kind::Punct(b')')
    }

    fn group(&mut self, open: u8, close: u8, depth: u32) -> Parsed<Vec<Operand<'t>>> {
        self.expect(open)?;
        let mut list = Vec::new();
        if self.take(close) {
            return Ok(list);
        }
        loop {
            list.push(self.operand(depth + 1)?);
            if !self.take(b',') {
                self.expect(close)?;
                return Ok(list);
            }
        }
    }

    /// A register, with its component (`%tid.x`, `%v.w`), or a symbol with an offset.
    fn name_operand(&mut self) -> Parsed<OperandKind<'t>> {
        let text = self.component_name()?;
        if self.is(b'+') || self.is(b'-') {
            return Ok(OperandKind::Offset(text, self.offset()?));
        }
        Ok(OperandKind::Name(text))
    }

    fn component_name(&mut self) -> Parsed<&'t str> {
        let token = self.next();
        let dot = self.peek();
        let touches = dot.start == token.start + token.text.len();
        if dot.kind == Kind::Dot && touches {
            self.next();
            let end = dot.start + dot.text.len();
            return Ok(self.text.get(token.start..end).unwrap_or(token.text));
        }
        Ok(token.text)
    }

    fn offset(&mut self) -> Parsed<i64> {
        let mut sum = 0i64;
        while self.is(b'+') || self.is(b'-') {
            let negative = self.next().kind == Kind::Punct(b'-');
            let sign = negative != self.take(b'-');
            let value = self.unsigned()? as i64;
            sum = if sign {
                sum.wrapping_sub(value)
            } else {
                sum.wrapping_add(value)
            };
        }
        Ok(sum)
    }

    fn address(&mut self, depth: u32) -> Parsed<OperandKind<'t>> {
        self.expect(b'[')?;
        let (base, offset) = if self.peek().kind == Kind::Word {
            (Some(self.component_name()?), self.offset()?)
        } else {
            match self.constant()? {
                Literal::Int(value) => (None, value as i64),
                _ => return self.unexpected("an address"),
            }
        };
        let simple = OperandKind::Address(base, offset);
        if !self.is(b',') {
            self.expect(b']')?;
            return Ok(simple);
        }
        let mut parts = vec![Operand {
            pos: self.peek().pos,
            kind: simple,
        }];
        while self.take(b',') {
            parts.push(self.operand(depth + 1)?);
        }
        self.expect(b']')?;
        Ok(OperandKind::Tensor(parts))
    }

    /// A constant expression (ISA 4.6): numbers with unary signs and `+ - * / % << >> & | ^`, evaluated left to right.
    /// Compilers emit single numbers; parentheses are accepted around a whole expression.
    pub(super) fn constant(&mut self) -> Parsed<Literal> {
        let mut open = 0u32;
        while self.take(b'(') {
            open += 1;
        }
        let mut value = self.signed()?;
        while let Some(operator) = self.operator() {
            let pos = self.peek().pos;
            let right = self.signed()?;
            value = combine(value, operator, right).ok_or_else(|| {
                LoadError::at(
                    pos,
                    "found a constant that cannot be computed, expected integers".into(),
                )
            })?;
        }
        for _ in 0..open {
            self.expect(b')')?;
        }
        Ok(value)
    }

    fn operator(&mut self) -> Option<u8> {
        let Kind::Punct(byte) = self.peek().kind else {
            return None;
        };
        if !b"+-*/%&^<>".contains(&byte) {
            return None;
        }
        self.next();
        if byte == b'<' || byte == b'>' {
            self.take(byte);
        }
        Some(byte)
    }

    fn signed(&mut self) -> Parsed<Literal> {
        let (mut negative, mut inverted) = (false, false);
        loop {
            if self.take(b'-') {
                negative = !negative;
            } else if self.take(b'~') {
                inverted = !inverted;
            } else if !self.take(b'+') {
                break;
            }
        }
        let value = self.literal()?;
        Ok(match value {
            Literal::Int(bits) => {
                let bits = if inverted { !bits } else { bits };
                Literal::Int(if negative { bits.wrapping_neg() } else { bits })
            }
            Literal::Single(number) => Literal::Single(if negative { -number } else { number }),
            Literal::Double(number) => Literal::Double(if negative { -number } else { number }),
        })
    }
}

fn combine(left: Literal, operator: u8, right: Literal) -> Option<Literal> {
    let (Literal::Int(a), Literal::Int(b)) = (left, right) else {
        return None;
    };
    let shift = u32::try_from(b).unwrap_or(64);
    let value = match operator {
        b'+' => a.wrapping_add(b),
        b'-' => a.wrapping_sub(b),
        b'*' => a.wrapping_mul(b),
        b'/' => (a as i64).checked_div(b as i64)? as u64,
        b'%' => (a as i64).checked_rem(b as i64)? as u64,
        b'&' => a & b,
        b'^' => a ^ b,
        b'<' => a.checked_shl(shift).unwrap_or(0),
        _ => a.checked_shr(shift).unwrap_or(0),
    };
    Some(Literal::Int(value))
}
