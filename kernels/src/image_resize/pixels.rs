//! The compute side of `image_resize`: rows of x in a filled stage to rows of y.
//!
//! First along rows of x, then between two of them. A thread has four columns of y, whose places and weights it works out once, and goes
//! down the rows of a strip: where y is larger, the lower row of one pair is often the upper of the next, and is not worked out again.

use core::arch::asm;
use core::hint::assert_unchecked;
use core::ops::Range;

use super::note::{Lines, Note, Plan, Scale};
use super::source::Blend;
use crate::images::CHANNELS;
use warpbridge_runtime::element::Element;
use warpbridge_runtime::{fma, shared, warp};

/// Where results go.
#[derive(Clone, Copy)]
pub struct Target {
    /// Address of y.
    pub y: u64,
    /// Elements of a row.
    pub width: u32,
    /// Elements of a plane.
    pub plane: u64,
    /// Where the channels' scales stand in shared memory.
    pub scales: u32,
}

/// Four neighbouring columns of y: for each, where in a row of x its left neighbour starts, and the right one's weight.
#[derive(Clone, Copy)]
struct Columns {
    at: [u32; 4],
    weight: [f32; 4],
    /// From the first byte of a pair of neighbours to its last.
    reach: u32,
}

/// Four pixels, in three channels.
#[derive(Clone, Copy)]
struct Pixels {
    red: [f32; 4],
    green: [f32; 4],
    blue: [f32; 4],
}

/// Computes worker `worker`'s share of the tile in a filled stage. Workers, which are warps, take the items of the plan in turn; that keeps
/// most of them in their columns. The note is read anew for each item: kept, it would cost registers in the loop over rows.
#[inline(always)]
pub fn resize<T: Element, const WORKERS: u32>(target: &Target, stage: u32, worker: u32) {
    let (mut group, mut chunk) = (0, worker);
    let scales = Scale::read_all(target.scales);
    let (mut columns, mut known) = (Columns::NONE, u32::MAX);
    loop {
        let note = Note::read(stage);
        let Plan {
            height,
            chunks,
            lanes_log2,
        } = note.plan;
        while chunk >= chunks {
            (group, chunk) = (group + 1, chunk - chunks);
        }
        let abreast = warp::LANES >> lanes_log2;
        if group * abreast * height >= note.rows {
            return;
        }
        let row = (group * abreast + (warp::lane() >> lanes_log2)) * height;
        let column = 4 * (chunk * warp::LANES + (warp::lane() & ((1 << lanes_log2) - 1)));
        if known != chunk {
            columns = Columns::of(&note, column);
            known = chunk;
        }
        if column < note.columns {
            let rows = row..(row + height).min(note.rows);
            let job = Strip {
                target,
                note: &note,
                stage,
                columns: &columns,
                scales,
                column,
            };
            job.compute::<T>(rows);
        }
        chunk += WORKERS;
    }
}

/// Four columns of a strip.
struct Strip<'a> {
    target: &'a Target,
    note: &'a Note,
    stage: u32,
    columns: &'a Columns,
    scales: [Scale; CHANNELS as usize],
    /// The first of the four in the tile.
    column: u32,
}

impl Strip<'_> {
    /// Computes and stores these rows of the tile.
    #[inline(always)]
    fn compute<T: Element>(&self, rows: Range<u32>) {
        let (target, note) = (self.target, self.note);
        let (mut upper, mut lower) = (Pixels::NONE, Pixels::NONE);
        let first = note.target + u64::from(rows.start) * u64::from(target.width) + u64::from(self.column);
        let whole = note.is_even;
        let mut to = target.y + first * u64::from(T::BYTES);
        let mut is_first = true;
        for row in rows {
            let lines = Lines::read(self.stage, row);
            let step = if is_first { 2 } else { lines.step };
            is_first = false;
            if step > 0 {
                upper = if step == 1 {
                    lower
                } else {
                    self.columns.across(lines.upper, self.scales)
                };
                lower = self.columns.across(lines.lower, self.scales);
            }
            let count = if whole { 4 } else { note.columns - self.column };
            // SAFETY: the pixels' places in y; `whole` says that they are at multiples of their size.
            unsafe { target.store::<T>(to, upper.between(&lower, lines.weight), count, whole) };
            to += u64::from(target.width) * u64::from(T::BYTES);
        }
    }
}

impl Target {
    /// Stores the first `count` of four neighbours in each plane, or all four.
    ///
    /// # Safety
    /// As [`Element::store_global`], for as many elements in each plane; with `aligned`, `to` is a multiple of the size of
    /// four, and so is the distance of planes.
    #[inline(always)]
    unsafe fn store<T: Element>(&self, to: u64, pixels: Pixels, count: u32, aligned: bool) {
        let plane = self.plane * u64::from(T::BYTES);
        if !aligned {
            // SAFETY: the caller's promise.
            let store = |to: u64, values| unsafe { store_some::<T>(to, values, count) };
            store(to, pixels.red);
            store(to + plane, pixels.green);
            return store(to + 2 * plane, pixels.blue);
        }
        let store = |to: u64, values| {
            // SAFETY: the caller's promise.
            unsafe { assert_unchecked(to % u64::from(4 * T::BYTES) == 0) };
            // SAFETY: the caller's promise.
            unsafe { T::store_four(to, values) };
        };
        store(to, pixels.red);
        store(to + plane, pixels.green);
        store(to + 2 * plane, pixels.blue);
    }
}

