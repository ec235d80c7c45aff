//! Argument values as the C ABI hands them over, in safe form: what `abi/` reads from `wb_value` and `bind/` checks.
//! Nothing here knows manifests or devices.

use crate::dtype::DlDtype;

/// One argument of a call.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Value<'a> {
    /// Omitted, or an output to be inferred.
    None,
    Int(i64),
    /// For values above `i64::MAX`.
    UInt(u64),
    Float(f64),
    Bool(bool),
    Tensor(Tensor<'a>),
    /// A by-value struct of an entry.
    Bytes(&'a [u8]),
    /// A short host sequence for an inline array.
    Numbers(&'a [f64]),
    /// The bytes of a tensor map, and the array it describes.
    TensorMap(&'a [u8; 128], Tensor<'a>),
}

/// A DLPack tensor, borrowed for one call.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Address of the first element, `byte_offset` included.
    pub address: u64,
    /// DLPack device type: 1 CPU, 2 CUDA, 3 CUDA pinned host, 13 CUDA managed.
    pub device_type: i32,
    /// Number among devices of its type.
    pub device_id: i32,
    /// Element type.
    pub dtype: DlDtype,
    /// Elements per dimension; none is negative.
    pub shape: &'a [i64],
    /// In elements; `None` means C-contiguous.
    pub strides: Option<&'a [i64]>,
    /// Whether the owner forbids writes.
    pub read_only: bool,
}

impl Value<'_> {
    /// What the value is, for error texts.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::None => "missing".into(),
            Self::Int(v) => format!("the integer {v}"),
            Self::UInt(v) => format!("the integer {v}"),
            Self::Float(v) => format!("the float {}", float_text(*v)),
            Self::Bool(v) => format!("the bool {v}"),
            Self::Tensor(_) => "an array".into(),
            Self::Bytes(v) => format!("{} bytes", v.len()),
            Self::Numbers(v) => format!("a sequence of {} numbers", v.len()),
            Self::TensorMap(..) => "a tensor map".into(),
        }
    }
    /// The array that the kernel can reach through it.
    #[must_use]
    pub fn tensor(&self) -> Option<&Tensor<'_>> {
        match self {
            Self::Tensor(tensor) | Self::TensorMap(_, tensor) => Some(tensor),
            _ => None,
        }
    }
}

impl Tensor<'_> {
    /// Number of elements; `None` when it overflows.
    #[must_use]
    pub fn elements(&self) -> Option<u64> {
        self.shape
            .iter()
            .try_fold(1u64, |n, &d| n.checked_mul(u64::try_from(d).ok()?))
    }
    /// Length in bytes if the tensor is C-contiguous; `None` when it overflows.
    #[must_use]
    pub fn contiguous_bytes(&self) -> Option<u64> {
        let item = u64::from(self.dtype.bits)
            .checked_mul(u64::from(self.dtype.lanes))?
            .div_ceil(8);
        self.elements()?.checked_mul(item)
    }
    /// Whether elements follow each other in row-major order.
    #[must_use]
    pub fn is_c_contiguous(&self) -> bool {
        let Some(strides) = self.strides else { return true };
        if self.shape.contains(&0) {
            return true;
        }
        let mut expected = 1i64;
        for (&size, &stride) in self.shape.iter().zip(strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected = expected.saturating_mul(size);
        }
        true
    }
    /// The bytes from the lowest to the highest element, as (offset from `address`, length); for entries, which take
    /// any layout. `None` when it overflows.
    #[must_use]
    pub fn extent(&self) -> Option<(i64, u64)> {
        let item = u64::from(self.dtype.bits)
            .checked_mul(u64::from(self.dtype.lanes))?
            .div_ceil(8);
        let Some(strides) = self.strides else {
            return Some((0, self.contiguous_bytes()?));
        };
        if self.shape.contains(&0) {
            return Some((0, 0));
        }
        let (mut low, mut high) = (0i64, 0i64);
        for (&size, &stride) in self.shape.iter().zip(strides) {
            let reach = (size - 1).checked_mul(stride)?;
            low = low.checked_add(reach.min(0))?;
            high = high.checked_add(reach.max(0))?;
        }
        let item = i64::try_from(item).ok()?;
        let length = high.checked_sub(low)?.checked_add(1)?.checked_mul(item)?;
        Some((low.checked_mul(item)?, u64::try_from(length).ok()?))
    }
}

/// A float as Python prints it, nearly: `2.0`, `1e39`, `inf`, `nan`.
#[must_use]
pub fn float_text(value: f64) -> String {
    format!("{value:?}").to_lowercase()
}

/// A shape or strides as Python writes a tuple.
#[must_use]
pub fn tuple_text(items: &[i64]) -> String {
    match items {
        [one] => format!("({one},)"),
        _ => format!("({})", items.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor<'a>(shape: &'a [i64], strides: Option<&'a [i64]>) -> Tensor<'a> {
        let dtype = DlDtype {
            code: 2,
            bits: 32,
            lanes: 1,
        };
        Tensor {
            address: 64,
            device_type: 1,
            device_id: 0,
            dtype,
            shape,
            strides,
            read_only: false,
        }
    }

    #[test]
    fn contiguity_ignores_strides_of_single_elements() {
        assert!(tensor(&[2, 3], None).is_c_contiguous());
        assert!(tensor(&[1, 3], Some(&[77, 1])).is_c_contiguous());
        assert!(tensor(&[0, 3], Some(&[5, 5])).is_c_contiguous());
        assert!(!tensor(&[2, 3], Some(&[1, 2])).is_c_contiguous());
    }

    #[test]
    fn extent_covers_negative_strides() {
        assert_eq!(tensor(&[4], Some(&[-1])).extent(), Some((-12, 16)));
        assert_eq!(tensor(&[2, 3], Some(&[6, 2])).extent(), Some((0, 44)));
        assert_eq!(tensor(&[2, 3], None).extent(), Some((0, 24)));
    }

    #[test]
    fn tuple_text_is_pythons() {
        assert_eq!(tuple_text(&[]), "()");
        assert_eq!(tuple_text(&[4]), "(4,)");
        assert_eq!(tuple_text(&[4, 2]), "(4, 2)");
    }
}
