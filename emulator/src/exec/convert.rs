//! The general `cvt`: every pair of types and mode, through values that hold all of them exactly.

use super::ctx::Ctx;
use super::inst::{Flow, Inst};
use crate::num::convert::{int_to_f32, int_to_f64, integral};
use crate::num::float::{flush, narrow, to_odd, NAN32};
use crate::num::half::{Bf16, Half, F16, NAN16};
use crate::ptx::types::Ty;

/// Flags of the operand list.
pub(crate) mod flag {
    pub(crate) const FTZ: u32 = 1;
    pub(crate) const SAT: u32 = 2;
    pub(crate) const RELU: u32 = 4;
    pub(crate) const FINITE: u32 = 8;
    /// `.rni` and its kin: the result is integral.
    pub(crate) const INTEGRAL: u32 = 16;
    /// The source is an f64: a NaN keeps its sign and the upper part of its payload.
    pub(crate) const WIDE: u32 = 32;
}

/// A value on its way.
#[derive(Clone, Copy)]
enum Value {
    Int(i128),
    Real(f64),
}

/// `extra`: list of destination type, source type, mode, flags, bytes of both registers.
pub(crate) unsafe fn convert(x: &mut Ctx<'_>, i: &Inst, mask: u32) -> Flow {
    let list = &x.env.program.lists[i.extra as usize];
    let (d, s) = (Ty::from_number(list[0]), Ty::from_number(list[1]));
    let (mode, flags) = (list[2], list[3]);
    // NaN becomes 0, except where the hardware converts through 64 bits.
    let not_a_number = if s == Ty::F64 || d.bytes() == 8 {
        limits_bit(d)
    } else {
        0
    };
    // A subnormal f32 is flushed on its way to another type, but not to f16, where it counts for the rounding.
    let input_flags = if d == Ty::F16 { flags & !flag::FTZ } else { flags };
    let source: [u64; 32] = match list[5] {
        2 => x.lanes::<u16>(i.a).map(u64::from),
        4 => x.lanes::<u32>(i.a).map(u64::from),
        _ => *x.lanes::<u64>(i.a),
    };
    let out = source.map(|bits| encode(decode(bits, s, input_flags), d, mode, flags, not_a_number));
    match list[4] {
        2 => x.put::<u16>(i.dst, &out.map(|v| v as u16), mask),
        4 => x.put::<u32>(i.dst, &out.map(|v| v as u32), mask),
        _ => x.put::<u64>(i.dst, &out, mask),
    }
    Flow::Next
}

fn decode(bits: u64, s: Ty, flags: u32) -> Value {
    match s {
        Ty::U8 | Ty::B8 => Value::Int(i128::from(bits as u8)),
        Ty::U16 | Ty::B16 => Value::Int(i128::from(bits as u16)),
        Ty::U32 | Ty::B32 => Value::Int(i128::from(bits as u32)),
        Ty::S8 => Value::Int(i128::from(bits as i8)),
        Ty::S16 => Value::Int(i128::from(bits as i16)),
        Ty::S32 => Value::Int(i128::from(bits as i32)),
        Ty::S64 => Value::Int(i128::from(bits as i64)),
        Ty::F16 => Value::Real(f64::from(F16::wide(bits as u16))),
        Ty::Bf16 => Value::Real(f64::from(Bf16::wide(bits as u16))),
        Ty::F32 => {
            let value = f32::from_bits(bits as u32);
            let value = if flags & flag::FTZ != 0 {
                flush::<true>(value)
            } else {
                value
            };
            Value::Real(f64::from(value))
        }
        Ty::F64 => Value::Real(f64::from_bits(bits)),
        _ => Value::Int(i128::from(bits)),
    }
}

fn limits(d: Ty) -> (i128, i128) {
    let bits = d.bytes() * 8;
    if d.is_signed() {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    }
}

fn limits_bit(d: Ty) -> i128 {
    1 << (d.bytes() * 8 - 1)
}

fn encode(value: Value, d: Ty, mode: u32, flags: u32, not_a_number: i128) -> u64 {
    if d.is_float() {
        return real(value, d, mode, flags);
    }
    let (low, high) = limits(d);
    let number = match value {
        Value::Int(number) if flags & flag::SAT != 0 => number.clamp(low, high),
        Value::Int(number) => number,
        Value::Real(x) if x.is_nan() => not_a_number,
        Value::Real(x) => (rounded(x, mode) as i128).clamp(low, high),
    };
    extend(number, d)
}

/// The register's bits: sign or zero extended from the type, as the ISA asks for wider registers.
fn extend(number: i128, d: Ty) -> u64 {
    match d {
        Ty::U8 => u64::from(number as u8),
        Ty::U16 => u64::from(number as u16),
        Ty::U32 => u64::from(number as u32),
        Ty::S8 => number as i8 as i64 as u64,
        Ty::S16 => number as i16 as i64 as u64,
        Ty::S32 => number as i32 as i64 as u64,
        _ => number as u64,
    }
}

