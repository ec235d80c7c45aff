//! C's `printf` for `vprintf`: flags, width, precision and every conversion that CUDA documents. The arguments are read one
//! after the other from the buffer that the compiler filled, each aligned to its size (`host_calls` reads the memory).

/// Where arguments come from.
pub(super) trait Arguments {
    /// The next argument of `bytes` (4 or 8).
    fn number(&mut self, bytes: u64) -> u64;
    /// The text that an argument points at.
    fn text(&mut self, address: u64) -> String;
}

/// What stands between `%` and the letter.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    /// `hh`: 1, `h`: 2, else 4, `l`, `ll`, `j`, `z` and `t`: 8 bytes.
    bytes: u64,
}

/// Widths and precisions beyond this are cut: a wild format must not take all memory.
const WIDEST: usize = 4096;

/// The text, and how many arguments it took.
pub(super) fn format(format: &str, arguments: &mut impl Arguments) -> (String, u32) {
    let (mut out, mut taken) = (String::new(), 0);
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (spec, stars, behind) = spec(&rest[at + 1..], arguments);
        let Some(kind) = behind.chars().next() else {
            return (out, taken);
        };
        rest = &behind[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let wide = "fFeEgGaAsp".contains(kind);
        let value = arguments.number(if wide { 8 } else { spec.bytes.max(4) });
        taken += stars + 1;
        out.push_str(&converted(spec, kind, value, arguments));
    }
    out.push_str(rest);
    (out, taken)
}

/// Reads flags, width, precision and size; also how many arguments they took, and what is behind.
fn spec<'t>(text: &'t str, arguments: &mut impl Arguments) -> (Spec, u32, &'t str) {
    let mut spec = Spec {
        bytes: 4,
        ..Spec::default()
    };
    let flags = text.len() - text.trim_start_matches(['-', '+', ' ', '#', '0']).len();
    for flag in text[..flags].chars() {
        match flag {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '#' => spec.alternate = true,
            _ => spec.zeros = true,
        }
    }
    let (width, mut stars, mut rest) = count(&text[flags..], arguments);
    spec.left |= width < 0;
    spec.width = width.unsigned_abs().min(WIDEST);
    if let Some(behind) = rest.strip_prefix('.') {
        let (precision, more, behind) = count(behind, arguments);
        (stars, rest) = (stars + more, behind);
        spec.precision = usize::try_from(precision).ok().map(|p| p.min(WIDEST));
    }
    let sizes = rest.len() - rest.trim_start_matches(['h', 'l', 'j', 'z', 't']).len();
    spec.bytes = match &rest[..sizes] {
        "" => 4,
        "h" => 2,
        "hh" => 1,
        _ => 8,
    };
    (spec, stars, &rest[sizes..])
}

