//! Packed conversions (ISA 9.7.9.21): two f32 to f16x2 or bf16x2, two values to e4m3x2 or e5m2x2 and back, tf32.

use super::{binary, has, types, unary, unsupported};
use crate::decode::lower::{Lower, Lowered};
use crate::exec::convert::narrow16;
use crate::exec::lanes::{bin, un};
use crate::num::fp8::{E4M3, E5M2};
use crate::num::half::{f16_to_f32, Bf16, Half, F16};
use crate::ptx::tree::Instruction;
use crate::ptx::types::Ty;

#[inline(always)]
fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// `.relu`: negative values and -0 become 0; NaN stays one.
#[inline(always)]
fn positive<const RELU: bool>(x: f32) -> f32 {
    if RELU && x <= 0.0 {
        0.0
    } else {
        x
    }
}

fn half<H: Half, const ZERO: bool, const RELU: bool, const FINITE: bool>(x: f32) -> u16 {
    let x = positive::<RELU>(x);
    let bits = if ZERO {
        narrow16::<H>(f64::from(x), 1)
    } else {
        H::narrow(x)
    };
    // `.satfinite`: the number below infinity.
    if FINITE && bits & 0x7fff == H::INFINITY {
        bits - 1
    } else {
        bits
    }
}

/// `cvt.rn.f16x2.f32 d, a, b`: a becomes the upper half.
pub(crate) fn halves<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let list = types(i);
    macro_rules! pair {
        ($h:ty, $zero:literal) => {
            match (has(i, "relu"), has(i, "satfinite")) {
                (false, false) => pair!($h, $zero, false, false),
                (false, true) => pair!($h, $zero, false, true),
                (true, false) => pair!($h, $zero, true, false),
                (true, true) => pair!($h, $zero, true, true),
            }
        };
        ($h:ty, $zero:literal, $relu:literal, $finite:literal) => {
            bin(|a: f32, b: f32| {
                join(
                    half::<$h, $zero, $relu, $finite>(a),
                    half::<$h, $zero, $relu, $finite>(b),
                )
            })
        };
    }
    let run = match (list[0], has(i, "rz")) {
        (Ty::F16x2, false) => pair!(F16, false),
        (Ty::F16x2, true) => pair!(F16, true),
        (Ty::Bf16x2, false) => pair!(Bf16, false),
        (Ty::Bf16x2, true) => pair!(Bf16, true),
        _ => return Err(unsupported(i)),
    };
    binary(l, i, run, (list[0], Ty::F32, Ty::F32))
}

fn bytes<const WIDE: bool, const RELU: bool>(high: f32, low: f32) -> u16 {
    let format = if WIDE { E5M2 } else { E4M3 };
    let byte = |x: f32| u16::from(format.narrow(positive::<RELU>(x)));
    byte(high) << 8 | byte(low)
}

fn upper(a: u32) -> f32 {
    f16_to_f32((a >> 16) as u16)
}

fn lower(a: u32) -> f32 {
    f16_to_f32(a as u16)
}

/// `cvt.rn.satfinite{.relu}.{e4m3x2,e5m2x2}.{f32,f16x2}`.
pub(crate) fn to_bytes<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let (wide, relu) = (has(i, "e5m2x2"), has(i, "relu"));
    if has(i, "f32") {
        let run = match (wide, relu) {
            (false, false) => bin(bytes::<false, false>),
            (false, true) => bin(bytes::<false, true>),
            (true, false) => bin(bytes::<true, false>),
            (true, true) => bin(bytes::<true, true>),
        };
        return binary(l, i, run, (Ty::B16, Ty::F32, Ty::F32));
    }
    let run = match (wide, relu) {
        (false, false) => un(|a: u32| bytes::<false, false>(upper(a), lower(a))),
        (false, true) => un(|a: u32| bytes::<false, true>(upper(a), lower(a))),
        (true, false) => un(|a: u32| bytes::<true, false>(upper(a), lower(a))),
        (true, true) => un(|a: u32| bytes::<true, true>(upper(a), lower(a))),
    };
    unary(l, i, run, Ty::B16, Ty::F16x2)
}

fn widened<const WIDE: bool, const RELU: bool>(a: u16) -> u32 {
    let format = if WIDE { E5M2 } else { E4M3 };
    let one = |byte: u16| {
        let bits = format.widen(byte as u8);
        if RELU && bits & 0x8000 != 0 {
            0
        } else {
            bits
        }
    };
    join(one(a >> 8), one(a & 0xff))
}

/// `cvt.rn{.relu}.f16x2.{e4m3x2,e5m2x2}`.
pub(crate) fn from_bytes<'t>(l: &mut Lower<'_, 't>, i: &Instruction<'t>) -> Lowered<()> {
    let run = match (has(i, "e5m2x2"), has(i, "relu")) {
        (false, false) => un(widened::<false, false>),
        (false, true) => un(widened::<false, true>),
        (true, false) => un(widened::<true, false>),
        (true, true) => un(widened::<true, true>),
    };
    unary(l, i, run, Ty::F16x2, Ty::B16)
}
