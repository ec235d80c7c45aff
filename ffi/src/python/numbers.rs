//! Numbers of a learned call: Python's own, and those of one other type, NumPy's, that the checked call had.

use super::api::Raw;
use super::object::{Object, Python};
use crate::backend::changes::Given;

/// Which numbers are read here besides exact floats and ints.
pub(super) enum NumberKind {
    /// No others.
    Own,
    /// Objects of this type, by their `__index__`.
    Integers(Object),
    /// Objects of this type, by their `__float__`.
    Floats(Object),
}

impl NumberKind {
    /// By the number that the checked call had; the maker of recipes has seen to it that its type means what it says.
    pub(super) fn learn(py: Python, number: Raw) -> Option<Self> {
        let kind = py.type_of(number)?;
        if kind.is(py.api.float_type) || kind.is(py.api.int_type) {
            return Some(Self::Own);
        }
        Some(match py.index(number) {
            Some(_) => Self::Integers(kind),
            None => Self::Floats(kind),
        })
    }

    /// The number; `None` for another type, or more than 64 bits.
    pub(super) fn read(&self, py: Python, number: Raw) -> Option<Given> {
        let kind = py.type_of(number)?;
        if kind.is(py.api.float_type) {
            return py.f64(number).map(Given::Float);
        }
        if kind.is(py.api.int_type) {
            return integer(py, number);
        }
        match self {
            Self::Integers(own) if own.is(kind.raw()) => integer(py, py.index(number)?.raw()),
            Self::Floats(own) if own.is(kind.raw()) => py.f64(number).map(Given::Float),
            _ => None,
        }
    }
}

fn integer(py: Python, number: Raw) -> Option<Given> {
    py.i64(number)
        .map(Given::Int)
        .or_else(|| py.u64(number).map(Given::UInt))
}
