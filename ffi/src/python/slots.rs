//! One argument of a learned call: what it must be for the checks of that call to hold, and what it contributes.

use std::ffi::CStr;

use super::api::Raw;
use super::arrays::{Expected, Facts};
use super::numbers::NumberKind;
use super::object::{Object, Python};
use super::sequence::Sequence;
use crate::backend::changes::{Given, ScalarPlace, ScalarsInPlace};
use crate::backend::LaunchPlan;
use crate::dtype::DlDtype;

/// An argument, by what is allowed to change.
pub(super) enum Slot {
    /// This very object.
    Same(Object),
    /// An object of the same type that is equal: text or bytes.
    Equal(Object),
    /// A number of this value, float or integer as it was.
    Fixed(NumberKind, Given),
    /// A number of seconds.
    Timeout,
    /// A stream; its handle may change.
    Stream(StreamKind),
    /// An array; its address may change. The index counts the plan's ranges.
    Array(usize, Box<Expected>),
    /// A number on which nothing but its own parameter depends. The index counts the plan's scalars.
    Number(usize, NumberKind),
    /// A tuple or list, each item with a slot of its own.
    Items(Sequence),
}

/// How the handle of one type of stream is read.
pub(super) struct StreamKind {
    kind: Object,
    /// `None`: it is an int.
    attribute: Option<Object>,
    /// Whether the attribute is a method that returns (0, handle): `__cuda_stream__`.
    is_method: bool,
    /// The attribute `device` and what it must be.
    device: Option<(Object, Object)>,
    /// Greatest handle to accept: the CPU device takes foreign handles of default streams only.
    greatest: u64,
}

/// What the arguments of a call contribute.
#[derive(Default)]
pub(super) struct Found {
    pub(super) addresses: [u64; MOST_RANGES],
    pub(super) scalars: ScalarsInPlace,
    /// Arrays out of sequences, with the range that each is: the call keeps them.
    pub(super) kept: Vec<(usize, Object)>,
    pub(super) stream: Option<u64>,
    pub(super) timeout_s: f64,
}

/// More arrays than any kernel that needs to be called fast.
pub(super) const MOST_RANGES: usize = 16;

// The first item of a slot's recipe; `calls.py` has the same numbers.
const CONSTANT: u64 = 0;
const TIMEOUT: u64 = 1;
const STREAM: u64 = 2;
const ARRAY: u64 = 3;
const NUMBER: u64 = 4;
const ITEMS: u64 = 5;

impl Slot {
    /// Reads a slot's recipe.
    pub(super) fn learn(py: Python, recipe: Raw, argument: Raw, plan: &LaunchPlan) -> Option<Self> {
        match py.u64(py.item(recipe, 0)?)? {
            CONSTANT => Self::constant(py, argument),
            TIMEOUT => Some(Self::Timeout),
            STREAM => StreamKind::learn(py, recipe, argument).map(Self::Stream),
            ARRAY => learn_array(py, recipe, argument, plan).map(|(index, array)| Self::Array(index, Box::new(array))),
            NUMBER => Self::number(py, py.item(recipe, 1)?, argument, plan),
            ITEMS => Sequence::learn(py, py.item(recipe, 1)?, argument, plan).map(Self::Items),
            _ => None,
        }
    }

    /// A number of the argument called `name`: one that may change, if the plan says so.
    fn number(py: Python, name: Raw, argument: Raw, plan: &LaunchPlan) -> Option<Self> {
        let is_named = |place: &&ScalarPlace| py.is_text(name, &place.name);
        let Some((index, place)) = plan.scalars.iter().enumerate().find(|(_, place)| is_named(place)) else {
            return Self::fixed(py, argument);
        };
        let kind = NumberKind::learn(py, argument)?;
        place.rule.accept(kind.read(py, argument)?)?;
        Some(Self::Number(index, kind))
    }

    fn fixed(py: Python, argument: Raw) -> Option<Self> {
        let kind = NumberKind::learn(py, argument)?;
        let value = kind.read(py, argument)?;
        Some(Self::Fixed(kind, value))
    }

    fn constant(py: Python, argument: Raw) -> Option<Self> {
        if py.is_exactly(argument, py.api.float_type) || py.is_exactly(argument, py.api.int_type) {
            return Self::fixed(py, argument);
        }
        if py.is_exactly(argument, py.api.text_type) || py.is_exactly(argument, py.api.bytes_type) {
            return Some(Self::Equal(py.borrow(argument)));
        }
        Some(Self::Same(py.borrow(argument)))
    }

