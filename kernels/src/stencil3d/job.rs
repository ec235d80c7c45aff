//! The arguments, and what follows from them: which tile a piece of work is, where its planes are.

#[cfg(engine = "cp_async")]
use core::arch::asm;

#[cfg(engine = "bulk")]
use warpbridge_runtime::engine;
use warpbridge_runtime::mbarrier::Barrier;
use warpbridge_runtime::{Array, Control, Windows, shared, warp};

use super::grid::{Work, span};
use super::pack::Pack;
use super::{COLUMNS, NUMBER};

/// Room for a note behind the rows of a stage.
pub const NOTE_BYTES: u32 = 16;

/// The arguments; the same in every thread.
#[derive(Clone, Copy)]
pub struct Job {
    pub u: u64,
    pub y: u64,
    pub spare: u64,
    pub work: Work,
    pub nz: u32,
    pub ny: u32,
    pub nx: u32,
    pub radius: u32,
    /// Most rows of a tile.
    pub height: u32,
    /// Tiles on each axis.
    pub tiles_z: u32,
    pub tiles_y: u32,
    pub tiles_x: u32,
    pub steps: u32,
    pub periodic: bool,
    /// Whether every row of every field starts at a multiple of 16 bytes.
    pub is_aligned: bool,
    pub control: Control,
}

/// A part of an axis.
#[derive(Clone, Copy)]
pub struct Span {
    /// Of the tile on this axis.
    pub number: u32,
    pub begin: u32,
    pub end: u32,
}

/// A tile at a step.
#[derive(Clone, Copy)]
pub struct Tile {
    pub number: u32,
    pub step: u32,
    pub z: Span,
    pub y: Span,
    pub x: Span,
    /// The field that is read, and the one that is written.
    pub from: u64,
    pub to: u64,
}

impl Tile {
    pub fn planes(&self) -> u32 {
        self.z.end - self.z.begin
    }
}

impl Job {
    /// How many tiles there are.
    pub fn tiles(&self) -> u32 {
        self.tiles_z * self.tiles_y * self.tiles_x
    }

    /// Pieces of work: all tiles once per step; without a step, one that copies.
    pub fn pieces(&self) -> u32 {
        self.tiles() * self.steps.max(1)
    }

    /// Which tile at which step a piece is: all tiles of a step, then the next step.
    #[inline(always)]
    pub fn tile(&self, piece: u32) -> Tile {
        let (step, number) = divide(piece, self.tiles());
        let (row, x) = divide(number, self.tiles_x);
        let (z, y) = divide(row, self.tiles_y);
        Tile {
            number,
            step,
            z: span(z, self.tiles_z, self.nz, 1),
            y: span(y, self.tiles_y, self.ny, 1),
            x: span(x, self.tiles_x, self.nx, 4),
            from: if step == 0 { self.u } else { self.field_after(step - 1) },
            to: self.field_after(step),
        }
    }

    /// The field that a step writes: the last one y, the one before it the spare field, and so on in turns.
    fn field_after(&self, step: u32) -> u64 {
        if (self.steps.max(1) - 1 - step) % 2 == 0 {
            self.y
        } else {
            self.spare
        }
    }

    /// Bytes from a row's window to the next in a stage.
    pub fn pitch(&self) -> u32 {
        pitch(self.radius)
    }

    /// Offset of the note in a stage.
    fn note_offset(&self) -> u32 {
        (self.height + 2 * self.radius) * self.pitch()
    }

    pub fn stage_bytes(&self) -> u32 {
        (self.note_offset() + NOTE_BYTES + 127) & !127
    }

    /// Leaves a piece's number in a reserved stage. One lane writes; `fill` hands it over with the rows.
    #[inline(always)]
    pub fn leave_note(&self, stage: u32, piece: u32) {
        if warp::lane() == 0 {
            // SAFETY: behind the rows, where no copy goes.
            unsafe { shared::store_u32(stage + self.note_offset(), piece) };
        }
    }

    #[inline(always)]
    pub fn note(&self, stage: u32) -> u32 {
        // SAFETY: the stage is filled, and its note written before.
        unsafe { shared::load_u32(stage + self.note_offset()) }
    }

    /// First column in a stage's rows: `radius` to the left of the tile, or the field's first.
    pub fn first_column(&self, tile: &Tile) -> u32 {
        tile.x.begin.saturating_sub(self.radius)
    }