fn rounded(x: f64, mode: u32) -> f64 {
    match mode {
        0 => integral::<0>(x),
        1 => integral::<1>(x),
        2 => integral::<2>(x),
        _ => integral::<3>(x),
    }
}

#[allow(clippy::manual_clamp)] // `clamp` would keep a NaN
fn real(value: Value, d: Ty, mode: u32, flags: u32) -> u64 {
    let value = match value {
        Value::Real(x) if flags & flag::INTEGRAL != 0 => Value::Real(rounded(x, mode)),
        other => other,
    };
    let value = match value {
        Value::Real(x) if flags & flag::SAT != 0 => Value::Real(x.max(0.0).min(1.0) + 0.0),
        Value::Real(x) if flags & flag::RELU != 0 && x <= 0.0 => Value::Real(0.0),
        Value::Int(x) if flags & flag::SAT != 0 => Value::Int(x.clamp(0, 1)),
        other => other,
    };
    match d {
        Ty::F64 => match value {
            Value::Real(x) => x.to_bits(),
            Value::Int(x) => by_mode64(x, mode).to_bits(),
        },
        Ty::F32 => {
            let x = match value {
                Value::Real(x) => by_mode_narrow(x, mode),
                Value::Int(x) => by_mode32(x, mode),
            };
            let x = if flags & flag::FTZ != 0 { flush::<true>(x) } else { x };
            u64::from(match value {
                Value::Real(wide) if x.is_nan() && flags & flag::WIDE != 0 => (wide as f32).to_bits() | 0x7fc0_0000,
                _ if x.is_nan() => NAN32,
                _ => x.to_bits(),
            })
        }
        _ => {
            let x = match value {
                Value::Real(x) => x,
                Value::Int(x) => odd(x),
            };
            let bits = match d {
                _ if x.is_nan() && flags & flag::WIDE != 0 => wide_nan(x, d),
                Ty::Bf16 => narrow16::<Bf16>(x, mode),
                _ => narrow16::<F16>(x, mode),
            };
            u64::from(if flags & flag::FINITE != 0 {
                finite(bits, d)
            } else {
                bits
            })
        }
    }
}

/// An integer as f64, rounded to odd where it does not fit, so that a second rounding is correct.
fn odd(x: i128) -> f64 {
    let value = x as f64;
    let error = x - value as i128;
    to_odd(value, error as f64)
}

fn wide_nan(x: f64, d: Ty) -> u16 {
    let bits = (x as f32).to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    match d {
        Ty::Bf16 => (bits >> 16) as u16 | 0x7fc0,
        _ => sign | 0x7e00 | (bits >> 13) as u16 & 0x3ff,
    }
}

fn finite(bits: u16, d: Ty) -> u16 {
    let infinity = if d == Ty::Bf16 { 0x7f80 } else { 0x7c00 };
    if bits & 0x7fff == infinity {
        bits - 1
    } else {
        bits
    }
}

fn by_mode_narrow(x: f64, mode: u32) -> f32 {
    match mode {
        0 => narrow::<0>(x),
        1 => narrow::<1>(x),
        2 => narrow::<2>(x),
        _ => narrow::<3>(x),
    }
}

fn by_mode32(x: i128, mode: u32) -> f32 {
    match mode {
        0 => int_to_f32::<0>(x),
        1 => int_to_f32::<1>(x),
        2 => int_to_f32::<2>(x),
        _ => int_to_f32::<3>(x),
    }
}

fn by_mode64(x: i128, mode: u32) -> f64 {
    match mode {
        0 => int_to_f64::<0>(x),
        1 => int_to_f64::<1>(x),
        2 => int_to_f64::<2>(x),
        _ => int_to_f64::<3>(x),
    }
}

/// f64 to 16 bits in a mode: the nearest value, then its neighbour on the side that the mode asks for.
pub(crate) fn narrow16<H: Half>(x: f64, mode: u32) -> u16 {
    let nearest = H::narrow64(x);
    if mode == 0 || x.is_nan() || x.is_infinite() {
        return if x.is_nan() { NAN16 } else { nearest };
    }
    let value = f64::from(H::wide(nearest));
    let (below, above) = (value < x, value > x);
    let negative = nearest & 0x8000 != 0;
    match mode {
        1 if above && !negative || below && negative => nearest - 1,
        2 if above => down(nearest),
        3 if below => down(nearest ^ 0x8000) ^ 0x8000,
        _ => nearest,
    }
}

/// The next lower value of a 16-bit float.
fn down(bits: u16) -> u16 {
    match bits {
        0 => 0x8001,
        _ if bits & 0x8000 != 0 => bits + 1,
        _ => bits - 1,
    }
}
