//! Sparse A of `mma.sp` (ISA 9.7.14.6): two of every four elements are stored, and metadata say which.
//! `columns` reads the metadata, whose layout sparse `wgmma` shares; `expand` makes the dense matrix.

use super::element::Element;
use super::spread::ROWS;

/// Stored elements of a row at most: half of k = 128.
pub(crate) const MOST_STORED: usize = 64;

/// What `mma.sp` has beside `mma`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sparsity {
    /// Slot of the metadata.
    pub metadata: u32,
    /// Which lanes of every four hold them.
    pub selector: u32,
}

/// How many different selectors there are for elements of type `t` and dense depth `k`: every lane of four can hold the
/// metadata, or every pair, or all four are needed.
pub(crate) fn selectors(t: Element, k: u32) -> u32 {
    4 / lanes_per_group(t, k)
}

/// Bits of metadata for a row of A: two for each stored element, for each pair of 4-bit elements, four for one of tf32.
fn bits_per_row(t: Element, k: u32) -> u32 {
    match t {
        Element::Tf32 => 2 * k,
        Element::U4 | Element::S4 => k / 2,
        _ => k,
    }
}

/// Lanes of every four that hold metadata, two rows for each four lanes.
fn lanes_per_group(t: Element, k: u32) -> u32 {
    bits_per_row(t, k) / 16
}

/// The metadata of one row: rows `r` and `r + 8` belong to lanes `4 r` to `4 r + 3`. For elements of 16 and 32 bits a
/// lane has 16 bits of each of the two rows, for smaller ones 32 bits of one row.
fn row_bits(t: Element, k: u32, selector: u32, metadata: &[u32; 32], row: u32) -> u64 {
    let lanes = lanes_per_group(t, k);
    let first = 4 * (row % 8) + selector * lanes;
    let word = |lane: u32| u64::from(metadata[(first + lane) as usize & 31]);
    let upper = row / 8;
    if t.bits() >= 16 {
        (0..lanes).fold(0, |all, lane| {
            all | (word(lane) >> (16 * upper) & 0xffff) << (16 * lane)
        })
    } else {
        (0..lanes / 2).fold(0, |all, pair| all | word(2 * pair + upper) << (32 * pair))
    }
}

/// For every stored element of every row its column in the dense matrix, for 16 rows; `k` is the dense depth.
pub(crate) fn columns(t: Element, k: u32, selector: u32, metadata: &[u32; 32]) -> [[u8; MOST_STORED]; ROWS] {
    let mut out = [[0; MOST_STORED]; ROWS];
    for (row, places) in out.iter_mut().enumerate() {
        let bits = row_bits(t, k, selector, metadata, row as u32);
        let pair = |number: u32| (bits >> (2 * number) & 3) as u8;
        for (stored, place) in (0..k / 2).zip(places.iter_mut()) {
            *place = match t {
                // One of two, named by the two 16-bit halves that it consists of.
                Element::Tf32 => (2 * stored) as u8 + pair(2 * stored) / 2,
                // Two pairs of four.
                Element::U4 | Element::S4 => {
                    let number = stored / 2;
                    ((number / 2 * 4) as u8 + pair(number)) * 2 + (stored % 2) as u8
                }
                _ => (stored / 2 * 4) as u8 + pair(stored),
            };
        }
    }
    out
}

/// The dense rows of `K` of stored rows of `K / 2`, which stand one behind the other.
#[inline(always)]
pub(crate) fn expand<T: Copy + Default, const K: usize>(
    stored: &[T],
    columns: &[[u8; MOST_STORED]; ROWS],
) -> [[T; K]; ROWS] {
    let mut out = [[T::default(); K]; ROWS];
    for (row, dense) in out.iter_mut().enumerate() {
        for (value, column) in stored[row * (K / 2)..][..K / 2].iter().zip(&columns[row]) {
            dense[usize::from(*column) % K] = *value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_halves_give_both_rows_of_a_lane_and_the_next_columns_by_the_next_lane() {
        let mut metadata = [0x4444_4444; 32];
        // Row 1 of k = 32, selector 1: lanes 6 and 7.
        (metadata[6], metadata[7]) = (0xe4e4_4e94, 0x9494_4ee4);
        let found = columns(Element::F16, 32, 1, &metadata);
        assert_eq!(found[1][..8], [0, 1, 5, 6, 10, 11, 12, 13]);
        assert_eq!(found[1][8..16], [16, 17, 22, 23, 26, 27, 28, 29]);
        assert_eq!(found[9][..8], [0, 1, 6, 7, 8, 9, 14, 15]);
        assert_eq!(found[9][8..16], [16, 17, 21, 22, 24, 25, 29, 30]);
    }

    #[test]
    fn metadata_of_bytes_give_one_row_of_a_lane() {
        let mut metadata = [0x4444_4444; 32];
        // Row 2: lanes 8 and 10; row 10: lanes 9 and 11.
        (metadata[8], metadata[9], metadata[10], metadata[11]) = (0xe, 0x9, 0xd, 0x8);
        let found = columns(Element::S8, 64, 0, &metadata);
        assert_eq!(
            (found[2][..2].to_vec(), found[2][16..18].to_vec()),
            (vec![2, 3], vec![33, 35])
        );
        assert_eq!(
            (found[10][..2].to_vec(), found[10][16..18].to_vec()),
            (vec![1, 2], vec![32, 34])
        );
    }

    #[test]
    fn metadata_of_tf32_choose_one_of_two_and_those_of_nibbles_two_pairs_of_four() {
        let found = columns(Element::Tf32, 8, 3, &[0xe44e_4e4e; 32]);
        assert_eq!(found[0][..4], [1, 2, 5, 6]);
        assert_eq!(found[8][..4], [1, 2, 4, 7]);
        let found = columns(Element::S4, 64, 1, &[0x4444_444e; 32]);
        assert_eq!(found[15][..8], [4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn selectors_follow_from_the_bits_of_a_row() {
        use Element as E;
        let shapes = [
            (E::F16, 16),
            (E::Bf16, 32),
            (E::Tf32, 8),
            (E::Tf32, 16),
            (E::U8, 32),
            (E::S8, 64),
            (E::E4m3, 64),
        ];
        assert_eq!(shapes.map(|(t, k)| selectors(t, k)), [4, 2, 4, 2, 2, 1, 1]);
        assert_eq!([64, 128].map(|k| selectors(E::U4, k)), [2, 1]);
    }
}