    /// Bytes before the number at a place in a field.
    pub fn offset(&self, z: u32, y: u32, x: u32) -> u64 {
        ((u64::from(z) * u64::from(self.ny) + u64::from(y)) * u64::from(self.nx) + u64::from(x)) * u64::from(NUMBER)
    }

    /// What a tile needs of the plane `number - radius` behind its first; no rows outside a field that is not periodic, nor
    /// if `is_none`.
    #[inline(always)]
    pub fn plane(&self, tile: &Tile, number: u32, is_none: bool) -> Plane {
        let place = (tile.z.begin + number).wrapping_sub(self.radius);
        let is_none = is_none || (!self.periodic && place >= self.nz);
        let z = self.wrapped(tile.z.begin + number, self.nz, place);
        // Rows from `radius` above the tile to `radius` below it, as far as there are any.
        let above = if self.periodic {
            self.radius
        } else {
            self.radius.min(tile.y.begin)
        };
        let below = if self.periodic {
            self.radius
        } else {
            self.radius.min(self.ny - tile.y.end)
        };
        let first = self.first_column(tile);
        let count = tile.y.end - tile.y.begin + above + below;
        let bytes = u64::from(self.nz) * u64::from(self.ny) * u64::from(self.nx) * u64::from(NUMBER);
        // Planes of less than a unit of 16 bytes share the one that an end of the field cuts: any may reach it.
        let is_tiny = self.ny < 4 && self.nx < 4 && self.ny * self.nx < 4;
        Plane {
            array: Array::new(tile.from, bytes),
            first: tile.from + self.offset(z, 0, first),
            row_bytes: u64::from(self.nx) * u64::from(NUMBER),
            rows: self.ny,
            row: self.wrapped(
                tile.y.begin + self.radius - above,
                self.ny,
                tile.y.begin.wrapping_sub(above),
            ),
            count: if is_none { 0 } else { count },
            skipped: self.radius - above,
            bytes: ((tile.x.end + self.radius).min(self.nx) - first) * NUMBER,
            pitch: self.pitch(),
            is_edge: ((z == 0 || is_tiny) && tile.from % 16 != 0)
                || ((z + 1 == self.nz || is_tiny) && (tile.from + bytes) % 16 != 0),
            by_one: cfg!(engine = "cp_async") || self.radius > 1,
        }
    }

    /// A coordinate given with `radius` added, inside the field; `inside` where the field is not periodic.
    #[inline(always)]
    pub fn wrapped(&self, with_radius: u32, extent: u32, inside: u32) -> u32 {
        if !self.periodic {
            return inside;
        }
        // A periodic field has at least `radius` numbers on each axis, so that twice is enough.
        let place = with_radius + extent - self.radius;
        let place = if place >= extent { place - extent } else { place };
        if place >= extent { place - extent } else { place }
    }
}

/// Bytes from a row's window to the next in a stage.
pub const fn pitch(radius: u32) -> u32 {
    ((COLUMNS + 2 * radius) * NUMBER + 30) & !15
}

/// Quotient and remainder. Without a branch, unlike the runtime's: roles with many branches are not folded.
#[inline(always)]
pub fn divide(a: u32, b: u32) -> (u32, u32) {
    let quotient = a / b.max(1);
    (quotient, a - quotient * b)
}

/// The rows of one plane that a stage takes: those of the tile and `radius` more on each side, wrapped in a periodic field.
#[derive(Clone, Copy)]
pub struct Plane {
    array: Array,
    /// Address of the first column in row 0.
    first: u64,
    row_bytes: u64,
    /// Rows of the field.
    rows: u32,
    /// The first row that is taken.
    row: u32,
    count: u32,
    /// Rows of the stage that stay empty above it.
    skipped: u32,
    bytes: u32,
    pitch: u32,
    is_edge: bool,
    /// Whether one lane starts all its copies: not with the few rows of radius 1, where lanes with a row each were faster (H200).
    by_one: bool,
}

impl Plane {
    /// Whether `copy_inside` may bring it, and had better.
    #[inline(always)]
    pub fn is_inside(&self) -> bool {
        self.by_one && !self.is_edge
    }

