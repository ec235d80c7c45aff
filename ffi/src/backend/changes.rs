//! What one launch has in place of its plan's own values: the addresses of its arrays, and numbers.
//!
//! A plan says where its numbers stand and what they may be ([`ScalarPlace`]), for those on which nothing else of the plan
//! depends (`bind/plan.rs` finds out). So a call that differs from a checked one by such numbers is launched without
//! another check, with the text of its own arguments in errors. Nothing here allocates but that text.

use std::ops::Range;
use std::sync::Arc;

use crate::dtype::DType;
use crate::number::{show, Number};

/// Numbers that can be changed in one plan: more than any kernel that needs to be called fast.
pub(crate) const MOST_SCALARS: usize = 8;

/// A number of a plan that a launch may replace.
#[derive(Clone, Debug)]
pub struct ScalarPlace {
    /// Argument name.
    pub name: String,
    /// Where in the parameters its bytes stand.
    pub offset: usize,
    /// How many there are.
    pub bytes: usize,
    /// Where in the plan's `arguments` its value is written.
    pub text: Range<usize>,
    /// What may stand there.
    pub rule: ScalarRule,
}

/// What a number must be.
#[derive(Clone, Copy, Debug)]
pub struct ScalarRule {
    /// The type in which a float, an integer from 0 on, and a negative integer are written; `None`: refused.
    pub dtypes: [Option<DType>; 3],
    /// Whether integers become floats first.
    pub as_float: bool,
    /// Least value.
    pub least: Option<Number>,
    /// Greatest value.
    pub most: Option<Number>,
}

/// A number as a caller gives it.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Given {
    Int(i64),
    /// For values above `i64::MAX`.
    UInt(u64),
    Float(f64),
}

impl Given {
    /// Whether it is the same number of the same kind; NaNs are by their bits, and zeros.
    #[must_use]
    pub fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::UInt(a), Self::UInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }
}

impl From<Given> for Number {
    fn from(given: Given) -> Self {
        match given {
            Given::Int(value) => Self::Integer(value.into()),
            Given::UInt(value) => Self::Integer(value.into()),
            Given::Float(value) => Self::Float(value),
        }
    }
}

/// A number that was found to fit its place: for the text, and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct NewScalar {
    number: Given,
    bytes: [u8; 8],
}

/// One per place of the plan, or none; `None` leaves the plan's own.
pub type NewScalars = [Option<NewScalar>];

/// The same in a place of its own, where nothing may be allocated; the rest is `None`.
pub type ScalarsInPlace = [Option<NewScalar>; MOST_SCALARS];

/// Copies them to a place of their own.
#[must_use]
pub fn in_place(scalars: &NewScalars) -> ScalarsInPlace {
    let mut copied = ScalarsInPlace::default();
    for (place, scalar) in copied.iter_mut().zip(scalars) {
        *place = *scalar;
    }
    copied
}

/// The numbers of a tracked launch, shared by all that may be asked for its text. A pointer, because most launches have no
/// numbers of their own, and each hands these on several times.
#[derive(Clone, Debug, Default)]
pub struct KeptScalars(Option<Arc<NewScalars>>);

impl KeptScalars {
    /// Keeps a copy.
    #[must_use]
    pub fn of(scalars: &NewScalars) -> Self {
        Self(scalars.iter().any(Option::is_some).then(|| scalars.into()))
    }
}

impl std::ops::Deref for KeptScalars {
    type Target = NewScalars;
    fn deref(&self) -> &NewScalars {
        self.0.as_deref().unwrap_or(&[])
    }
}

/// See the module. The default changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'a> {
    /// One address per range, or none: the plan's own.
    pub addresses: &'a [u64],
    /// Numbers.
    pub scalars: &'a NewScalars,
}

impl ScalarRule {
    /// The number in the form in which it is passed; `None` where it is to be refused.
    #[must_use]
    pub fn accept(&self, given: Given) -> Option<NewScalar> {
        let given = match given {
            Given::Int(value) if self.as_float => Given::Float(value as f64),
            Given::UInt(value) if self.as_float => Given::Float(value as f64),
            given => given,
        };
        let number = Number::from(given);
        let dtype = self.dtypes[match number {
            Number::Float(_) => 0,
            Number::Integer(value) if value >= 0 => 1,
            Number::Integer(_) => 2,
        }]?;
        let within = self.least.is_none_or(|least| number.is_at_least(least))
            && self.most.is_none_or(|most| number.is_at_most(most));
        let bytes = number.bytes_in(dtype).filter(|_| within)?;
        Some(NewScalar { number: given, bytes })
    }
}

