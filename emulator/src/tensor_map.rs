//! Tensor maps on the CPU device: 128 bytes that say how `cp.async.bulk.tensor` walks a tensor in global memory.
//!
//! A GPU's layout of these bytes is its own; ours is defined here, once, for whoever makes a map (the host, or
//! `tensormap.replace` field by field) and for whoever reads one. A magic word inside the bytes tells ours from any others.
//! Dimension 0 is the innermost, as in PTX. Nothing is checked here: makers and users do.

/// Size of a tensor map.
pub const TENSOR_MAP_BYTES: usize = 128;

/// First in every map that was made for the CPU device.
const MAGIC: [u8; 8] = *b"wbtmap\x01\xa7";

/// Element types, in the order of `tensormap.replace`'s `.elemtype` (PTX ISA, `tensormap.replace`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum MapElement {
    #[default]
    U8,
    U16,
    U32,
    S32,
    U64,
    S64,
    F16,
    F32,
    F32Ftz,
    F64,
    Bf16,
    Tf32,
    Tf32Ftz,
}

impl MapElement {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::U16,
        Self::U32,
        Self::S32,
        Self::U64,
        Self::S64,
        Self::F16,
        Self::F32,
        Self::F32Ftz,
        Self::F64,
        Self::Bf16,
        Self::Tf32,
        Self::Tf32Ftz,
    ];

    /// By the number that `tensormap.replace` gives it.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
    /// Bytes of one element in memory.
    #[must_use]
    pub fn bytes(self) -> u32 {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::S32 | Self::F32 | Self::F32Ftz | Self::Tf32 | Self::Tf32Ftz => 4,
            Self::U64 | Self::S64 | Self::F64 => 8,
        }
    }
    /// Whether elements outside the tensor may be filled with NaN.
    #[must_use]
    pub fn is_float(self) -> bool {
        !matches!(
            self,
            Self::U8 | Self::U16 | Self::U32 | Self::S32 | Self::U64 | Self::S64
        )
    }
}

/// How elements are grouped in global memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Interleave {
    #[default]
    None,
    Bytes16,
    Bytes32,
}

impl Interleave {
    /// By its number in `tensormap.replace` and in the driver.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        [Self::None, Self::Bytes16, Self::Bytes32].get(code as usize).copied()
    }
}

/// How 16-byte pieces are permuted in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Swizzle {
    #[default]
    None,
    Bytes32,
    Bytes64,
    Bytes128,
}

impl Swizzle {
    /// By its number in `tensormap.replace` and in the driver.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        let all = [Self::None, Self::Bytes32, Self::Bytes64, Self::Bytes128];
        all.get(code as usize).copied()
    }
    /// Length of a row of the pattern; `None` without one.
    #[must_use]
    pub fn span_bytes(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Bytes32 => Some(32),
            Self::Bytes64 => Some(64),
            Self::Bytes128 => Some(128),
        }
    }
}

/// What a tensor map says. Entries of dimensions from `rank` on mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TensorMap {
    /// Dimensions, 1 to 5.
    pub rank: u32,
    /// Of the tensor's elements.
    pub element: MapElement,
    /// Global address of the first element.
    pub address: u64,
    /// Elements per dimension.
    pub sizes: [u64; 5],
    /// Bytes from one index to the next of dimensions 1 to 4; elements of dimension 0 are dense.
    pub strides: [u64; 4],
    /// Elements per dimension of what one copy moves.
    pub box_sizes: [u32; 5],
    /// Every how many elements of each dimension one is moved; that of dimension 0 is ignored without interleaving.
    pub element_strides: [u32; 5],
    /// Grouping in global memory.
    pub interleave: Interleave,
    /// Permutation in shared memory.
    pub swizzle: Swizzle,
    /// Floats outside the tensor read as NaN instead of zero.
    pub nan_fill: bool,
}

