//! The token stream and the statements of functions. Blocks are a depth counter, so nesting costs no stack.
//! Declarations are read in `declaration`, operands in `operand`.

use super::lexer::{tokens, Kind, Token};
use super::number::literal;
use super::tree::{File, Instruction, Literal, Name, Pos, Statement};
use crate::module::LoadError;

/// Reads a whole module.
pub(crate) fn parse(text: &str) -> Result<File<'_>, LoadError> {
    let tokens = tokens(text)?;
    Parser {
        text,
        tokens,
        at: 0,
        filled: 0,
    }
    .file()
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// Elements of initialisers that rows were filled up with.
    pub(super) filled: usize,
}

/// Deepest blocks: names are looked up, and branches resolved, from the innermost outwards.
const MAX_NESTING: usize = 256;

pub(super) type Parsed<T> = Result<T, LoadError>;

impl<'t> Parser<'t> {
    pub(super) fn peek(&self) -> Token<'t> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Token<'t> {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + ahead).min(last)]
    }

    pub(super) fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Found, then expected.
    pub(super) fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        let token = self.peek();
        let found = match token.kind {
            Kind::End => "the end of the text".to_owned(),
            _ => format!("\"{}\"", shorten(token.text)),
        };
        Err(LoadError::at(token.pos, format!("found {found}, expected {expected}")))
    }

    pub(super) fn is(&self, byte: u8) -> bool {
        self.peek().kind == Kind::Punct(byte)
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.is(byte);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.take(byte) {
            return Ok(());
        }
        self.unexpected(&format!("\"{}\"", byte as char))
    }

    pub(super) fn is_dot(&self, text: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Dot && token.text.get(1..) == Some(text)
    }

    pub(super) fn take_dot(&mut self, text: &str) -> bool {
        let found = self.is_dot(text);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn name(&mut self, what: &str) -> Parsed<Name<'t>> {
        let token = self.peek();
        if token.kind != Kind::Word {
            return self.unexpected(what);
        }
        self.at += 1;
        Ok(Name {
            text: token.text,
            pos: token.pos,
        })
    }

    pub(super) fn literal(&mut self) -> Parsed<Literal> {
        let token = self.peek();
        if token.kind != Kind::Number {
            return self.unexpected("a number");
        }
        match literal(token.text) {
            Some(value) => {
                self.at += 1;
                Ok(value)
            }
            None => self.unexpected("a number that fits 64 bits"),
        }
    }

    pub(super) fn unsigned(&mut self) -> Parsed<u64> {
        let token = self.peek();
        match self.literal()? {
            Literal::Int(value) => Ok(value),
            _ => Err(LoadError::at(
                token.pos,
                format!("found \"{}\", expected an integer", shorten(token.text)),
            )),
        }
    }

    pub(super) fn small(&mut self) -> Parsed<u32> {
        let token = self.peek();
        u32::try_from(self.unsigned()?).map_err(|_| {
            let found = shorten(token.text);
            LoadError::at(token.pos, format!("found \"{found}\", expected a 32-bit integer"))
        })
    }

    /// The body of a function behind its `{`, up to and with the matching `}`.
    pub(super) fn body(&mut self) -> Parsed<Vec<Statement<'t>>> {
        let mut statements = Vec::new();
        let mut depth = 0usize;
        loop {
            if depth >= MAX_NESTING && self.is(b'{') {
                let text = format!("found blocks nested more than {MAX_NESTING} deep, expected less");
                return Err(LoadError::at(self.peek().pos, text));
            }
            if self.take(b'{') {
                depth += 1;
                statements.push(Statement::Open);
            } else if self.take(b'}') {
                if depth == 0 {
                    return Ok(statements);
                }
                depth -= 1;
                statements.push(Statement::Close);
            } else if !self.take(b';') {
                self.statement(&mut statements)?;
            }
        }
    }

    fn statement(&mut self, out: &mut Vec<Statement<'t>>) -> Parsed<()> {
        match self.peek().kind {
            Kind::Dot => self.directive(out),
            Kind::Word if self.peek_at(1).kind == Kind::Punct(b':') => {
                let label = self.name("a label")?;
                self.expect(b':')?;
                if self.peek().kind == Kind::Dot && self.label_list(label, out)? {
                    return Ok(());
                }
                out.push(Statement::Label(label));
                Ok(())
            }
            Kind::Word | Kind::Punct(b'@') => {
                out.push(Statement::Instruction(self.instruction()?));
                Ok(())
            }
            _ => self.unexpected("an instruction, a directive, a label or \"}\""),
        }
    }

    /// `.branchtargets`, `.calltargets` and `.callprototype` belong to the label in front of them.
    fn label_list(&mut self, label: Name<'t>, out: &mut Vec<Statement<'t>>) -> Parsed<bool> {
        if self.take_dot("branchtargets") || self.take_dot("calltargets") {
            let mut names = vec![self.name("a label")?];
            while self.take(b',') {
                names.push(self.name("a label")?);
            }
            self.expect(b';')?;
            out.push(Statement::Targets(label, names));
            return Ok(true);
        }
        if self.take_dot("callprototype") {
            let signature = self.prototype()?;
            out.push(Statement::Prototype(label, signature));
            return Ok(true);
        }
        Ok(false)
    }

    fn instruction(&mut self) -> Parsed<Instruction<'t>> {
        let first = self.peek();
        let guard = self.guard()?;
        let opcode = self.name("an instruction")?;
        let mut modifiers = Vec::new();
        while self.peek().kind == Kind::Dot {
            modifiers.push(self.next().text.get(1..).unwrap_or(""));
        }
        let operands = self.operands(opcode.text)?;
        let end = self.peek().start;
        self.expect(b';')?;
        Ok(Instruction {
            pos: opcode.pos,
            span: (first.start, end),
            guard,
            opcode: opcode.text,
            modifiers,
            operands,
        })
    }

    fn guard(&mut self) -> Parsed<Option<(Name<'t>, bool)>> {
        if !self.take(b'@') {
            return Ok(None);
        }
        let negated = self.take(b'!');
        Ok(Some((self.name("a predicate register")?, negated)))
    }
}

/// Long garbage would bury the message.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, 40)
}

/// The same, for texts of other lengths.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Where a parse error points when no token is to blame.
pub(super) const NOWHERE: Pos = Pos { line: 0, column: 0 };
