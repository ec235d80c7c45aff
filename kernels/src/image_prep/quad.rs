//! How threads go over the pixels of a tile of `image_prep`: four neighbours at a time, row by row.

use warpbridge_runtime::divide;

/// A place in a tile: four neighbouring pixels of a row.
#[derive(Clone, Copy)]
pub struct Quad {
    /// Row of the tile.
    pub row: u32,
    /// Which of the row's quads.
    pub number: u32,
}

impl Quad {
    /// The quad with this number, of `quads` in each row.
    #[inline(always)]
    pub fn of(number: u32, quads: u32) -> Self {
        let (row, number) = divide(number, quads);
        Self { row, number }
    }

    /// The quad one `step` further; a step instead of a division.
    #[inline(always)]
    pub fn after(self, step: Self, quads: u32) -> Self {
        let (row, number) = (self.row + step.row, self.number + step.number);
        if number >= quads {
            Self {
                row: row + 1,
                number: number - quads,
            }
        } else {
            Self { row, number }
        }
    }
}
