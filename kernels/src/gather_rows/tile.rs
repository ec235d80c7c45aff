//! The arguments, the tiles that follow from them, and where the rows of a tile come from.

use warpbridge_runtime::{Array, Batch, Control, Interior, Windows, divide, global, warp};

use super::INDEX_OUTSIDE;

/// The arguments, and what follows from them.
#[derive(Clone, Copy)]
pub struct Job {
    pub src: Array,
    /// Rows of src.
    pub rows: i64,
    pub row_bytes: u64,
    pub idx: u64,
    /// Bytes of a number in idx: 4 or 8.
    pub width: u32,
    pub y: u64,
    /// Rows of y.
    pub count: u32,
    /// Rows of a tile.
    pub band: u32,
    /// Bytes of a row in one tile.
    pub piece: u32,
    pub tiles: Tiles,
    pub control: Control,
}

/// Some rows of y, and a piece of each.
#[derive(Clone, Copy)]
pub struct Tile {
    pub job: Job,
    pub first: u32,
    pub rows: u32,
    pub offset: u64,
    pub bytes: u32,
}

/// The tiles of a block, pieces of a band first.
#[derive(Clone, Copy)]
pub struct Tiles {
    pub batch: Batch,
    pieces: u32,
    next: Place,
}

/// Which band of rows, and which piece of them.
#[derive(Clone, Copy)]
pub struct Place {
    band: u32,
    piece: u32,
}

impl Tiles {
    /// This block's share of `bands` times `pieces`.
    #[inline(always)]
    pub fn of(bands: u32, pieces: u32) -> Self {
        let batch = Batch::of(bands * pieces);
        let (band, piece) = divide({ batch }.next().unwrap_or(0), pieces);
        Self {
            batch,
            pieces,
            next: Place { band, piece },
        }
    }
}

impl Iterator for Tiles {
    type Item = Place;

    /// By addition: a division per tile and role is what a loader has no time for.
    #[inline(always)]
    fn next(&mut self) -> Option<Place> {
        self.batch.next()?;
        let here = self.next;
        let is_last = here.piece + 1 == self.pieces;
        self.next = Place {
            band: here.band + u32::from(is_last),
            piece: if is_last { 0 } else { here.piece + 1 },
        };
        Some(here)
    }
}

impl Job {
    #[inline(always)]
    pub fn tile(self, place: Place) -> Tile {
        let first = place.band * self.band;
        let offset = u64::from(place.piece) * u64::from(self.piece);
        Tile {
            job: self,
            first,
            rows: (self.count - first).min(self.band),
            offset,
            bytes: (self.row_bytes - offset).min(u64::from(self.piece)) as u32,
        }
    }

    /// Whether all rows are multiples of 16 bytes at multiples of 16: a tile then has no gaps, neither in a stage nor in y.
    #[inline(always)]
    pub fn is_flat(&self) -> bool {
        (self.src.begin | self.row_bytes | self.y) % 16 == 0
    }

    /// Address of row `number` of src. One outside is the first row here; `check` reports it.
    #[inline(always)]
    fn address(&self, number: i64) -> u64 {
        let inside = if self.has(number) { number as u64 } else { 0 };
        self.src.begin + inside * self.row_bytes
    }

    #[inline(always)]
    fn has(&self, number: i64) -> bool {
        number >= 0 && number < self.rows
    }

    /// Reads the numbers for this lane's first two rows of a tile, 0 where there is none. Nothing here looks at what was read, so
    /// nothing waits for it.
    #[inline(always)]
    pub fn look_up(&self, place: Option<Place>) -> Numbers {
        let first = place.map_or(0, |place| place.band * self.band);
        let number = |lane: u32| {
            let row = first + lane;
            if place.is_some() && lane < self.band && row < self.count {
                self.read(row)
            } else {
                [0; 2]
            }
        };
        Numbers([number(warp::lane()), number(warp::lane() + warp::LANES)])
    }