impl TensorMap {
    /// The map's bytes. Box sizes above 65535 and element strides above 255, which no copy accepts, are cut to these.
    #[must_use]
    pub fn encode(&self) -> [u8; TENSOR_MAP_BYTES] {
        let mut bytes = Vec::with_capacity(TENSOR_MAP_BYTES);
        bytes.extend(MAGIC);
        let words = [self.address].into_iter().chain(self.sizes).chain(self.strides);
        bytes.extend(words.flat_map(u64::to_le_bytes));
        let cut = |v: u32| u16::try_from(v).unwrap_or(u16::MAX).to_le_bytes();
        bytes.extend(self.box_sizes.into_iter().flat_map(cut));
        let small = |v: u32| u8::try_from(v).unwrap_or(u8::MAX);
        bytes.extend(self.element_strides.map(small));
        bytes.extend([small(self.rank), self.element as u8, self.interleave as u8]);
        bytes.extend([self.swizzle as u8, u8::from(self.nan_fill)]);
        let mut out = [0; TENSOR_MAP_BYTES];
        out[..bytes.len()].copy_from_slice(&bytes);
        out
    }

    /// Reads a map. Zeros are an empty one, which device code fills in with `tensormap.replace`; `None`: not made for
    /// the CPU device.
    #[must_use]
    pub fn decode(bytes: &[u8; TENSOR_MAP_BYTES]) -> Option<Self> {
        if bytes.iter().all(|b| *b == 0) {
            return Some(Self::default());
        }
        let mut rest = bytes.strip_prefix(&MAGIC[..])?.iter().copied();
        let mut take = |count: usize| {
            let piece = rest.by_ref().take(count).enumerate();
            piece.fold(0u64, |word, (at, byte)| word | u64::from(byte) << (8 * at))
        };
        let address = take(8);
        let sizes = std::array::from_fn(|_| take(8));
        let strides = std::array::from_fn(|_| take(8));
        let box_sizes = std::array::from_fn(|_| take(2) as u32);
        let element_strides = std::array::from_fn(|_| take(1) as u32);
        Some(Self {
            rank: take(1) as u32,
            element: MapElement::from_code(take(1) as u32)?,
            address,
            sizes,
            strides,
            box_sizes,
            element_strides,
            interleave: Interleave::from_code(take(1) as u32)?,
            swizzle: Swizzle::from_code(take(1) as u32)?,
            nan_fill: take(1) != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> TensorMap {
        TensorMap {
            rank: 5,
            element: MapElement::Tf32Ftz,
            address: 0x7f12_3456_7890_abc0,
            sizes: [1 << 32, 2, 3, 4, 5],
            strides: [(1 << 40) - 16, 32, 48, 64],
            box_sizes: [256, 255, 1, 2, 3],
            element_strides: [1, 2, 3, 4, 8],
            interleave: Interleave::Bytes32,
            swizzle: Swizzle::Bytes128,
            nan_fill: true,
        }
    }

    #[test]
    fn decode_gives_back_what_encode_was_given() {
        assert_eq!(TensorMap::decode(&map().encode()), Some(map()));
        for code in 0..13 {
            let element = MapElement::from_code(code).expect("thirteen types");
            let map = TensorMap { element, ..map() };
            assert_eq!((element as u32, TensorMap::decode(&map.encode())), (code, Some(map)));
        }
    }

    #[test]
    fn decode_of_zeros_is_an_empty_map() {
        assert_eq!(TensorMap::decode(&[0; TENSOR_MAP_BYTES]), Some(TensorMap::default()));
    }

    #[test]
    fn decode_refuses_bytes_of_anything_else() {
        assert_eq!(TensorMap::decode(&[1; TENSOR_MAP_BYTES]), None);
        let mut spoilt = map().encode();
        spoilt[104] = 13;
        assert_eq!(TensorMap::decode(&spoilt), None);
    }

    #[test]
    fn encode_cuts_what_no_copy_accepts() {
        let map = TensorMap {
            box_sizes: [70_000; 5],
            element_strides: [300; 5],
            ..map()
        };
        let found = TensorMap::decode(&map.encode()).expect("our own bytes");
        assert_eq!((found.box_sizes, found.element_strides), ([65_535; 5], [255; 5]));
    }
}
