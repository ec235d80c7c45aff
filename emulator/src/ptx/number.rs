//! Number literals (ISA 4.5): integers of every base, `0f` and `0d` bit patterns, decimal floating point.

use super::tree::Literal;

/// `None` when `text` is no PTX number.
pub(crate) fn literal(text: &str) -> Option<Literal> {
    let lower = text.as_bytes().get(1).copied().unwrap_or(0).to_ascii_lowercase();
    if text.starts_with('0') && lower == b'f' && text.len() == 10 {
        return u32::from_str_radix(text.get(2..)?, 16)
            .ok()
            .map(|b| Literal::Single(f32::from_bits(b)));
    }
    if text.starts_with('0') && lower == b'd' && text.len() == 18 {
        return u64::from_str_radix(text.get(2..)?, 16)
            .ok()
            .map(|b| Literal::Double(f64::from_bits(b)));
    }
    integer(text).map(Literal::Int).or_else(|| decimal(text))
}

fn integer(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['U', 'u']);
    if text.len() - digits.len() > 1 {
        return None;
    }
    let prefix = digits.get(..2).unwrap_or("").to_ascii_lowercase();
    let rest = digits.get(2..).unwrap_or("");
    // from_str_radix would also accept a sign.
    if rest.starts_with('+') || digits.starts_with('+') {
        return None;
    }
    match prefix.as_str() {
        "0x" => u64::from_str_radix(rest, 16).ok(),
        "0b" => u64::from_str_radix(rest, 2).ok(),
        _ if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok(),
        _ => digits.parse().ok(),
    }
}

fn decimal(text: &str) -> Option<Literal> {
    let fraction = text.contains('.') || text.contains(['e', 'E']);
    let float_like = fraction && text.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if !float_like {
        return None;
    }
    text.parse().ok().map(Literal::Double)
}