/// A number, or a `*` for an argument.
fn count<'t>(text: &'t str, arguments: &mut impl Arguments) -> (isize, u32, &'t str) {
    if let Some(rest) = text.strip_prefix('*') {
        return (arguments.number(4) as u32 as i32 as isize, 1, rest);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = text[..digits]
        .parse()
        .unwrap_or(if digits == 0 { 0 } else { WIDEST as isize });
    (number, 0, &text[digits..])
}

fn converted(spec: Spec, kind: char, value: u64, arguments: &mut impl Arguments) -> String {
    let unused = 64 - 8 * spec.bytes as u32;
    let (unsigned, signed) = (value << unused >> unused, (value << unused) as i64 >> unused);
    let real = f64::from_bits(value);
    match kind {
        'd' | 'i' => integer(spec, signed < 0, "", signed.unsigned_abs().to_string(), true),
        'x' => integer(
            spec,
            false,
            if unsigned == 0 { "" } else { "0x" },
            format!("{unsigned:x}"),
            false,
        ),
        'X' => integer(
            spec,
            false,
            if unsigned == 0 { "" } else { "0X" },
            format!("{unsigned:X}"),
            false,
        ),
        'o' => {
            let digits = format!("{unsigned:o}");
            let more = usize::from(spec.alternate && unsigned != 0);
            let precision = spec.precision.unwrap_or(1).max(digits.len() + more);
            let precision = if more == 1 { Some(precision) } else { spec.precision };
            integer(Spec { precision, ..spec }, false, "", digits, false)
        }
        'p' if value == 0 => padded(spec, String::new(), "(nil)".to_owned(), false),
        'p' => padded(spec, String::new(), format!("0x{value:x}"), false),
        'c' => padded(spec, String::new(), char::from(value as u8).to_string(), false),
        's' => {
            let text = arguments.text(value);
            let most = spec.precision.unwrap_or(usize::MAX);
            padded(spec, String::new(), text.chars().take(most).collect(), false)
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'a' | 'A' => float(spec, kind, real),
        _ => integer(spec, false, "", unsigned.to_string(), false),
    }
}

/// The sign's place, then the padding to the width.
fn sign(spec: Spec, negative: bool) -> String {
    let text = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (.., true) => " ",
        _ => "",
    };
    text.to_owned()
}

fn integer(spec: Spec, negative: bool, prefix: &str, digits: String, is_signed: bool) -> String {
    let mut front = if is_signed { sign(spec, negative) } else { String::new() };
    if spec.alternate {
        front.push_str(prefix);
    }
    let digits = match spec.precision {
        Some(0) if digits == "0" => String::new(),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    padded(spec, front, digits, spec.zeros && spec.precision.is_none())
}

/// `zeros` go between the sign or prefix and the digits.
fn padded(spec: Spec, front: String, text: String, zeros: bool) -> String {
    let missing = spec.width.saturating_sub(front.chars().count() + text.chars().count());
    match (spec.left, zeros) {
        (true, _) => format!("{front}{text}{}", " ".repeat(missing)),
        (_, true) => format!("{front}{}{text}", "0".repeat(missing)),
        _ => format!("{}{front}{text}", " ".repeat(missing)),
    }
}

fn float(spec: Spec, kind: char, real: f64) -> String {
    let (upper, magnitude) = (kind.is_ascii_uppercase(), real.abs());
    let mut front = sign(spec, real.is_sign_negative());
    if !real.is_finite() {
        let text = if real.is_nan() { "nan" } else { "inf" };
        let text = if upper {
            text.to_ascii_uppercase()
        } else {
            text.to_owned()
        };
        return padded(spec, front, text, false);
    }
    let precision = spec.precision.unwrap_or(6);
    let mut text = match kind.to_ascii_lowercase() {
        'f' => fixed(magnitude, precision, spec.alternate),
        'e' => exponential(magnitude, precision, spec.alternate),
        'g' => general(magnitude, precision.max(1), spec.alternate),
        _ => {
            front.push_str("0x");
            hexadecimal(magnitude, spec.precision, spec.alternate)
        }
    };
    if upper {
        (front, text) = (front.to_ascii_uppercase(), text.to_ascii_uppercase());
    }
    padded(spec, front, text, spec.zeros)
}

fn fixed(magnitude: f64, precision: usize, point: bool) -> String {
    let text = format!("{magnitude:.precision$}");
    if point && precision == 0 {
        return text + ".";
    }
    text
}

/// Digits and exponent of `magnitude` with `precision` digits behind the point.
fn scientific(magnitude: f64, precision: usize) -> (String, i32) {
    let text = format!("{magnitude:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

fn with_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn exponential(magnitude: f64, precision: usize, point: bool) -> String {
    let (digits, exponent) = scientific(magnitude, precision);
    let point = if point && precision == 0 { "." } else { "" };
    with_exponent(&(digits + point), exponent)
}

/// The shorter one of both, without zeros at the end.
fn general(magnitude: f64, precision: usize, keep: bool) -> String {
    let (digits, exponent) = scientific(magnitude, precision - 1);
    let strip = |text: &str| {
        if keep || !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= precision as i32 {
        return with_exponent(&strip(&digits), exponent);
    }
    strip(&fixed(magnitude, (precision as i32 - 1 - exponent) as usize, keep))
}

/// `1.8p+0`: the leading digit is 1, of subnormals and zero 0.
fn hexadecimal(magnitude: f64, precision: Option<usize>, point: bool) -> String {
    let bits = magnitude.to_bits();
    let (mut lead, mut fraction) = (u64::from(bits >> 52 != 0), bits & ((1 << 52) - 1));
    let exponent = match bits >> 52 {
        0 if fraction == 0 => 0,
        0 => -1022,
        biased => biased as i32 - 1023,
    };
    let digits = match precision {
        Some(kept) if kept < 13 => {
            let all = lead << 52 | fraction;
            let unit = 52 - 4 * kept as u32;
            let (half, odd) = (1u64 << (unit - 1), all >> unit & 1);
            let rounded = (all + half - 1 + odd) >> unit << unit;
            (lead, fraction) = (rounded >> 52, rounded & ((1 << 52) - 1));
            format!("{fraction:013x}")[..kept].to_owned()
        }
        Some(kept) => format!("{:0<kept$}", format!("{fraction:013x}")),
        None => format!("{fraction:013x}").trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() && !point { "" } else { "." };
    format!("{lead}{point}{digits}p{exponent:+}")
}