    /// As `engine::copy`, for a plane without edges: one lane starts the copies of all rows, from row to row by additions.
    ///
    /// # Safety
    /// As for `engine::copy`.
    #[cfg(engine = "bulk")]
    #[inline(always)]
    pub unsafe fn copy_inside(&self, stage: u32, full: Barrier) -> u32 {
        let mut bytes = 0;
        if engine::elected() {
            let (mut row, mut from) = (self.row, Windows::row(self, 0));
            let mut to = stage + self.slot(0);
            for _ in 0..self.count {
                let window = from & !15;
                let length = (((from + u64::from(self.bytes) + 15) & !15) - window) as u32;
                // SAFETY: the caller's promise; both ends are multiples of 16.
                unsafe { engine::start(to, window, length, full) };
                bytes += length;
                to += self.pitch;
                row += 1;
                from += self.row_bytes;
                if row == self.rows {
                    (row, from) = (0, self.first);
                }
            }
        }
        bytes
    }

    /// As `engine::copy` on sm_80, for a plane without edges: from row to row by additions. There the lanes share each row, so
    /// that what is computed per row is the loader's time.
    ///
    /// # Safety
    /// As for `engine::copy`.
    #[cfg(engine = "cp_async")]
    #[inline(always)]
    pub unsafe fn copy_inside(&self, stage: u32, _: Barrier) -> u32 {
        let (mut row, mut from) = (self.row, Windows::row(self, 0));
        let mut to = stage + self.slot(0) + warp::lane() * UNIT;
        for _ in 0..self.count {
            let window = from & !15;
            let left = (((from + u64::from(self.bytes) + 15) & !15) - window) as u32;
            let mut offset = warp::lane() * UNIT;
            let mut place = to;
            while offset < left {
                // SAFETY: the caller's promise; both ends are multiples of 16.
                unsafe { copy_unit(place, window + u64::from(offset)) };
                offset += warp::LANES * UNIT;
                place += warp::LANES * UNIT;
            }
            to += self.pitch;
            row += 1;
            from += self.row_bytes;
            if row == self.rows {
                (row, from) = (0, self.first);
            }
        }
        0
    }
}

/// Bytes that one lane copies at a time.
#[cfg(engine = "cp_async")]
const UNIT: u32 = 16;

/// # Safety
/// As [`Plane::copy_inside`].
#[cfg(engine = "cp_async")]
#[inline(always)]
unsafe fn copy_unit(to: u32, from: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("cp.async.cg.shared.global [{}], [{}], 16;", in(reg32) to, in(reg64) from, options(nostack)) };
}

impl Windows for Plane {
    #[inline(always)]
    fn array(&self) -> Array {
        self.array
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        self.bytes
    }

    #[inline(always)]
    fn pitch(&self) -> u32 {
        self.pitch
    }

    #[inline(always)]
    fn row(&self, row: u32) -> u64 {
        let row = self.row + row;
        let row = if row >= self.rows { row - self.rows } else { row };
        let row = if row >= self.rows { row - self.rows } else { row };
        self.first + u64::from(row) * self.row_bytes
    }

    #[inline(always)]
    fn slot(&self, row: u32) -> u32 {
        (self.skipped + row) * self.pitch
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        self.is_edge
    }

    /// As the trait's, with loads that see what other thread blocks have written in this launch; in numbers, not bytes.
    #[inline(always)]
    unsafe fn copy_edges(&self, stage: u32) {
        if !self.is_edge {
            return;
        }
        let (head, tail) = ((self.array.begin + 15) & !15, self.array.end & !15);
        for row in 0..self.count {
            let (window, end) = (self.row(row) & !15, self.row(row) + u64::from(self.bytes));
            // Lanes 0 to 3 take the unit of 16 bytes that the array's begin cuts, the next four the one that its end cuts.
            let is_low = warp::lane() < 4;
            let number = if is_low { window } else { tail } + u64::from(warp::lane() % 4 * NUMBER);
            let is_cut = if is_low {
                window < head
            } else {
                window <= tail && tail < end
            };
            if warp::lane() < 8 && is_cut && number >= self.array.begin && number < self.array.end {
                // SAFETY: a number of the array.
                let value = unsafe { f32::load_written(number) };
                // SAFETY: its place in the row's window, in the reserved stage.
                unsafe { shared::store_u32(stage + self.slot(row) + (number - window) as u32, value.to_bits()) };
            }
        }
        warpbridge_runtime::engine::order_plain_stores();
    }
}
