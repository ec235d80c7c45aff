//! f16 and bf16 as bit patterns, each rounded once. f16 arithmetic goes through f32, which has more than twice the
//! bits, so that rounding twice is rounding once; `fma` goes through f64, rounded to odd.

use super::float::{sum_error, to_odd};

/// A 16-bit format.
pub(crate) trait Half: Copy + 'static {
    /// The bits of infinity.
    const INFINITY: u16;
    /// To f32, exactly.
    fn wide(bits: u16) -> f32;
    /// Nearest even.
    fn narrow(x: f32) -> u16;
    /// Nearest even from f64, once.
    fn narrow64(x: f64) -> u16;
}

/// IEEE half precision.
#[derive(Clone, Copy)]
pub(crate) struct F16;
/// The upper half of an f32.
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

/// The NaN of 16-bit arithmetic.
pub(crate) const NAN16: u16 = 0x7fff;

#[inline(always)]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let exponent = magnitude & 0x0f80_0000;
    let normal = magnitude + 0x3800_0000;
    // Infinity and NaN keep all exponent bits; subnormals are scaled by an exact subtraction.
    let value = if exponent == 0x0f80_0000 {
        normal + 0x3800_0000
    } else if exponent == 0 {
        (f32::from_bits(magnitude + 0x3880_0000) - f32::from_bits(0x3880_0000)).to_bits()
    } else {
        normal
    };
    f32::from_bits(value | sign)
}

/// Nearest even; overflow gives infinity.
#[inline(always)]
pub(crate) fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let rounded = if magnitude > 0x7f80_0000 {
        return NAN16;
    } else if magnitude >= 0x4780_0000 {
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Subnormal: adding one half's last place as f32 rounds as the hardware adder does.
        let shifted = f32::from_bits(magnitude) + f32::from_bits(0x3f00_0000);
        shifted.to_bits().wrapping_sub(0x3f00_0000)
    } else {
        let odd = (magnitude >> 13) & 1;
        (magnitude.wrapping_sub(0x3800_0000) + 0xfff + odd) >> 13
    };
    sign | rounded as u16
}

#[inline(always)]
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[inline(always)]
pub(crate) fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return NAN16;
    }
    let odd = (bits >> 16) & 1;
    ((bits + 0x7fff + odd) >> 16) as u16
}

/// f64 to f32, rounded to odd: a later rounding to 16 bits is correct.
#[inline(always)]
fn odd32(x: f64) -> f32 {
    let value = x as f32;
    let error = x - f64::from(value);
    let bits = value.to_bits();
    if error == 0.0 || error.is_nan() || value.is_nan() {
        return value;
    }
    if value.is_infinite() {
        return f32::from_bits(bits - 1);
    }
    if bits & 1 != 0 {
        return value;
    }
    if bits << 1 == 0 {
        return f32::from_bits((x.is_sign_negative() as u32) << 31 | 1);
    }
    if (error > 0.0) == (value > 0.0) {
        f32::from_bits(bits + 1)
    } else {
        f32::from_bits(bits - 1)
    }
}

impl Half for F16 {
    const INFINITY: u16 = 0x7c00;
    #[inline(always)]
    fn wide(bits: u16) -> f32 {
        f16_to_f32(bits)
    }
    #[inline(always)]
    fn narrow(x: f32) -> u16 {
        f32_to_f16(x)
    }
    #[inline(always)]
    fn narrow64(x: f64) -> u16 {
        f32_to_f16(odd32(x))
    }
}

impl Half for Bf16 {
    const INFINITY: u16 = 0x7f80;
    #[inline(always)]
    fn wide(bits: u16) -> f32 {
        bf16_to_f32(bits)
    }
    #[inline(always)]
    fn narrow(x: f32) -> u16 {
        f32_to_bf16(x)
    }
    #[inline(always)]
    fn narrow64(x: f64) -> u16 {
        f32_to_bf16(odd32(x))
    }
}

#[inline(always)]
fn is_subnormal16(bits: u16) -> bool {
    bits & 0x7c00 == 0
}

/// `.ftz` of f16; bf16 instructions have none.
#[inline(always)]
pub(crate) fn flush16<const FTZ: bool>(bits: u16) -> u16 {
    if FTZ && is_subnormal16(bits) {
        bits & 0x8000
    } else {
        bits
    }
}

#[inline(always)]
fn finish<const FTZ: bool, const SAT: bool, const RELU: bool, H: Half>(bits: u16) -> u16 {
    let bits = flush16::<FTZ>(bits);
    if !SAT && !RELU {
        return bits;
    }
    let x = H::wide(bits);
    if RELU && x.is_nan() {
        return NAN16;
    }
    let x = x.max(0.0) + 0.0;
    H::narrow(if SAT { x.min(1.0) } else { x })
}

/// The operations on one 16-bit value; packed ones apply them to both halves.
#[inline(always)]
pub(crate) fn add<H: Half, const FTZ: bool, const SAT: bool>(a: u16, b: u16) -> u16 {
    let (x, y) = (H::wide(flush16::<FTZ>(a)), H::wide(flush16::<FTZ>(b)));
    // bf16 sums need more than f32: exponents may be far apart.
    let (x, y) = (f64::from(x), f64::from(y));
    let s = x + y;
    finish::<FTZ, SAT, false, H>(H::narrow64(to_odd(s, sum_error(x, y, s))))
}

