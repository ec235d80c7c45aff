//! Moving a box: row by row along the innermost dimension, in shared memory one behind the other, permuted in pieces of 16
//! bytes where the map swizzles (ISA 5.5.7). What lies outside the tensor is filled by loads and dropped by stores.

use crate::exec::copies::move_bytes;
use crate::exec::reduce::Combine;
use crate::tensor_map::{MapElement, Swizzle, TensorMap};

/// What floats outside the tensor read as, as H200s fill every float type.
const NAN: [u8; 2] = 0x7ff7u16.to_le_bytes();
/// Bytes that a swizzle keeps together.
const PIECE: usize = 16;
/// Most bytes of a row: 256 elements of 8 bytes.
const MOST_ROW: usize = 2048;

/// A box of a tensor, and its place in shared memory. Both were checked when the copy was issued.
#[derive(Clone, Debug)]
pub(crate) struct TensorBox {
    map: TensorMap,
    /// The box's first element, innermost dimension first.
    start: [i64; 5],
    /// Host address in shared memory.
    shared: usize,
    /// Offset in shared memory, which the swizzle follows.
    offset: u32,
}

/// Where a row's part inside the tensor is; none for a row outside.
pub(crate) struct Row {
    /// Host address.
    pub address: usize,
    /// Bytes of the row in front of it, and bytes of it.
    pub skip: usize,
    pub bytes: usize,
}

/// Elements that a copy moves in each dimension.
fn counts(map: &TensorMap) -> [u32; 5] {
    std::array::from_fn(|d| match d {
        // Without interleaving the innermost dimension has no stride.
        0 => map.box_sizes[0],
        _ if d < map.rank as usize => map.box_sizes[d].div_ceil(map.element_strides[d]),
        _ => 1,
    })
}

/// Bytes of a box in shared memory: what the mbarrier is told, whatever lies outside the tensor.
pub(crate) fn bytes(map: &TensorMap) -> u64 {
    let elements = counts(map).iter().map(|c| u64::from(*c)).product::<u64>();
    elements * u64::from(map.element.bytes())
}

impl TensorBox {
    pub(crate) fn new(map: TensorMap, start: [i64; 5], shared: usize, offset: u32) -> Self {
        Self {
            map,
            start,
            shared,
            offset,
        }
    }

    fn row_bytes(&self) -> usize {
        (self.map.box_sizes[0] * self.map.element.bytes()) as usize
    }

    /// Global memory from the first to behind the last byte of the box inside the tensor: address and length.
    pub(crate) fn reach(&self) -> Option<(u128, u128)> {
        let map = &self.map;
        let element = u128::from(map.element.bytes());
        let (mut low, mut high) = (u128::from(map.address), u128::from(map.address) + element);
        for (d, count) in counts(map).into_iter().enumerate().take(map.rank as usize) {
            let (step, stride) = match d {
                0 => (1, element),
                _ => (i64::from(map.element_strides[d]), u128::from(map.strides[d - 1])),
            };
            let places = (0..i64::from(count)).map(|n| self.start[d] + n * step);
            let mut inside = places.filter_map(|at| u64::try_from(at).ok().filter(|at| *at < map.sizes[d]));
            let first = inside.next()?;
            low += u128::from(first) * stride;
            high += u128::from(inside.next_back().unwrap_or(first)) * stride;
        }
        Some((low, high - low))
    }

    /// Calls `f` with each row's offset in the box and its part inside the tensor, in the order of shared memory.
    pub(crate) fn rows(&self, mut f: impl FnMut(usize, Option<Row>)) {
        let counts = counts(&self.map);
        let mut index = [0u32; 5];
        for number in 0..counts[1..].iter().product::<u32>() as usize {
            f(number * self.row_bytes(), self.row(&index));
            for d in 1..5 {
                index[d] += 1;
                if index[d] < counts[d] {
                    break;
                }
                index[d] = 0;
            }
        }
    }

