//! What the kernels on images share: three numbers per channel, and how threads go over the pixels of a tile.

use warpbridge_runtime::{divide, global};

/// Red, green, blue.
pub const CHANNELS: u32 = 3;

/// Three numbers per channel: at an address, or (where that is null) as given.
#[derive(Clone, Copy)]
pub struct Triple(pub u64, pub f32, pub f32, pub f32);

impl Triple {
    /// The number of a channel.
    #[inline(always)]
    pub fn get(self, channel: u32) -> f32 {
        if self.0 != 0 {
            // SAFETY: one of the array's three numbers.
            return f32::from_bits(unsafe { global::load_u32(self.0 + u64::from(channel) * 4) });
        }
        match channel {
            0 => self.1,
            1 => self.2,
            _ => self.3,
        }
    }
}

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