/// Stores the first `count` of four neighbours, or all four.
///
/// # Safety
/// As [`Element::store_global`], for as many elements.
#[inline(always)]
unsafe fn store_some<T: Element>(to: u64, [a, b, c, d]: [f32; 4], count: u32) {
    // SAFETY: the caller's promise, and the tests below.
    let one = |number: u32, value| unsafe { T::store_global(to + u64::from(number * T::BYTES), value) };
    one(0, a);
    if count > 1 {
        one(1, b);
    }
    if count > 2 {
        one(2, c);
    }
    if count > 3 {
        one(3, d);
    }
}

impl Columns {
    const NONE: Self = Self {
        at: [0; 4],
        weight: [0.0; 4],
        reach: 0,
    };

    /// The columns of a tile from `column` on; beyond its last, that one again.
    #[inline(always)]
    fn of(note: &Note, column: u32) -> Self {
        let blend = |number: u32| {
            let column = (column + number).min(note.columns - 1);
            let from_left = if note.mirrored {
                note.columns - 1 - column
            } else {
                column
            };
            note.horizontal.at(note.column + from_left)
        };
        let at = |blend: Blend| (blend.first - note.first_column) * CHANNELS;
        let (a, b, c, d) = (blend(0), blend(1), blend(2), blend(3));
        Self {
            at: [at(a), at(b), at(c), at(d)],
            weight: [a.weight, b.weight, c.weight, d.weight],
            reach: if note.horizontal.has_neighbours() {
                2 * CHANNELS - 1
            } else {
                CHANNELS - 1
            },
        }
    }

    /// The columns' values in a row of x, which starts at `line` in shared memory, scaled.
    #[inline(always)]
    fn across(&self, line: u32, [red, green, blue]: [Scale; CHANNELS as usize]) -> Pixels {
        let one = |number: usize| {
            let [low, high] = load_pair(line + self.at[number], self.reach);
            let weight = self.weight[number];
            let channel = |left: f32, right: f32, scale: Scale| {
                let value = fma(right - left, weight, left - BIAS);
                fma(value, scale.factor, scale.summand)
            };
            (
                channel(biased::<0>(low), biased::<3>(low), red),
                channel(biased::<1>(low), biased::<0>(high), green),
                channel(biased::<2>(low), biased::<1>(high), blue),
            )
        };
        let (a, b, c, d) = (one(0), one(1), one(2), one(3));
        Pixels {
            red: [a.0, b.0, c.0, d.0],
            green: [a.1, b.1, c.1, d.1],
            blue: [a.2, b.2, c.2, d.2],
        }
    }
}

impl Pixels {
    const NONE: Self = Self {
        red: [0.0; 4],
        green: [0.0; 4],
        blue: [0.0; 4],
    };

    /// What is between these and those below, of which `weight` is taken.
    #[inline(always)]
    fn between(&self, below: &Self, weight: f32) -> Self {
        let one = |[a, b, c, d]: [f32; 4], [e, f, g, h]: [f32; 4]| {
            let blend = |a: f32, b: f32| fma(b - a, weight, a);
            [blend(a, e), blend(b, f), blend(c, g), blend(d, h)]
        };
        Self {
            red: one(self.red, below.red),
            green: one(self.green, below.green),
            blue: one(self.blue, below.blue),
        }
    }
}

/// The six bytes at `from`, in the low bytes of a word of four and one of two, whatever is above them. Where `reach` is 2, three bytes only.
/// Reads no word that holds none of them.
#[inline(always)]
fn load_pair(from: u32, reach: u32) -> [u32; 2] {
    let (first, last) = (from & !3, (from + reach) & !3);
    // SAFETY: words with bytes of a row in a filled stage; windows are whole units of 16 bytes.
    let load = |address: u32| unsafe { shared::load_u32(address) };
    let (a, b, c) = (load(first), load((first + 4).min(last)), load(last));
    [joined(a, b, from * 8), joined(b, c, from * 8)]
}

/// The word that starts `shift` modulo 32 bits into two.
#[inline(always)]
fn joined(low: u32, high: u32, shift: u32) -> u32 {
    let word: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("shf.r.wrap.b32 {}, {}, {}, {};", out(reg32) word, in(reg32) low, in(reg32) high, in(reg32) shift,
             options(pure, nomem, nostack));
    }
    word
}

/// What [`biased`] adds: 2^23.
const BIAS: f32 = 8_388_608.0;

/// Byte number `BYTE` of a word, plus 2^23: a move of bytes instead of a conversion. Differences of two are exact.
#[inline(always)]
fn biased<const BYTE: u32>(word: u32) -> f32 {
    let bits: u32;
    // SAFETY: arithmetic.
    unsafe {
        asm!("prmt.b32 {}, {}, {}, {};", out(reg32) bits, in(reg32) word, in(reg32) BIAS.to_bits(),
             in(reg32) 0x7440 + BYTE, options(pure, nomem, nostack));
    }
    f32::from_bits(bits)
}
