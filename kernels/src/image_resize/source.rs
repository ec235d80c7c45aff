//! Where the pixels of y lie in x: boxes, and the two neighbours of a place between pixel centres.

use warpbridge_runtime::{fma, global};

/// A rectangle of an image.
#[derive(Clone, Copy)]
pub struct Box {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Box {
    /// Reads one: four int32.
    ///
    /// # Safety
    /// As [`global::load_u32`], for all four.
    #[inline(always)]
    pub unsafe fn load(at: u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                top: global::load_u32(at),
                left: global::load_u32(at + 4),
                height: global::load_u32(at + 8),
                width: global::load_u32(at + 12),
            }
        }
    }

    /// Whether it has a pixel, and none outside `whole`. Negative numbers are large ones here.
    #[inline(always)]
    pub fn is_inside(&self, whole: &Self) -> bool {
        let fits = |first: u32, count: u32, all: u32| first < all && count >= 1 && count <= all - first;
        fits(self.top, self.height, whole.height) && fits(self.left, self.width, whole.width)
    }
}

/// How many pixels of a box come upon one of y, along one axis.
#[derive(Clone, Copy)]
pub struct Ratio {
    ratio: f32,
    /// The box's last pixel.
    last: u32,
}

/// Two neighbouring pixels, and how much of the second is in between them.
#[derive(Clone, Copy)]
pub struct Blend {
    /// The one before; at the box's end its last but one.
    pub first: u32,
    /// The one behind; the same where the box has one pixel only.
    pub second: u32,
    /// From 0 to 1, for the second; 0 where it is the first.
    pub weight: f32,
}

impl Ratio {
    /// `from` pixels come upon `to`.
    #[inline(always)]
    pub fn of(from: u32, to: u32) -> Self {
        Self {
            ratio: from as f32 / to as f32,
            last: from.saturating_sub(1),
        }
    }

    /// As two words, for a note; [`Ratio::from_bits`] is the way back.
    #[inline(always)]
    pub fn to_bits(self) -> [u32; 2] {
        [self.ratio.to_bits(), self.last]
    }

    /// See [`Ratio::to_bits`].
    #[inline(always)]
    pub fn from_bits(ratio: u32, last: u32) -> Self {
        Self {
            ratio: f32::from_bits(ratio),
            last,
        }
    }

    /// Whether there are two pixels at least.
    #[inline(always)]
    pub fn has_neighbours(self) -> bool {
        self.last > 0
    }

    /// Where the centre of pixel `number` of y lies: pixel centres are at halves, and the box's edge pixels go on outside.
    ///
    /// Behind the last centre it is the last two pixels with all weight on the second, so that the second is always the first's
    /// neighbour: readers take both at once.
    #[inline(always)]
    pub fn at(self, number: u32) -> Blend {
        let place = fma(self.ratio, number as f32 + 0.5, -0.5).max(0.0);
        let first = (place as u32).min(self.last.saturating_sub(1));
        Blend {
            first,
            second: (first + 1).min(self.last),
            weight: (place - first as f32).min(self.last.min(1) as f32),
        }
    }
}