/// Writes numbers to where `params`, a copy of the plan's, has them.
pub(super) fn put(places: &[ScalarPlace], scalars: &NewScalars, params: &mut [u8]) {
    for (place, scalar) in places.iter().zip(scalars) {
        let Some(scalar) = scalar else { continue };
        if let Some(slot) = params.get_mut(place.offset..place.offset + place.bytes) {
            slot.copy_from_slice(&scalar.bytes[..place.bytes]);
        }
    }
}

/// The arguments' text with these numbers in it. Places stand in the order of the text.
pub(super) fn text(arguments: &str, places: &[ScalarPlace], scalars: &NewScalars) -> String {
    let (mut text, mut done) = (String::with_capacity(arguments.len() + 16), 0);
    for (place, scalar) in places.iter().zip(scalars) {
        let Some(scalar) = scalar else { continue };
        text.push_str(arguments.get(done..place.text.start).unwrap_or(""));
        text.push_str(&show(scalar.number.into()));
        done = place.text.end;
    }
    text.push_str(arguments.get(done..).unwrap_or(""));
    text
}

/// A word that differs where the numbers do, as good as always.
pub(super) fn mixed(scalars: &NewScalars) -> u64 {
    scalars.iter().flatten().fold(0, |word: u64, scalar| {
        (word.rotate_left(5) ^ u64::from_le_bytes(scalar.bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(dtype: DType, as_float: bool) -> ScalarRule {
        ScalarRule {
            dtypes: [Some(dtype).filter(|_| as_float), Some(dtype), Some(dtype)],
            as_float,
            least: None,
            most: Some(Number::Integer(10)),
        }
    }

    fn place(name: &str, offset: usize, text: Range<usize>) -> ScalarPlace {
        ScalarPlace {
            name: name.into(),
            offset,
            bytes: 4,
            text,
            rule: rule(DType::Float32, true),
        }
    }

    #[test]
    fn test_numbers_go_to_their_places_and_into_the_text() {
        let places = [place("a", 8, 13..16), place("b", 12, 22..25)];
        let arguments = "x f32 (8,a = 2.0, b = 3.0, c = 4";
        assert_eq!((&arguments[13..16], &arguments[22..25]), ("2.0", "3.0"));
        let mut scalars = [None; 2];
        assert_eq!(text(arguments, &places, &[]), arguments);
        assert_eq!(text(arguments, &places, &scalars), arguments);
        scalars[1] = places[1].rule.accept(Given::Int(-70));
        assert_eq!(text(arguments, &places, &scalars), "x f32 (8,a = 2.0, b = -70.0, c = 4");
        let mut params = [1; 20];
        put(&places, &scalars, &mut params);
        assert_eq!(params[..12], [1; 12]);
        assert_eq!(params[12..16], (-70f32).to_le_bytes());
        assert_eq!(params[16..], [1; 4]);
    }

    #[test]
    fn test_rule_refuses_what_the_checks_refuse() {
        let fits = |given| rule(DType::Int8, false).accept(given).is_some();
        assert!(fits(Given::Int(10)) && fits(Given::Int(-128)) && fits(Given::UInt(7)));
        assert!(
            !fits(Given::Float(1.0))
                && !fits(Given::Int(11))
                && !fits(Given::Int(-129))
                && !fits(Given::UInt(u64::MAX))
        );
        assert!(rule(DType::Float64, true).accept(Given::Float(f64::NAN)).is_none());
    }

    #[test]
    fn test_mixed_words_tell_numbers_apart() {
        let word = |value| mixed(&[rule(DType::Float32, true).accept(Given::Float(value)), None]);
        assert_eq!(mixed(&[]), 0);
        assert!(word(1.0) != word(2.0) && word(1.0) == word(1.0));
    }
}
