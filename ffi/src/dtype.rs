//! Element types: their names in manifests, their DLPack codes, their widths, and how a number is written in one.
//! One table; everything else asks it.

use serde::Serialize;

/// The DLPack `DLDataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlDtype {
    /// 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool, 7 to 17 narrow floats.
    pub code: u8,
    /// Width of one lane.
    pub bits: u8,
    /// Lanes; 1 for scalars.
    pub lanes: u16,
}

/// What the bits of a [`DType`] mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Class {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// A float of 8 bits: an array's type only, no scalar is passed in one.
    Narrow,
    Complex,
}

/// An element type that manifests can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float16,
    Bfloat16,
    Float32,
    Float64,
    Complex64,
    Complex128,
    Float8E4m3fn,
}

/// Name, DLPack code and bits of each type.
const TABLE: [(DType, &str, u8, u8, Class); 16] = [
    (DType::Bool, "bool", 6, 8, Class::Bool),
    (DType::Int8, "int8", 0, 8, Class::Signed),
    (DType::Uint8, "uint8", 1, 8, Class::Unsigned),
    (DType::Int16, "int16", 0, 16, Class::Signed),
    (DType::Uint16, "uint16", 1, 16, Class::Unsigned),
    (DType::Int32, "int32", 0, 32, Class::Signed),
    (DType::Uint32, "uint32", 1, 32, Class::Unsigned),
    (DType::Int64, "int64", 0, 64, Class::Signed),
    (DType::Uint64, "uint64", 1, 64, Class::Unsigned),
    (DType::Float16, "float16", 2, 16, Class::Float),
    (DType::Bfloat16, "bfloat16", 4, 16, Class::Float),
    (DType::Float32, "float32", 2, 32, Class::Float),
    (DType::Float64, "float64", 2, 64, Class::Float),
    (DType::Complex64, "complex64", 5, 64, Class::Complex),
    (DType::Complex128, "complex128", 5, 128, Class::Complex),
    (DType::Float8E4m3fn, "float8_e4m3fn", 10, 8, Class::Narrow),
];

impl DType {
    fn row(self) -> &'static (DType, &'static str, u8, u8, Class) {
        &TABLE[self as usize]
    }
    /// By its name in manifests.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
    /// By its DLPack description.
    #[must_use]
    pub fn from_dlpack(dtype: DlDtype) -> Option<Self> {
        let row = TABLE.iter().find(|row| (row.2, row.3) == (dtype.code, dtype.bits))?;
        (dtype.lanes == 1).then_some(row.0)
    }
    /// Its DLPack description.
    #[must_use]
    pub fn dlpack(self) -> DlDtype {
        let row = self.row();
        DlDtype {
            code: row.2,
            bits: row.3,
            lanes: 1,
        }
    }
    /// Its name in manifests and error texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }
    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.row().3) / 8
    }
    /// What its bits mean.
    #[must_use]
    pub fn class(self) -> Class {
        self.row().4
    }
    /// Least and greatest value of an integer type.
    #[must_use]
    pub fn integer_range(self) -> Option<(i128, i128)> {
        let bits = u32::from(self.row().3);
        match self.class() {
            Class::Signed => Some((-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)),
            Class::Unsigned => Some((0, (1i128 << bits) - 1)),
            Class::Bool => Some((0, 1)),
            Class::Float | Class::Narrow | Class::Complex => None,
        }
    }
    /// `value` rounded to nearest even, in the low bits of a word; `None` for types that are not floats.
    #[must_use]
    pub fn float_word(self, value: f64) -> Option<u64> {
        match self {
            Self::Float64 => Some(value.to_bits()),
            Self::Float32 => Some(u64::from((value as f32).to_bits())),
            Self::Float16 => Some(u64::from(narrow(value, 5, 10))),
            Self::Bfloat16 => Some(u64::from(narrow(value, 8, 7))),
            _ => None,
        }
    }
    /// The little-endian bytes of an integer that [`DType::integer_range`] holds.
    #[must_use]
    pub fn integer_bytes(self, value: i128) -> Vec<u8> {
        value.to_le_bytes()[..self.bytes()].to_vec()
    }
    /// The little-endian bytes of `value` rounded to nearest even; `None` for types that are not floats.
    #[must_use]
    pub fn float_bytes(self, value: f64) -> Option<Vec<u8>> {
        let word = self.float_word(value)?;
        Some(word.to_le_bytes()[..self.bytes()].to_vec())
    }
}