#[inline(always)]
pub(crate) fn sub<H: Half, const FTZ: bool, const SAT: bool>(a: u16, b: u16) -> u16 {
    add::<H, FTZ, SAT>(a, b ^ 0x8000)
}

#[inline(always)]
pub(crate) fn mul<H: Half, const FTZ: bool, const SAT: bool>(a: u16, b: u16) -> u16 {
    let (x, y) = (H::wide(flush16::<FTZ>(a)), H::wide(flush16::<FTZ>(b)));
    finish::<FTZ, SAT, false, H>(H::narrow64(f64::from(x) * f64::from(y)))
}

#[inline(always)]
pub(crate) fn fma<H: Half, const FTZ: bool, const SAT: bool, const RELU: bool>(a: u16, b: u16, c: u16) -> u16 {
    let (x, y) = (H::wide(flush16::<FTZ>(a)), H::wide(flush16::<FTZ>(b)));
    let (p, z) = (f64::from(x) * f64::from(y), f64::from(H::wide(flush16::<FTZ>(c))));
    let s = p + z;
    finish::<FTZ, SAT, RELU, H>(H::narrow64(to_odd(s, sum_error(p, z, s))))
}

/// `fma.oob`: 0 where a factor is the NaN that tensor copies put outside of the tensor. The ISA does not give its bits;
/// an H200 takes these, with either sign, for both formats.
#[inline(always)]
pub(crate) fn fma_oob<H: Half, const RELU: bool>(a: u16, b: u16, c: u16) -> u16 {
    const OUTSIDE: u16 = 0x7ff7;
    if a & 0x7fff == OUTSIDE || b & 0x7fff == OUTSIDE {
        0
    } else {
        fma::<H, false, false, RELU>(a, b, c)
    }
}

#[inline(always)]
pub(crate) fn min<H: Half, const FTZ: bool, const NAN: bool>(a: u16, b: u16) -> u16 {
    extremum::<H, FTZ, NAN>(a, b, true)
}

#[inline(always)]
pub(crate) fn max<H: Half, const FTZ: bool, const NAN: bool>(a: u16, b: u16) -> u16 {
    extremum::<H, FTZ, NAN>(a, b, false)
}

#[inline(always)]
fn extremum<H: Half, const FTZ: bool, const NAN: bool>(a: u16, b: u16, least: bool) -> u16 {
    let (a, b) = (flush16::<FTZ>(a), flush16::<FTZ>(b));
    let (x, y) = (H::wide(a), H::wide(b));
    if x.is_nan() || y.is_nan() {
        return if NAN || (x.is_nan() && y.is_nan()) {
            NAN16
        } else if x.is_nan() {
            b
        } else {
            a
        };
    }
    if x == y {
        return if (a & 0x8000 != 0) == least { a } else { b };
    }
    if (x < y) == least {
        a
    } else {
        b
    }
}

#[inline(always)]
pub(crate) fn abs<H: Half, const FTZ: bool>(a: u16) -> u16 {
    canonical::<H>(flush16::<FTZ>(a & 0x7fff))
}

#[inline(always)]
pub(crate) fn neg<H: Half, const FTZ: bool>(a: u16) -> u16 {
    canonical::<H>(flush16::<FTZ>(a ^ 0x8000))
}

#[inline(always)]
fn canonical<H: Half>(a: u16) -> u16 {
    if H::wide(a).is_nan() {
        NAN16
    } else {
        a
    }
}

/// `min.xorsign.abs`, and `max` where not `LEAST`: the magnitude of one, the product's sign.
#[inline(always)]
pub(crate) fn signed<H: Half, const FTZ: bool, const NAN: bool, const LEAST: bool>(a: u16, b: u16) -> u16 {
    let magnitude = extremum::<H, FTZ, NAN>(a & 0x7fff, b & 0x7fff, LEAST);
    if magnitude > H::INFINITY {
        NAN16
    } else {
        magnitude | (a ^ b) & 0x8000
    }
}

/// Applies an operation to both halves of a packed register.
#[inline(always)]
pub(crate) fn both1(a: u32, f: impl Fn(u16) -> u16) -> u32 {
    u32::from(f(a as u16)) | u32::from(f((a >> 16) as u16)) << 16
}

#[inline(always)]
pub(crate) fn both2(a: u32, b: u32, f: impl Fn(u16, u16) -> u16) -> u32 {
    u32::from(f(a as u16, b as u16)) | u32::from(f((a >> 16) as u16, (b >> 16) as u16)) << 16
}

#[inline(always)]
pub(crate) fn both3(a: u32, b: u32, c: u32, f: impl Fn(u16, u16, u16) -> u16) -> u32 {
    let high = f((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16);
    u32::from(f(a as u16, b as u16, c as u16)) | u32::from(high) << 16
}
