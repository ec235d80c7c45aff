//! Matrix descriptors of `wgmma` (ISA 9.7.15.5.1): where the 16-byte pieces of an operand lie in shared memory. The rules
//! are those of the H200's answers in `tests/oracle`; who reads the pieces is in `panels`.

/// Bytes of one piece: the unit in which layouts are told.
pub(crate) const PIECE: u32 = 16;
/// Shared addresses of a descriptor have 18 bits.
const ADDRESS: u32 = 0x3ffff;

/// See the module. Offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    start: u32,
    leading: u32,
    stride: u32,
    /// Rows of the swizzle pattern in front of the one that `start` counts from.
    base: u32,
    /// 1, 2, 4 or 8: those that stand side by side.
    pieces: u32,
}

impl Descriptor {
    pub(crate) fn decode(bits: u64) -> Self {
        let field = |at: u32| ((bits >> at) as u32 & 0x3fff) << 4;
        Self {
            start: field(0),
            leading: field(16),
            stride: field(32),
            base: (bits >> 49) as u32 & 7,
            // 0 none, 1 for 128 bytes, 2 for 64, 3 for 32.
            pieces: [1, 8, 4, 2][(bits >> 62) as usize],
        }
    }

    /// The shared address of piece `piece` along K of row `row` (of A, or column of B) of an operand that K runs through.
    #[inline(always)]
    pub(crate) fn along_k(&self, row: u32, piece: u32) -> u32 {
        let (group, inside) = (row / 8 * self.stride, row % 8 * self.pieces * PIECE);
        let (atom, rest) = (piece / self.pieces * self.leading, piece % self.pieces * PIECE);
        self.swizzled(group + inside + atom + rest)
    }

    /// The shared address of piece `piece` along the other dimension, at `k`, of a transposed operand.
    #[inline(always)]
    pub(crate) fn across_k(&self, piece: u32, k: u32) -> u32 {
        // Without a swizzle the two offsets change places.
        let (group, atom) = if self.pieces == 1 {
            (self.leading, self.stride)
        } else {
            (self.stride, self.leading)
        };
        let (row, rest) = (k % 8 * self.pieces * PIECE, piece % self.pieces * PIECE);
        self.swizzled(k / 8 * group + piece / self.pieces * atom + row + rest)
    }

    /// The pattern is one of addresses, not of offsets: bits 4 to 6 change with bits 7 to 9.
    #[inline(always)]
    fn swizzled(&self, offset: u32) -> u32 {
        let address = self.start.wrapping_add(offset) & ADDRESS;
        let row = (address >> 7).wrapping_sub(self.base);
        address ^ (row & (self.pieces - 1)) << 4
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptor;

    #[test]
    fn swizzle_moves_pieces_by_the_address_bits_above_them() {
        let at_32 = Descriptor::decode(1 << 62 | 64 << 32 | (1024 + 32) >> 4);
        assert_eq!(
            [0, 1, 2].map(|row| at_32.along_k(row, 0)),
            [1056, 1024 + 128 + 48, 1024 + 256]
        );
    }

    #[test]
    fn base_offset_shifts_the_rows_of_the_pattern() {
        let moved = Descriptor::decode(1 << 62 | 1 << 49 | 64 << 32 | 128 >> 4);
        assert_eq!([0, 1].map(|row| moved.along_k(row, 0)), [128, 256 + 16]);
    }
}