impl Serialize for DType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Rounds to a 16-bit IEEE-like format, to nearest even, once: going through f32 would round twice.
fn narrow(value: f64, exponent_bits: u32, mantissa_bits: u32) -> u16 {
    let sign = ((value.to_bits() >> 63) as u16) << 15;
    let bias = (1i64 << (exponent_bits - 1)) - 1;
    let infinity = ((1u16 << exponent_bits) - 1) << mantissa_bits;
    if value.is_nan() {
        return sign | infinity | (1 << (mantissa_bits - 1));
    }
    if value.is_infinite() {
        return sign | infinity;
    }
    let magnitude = value.abs();
    let exponent = (((magnitude.to_bits() >> 52) & 0x7ff) as i64 - 1023).max(1 - bias);
    // In units of the last place this is below 2^(mantissa_bits + 1), where an f64 is exact and rounds once.
    let ulps = (magnitude * 2f64.powi((i64::from(mantissa_bits) - exponent) as i32)).round_ties_even() as u64;
    // A normal number's implicit bit adds one to the exponent field, a carry out of the mantissa another one.
    let bits = (((exponent + bias - 1) as u64) << mantissa_bits) + ulps;
    sign | u16::try_from(bits).unwrap_or(infinity).min(infinity)
}

/// The name of any DLPack type, for error texts.
#[must_use]
pub fn describe(dtype: DlDtype) -> String {
    let one = match DType::from_dlpack(DlDtype { lanes: 1, ..dtype }) {
        Some(known) => known.name().to_owned(),
        None => match NARROW.iter().find(|row| (row.0, row.1) == (dtype.code, dtype.bits)) {
            Some(narrow) => narrow.2.to_owned(),
            None => return format!("DLPack type code {} of {} bits", dtype.code, dtype.bits),
        },
    };
    match dtype.lanes {
        1 => one,
        // PyTorch's name for the only packed type there is.
        2 if one == "float4_e2m1fn" => "float4_e2m1fn_x2".into(),
        lanes => format!("{one}x{lanes}"),
    }
}

/// Code, bits and name of types that an entry can be given, while no manifest names them (dlpack.h, DLDataTypeCode).
const NARROW: [(u8, u8, &str); 8] = [
    (7, 8, "float8_e3m4"),
    (8, 8, "float8_e4m3"),
    (9, 8, "float8_e4m3b11fnuz"),
    (11, 8, "float8_e4m3fnuz"),
    (12, 8, "float8_e5m2"),
    (13, 8, "float8_e5m2fnuz"),
    (14, 8, "float8_e8m0fnu"),
    (17, 4, "float4_e2m1fn"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bits16(dtype: DType, value: f64) -> u16 {
        let bytes = dtype.float_bytes(value).expect("a float type");
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    #[test]
    fn table_rows_stand_in_enum_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
            assert_eq!(DType::from_name(row.1), Some(row.0));
            assert_eq!(DType::from_dlpack(row.0.dlpack()), Some(row.0));
        }
    }

    #[test]
    fn float16_rounds_to_nearest_even() {
        let cases = [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65519.999, 0x7bff),
            (65520.0, 0x7c00),
            (1e300, 0x7c00),
            (f64::INFINITY, 0x7c00),
            (5.960464477539063e-8, 0x0001),
            (2.980232238769531e-8, 0x0000),
            (2.980_232_238_769_532e-8, 0x0001),
            (6.103515625e-5, 0x0400),
            (6.1e-5, 0x03ff),
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
        ];
        for (value, expected) in cases {
            assert_eq!(bits16(DType::Float16, value), expected, "{value:e}");
        }
        assert_eq!(bits16(DType::Float16, f64::NAN) & 0x7fff, 0x7e00);
    }

    #[test]
    fn bfloat16_rounds_to_nearest_even() {
        let cases = [
            (1.0, 0x3f80),
            (-1.5, 0xbfc0),
            (1.0 + 1.0 / 256.0, 0x3f80),
            (3.4e38, 0x7f80),
            (1e-40, 0x0001),
        ];
        for (value, expected) in cases {
            assert_eq!(bits16(DType::Bfloat16, value), expected, "{value:e}");
        }
    }

    #[test]
    fn describe_names_unknown_types_by_code() {
        assert_eq!(
            describe(DlDtype {
                code: 2,
                bits: 32,
                lanes: 4
            }),
            "float32x4"
        );
        assert_eq!(
            describe(DlDtype {
                code: 10,
                bits: 8,
                lanes: 1
            }),
            "float8_e4m3fn"
        );
        assert_eq!(
            describe(DlDtype {
                code: 17,
                bits: 4,
                lanes: 2
            }),
            "float4_e2m1fn_x2"
        );
        assert_eq!(
            describe(DlDtype {
                code: 3,
                bits: 64,
                lanes: 1
            }),
            "DLPack type code 3 of 64 bits"
        );
    }
}
