//! The 8-bit formats e4m3 and e5m2 (ISA 5.2.3), and what `cvt` does on the way to and from them.

use super::half::{f32_to_f16, Half, F16, NAN16};

/// NaN of both formats.
const NAN8: u8 = 0x7f;

/// e4m3: 4 bits of exponent, bias 7, no infinity.
pub(crate) const E4M3: Format = Format {
    mantissa: 3,
    bias: 7,
    largest: 0x7e,
};
/// e5m2: the upper byte of an f16.
pub(crate) const E5M2: Format = Format {
    mantissa: 2,
    bias: 15,
    largest: 0x7b,
};

/// An 8-bit format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    mantissa: i32,
    bias: i32,
    largest: u8,
}

impl Format {
    /// Nearest even, what is too large (infinity too) becomes the largest number; NaN stays one.
    pub(crate) fn narrow(self, x: f32) -> u8 {
        if x.is_nan() {
            return NAN8;
        }
        let sign = (x.to_bits() >> 24) as u8 & 0x80;
        let magnitude = f64::from(x.abs());
        // The exponent field of an f64 is exact for every f32; numbers below the normal range share its least exponent.
        let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(1 - self.bias);
        let unit = 2f64.powi(exponent - self.mantissa);
        let steps = (magnitude / unit).round_ties_even() as u32;
        // A carry out of the mantissa raises the exponent by itself.
        let code = steps.saturating_add(((exponent + self.bias - 1) as u32) << self.mantissa);
        sign | code.min(u32::from(self.largest)) as u8
    }

    /// To f16, exactly.
    pub(crate) fn widen(self, bits: u8) -> u16 {
        if self.mantissa == E5M2.mantissa {
            let wide = u16::from(bits) << 8;
            return if wide & 0x7fff > F16::INFINITY { NAN16 } else { wide };
        }
        if bits & 0x7f == NAN8 {
            return NAN16;
        }
        let exponent = i32::from(bits >> self.mantissa & 15);
        let fraction = f32::from(bits & 7);
        let unit = |e: i32| 2f32.powi(e - self.bias - self.mantissa);
        let value = if exponent == 0 {
            fraction * unit(1)
        } else {
            (fraction + 8.0) * unit(exponent)
        };
        u16::from(bits & 0x80) << 8 | f32_to_f16(value)
    }
}
