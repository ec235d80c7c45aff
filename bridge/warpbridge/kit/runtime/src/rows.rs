//! Copies of rows of bytes at any address into a stage, without touching a byte outside the array.
//!
//! Asynchronous copies move 16-byte units. A row therefore comes with the bytes around it: its window is the row's ends rounded
//! outwards to 16, and a byte keeps its address modulo 16 (`skew`). At the array's own ends, where the window would
//! stick out, up to 15 bytes are copied one by one. Both copy engines work from this description.

use crate::{engine, global, shared, warp};

/// The bytes of an array argument.
#[derive(Clone, Copy)]
pub struct Array {
    /// Address of the first byte.
    pub begin: u64,
    /// Address behind the last byte.
    pub end: u64,
}

impl Array {
    /// `bytes` bytes at `address`.
    #[inline(always)]
    pub fn new(address: u64, bytes: u64) -> Self {
        Self {
            begin: address,
            end: address + bytes,
        }
    }

    /// How many parts of `bytes` each it has; the last may be shorter.
    #[inline(always)]
    pub fn parts(self, bytes: u32) -> u32 {
        (self.end - self.begin).div_ceil(u64::from(bytes)) as u32
    }

    /// One such part, as a single row.
    #[inline(always)]
    pub fn part(self, number: u32, bytes: u32) -> Rows {
        let first = self.begin + u64::from(number) * u64::from(bytes);
        let bytes = (self.end - first).min(u64::from(bytes)) as u32;
        Rows {
            array: self,
            first,
            stride: 0,
            count: 1,
            bytes,
            pitch: 0,
        }
    }
}

/// Rows of equal length at equal distance, and where they go in a stage.
#[derive(Clone, Copy)]
pub struct Rows {
    /// The array that they are part of.
    pub array: Array,
    /// Address of the first row's first byte.
    pub first: u64,
    /// Bytes from one row to the next.
    pub stride: u64,
    /// How many rows.
    pub count: u32,
    /// Bytes per row.
    pub bytes: u32,
    /// Bytes from one row's window to the next in the stage; a multiple of 16, at least `bytes + 30` rounded down to 16.
    pub pitch: u32,
}

/// Rows of whole units of 16 bytes at multiples of 16: their windows are the rows, and nothing is cut. Beyond the last row there is,
/// that one again, so that a stage is always full.
#[derive(Clone, Copy)]
pub struct EvenRows {
    /// Address of the first row's first byte.
    pub first: u64,
    /// Bytes from one row to the next.
    pub stride: u64,
    /// How many rows, at least one.
    pub count: u32,
    /// Bytes per row.
    pub bytes: u32,
}

/// The part of a row's window that asynchronous copies bring.
pub struct Interior {
    /// Where it starts; a multiple of 16.
    pub address: u64,
    /// Its length; a multiple of 16, possibly zero.
    pub bytes: u32,
    /// How far behind the window's start it starts.
    pub skip: u32,
}

impl Interior {
    /// That of a row of `bytes` bytes at `address`.
    #[inline(always)]
    pub fn of(array: Array, address: u64, bytes: u32) -> Self {
        let window = align_down(address);
        let low = window.max(align_up(array.begin));
        let high = align_up(address + u64::from(bytes)).min(align_down(array.end));
        Self {
            address: low,
            bytes: if high > low { (high - low) as u32 } else { 0 },
            skip: (low - window) as u32,
        }
    }
}

/// Rows of equal length somewhere in an array, each with a window of its own in a stage.
pub trait Windows {
    /// The array.
    fn array(&self) -> Array;

    /// How many rows.
    fn count(&self) -> u32;

    /// Bytes per row.
    fn bytes(&self) -> u32;

    /// Bytes from one row's window to the next in the stage; a multiple of 16, at least `bytes + 30` rounded down to 16.
    fn pitch(&self) -> u32;

    /// Address of a row's first byte.
    fn row(&self, row: u32) -> u64;

    /// Whether the array's ends may cut a window.
    fn reaches_edges(&self) -> bool;

    /// Offset in the stage of a row's window.
    #[inline(always)]
    fn slot(&self, row: u32) -> u32 {
        row * self.pitch()
    }

    /// Where a row's first byte is behind its window's start.
    #[inline(always)]
    fn skew(&self, row: u32) -> u32 {
        self.row(row) as u32 % 16
    }

    /// The window, clipped to whole 16-byte units of the array.
    #[inline(always)]
    fn interior(&self, row: u32) -> Interior {
        Interior::of(self.array(), self.row(row), self.bytes())
    }

    /// Fills the units of 16 bytes that the interiors leave out: those that the array's ends cut, with zeros outside the array.
    /// The warp calls it together; only rows at the array's ends have any.
    ///
    /// # Safety
    /// The stage is reserved, and the rows lie in the array.
    #[inline(always)]
    unsafe fn copy_edges(&self, stage: u32) {
        let (head, tail) = (align_up(self.array().begin), align_down(self.array().end));
        if !self.reaches_edges() {
            return;
        }
        for row in 0..self.count() {
            let (window, end) = (
                align_down(self.row(row)),
                align_up(self.row(row) + u64::from(self.bytes())),
            );
            // Lanes 0 to 15 take the unit that the array's begin cuts, the others the one that its end cuts.
            let low = warp::lane() < 16;
            let unit = if low { window } else { tail };
            let byte = unit + u64::from(warp::lane() % 16);
            if if low {
                window < head
            } else {
                window <= tail && tail < end
            } {
                let inside = byte >= self.array().begin && byte < self.array().end;
                // SAFETY: a byte of the array.
                let value = if inside { unsafe { global::load_u8(byte) } } else { 0 };
                // SAFETY: its place in the row's window, in the reserved stage.
                unsafe { shared::store_u8(stage + self.slot(row) + (byte - window) as u32, value) };
            }
        }
        engine::order_plain_stores();
    }
}

impl Rows {
    /// Offset in the array of the first row.
    #[inline(always)]
    pub fn offset(&self) -> u64 {
        self.first - self.array.begin
    }
}

impl Windows for Rows {
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
        self.first + u64::from(row) * self.stride
    }

    #[inline(always)]
    fn reaches_edges(&self) -> bool {
        let last = self.row(self.count - 1) + u64::from(self.bytes);
        self.first < align_up(self.array.begin) || last > align_down(self.array.end)
    }
}

#[inline(always)]
fn align_down(address: u64) -> u64 {
    address & !15
}

#[inline(always)]
fn align_up(address: u64) -> u64 {
    (address + 15) & !15
}
