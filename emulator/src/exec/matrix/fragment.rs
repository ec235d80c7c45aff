//! Where the elements of `mma` fragments belong: row and column of element `i` of register `r` in lane `l`.
//! One rule serves all shapes but `m8n8k4` of f16, which four groups of eight lanes compute on their own.

/// Which operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    A,
    B,
    /// And D.
    C,
}

/// Row and column of an element; `packed` elements share a register, m is 8 or 16.
#[inline(always)]
pub(crate) fn place(part: Part, m: u32, packed: u32, lane: u32, register: u32, element: u32) -> (u32, u32) {
    let (group, four) = (lane >> 2, lane & 3);
    match part {
        Part::A => {
            let halves = m / 8;
            let row = group + 8 * (register % halves);
            (row, four * packed + element + register / halves * 4 * packed)
        }
        Part::B => (four * packed + element + register * 4 * packed, group),
        Part::C => {
            // Two elements side by side, whether they share a register or not.
            let number = register * packed + element;
            (group + 8 * (number / 2), four * 2 + number % 2)
        }
    }
}

/// The same for `mma.m8n8k4` of f16: lane groups {0-3, 16-19}, {4-7, 20-23} and so on.
#[inline(always)]
pub(crate) fn place_quad(part: Part, by_row: bool, wide: bool, lane: u32, number: u32) -> (u32, u32) {
    let (four, upper) = (lane & 3, if lane < 16 { 0 } else { 4 });
    match part {
        Part::A if by_row => (four + upper, number),
        Part::A => (number + upper, four),
        Part::B if by_row => (four, number + upper),
        Part::B => (number, four + upper),
        Part::C if wide => (
            (lane & 1) + upper + (number & 2),
            (number & 4) + (lane & 2) + (number & 1),
        ),
        Part::C => (four + upper, number),
    }
}
