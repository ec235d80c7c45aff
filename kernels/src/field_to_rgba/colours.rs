//! The types of a field's numbers, how each becomes a colour, and what both kernels over fields have in common: the tiles of x,
//! and the table in shared memory.
//!
//! `field_to_rgba.rs` colours a field in one pass, `field_to_rgba_own_range.rs` finds its range first. Ranges are not known here.

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{Rows, Windows, global, shared};

pub const TILE: u32 = 16384; // bytes of x
pub const STAGE: u32 = TILE + 128; // room for an x that is not 16-byte aligned
pub const COMPUTE_WARPS: u32 = 8;
const COLOUR: u32 = 4; // bytes of an rgba8

/// Numbers to places in the table.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Address of the table in shared memory.
    pub table: u32,
    /// The number at the table's begin.
    pub vmin: f64,
    /// Entries per unit of x.
    pub factor: f64,
    /// Number of the last entry.
    pub last: u32,
    /// Colour of NaN.
    pub nan: u32,
}

impl Scale {
    /// The colour at a place in the table, rounded down and not negative; the last colour behind the end.
    #[inline(always)]
    fn look_up(&self, place: u32, is_nan: bool) -> u32 {
        if is_nan {
            return self.nan;
        }
        let entry = place.min(self.last);
        // SAFETY: an entry that `fill_table` wrote.
        unsafe { shared::load_u32(self.table + entry * COLOUR) }
    }

    #[inline(always)]
    fn single(&self, x: f32) -> u32 {
        let place = (x - self.vmin as f32) * self.factor as f32;
        // A cast saturates: what is below the table becomes 0.
        self.look_up(place as u32, place.is_nan())
    }
}

/// An element type of x.
pub trait Field {
    /// Its size.
    const BYTES: u32;

    /// Neighbours whose colours are stored together: four colours, or as many as 16 bytes of x hold.
    const GROUP: u32;

    /// Writes the colours of a group.
    ///
    /// # Safety
    /// `from` is a multiple of the group's size in a filled stage, `to` one of that of its colours in y.
    unsafe fn store_group(from: u32, to: u64, scale: &Scale);

    /// The colour of the number at `from`.
    ///
    /// # Safety
    /// As [`shared::load_u32`], for a multiple of `BYTES`.
    unsafe fn colour(from: u32, scale: &Scale) -> u32;
}

impl Field for f32 {
    const BYTES: u32 = 4;
    const GROUP: u32 = 4;

    #[inline(always)]
    unsafe fn store_group(from: u32, to: u64, scale: &Scale) {
        // SAFETY: the caller's promise.
        let [a, b, c, d] = unsafe { shared::load_v4(from) };
        let g = |bits: u32| scale.single(f32::from_bits(bits));
        // SAFETY: the caller's promise.
        unsafe { global::store_v4(to, [g(a), g(b), g(c), g(d)]) }
    }

    #[inline(always)]
    unsafe fn colour(from: u32, scale: &Scale) -> u32 {
        // SAFETY: the caller's promise.
        scale.single(f32::from_bits(unsafe { shared::load_u32(from) }))
    }
}

impl Field for f64 {
    const BYTES: u32 = 8;
    const GROUP: u32 = 2;

    #[inline(always)]
    unsafe fn store_group(from: u32, to: u64, scale: &Scale) {
        // SAFETY: the caller's promise.
        let [a, b, c, d] = unsafe { shared::load_v4(from) };
        // SAFETY: the caller's promise.
        unsafe { global::store_v2(to, [double(a, b, scale), double(c, d, scale)]) }
    }

    #[inline(always)]
    unsafe fn colour(from: u32, scale: &Scale) -> u32 {
        // SAFETY: the caller's promise.
        let [low, high] = unsafe { shared::load_v2(from) };
        double(low, high, scale)
    }
}

#[inline(always)]
fn double(low: u32, high: u32, scale: &Scale) -> u32 {
    let x = f64::from_bits(u64::from(high) << 32 | u64::from(low));
    let place = (x - scale.vmin) * scale.factor;
    scale.look_up(place as u32, place.is_nan())
}

macro_rules! short_field {
    ($field:ty, $widen:expr) => {
        impl Field for $field {
            const BYTES: u32 = 2;
            const GROUP: u32 = 4;

            #[inline(always)]
            unsafe fn store_group(from: u32, to: u64, scale: &Scale) {
                // SAFETY: the caller's promise.
                let [a, b] = unsafe { shared::load_v2(from) };
                let g = |bits: u32| scale.single($widen(bits as u16));
                // SAFETY: the caller's promise.
                unsafe { global::store_v4(to, [g(a), g(a >> 16), g(b), g(b >> 16)]) };
            }

            #[inline(always)]
            unsafe fn colour(from: u32, scale: &Scale) -> u32 {
                // SAFETY: the caller's promise.
                scale.single($widen(unsafe { shared::load_u16(from) }))
            }
        }
    };
}

short_field!(f16, |bits| f16::from_bits(bits) as f32);
short_field!(u16, |bits| f32::from(bits));

/// Stores the colours of a tile of x, which has landed in `stage`.
#[inline(always)]
pub fn colour_tile<T: Field>(stage: u32, part: &Rows, y: u64, scale: &Scale, share: Share) {
    let from = stage + part.skew(0);
    let to = y + part.offset() / u64::from(T::BYTES) * u64::from(COLOUR);
    let aligned = (u64::from(from) | to) % 16 == 0;
    let size = T::GROUP * T::BYTES;
    let groups = if aligned { part.bytes / size } else { 0 };
    let mut group = share.thread;
    while group < groups {
        let to = to + u64::from(group * T::GROUP * COLOUR);
        // SAFETY: inside the tile, which has landed, and the same elements of y.
        unsafe { T::store_group(from + group * size, to, scale) };
        group += share.threads;
    }
    let mut index = groups * T::GROUP + share.thread;
    while index * T::BYTES < part.bytes {
        // SAFETY: inside the tile, which has landed.
        let bits = unsafe { T::colour(from + index * T::BYTES, scale) };
        // SAFETY: the same element of y.
        unsafe { global::store_u32(to + u64::from(index * COLOUR), bits) };
        index += share.threads;
    }
}

/// Copies the table, this thread's share of it.
#[inline(always)]
pub fn fill_table(table: u32, lut: u64, entries: u32, share: Share) {
    let mut entry = share.thread;
    while entry < entries {
        // SAFETY: an entry of lut.
        let bits = unsafe { global::load_u32(lut + u64::from(entry * COLOUR)) };
        // SAFETY: its place behind the ring.
        unsafe { shared::store_u32(table + entry * COLOUR, bits) };
        entry += share.threads;
    }
}
