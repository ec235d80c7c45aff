//! Runs: tiles that a thread block takes together, and the note by which its loader tells the others which one a stage holds.
//!
//! The runs go over x once, for its range, and then once more from its end, for its colours: what came last is still in the L2.

use warpbridge_runtime::{Array, Rows, Stage, block, divide, shared, warp};

use super::colours::TILE;

const MOST_TILES: u32 = 4; // in a run
const NOTE: u32 = TILE + 64; // place in a stage, behind the tile
const COLOURS: u32 = 1 << 31; // in a note: the tile is there for its colours
const NO_MORE: u32 = u32::MAX;

/// All runs over a field.
#[derive(Clone, Copy)]
pub struct Runs {
    /// The field.
    pub x: Array,
    /// Its tiles.
    pub tiles: u32,
    /// Tiles of a run: so many that the counter has rest, and few enough for every thread block to get some.
    length: u32,
    /// Runs of one time over x.
    count: u32,
}

impl Runs {
    /// Those over x.
    #[inline(always)]
    pub fn over(x: Array) -> Self {
        let tiles = x.parts(TILE);
        let length = divide(tiles, 2 * block::count()).0.max(1).min(MOST_TILES);
        Self {
            x,
            tiles,
            length,
            count: divide(tiles + length - 1, length).0,
        }
    }

    /// The run of this number, from 0; one that says that there is no more behind the last.
    #[inline(always)]
    pub fn run(&self, number: u32) -> Run {
        let (place, what) = if number < self.count {
            (number, 0)
        } else if number < 2 * self.count {
            (2 * self.count - 1 - number, COLOURS)
        } else {
            (0, NO_MORE)
        };
        Run {
            tile: place * self.length,
            end: self.tiles.min((place + 1) * self.length),
            what,
        }
    }

    /// What nobody works on: a thread block that has it ends.
    #[inline(always)]
    pub fn none(&self) -> Run {
        self.run(u32::MAX)
    }
}

/// Some tiles that are taken together.
#[derive(Clone, Copy)]
pub struct Run {
    /// The next one.
    pub tile: u32,
    /// Behind the last.
    pub end: u32,
    /// `COLOURS`, 0, or `NO_MORE` behind the last run.
    what: u32,
}

impl Run {
    /// Whether no run comes any more.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        self.what == NO_MORE
    }

    /// The next tile; where no run comes any more the first bytes of x, as a stage is never empty.
    #[inline(always)]
    pub fn part(&self, x: Array) -> Rows {
        if self.is_none() {
            x.part(0, 16)
        } else {
            x.part(self.tile, TILE)
        }
    }

    /// Says in a reserved stage what is being copied into it. The warp's arrival at the stage's barrier, which comes behind,
    /// releases the note.
    #[inline(always)]
    pub fn leave_note(&self, stage: Stage) {
        if warp::lane() == 0 {
            // SAFETY: behind the tile, where no copy goes.
            unsafe { shared::store_u32(stage.address + NOTE, self.tile | self.what) };
        }
    }
}

/// What a filled stage holds.
#[derive(Clone, Copy)]
pub struct Note(u32);

impl Note {
    /// That of a stage. To be read before the stage is given back.
    #[inline(always)]
    pub fn of(stage: Stage) -> Self {
        // SAFETY: left before the stage was filled.
        Self(unsafe { shared::load_u32(stage.address + NOTE) })
    }

    /// Whether the tile is there for its range.
    #[inline(always)]
    pub fn is_for_range(self) -> bool {
        self.0 & COLOURS == 0
    }

    /// Whether there is no tile, and none comes.
    #[inline(always)]
    pub fn is_end(self) -> bool {
        self.0 == NO_MORE
    }

    /// The tile's number.
    #[inline(always)]
    pub fn tile(self) -> u32 {
        self.0 & !COLOURS
    }
}
