//! Functions that PTX expects from the driver: `vprintf` and `__assertfail`.

use super::ctx::Ctx;
use super::inst::Flow;
use super::memory::{host, space};
use super::program::{Call, End};

/// A parameter's value, for one lane of the running frame.
fn argument(x: &Ctx<'_>, call: &Call, number: usize, lane: u32) -> u64 {
    let Some(step) = call.arguments.get(number) else {
        return 0;
    };
    let mut bytes = [0u8; 8];
    let size = step.bytes.min(8) as usize;
    match step.from {
        End::Register(slot, 8) => return x.lanes::<u64>(slot)[lane as usize],
        End::Register(slot, 4) => return u64::from(x.lanes::<u32>(slot)[lane as usize]),
        End::Register(slot, _) => return u64::from(x.lanes::<u16>(slot)[lane as usize]),
        End::Local(offset) => {
            let frame = u64::from(x.warp().splits[x.split].local) + u64::from(offset);
            for (k, byte) in bytes.iter_mut().enumerate().take(size) {
                *byte = byte_at(x, space::LOCAL, frame + k as u64, lane).unwrap_or(0);
            }
        }
    }
    u64::from_le_bytes(bytes)
}

fn byte_at(x: &Ctx<'_>, code: u32, address: u64, lane: u32) -> Option<u8> {
    let place = host(x, code, address, 1, false, lane).ok()?;
    // SAFETY: `host` found this byte in a registered range or a block of ours.
    Some(unsafe { (place as *const u8).read() })
}

fn number_at(x: &Ctx<'_>, address: u64, bytes: u64, lane: u32) -> u64 {
    (0..bytes).rev().fold(0, |value, k| {
        value << 8 | u64::from(byte_at(x, space::GENERIC, address.wrapping_add(k), lane).unwrap_or(0))
    })
}

fn text_at(x: &Ctx<'_>, address: u64, lane: u32) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < 4096 {
        match byte_at(x, space::GENERIC, address.wrapping_add(bytes.len() as u64), lane) {
            Some(byte) if byte != 0 => bytes.push(byte),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `vprintf(format, arguments)`: lane by lane to the standard output; answers the number of arguments.
pub(super) fn print(x: &mut Ctx<'_>, call: &Call) -> Flow {
    for lane in (0..32u32).filter(|l| x.active >> l & 1 != 0) {
        let format = text_at(x, argument(x, call, 0, lane), lane);
        let text = formatted(x, &format, argument(x, call, 1, lane), lane);
        print!("{text}");
    }
    Flow::Next
}

/// C's conversions with flags, width and precision; arguments are aligned to their size, as the CUDA ABI packs them.
fn formatted(x: &Ctx<'_>, format: &str, mut at: u64, lane: u32) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = rest.next_if(|c| "-+ #0123456789.".contains(*c)) {
            spec.push(c);
        }
        let mut long = false;
        while rest.next_if(|c| "hlzjt".contains(*c)).is_some_and(|c| c != 'h') {
            long = true;
        }
        let Some(kind) = rest.next() else { break };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let bytes = if long || "fFeEgGaAsp".contains(kind) { 8 } else { 4 };
        at = at.next_multiple_of(bytes);
        let value = number_at(x, at, bytes, lane);
        at += bytes;
        out.push_str(&pad(&spec, &convert(x, kind, &spec, value, bytes, lane)));
    }
    out
}

fn convert(x: &Ctx<'_>, kind: char, spec: &str, value: u64, bytes: u64, lane: u32) -> String {
    let signed = if bytes == 4 {
        i64::from(value as u32 as i32)
    } else {
        value as i64
    };
    let precision = spec.split_once('.').and_then(|(_, p)| p.parse::<usize>().ok());
    let real = f64::from_bits(value);
    match kind {
        'd' | 'i' => signed.to_string(),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        'o' => format!("{value:o}"),
        'p' => format!("0x{value:x}"),
        'c' => char::from(value as u8).to_string(),
        's' => text_at(x, value, lane),
        'f' | 'F' => format!("{real:.*}", precision.unwrap_or(6).min(400)),
        'e' | 'E' => format!("{real:.*e}", precision.unwrap_or(6).min(400)),
        'g' | 'G' | 'a' | 'A' => real.to_string(),
        _ => value.to_string(),
    }
}

fn pad(spec: &str, text: &str) -> String {
    let left = spec.contains('-');
    let digits = spec.trim_start_matches(['-', '+', ' ', '#']);
    let zero = digits.starts_with('0') && !left;
    let width: usize = digits.split('.').next().and_then(|w| w.parse().ok()).unwrap_or(0);
    let width = width.min(4096);
    match (left, zero) {
        (true, _) => format!("{text:<width$}"),
        (_, true) if text.starts_with('-') => format!("-{:0>1$}", &text[1..], width.saturating_sub(1)),
        (_, true) => format!("{text:0>width$}"),
        _ => format!("{text:>width$}"),
    }
}

/// `__assertfail(message, file, line, function, size)`.
pub(super) fn assert_fail(x: &mut Ctx<'_>, call: &Call) -> Flow {
    let lane = x.active.trailing_zeros();
    let [message, file, line, function] = [0, 1, 2, 3].map(|n| argument(x, call, n, lane));
    let (message, file, function) = (
        text_at(x, message, lane),
        text_at(x, file, lane),
        text_at(x, function, lane),
    );
    x.trap(
        Some(lane),
        format!("assertion failed: {message} ({file}:{line}, in {function})"),
    )
}
