//! Numbers as arguments: how they read, which types hold them, their bytes. Used when a call is checked (`bind/`), and
//! again when a checked call is repeated with other numbers (`backend/changes.rs`), so that both agree.

use crate::dtype::{Class, DType};
use crate::value::float_text;

/// A number as it is passed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    /// Its nearest float.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }
    /// Whether it is no less than `bound`; a NaN is not.
    #[must_use]
    pub fn is_at_least(self, bound: Self) -> bool {
        match (self, bound) {
            (Self::Integer(value), Self::Integer(bound)) => value >= bound,
            (value, bound) => value.as_f64() >= bound.as_f64(),
        }
    }
    /// Whether it is no more than `bound`; a NaN is not.
    #[must_use]
    pub fn is_at_most(self, bound: Self) -> bool {
        match (self, bound) {
            (Self::Integer(value), Self::Integer(bound)) => value <= bound,
            (value, bound) => value.as_f64() <= bound.as_f64(),
        }
    }
    /// The little-endian bytes of it in a dtype, as many as that has; `None` where it does not hold the number.
    #[must_use]
    pub fn bytes_in(self, dtype: DType) -> Option<[u8; 8]> {
        match (dtype.integer_range(), self) {
            (Some((least, most)), Self::Integer(v)) => (least..=most)
                .contains(&v)
                .then(|| (v as u64 & mask(dtype)).to_le_bytes()),
            (Some(_), Self::Float(_)) => None,
            (None, number) => {
                let value = number.as_f64();
                let overflows = value.is_finite() && value.abs() >= overflow_limit(dtype);
                dtype.float_word(value).filter(|_| !overflows).map(u64::to_le_bytes)
            }
        }
    }
}

fn mask(dtype: DType) -> u64 {
    u64::MAX >> (64 - 8 * dtype.bytes())
}

/// A number as Python would print it.
#[must_use]
pub fn show(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        Number::Float(value) => float_text(value),
    }
}

/// What is expected of a number of this class.
#[must_use]
pub fn kind_text(class: Class) -> String {
    match class {
        Class::Bool => "a bool".into(),
        Class::Float | Class::Narrow | Class::Complex => "a number".into(),
        Class::Signed | Class::Unsigned => "an integer".into(),
    }
}

/// The bytes of a number in a dtype; the error says what was expected.
pub fn encode(number: Number, dtype: DType) -> Result<Vec<u8>, String> {
    if let Some(bytes) = number.bytes_in(dtype) {
        return Ok(bytes[..dtype.bytes()].to_vec());
    }
    Err(match (dtype.integer_range(), number) {
        (Some(_), Number::Float(_)) => kind_text(dtype.class()),
        (Some((least, most)), Number::Integer(_)) => format!("{least} to {most}, the range of {}", dtype.name()),
        (None, _) => format!("a value that {} holds", dtype.name()),
    })
}

/// The least magnitude that rounds to infinity.
fn overflow_limit(dtype: DType) -> f64 {
    match dtype {
        DType::Float16 => 65520.0,
        // Half a unit in the last place above the greatest value.
        DType::Bfloat16 => 2f64.powi(128) - 2f64.powi(119),
        DType::Float32 => 2f64.powi(128) - 2f64.powi(103),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_bytes_are_those_of_the_type_or_none() {
        let of = |number: Number, dtype| number.bytes_in(dtype).map(u64::from_le_bytes);
        assert_eq!(of(Number::Integer(-1), DType::Int16), Some(0xffff));
        assert_eq!(of(Number::Integer(-1), DType::Uint16), None);
        assert_eq!(of(Number::Integer(i128::from(u64::MAX)), DType::Uint64), Some(u64::MAX));
        assert_eq!(of(Number::Integer(-5), DType::Int64), Some(-5i64 as u64));
        assert_eq!(of(Number::Float(1.0), DType::Int32), None);
        assert_eq!(of(Number::Float(1.0), DType::Float32), Some(0x3f80_0000));
        assert_eq!(of(Number::Integer(1), DType::Float16), Some(0x3c00));
        assert_eq!(of(Number::Float(1e39), DType::Float32), None, "it would be infinite");
        assert_eq!(of(Number::Float(f64::INFINITY), DType::Float32), Some(0x7f80_0000));
        assert_eq!(of(Number::Float(-0.0), DType::Float64), Some(1 << 63));
    }

    #[test]
    fn test_a_nan_is_within_no_limit() {
        let nan = Number::Float(f64::NAN);
        assert!(!nan.is_at_least(Number::Integer(0)) && !nan.is_at_most(Number::Integer(0)));
    }
}
