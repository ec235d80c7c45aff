//! The one error type of the native core. `Display` is the text that users read: lower case, found first, then expected.
//! The C record and Python's exception classes follow from [`Kind`]; `fields` becomes the exception's attributes.

use serde_json::{Map, Value};

/// What class of exception an error becomes. Numbers are the C ABI's status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Kind {
    Argument = 1,
    Load = 2,
    Manifest = 3,
    Launch = 4,
    Timeout = 5,
    Cancelled = 6,
    KernelFault = 7,
    Deadlock = 8,
    Race = 9,
    Memory = 10,
    Device = 11,
    Internal = 12,
}

/// An error with its text and its fields.
#[derive(Clone, Debug)]
pub struct Error {
    /// Class.
    pub kind: Kind,
    /// The whole text.
    pub message: String,
    /// Named values for the exception's attributes.
    pub fields: Map<String, Value>,
}

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without fields.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            fields: Map::new(),
        }
    }
    /// Adds one field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
