//! Which tiles a block works on, and the loader's look at the cancel word while it goes through them.
//!
//! A [`Stripe`] is for a grid of as many blocks as fit the device, each of which stays until the end; a [`Batch`] for a
//! grid of as many as it takes, which come and go. What a batch does is short, and ends late by that much when the host cancels.

use crate::{Control, block, divide, warp};

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

    /// From tile `next` on every `step`-th, up to `end`.
    #[inline(always)]
    pub fn between(next: u32, step: u32, end: u32) -> Self {
        Self { next, step, end }
    }

    /// The next tile, if it is before the end.
    #[inline(always)]
    pub fn first(&self) -> u32 {
        self.next
    }

    /// From one tile to the next.
    #[inline(always)]
    pub fn step(&self) -> u32 {
        self.step
    }

    /// Behind the last tile.
    #[inline(always)]
    pub fn end(&self) -> u32 {
        self.end
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

/// Tiles of one block that follow each other, as many as the grid's size makes of them.
///
/// Blocks are handed out in order and soon end, so that all that work at one time are close together: memory likes that better than
/// blocks that stay and drift apart (docs/notes/kernels-speed.md).
#[derive(Clone, Copy)]
pub struct Batch {
    next: u32,
    end: u32,
    tiles: u32,
}

impl Batch {
    /// This block's share of `tiles`.
    #[inline(always)]
    pub fn of(tiles: u32) -> Self {
        let each = divide(tiles + block::count() - 1, block::count()).0;
        let next = block::index().saturating_mul(each).min(tiles);
        Self {
            next,
            end: next.saturating_add(each).min(tiles),
            tiles,
        }
    }

    /// How many tiles are left.
    #[inline(always)]
    pub(crate) fn remaining(&self) -> u32 {
        self.end - self.next
    }

    /// The share of part `number` of `parts` that take turns.
    #[inline(always)]
    pub fn part(self, number: u32, parts: u32) -> Stripe {
        Stripe {
            next: self.next.saturating_add(number),
            step: parts,
            end: self.end,
        }
    }

    /// Tells the host how far the launch is, if this block is one of the thousand or so that do: the blocks before it have begun.
    /// All threads of a block call it; a reader's writes, because a loader has better things to do than to wait for an address.
    #[inline(always)]
    pub(crate) fn report(self, control: Control) {
        const REPORTS_LOG2: u32 = 10;
        const REPORTER: u32 = warp::LANES;
        let others = u32::MAX
            .checked_shr((block::count() >> REPORTS_LOG2).leading_zeros())
            .unwrap_or(0);
        if block::thread() == REPORTER && block::index() & others == 0 {
            control.set_share(self.next, self.tiles);
        }
    }
}

impl Iterator for Batch {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let tile = self.next;
        if tile >= self.end {
            return None;
        }
        self.next = tile + 1;
        Some(tile)
    }
}
