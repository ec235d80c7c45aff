//! Which tiles a block works on, and the loader's look at the cancel word while it goes through them.

use crate::{Control, block, warp};

/// Tiles of one block: its own number, then one grid further each time. Striped, so that block 0 stands for all.
#[derive(Clone, Copy)]
pub struct Stripe {
    next: u32,
    step: u32,
    end: u32,
}

impl Stripe {
    /// This block's share of `tiles`.
    #[inline(always)]
    pub fn of(tiles: u32) -> Self {
        Self {
            next: block::index(),
            step: block::count(),
            end: tiles,
        }
    }

    /// How many tiles are left.
    #[inline(always)]
    pub fn remaining(&self) -> u32 {
        if self.next < self.end {
            (self.end - self.next).div_ceil(self.step)
        } else {
            0
        }
    }

    /// The share of part `number` of `parts` that take turns.
    #[inline(always)]
    pub fn part(self, number: u32, parts: u32) -> Self {
        Self {
            next: self.next.saturating_add(number.saturating_mul(self.step)),
            step: self.step.saturating_mul(parts),
            end: self.end,
        }
    }

    /// The same tiles, ending early once the host has cancelled. For loaders, which may never be pending.
    #[inline(always)]
    pub fn watched(self, control: Control) -> Watched {
        Watched {
            tiles: self,
            control,
            tick: 0,
            seen: 0,
        }
    }
}

impl Iterator for Stripe {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let tile = self.next;
        if tile >= self.end {
            return None;
        }
        // A step past u32::MAX means that there is no further tile.
        self.next = tile.saturating_add(self.step);
        Some(tile)
    }
}

/// See [`Stripe::watched`].
pub struct Watched {
    tiles: Stripe,
    control: Control,
    tick: u32,
    seen: u32,
}

impl Iterator for Watched {
    type Item = u32;

    /// The word is read on one tile and looked at on a later one: the read crosses to host memory (1 to 2 us), and
    /// the copies of the tiles between hide it.
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        const PERIOD: u32 = 16;
        const READ_AT: u32 = 8;
        const LOOK_AT: u32 = 12;
        let tile = self.tiles.next()?;
        self.tick += 1;
        if self.tick % PERIOD == READ_AT {
            self.seen = self.control.cancel_word();
        }
        if self.tick % PERIOD == LOOK_AT && warp::any(self.seen != 0) {
            self.control.mark_stopped();
            return None;
        }
        Some(tile)
    }
}