    /// The two halves of the number for row `row` of y; of one of 4 bytes, it twice. A load of 8 bytes or 4 would be two under a
    /// condition, and the move that brings their results together would wait for them.
    #[inline(always)]
    fn read(&self, row: u32) -> [u32; 2] {
        let low = self.idx + u64::from(row) * u64::from(self.width);
        let high = low + u64::from(self.width - 4);
        // SAFETY: a number of idx, of 4 or 8 bytes.
        unsafe { [global::load_u32(low), global::load_u32(high)] }
    }

    /// What a number of idx says.
    #[inline(always)]
    fn value(&self, [low, high]: [u32; 2]) -> i64 {
        if self.width == 8 {
            (u64::from(high) << 32 | u64::from(low)) as i64
        } else {
            i64::from(low as i32)
        }
    }

    #[inline(always)]
    fn index(&self, row: u32) -> i64 {
        self.value(self.read(row))
    }
}

/// Numbers for two rows, as they are in idx.
#[derive(Clone, Copy)]
pub struct Numbers([[u32; 2]; 2]);

impl Numbers {
    /// None.
    pub const NONE: Self = Self([[0; 2]; 2]);
}

impl Tile {
    /// Where it goes.
    #[inline(always)]
    pub fn place(&self) -> u64 {
        self.job.y + u64::from(self.first) * self.job.row_bytes + self.offset
    }

    /// As one long row, if it has no gaps.
    #[inline(always)]
    pub fn joined(self) -> Self {
        if self.job.is_flat() {
            Self {
                rows: 1,
                bytes: self.rows * self.bytes,
                ..self
            }
        } else {
            self
        }
    }
}

/// A tile as the loader has it: with the numbers for this lane's first two rows, which were read before.
pub struct LookedUp {
    tile: Tile,
    numbers: [i64; 2],
}

impl LookedUp {
    /// A tile, and what `Job::look_up` found for it.
    #[inline(always)]
    pub fn new(tile: Tile, Numbers([first, second]): Numbers) -> Self {
        let numbers = [tile.job.value(first), tile.job.value(second)];
        Self { tile, numbers }
    }

    /// The number for a row that is this lane's.
    #[inline(always)]
    fn number(&self, row: u32) -> i64 {
        match row / warp::LANES {
            0 => self.numbers[0],
            1 => self.numbers[1],
            _ => self.tile.job.index(self.tile.first + row),
        }
    }

    /// Reports numbers outside src. The warp calls it together.
    #[inline(always)]
    pub fn check(&self) {
        let (job, mut row) = (&self.tile.job, warp::lane());
        while row < self.tile.rows {
            let number = self.number(row);
            if !job.has(number) {
                job.control
                    .fault(INDEX_OUTSIDE, [i64::from(self.tile.first + row), number]);
            }
            row += warp::LANES;
        }
    }
}

impl Windows for Tile {
    #[inline(always)]
    fn array(&self) -> Array {
        self.job.src
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        self.rows
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        if self.job.is_flat() {
            self.job.piece
        } else {
            (self.job.piece + 30) & !15
        }
    }

    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        self.job.address(self.job.index(self.first + row)) + self.offset
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        (self.job.src.begin | self.job.src.end) % 16 != 0
    }
}

impl Windows for LookedUp {
    #[inline(always)]
    fn array(&self) -> Array {
        self.tile.array()
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        self.tile.rows
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.tile.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        self.tile.pitch()
    }

    /// Bulk copies: a row is its lane's. Lanes that share each row read the number again, from the cache.
    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        if cfg!(engine = "bulk") {
            self.tile.job.address(self.number(row)) + self.tile.offset
        } else {
            self.tile.row(row)
        }
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        self.tile.reaches_edges()
    }

    /// The number of a row is looked up once; a row of whole vectors needs no clipping.
    #[inline(always)]
    fn interior(&self, row: u32) -> Interior {
        let (address, bytes) = (self.row(row), self.tile.bytes);
        if self.tile.job.is_flat() {
            Interior {
                address,
                bytes,
                skip: 0,
            }
        } else {
            Interior::of(self.tile.job.src, address, bytes)
        }
    }

    #[inline(always)]
    unsafe fn copy_edges(&self, stage: u32) {
        // SAFETY: the caller's promise. Every lane looks at every row there.
        unsafe { self.tile.copy_edges(stage) };
    }
}