    /// The plan's ranges that it stands for.
    pub(super) fn ranges(&self) -> impl Iterator<Item = usize> + '_ {
        let own = match self {
            Self::Array(index, _) => Some(*index),
            _ => None,
        };
        own.into_iter().chain(self.items().iter().flat_map(|slot| match slot {
            Self::Array(index, _) => Some(*index),
            _ => None,
        }))
    }

    /// The first array in it.
    pub(super) fn first_array(&self) -> Option<&Expected> {
        match self {
            Self::Array(_, expected) => Some(expected),
            _ => self.items().iter().find_map(Self::first_array),
        }
    }

    /// Whether it stands for a number that may change.
    pub(super) fn has_number(&self) -> bool {
        matches!(self, Self::Number(..)) || self.items().iter().any(Self::has_number)
    }

    fn items(&self) -> &[Slot] {
        match self {
            Self::Items(sequence) => sequence.slots(),
            _ => &[],
        }
    }

    /// Whether an argument fits; what it contributes goes to `found`.
    pub(super) fn fits(&self, py: Python, argument: Raw, plan: &LaunchPlan, found: &mut Found) -> Option<()> {
        let fits = match self {
            Self::Same(object) => object.is(argument),
            Self::Equal(object) => {
                let is_like = || py.is_exactly(argument, py.type_of(object.raw())?.raw()).then_some(());
                object.is(argument) || is_like().is_some() && py.equal(object.raw(), argument)
            }
            Self::Fixed(kind, expected) => kind.read(py, argument)?.is(*expected),
            Self::Timeout => {
                found.timeout_s = if py.is_none(argument) { 0.0 } else { py.f64(argument)? };
                py.is_none(argument) || found.timeout_s > 0.0
            }
            Self::Stream(kind) => {
                found.stream = Some(kind.handle(py, argument)?);
                true
            }
            Self::Array(index, expected) => {
                *found.addresses.get_mut(*index)? = expected.read(py, argument)?;
                true
            }
            Self::Number(index, kind) => {
                let number = plan.scalars.get(*index)?.rule.accept(kind.read(py, argument)?)?;
                *found.scalars.get_mut(*index)? = Some(number);
                true
            }
            Self::Items(sequence) => {
                sequence.fits(py, argument, plan, found)?;
                true
            }
        };
        fits.then_some(())
    }
}

/// Reads (3, range, library, shape, dtype code, bits, device type, device id).
pub(super) fn learn_array(py: Python, recipe: Raw, array: Raw, plan: &LaunchPlan) -> Option<(usize, Expected)> {
    let number = |index| py.i64(py.item(recipe, index)?);
    let shape = py.item(recipe, 3)?;
    let facts = Facts {
        library: number(2)?.cast_unsigned(),
        shape: (0..py.len(shape))
            .map(|axis| py.i64(py.item(shape, axis)?))
            .collect::<Option<_>>()?,
        dtype: DlDtype {
            code: u8::try_from(number(4)?).ok()?,
            bits: u8::try_from(number(5)?).ok()?,
            lanes: 1,
        },
        device: (i32::try_from(number(6)?).ok()?, i32::try_from(number(7)?).ok()?),
    };
    let index = usize::try_from(number(1)?).ok()?;
    let range = plan.ranges.get(index)?;
    Some((index, Expected::learn(py, array, facts, range.writable, range.align)?))
}

impl StreamKind {
    /// Reads (2, attribute or None, device or None, greatest handle).
    fn learn(py: Python, recipe: Raw, stream: Raw) -> Option<Self> {
        const DEVICE: &CStr = c"device";
        let (attribute, device) = (py.item(recipe, 1)?, py.item(recipe, 2)?);
        let is_method = py.equal(attribute, py.intern(c"__cuda_stream__")?.raw());
        Some(Self {
            kind: py.type_of(stream)?,
            attribute: (!py.is_none(attribute)).then(|| py.borrow(attribute)),
            is_method,
            device: match py.is_none(device) {
                true => None,
                false => Some((py.intern(DEVICE)?, py.borrow(device))),
            },
            greatest: py.u64(py.item(recipe, 3)?)?,
        })
    }

    fn handle(&self, py: Python, stream: Raw) -> Option<u64> {
        if !py.is_exactly(stream, self.kind.raw()) {
            return None;
        }
        if let Some((name, expected)) = &self.device {
            if !py.attr(stream, name)?.is(expected.raw()) {
                return None;
            }
        }
        let handle = match &self.attribute {
            None => py.u64(stream),
            Some(name) if self.is_method => {
                let answer = py.ask_method(stream, name)?;
                (py.u64(py.item(answer.raw(), 0)?)? == 0)
                    .then(|| py.u64(py.item(answer.raw(), 1)?))
                    .flatten()
            }
            Some(name) => py.u64(py.attr(stream, name)?.raw()),
        };
        handle.filter(|handle| *handle <= self.greatest)
    }
}
