//! Reading of tables with exact blame: every value knows its file and its key (`args[0].kind`), every key not asked for
//! is an error. TOML and JSON both arrive here as a `serde_json::Value`. What the keys mean stands in `read.rs`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::expr::Expr;
use crate::error::{Error, Kind, Result};

/// A manifest error: `file: key found, expected`.
#[must_use]
pub fn error(origin: &str, key: &str, text: &str) -> Error {
    Error::new(Kind::Manifest, format!("{origin}: {key} {text}"))
        .with("file", origin)
        .with("key", key)
}

/// A value with its place.
#[derive(Clone)]
pub struct Node<'a> {
    origin: &'a str,
    key: String,
    value: &'a Value,
}

/// A table with its place, and the keys read so far.
pub struct Table<'a> {
    origin: &'a str,
    key: String,
    map: &'a Map<String, Value>,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Node<'a> {
    /// The whole file.
    #[must_use]
    pub fn root(origin: &'a str, value: &'a Value) -> Self {
        Self {
            origin,
            key: String::new(),
            value,
        }
    }
    /// An error about this value: what it is, and what it should be.
    #[must_use]
    pub fn expected(&self, what: &str) -> Error {
        error(
            self.origin,
            &self.key,
            &format!("is {}, expected {what}", shown(self.value)),
        )
    }
    /// An error about this value.
    #[must_use]
    pub fn error(&self, text: &str) -> Error {
        error(self.origin, &self.key, text)
    }
    /// As a table.
    pub fn table(&self) -> Result<Table<'a>> {
        let map = self.value.as_object().ok_or_else(|| self.expected("a table"))?;
        Ok(Table {
            origin: self.origin,
            key: self.key.clone(),
            map,
            known: RefCell::default(),
        })
    }
    /// As a list.
    pub fn list(&self) -> Result<Vec<Node<'a>>> {
        let items = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        let item = |(i, value)| Node {
            origin: self.origin,
            key: format!("{}[{i}]", self.key),
            value,
        };
        Ok(items.iter().enumerate().map(item).collect())
    }
    /// As a list, or a single item as a list of one.
    pub fn list_or_single(&self) -> Result<Vec<Node<'a>>> {
        if self.value.is_array() {
            self.list()
        } else {
            Ok(vec![self.clone()])
        }
    }
    /// The entries of a table whose keys are the author's own names.
    pub fn named(&self) -> Result<Vec<(String, Node<'a>)>> {
        let map = self.value.as_object().ok_or_else(|| self.expected("a table"))?;
        let item = |(name, value): (&'a String, &'a Value)| {
            let node = Node {
                origin: self.origin,
                key: format!("{}.{name}", self.key),
                value,
            };
            if is_identifier(name) {
                Ok((name.clone(), node))
            } else {
                Err(node.error("is no name; use an identifier"))
            }
        };
        map.iter().map(item).collect()
    }
    /// As text.
    pub fn text(&self) -> Result<String> {
        self.value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.expected("a string"))
    }
    /// As an identifier.
    pub fn identifier(&self) -> Result<String> {
        let text = self.text()?;
        if is_identifier(&text) {
            Ok(text)
        } else {
            Err(self.expected("an identifier"))
        }
    }
    /// As a truth value.
    pub fn bool(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }
    /// As an integer of at least `least`.
    pub fn integer(&self, least: i64) -> Result<i64> {
        let wanted = || self.expected(&format!("an integer of at least {least}"));
        self.value.as_i64().filter(|&v| v >= least).ok_or_else(wanted)
    }
    /// As a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<&'a serde_json::Number> {
        self.value.as_number()
    }
    /// As an expression: an integer, or text.
    pub fn expression(&self) -> Result<Expr> {
        match (self.value.as_i64(), self.value.as_str()) {
            (Some(value), _) => Ok(Expr::constant(value)),
            (_, Some(text)) => Expr::parse(text).map_err(|what| self.error(&format!("is not valid: {what}"))),
            _ => Err(self.expected("an integer or an expression in a string")),
        }
    }
}

impl<'a> Table<'a> {
    /// An optional key.
    #[must_use]
    pub fn get(&self, name: &'static str) -> Option<Node<'a>> {
        self.known.borrow_mut().insert(name);
        let value = self.map.get(name)?;
        Some(Node {
            origin: self.origin,
            key: self.child(name),
            value,
        })
    }
    /// A key that must be there.
    pub fn need(&self, name: &'static str) -> Result<Node<'a>> {
        self.get(name).ok_or_else(|| self.missing(name))
    }
    fn missing(&self, name: &'static str) -> Error {
        let known = self.known.borrow();
        let strays = self.map.keys().filter(|key| !known.contains(key.as_str()));
        let text = match strays.into_iter().find(|key| is_near(key, name)) {
            Some(near) => format!("is missing, but {near} is there; spell it {name}"),
            None => "is missing, expected a value; add the key".into(),
        };
        error(self.origin, &self.child(name), &text)
    }
    /// An optional list of tables, empty when absent.
    pub fn tables(&self, name: &'static str) -> Result<Vec<Table<'a>>> {
        let Some(node) = self.get(name) else {
            return Ok(Vec::new());
        };
        node.list()?.iter().map(Node::table).collect()
    }
    /// Optional text, empty when absent.
    pub fn text_or_empty(&self, name: &'static str) -> Result<String> {
        self.get(name).map_or(Ok(String::new()), |node| node.text())
    }
    /// Its own key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
    /// Fails if there is a key that was never asked for.
    pub fn finish(&self) -> Result<()> {
        let known = self.known.borrow();
        let Some(stray) = self.map.keys().find(|name| !known.contains(name.as_str())) else {
            return Ok(());
        };
        let expected: Vec<_> = known.iter().copied().collect();
        let text = format!("is an unknown key, expected one of {}", expected.join(", "));
        Err(error(self.origin, &self.child(stray), &text))
    }
    fn child(&self, name: &str) -> String {
        if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        }
    }
}

/// Whether one word may be meant by the other: the same letters in another order, or one letter more, less or other.
fn is_near(found: &str, meant: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<_> = text.bytes().collect();
        letters.sort_unstable();
        letters
    };
    let same =
        |a: &mut dyn Iterator<Item = u8>, b: &mut dyn Iterator<Item = u8>| a.zip(b).take_while(|(a, b)| a == b).count();
    let ahead = same(&mut found.bytes(), &mut meant.bytes());
    let behind = same(&mut found.bytes().rev(), &mut meant.bytes().rev());
    let longest = found.len().max(meant.len());
    sorted(found) == sorted(meant) || (found.len().abs_diff(meant.len()) <= 1 && ahead + behind + 1 >= longest)
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".into(),
        Value::Array(_) => "a list".into(),
        other => other.to_string(),
    }
}
