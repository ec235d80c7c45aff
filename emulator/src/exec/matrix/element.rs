//! Matrix elements: their size, and their values from bits. Floats become f32 exactly, f64 stays, integers become i32.

use crate::num::half::{bf16_to_f32, f16_to_f32};

/// Types of matrix elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    Bf16,
    Tf32,
    F32,
    F64,
    E4m3,
    E5m2,
    U8,
    S8,
    U4,
    S4,
    B1,
    S32,
}

/// Every element type once: text, value, bits.
const ELEMENTS: [(&str, Element, u32); 13] = [
    ("f16", Element::F16, 16),
    ("bf16", Element::Bf16, 16),
    ("tf32", Element::Tf32, 32),
    ("f32", Element::F32, 32),
    ("f64", Element::F64, 64),
    ("e4m3", Element::E4m3, 8),
    ("e5m2", Element::E5m2, 8),
    ("u8", Element::U8, 8),
    ("s8", Element::S8, 8),
    ("u4", Element::U4, 4),
    ("s4", Element::S4, 4),
    ("b1", Element::B1, 1),
    ("s32", Element::S32, 32),
];

impl Element {
    /// From the text behind the dot.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        ELEMENTS.iter().find(|row| row.0 == text).map(|row| row.1)
    }

    pub(crate) fn bits(self) -> u32 {
        ELEMENTS.iter().find(|row| row.1 == self).map_or(32, |row| row.2)
    }

    /// Elements of one register; registers have 32 bits, those of f64 have 64.
    pub(crate) fn per_register(self) -> u32 {
        if self == Element::F64 {
            1
        } else {
            32 / self.bits()
        }
    }

    pub(crate) fn is_float(self) -> bool {
        !matches!(
            self,
            Element::U8 | Element::S8 | Element::U4 | Element::S4 | Element::B1 | Element::S32
        )
    }

    /// Element `number` of a register, as f32.
    #[inline(always)]
    pub(crate) fn real(self, register: u32, number: u32) -> f32 {
        match self {
            Element::F16 => f16_to_f32((register >> (16 * number)) as u16),
            Element::Bf16 => bf16_to_f32((register >> (16 * number)) as u16),
            // The lower 13 bits of a tf32 are not looked at.
            Element::Tf32 => f32::from_bits(register & !0x1fff),
            Element::E4m3 => e4m3((register >> (8 * number)) as u8),
            Element::E5m2 => f16_to_f32(((register >> (8 * number)) as u16) << 8),
            _ => f32::from_bits(register),
        }
    }

    /// Element `number` of a register, as an integer.
    #[inline(always)]
    pub(crate) fn integer(self, register: u32, number: u32) -> i32 {
        match self {
            Element::U8 => i32::from((register >> (8 * number)) as u8),
            Element::S8 => i32::from((register >> (8 * number)) as i8),
            Element::U4 => (register >> (4 * number) & 15) as i32,
            Element::S4 => (register << (28 - 4 * number)) as i32 >> 28,
            Element::B1 => (register >> number & 1) as i32,
            _ => register as i32,
        }
    }
}

/// FP8 with 4 bits of exponent, 3 of mantissa, no infinity.
#[inline(always)]
pub(crate) fn e4m3(bits: u8) -> f32 {
    if bits & 0x7f == 0x7f {
        return f32::NAN;
    }
    // As half precision with a smaller bias: the difference is a power of two.
    let half = u16::from(bits & 0x80) << 8 | u16::from(bits & 0x7f) << 7;
    f16_to_f32(half) * 256.0
}
