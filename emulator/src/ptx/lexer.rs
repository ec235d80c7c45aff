//! Text to tokens. A `.word` is one token, and so is a number; columns count characters.

use super::tree::Pos;
use crate::module::LoadError;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Names, opcodes, labels; may begin with `%`, `$` or `_`.
    Word,
    /// `.word`, with `::` inside.
    Dot,
    Number,
    /// With its quotes.
    Text,
    /// One ASCII character.
    Punct(u8),
    End,
}

/// A token where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
    pub start: usize,
    pub pos: Pos,
}

struct Cursor<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line: u32,
    /// Column of the byte at `column_at`, from 1; counted on from there, so that a very long line stays cheap.
    column: u32,
    column_at: usize,
}

/// Makes the token list; its last token is of kind `End`.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, LoadError> {
    let mut cursor = Cursor {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        column: 1,
        column_at: 0,
    };
    let mut list = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        cursor.skip_blank()?;
        let (start, pos) = (cursor.at, cursor.pos());
        let kind = cursor.next_kind()?;
        let text = text.get(start..cursor.at).unwrap_or("");
        list.push(Token { kind, text, start, pos });
        if kind == Kind::End {
            return Ok(list);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn pos(&mut self) -> Pos {
        let passed = self.bytes.get(self.column_at..self.at).unwrap_or(&[]);
        let characters = passed.iter().filter(|b| (**b & 0xc0) != 0x80).count();
        self.column = self
            .column
            .saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.column_at = self.at;
        Pos {
            line: self.line,
            column: self.column,
        }
    }

    fn error(&mut self, message: String) -> LoadError {
        LoadError::at(self.pos(), message)
    }

    fn advance(&mut self) {
        if self.peek(0) == b'\n' {
            self.line += 1;
            self.column = 1;
            self.column_at = self.at + 1;
        }
        self.at += 1;
    }

    fn skip_blank(&mut self) -> Result<(), LoadError> {
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b' ' | b'\t' | b'\r' | b'\n' | 0, _) => self.advance(),
                (b'/', b'/') => {
                    while self.at < self.bytes.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                (b'/', b'*') => self.skip_comment()?,
                _ => break,
            }
        }
        Ok(())
    }

    fn skip_comment(&mut self) -> Result<(), LoadError> {
        let open = self.error("comment is never closed, expected \"*/\"".into());
        self.at += 2;
        while (self.peek(0), self.peek(1)) != (b'*', b'/') {
            if self.at >= self.bytes.len() {
                return Err(open);
            }
            self.advance();
        }
        self.at += 2;
        Ok(())
    }

    fn next_kind(&mut self) -> Result<Kind, LoadError> {
        if self.at >= self.bytes.len() {
            return Ok(Kind::End);
        }
        let first = self.peek(0);
        match first {
            b'%' | b'$' | b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.at += 1;
                self.skip_word(false);
                Ok(Kind::Word)
            }
            b'.' if is_word(self.peek(1)) => {
                self.at += 1;
                self.skip_word(true);
                Ok(Kind::Dot)
            }
            b'0'..=b'9' => {
                self.skip_number();
                Ok(Kind::Number)
            }
            b'"' => self.skip_text(),
            0x21..=0x7e => {
                self.at += 1;
                Ok(Kind::Punct(first))
            }
            _ => {
                let found = self.text.get(self.at..).and_then(|t| t.chars().next()).unwrap_or('?');
                Err(self.error(format!("found character {found:?}, expected PTX")))
            }
        }
    }

    fn skip_word(&mut self, colons: bool) {
        loop {
            if is_word(self.peek(0)) {
                self.at += 1;
            } else if colons && self.peek(0) == b':' && self.peek(1) == b':' && is_word(self.peek(2)) {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    fn skip_number(&mut self) {
        self.skip_word(false);
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_word(false);
        }
        let last = self.bytes.get(self.at - 1).copied().unwrap_or(0);
        let sign = matches!(self.peek(0), b'+' | b'-') && self.peek(1).is_ascii_digit();
        if sign && matches!(last, b'e' | b'E') && self.is_decimal_back() {
            self.at += 1;
            self.skip_word(false);
        }
    }

    /// Whether the word that ends here can be the mantissa of `1.5e-3` (and not a hexadecimal number).
    fn is_decimal_back(&self) -> bool {
        let mut at = self.at - 1;
        while at > 0 && (self.bytes[at - 1].is_ascii_digit() || self.bytes[at - 1] == b'.') {
            at -= 1;
        }
        at == 0 || !is_word(self.bytes[at - 1])
    }

    fn skip_text(&mut self) -> Result<Kind, LoadError> {
        let open = self.error("text is never closed, expected a second \"\\\"\"".into());
        self.at += 1;
        while self.peek(0) != b'"' {
            if self.at >= self.bytes.len() || self.peek(0) == b'\n' {
                return Err(open);
            }
            if self.peek(0) == b'\\' && self.peek(1) != b'\n' {
                self.at += 1;
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(Kind::Text)
    }
}