    fn row(&self, index: &[u32; 5]) -> Option<Row> {
        let map = &self.map;
        let mut address = map.address;
        for d in 1..map.rank as usize {
            let at = self.start[d] + i64::from(index[d] * map.element_strides[d]);
            let at = u64::try_from(at).ok().filter(|at| *at < map.sizes[d])?;
            // Only a row inside the tensor was found to have an address: what others add up to is not looked at.
            address = address.wrapping_add(at.wrapping_mul(map.strides[d - 1]));
        }
        let size = i64::try_from(map.sizes[0]).unwrap_or(i64::MAX);
        let first = self.start[0].max(0);
        let end = size.min(self.start[0] + i64::from(map.box_sizes[0]));
        let element = i64::from(map.element.bytes());
        (first < end).then(|| Row {
            address: (address as i64 + first * element) as usize,
            skip: ((first - self.start[0]) * element) as usize,
            bytes: ((end - first) * element) as usize,
        })
    }

    /// Global to shared.
    pub(crate) fn load(&self) {
        let mut buffer = [0u8; MOST_ROW];
        let bytes = self.row_bytes();
        self.rows(|at, row| {
            let buffer = &mut buffer[..bytes];
            self.fill(buffer);
            if let Some(row) = row {
                move_bytes(row.address, buffer[row.skip..].as_mut_ptr() as usize, row.bytes);
                convert(self.map.element, &mut buffer[row.skip..row.skip + row.bytes]);
            }
            self.pieces(at, bytes, |shared, piece, length| {
                move_bytes(buffer[piece..].as_ptr() as usize, shared, length);
            });
        });
    }

    /// Shared to global, or into what is there.
    pub(crate) fn store(&self, combine: Option<Combine>) {
        let mut buffer = [0u8; MOST_ROW];
        let bytes = self.row_bytes();
        self.rows(|at, row| {
            let Some(row) = row else { return };
            self.pieces(at, bytes, |shared, piece, length| {
                move_bytes(shared, buffer[piece..].as_mut_ptr() as usize, length);
            });
            let from = buffer[row.skip..].as_ptr() as usize;
            match combine {
                None => move_bytes(from, row.address, row.bytes),
                Some(combine) => combine(row.address, from, row.bytes),
            }
        });
    }

    fn fill(&self, row: &mut [u8]) {
        if self.map.nan_fill {
            row.chunks_exact_mut(2).for_each(|half| half.copy_from_slice(&NAN));
        } else {
            row.fill(0);
        }
    }

    /// Host address in shared memory, offset in the row, and bytes of each piece of a row that stays together.
    fn pieces(&self, at: usize, bytes: usize, mut f: impl FnMut(usize, usize, usize)) {
        if self.map.swizzle == Swizzle::None {
            return f(self.shared + at, 0, bytes);
        }
        let bits = self.map.swizzle as u32;
        for piece in (0..bytes).step_by(PIECE) {
            let linear = self.offset as usize + at + piece;
            let swizzled = linear ^ (linear >> 7 & ((1 << bits) - 1)) << 4;
            f(self.shared + swizzled - self.offset as usize, piece, PIECE);
        }
    }
}

/// What some types do to elements on their way into shared memory.
fn convert(element: MapElement, bytes: &mut [u8]) {
    let (flush, round) = match element {
        MapElement::F32Ftz => (true, false),
        MapElement::Tf32 => (false, true),
        MapElement::Tf32Ftz => (true, true),
        _ => return,
    };
    for word in bytes.chunks_exact_mut(4) {
        let mut bits = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let exponent = bits >> 23 & 0xff;
        if flush && exponent == 0 {
            bits &= 1 << 31;
        }
        if round && exponent != 0xff {
            bits = round_tf32(bits);
        }
        word.copy_from_slice(&bits.to_le_bytes());
    }
}

/// To the nearest of 10 bits of mantissa, ties to even.
fn round_tf32(bits: u32) -> u32 {
    let tie = bits >> 13 & 1;
    (bits + 0xfff + tie) & !0x1fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_tf32_goes_to_the_nearest_and_ties_to_even() {
        let rounded = [0x3f80_1000, 0x3f80_1001, 0x3f80_3000, 0x3fff_ffff, 0xbf80_1000].map(round_tf32);
        assert_eq!(
            rounded,
            [0x3f80_0000, 0x3f80_2000, 0x3f80_4000, 0x4000_0000, 0xbf80_0000]
        );
    }
}
