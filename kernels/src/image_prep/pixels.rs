//! The compute side of `image_prep`: pixels of a filled stage to elements of y, through the table of results.

use super::quad::Quad;
use super::{Job, Note, VALUES};
use crate::images::{CHANNELS, Triple};
use core::f64::math::mul_add;
use warpbridge_runtime::element::Element;
use warpbridge_runtime::shared;
use warpbridge_runtime::tile::Share;

/// Where pixels of one row come from and go to.
#[derive(Clone, Copy)]
struct Spot {
    /// Address in the stage of the leftmost pixel read.
    from: u32,
    /// Address in y of the leftmost pixel written, in the first plane.
    to: u64,
    /// Bytes from one plane of y to the next.
    plane: u64,
    mirrored: bool,
}

/// Converts four pixels, or what is left of them at the end of a row.
#[inline(always)]
pub fn convert<T: Element>(job: &Job, note: &Note, stage: u32, at: Quad, table: u32) {
    let column = at.number * 4;
    let width = note.columns.saturating_sub(column).min(4);
    let mirrored_column = note.columns.saturating_sub(column + width);
    let source = if note.mirrored { mirrored_column } else { column };
    let skew = note.first.wrapping_add(at.row * job.width * CHANNELS) % 16;
    let target = note.target + u64::from(at.row) * u64::from(job.out_width) + u64::from(column);
    let spot = Spot {
        from: stage + at.row * job.pitch() + skew + source * CHANNELS,
        to: job.y + target * u64::from(T::BYTES),
        plane: u64::from(job.out_height) * u64::from(job.out_width) * u64::from(T::BYTES),
        mirrored: note.mirrored,
    };
    if width == 4 {
        convert_four::<T>(spot, table);
    } else {
        convert_singly::<T>(spot, width, table);
    }
}

#[inline(always)]
fn convert_four<T: Element>(spot: Spot, table: u32) {
    let pixels = load_pixels(spot.from);
    let pixels = if spot.mirrored { mirror(pixels) } else { pixels };
    for channel in 0..CHANNELS {
        let result = |pixel: u32| {
            let byte = pixel * CHANNELS + channel;
            look_up(table, channel, pixels[byte as usize / 4] >> (byte % 4 * 8) & 0xff)
        };
        let results = [result(0), result(1), result(2), result(3)];
        // SAFETY: four elements of a row of y.
        unsafe { T::store4(spot.to + spot.plane * u64::from(channel), results) };
    }
}

#[inline(always)]
fn convert_singly<T: Element>(spot: Spot, width: u32, table: u32) {
    for pixel in 0..width {
        let source = if spot.mirrored { width - 1 - pixel } else { pixel };
        for channel in 0..CHANNELS {
            // SAFETY: a byte of the tile.
            let byte = unsafe { shared::load_u8(spot.from + source * CHANNELS + channel) };
            let to = spot.to + spot.plane * u64::from(channel) + u64::from(pixel * T::BYTES);
            // SAFETY: an element of y.
            unsafe { T::store_bits(to, look_up(table, channel, byte.into())) };
        }
    }
}

/// Twelve bytes from any address, as three words. Reads no word that holds none of them.
#[inline(always)]
fn load_pixels(from: u32) -> [u32; 3] {
    let (word, shift) = (from & !3, from % 4 * 8);
    // SAFETY: words with bytes of a filled stage; windows are whole units of 16 bytes.
    let load = |number: u32| unsafe { shared::load_u32(word + number * 4) };
    let (a, b, c, d) = (load(0), load(1), load(2), if shift == 0 { 0 } else { load(3) });
    let join = |low: u32, high: u32| ((u64::from(high) << 32 | u64::from(low)) >> shift) as u32;
    [join(a, b), join(b, c), join(c, d)]
}

/// The same four pixels from right to left: bytes 9 10 11 6, 7 8 3 4, 5 0 1 2.
#[inline(always)]
fn mirror([a, b, c]: [u32; 3]) -> [u32; 3] {
    [
        c >> 8 | (b >> 16 & 0xff) << 24,
        b >> 24 | (c & 0xff) << 8 | (a >> 24) << 16 | (b & 0xff) << 24,
        (b >> 8 & 0xff) | a << 8,
    ]
}

#[inline(always)]
fn look_up(table: u32, channel: u32, value: u32) -> u32 {
    // SAFETY: `fill_table` wrote an entry for every value of every channel.
    unsafe { shared::load_u32(table + (channel * VALUES + value) * 4) }
}

/// Writes the table, this thread's share of it.
#[inline(always)]
pub fn fill_table<T: Element>(table: u32, mean: Triple, std: Triple, share: Share) {
    let by_255 = Divisor::new(255.0);
    for channel in 0..CHANNELS {
        let (mean, by_std) = (f64::from(mean.get(channel)), Divisor::new(f64::from(std.get(channel))));
        let mut value = share.thread;
        while value < VALUES {
            let result = by_std.divide(by_255.divide(f64::from(value)) - mean);
            // SAFETY: an entry of the table.
            unsafe { shared::store_u32(table + (channel * VALUES + value) * 4, T::bits_of(result)) };
            value += share.threads;
        }
    }
}

/// A number that others are divided by: its reciprocal once, instead of a division each, which is long in float64.
#[derive(Clone, Copy)]
struct Divisor {
    number: f64,
    reciprocal: f64,
}

impl Divisor {
    #[inline(always)]
    fn new(number: f64) -> Self {
        Self {
            number,
            reciprocal: 1.0 / number,
        }
    }

    /// `dividend / number`, rounded once: a quotient from a reciprocal that is rounded once, mended by its remainder, is (Markstein, IBM Journal
    /// of Research and Development 34, 1990), as long as nothing overflows or vanishes. Else, and that is rare, a division.
    #[inline(always)]
    fn divide(self, dividend: f64) -> f64 {
        let near = dividend * self.reciprocal;
        let remainder = mul_add(-near, self.number, dividend);
        if remainder.is_finite() {
            mul_add(remainder, self.reciprocal, near)
        } else {
            dividend / self.number
        }
    }
}
