//! The fundamental types of PTX (ISA 5.2) and the packed ones that instructions name.

/// A type as written behind a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    Pred,
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
    U16x2,
    S16x2,
    E4m3x2,
    E5m2x2,
}

/// What the bits of a type mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Pred,
    Bits,
    Unsigned,
    Signed,
    Float,
}

/// Every type once: text, value, bytes, class.
const TYPES: [(&str, Ty, u32, Class); 25] = [
    ("pred", Ty::Pred, 4, Class::Pred),
    ("b8", Ty::B8, 1, Class::Bits),
    ("b16", Ty::B16, 2, Class::Bits),
    ("b32", Ty::B32, 4, Class::Bits),
    ("b64", Ty::B64, 8, Class::Bits),
    ("b128", Ty::B128, 16, Class::Bits),
    ("u8", Ty::U8, 1, Class::Unsigned),
    ("u16", Ty::U16, 2, Class::Unsigned),
    ("u32", Ty::U32, 4, Class::Unsigned),
    ("u64", Ty::U64, 8, Class::Unsigned),
    ("s8", Ty::S8, 1, Class::Signed),
    ("s16", Ty::S16, 2, Class::Signed),
    ("s32", Ty::S32, 4, Class::Signed),
    ("s64", Ty::S64, 8, Class::Signed),
    ("f16", Ty::F16, 2, Class::Float),
    ("f16x2", Ty::F16x2, 4, Class::Float),
    ("bf16", Ty::Bf16, 2, Class::Float),
    ("bf16x2", Ty::Bf16x2, 4, Class::Float),
    ("tf32", Ty::Tf32, 4, Class::Float),
    ("f32", Ty::F32, 4, Class::Float),
    ("f64", Ty::F64, 8, Class::Float),
    ("u16x2", Ty::U16x2, 4, Class::Unsigned),
    ("s16x2", Ty::S16x2, 4, Class::Signed),
    ("e4m3x2", Ty::E4m3x2, 2, Class::Float),
    ("e5m2x2", Ty::E5m2x2, 2, Class::Float),
];

impl Ty {
    /// From the text behind the dot.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        TYPES.iter().find(|row| row.0 == text).map(|row| row.1)
    }

    /// The inverse of `as u32`.
    pub(crate) fn from_number(number: u32) -> Self {
        TYPES
            .iter()
            .map(|row| row.1)
            .find(|ty| *ty as u32 == number)
            .unwrap_or(Self::B32)
    }

    fn row(self) -> &'static (&'static str, Self, u32, Class) {
        TYPES.iter().find(|row| row.1 == self).unwrap_or(&TYPES[0])
    }

    /// As written behind the dot.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// Size in memory.
    pub(crate) fn bytes(self) -> u32 {
        self.row().2
    }

    /// Size of one lane in the register file: 8-bit registers are kept in 16 bits.
    pub(crate) fn lane_bytes(self) -> u32 {
        self.bytes().max(2)
    }

    /// See [`Class`].
    pub(crate) fn class(self) -> Class {
        self.row().3
    }

    /// Whether values are two's complement numbers.
    pub(crate) fn is_signed(self) -> bool {
        self.class() == Class::Signed
    }

    /// Whether values are floating point numbers.
    pub(crate) fn is_float(self) -> bool {
        self.class() == Class::Float
    }
}
