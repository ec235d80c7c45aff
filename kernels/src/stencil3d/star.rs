//! The arithmetic: one plane of a tile, a warp per row, four neighbouring numbers per lane (one where rows are not aligned).
//!
//! The order is part of the result: the centre first, then z, y, x, on each from the nearest neighbours outwards, the
//! lower one before the upper, each added by a fused multiply-add.

use warpbridge_runtime::{block, global, shared, warp};

use super::job::{Job, Tile};
use super::pack::{Four, Pack};
use super::ring::Reader;
use super::{COMPUTE_WARPS, MOST_RADIUS, NUMBER};

const TAPS: u32 = 2 * MOST_RADIUS + 1;

/// Weights of three axes in shared memory, each with its centre in the middle of nine.
pub const TABLE_BYTES: u32 = (3 * TAPS * NUMBER + 127) & !127;

/// Copies the weights. Every thread of the block calls it, before the ring's setup syncs the block.
#[inline(always)]
pub fn fill_table(table: u32, weights: u64, radius: u32, threads: u32) {
    let mut entry = block::thread();
    while entry < 3 * TAPS {
        let (axis, tap) = (entry / TAPS, (entry % TAPS + radius).wrapping_sub(MOST_RADIUS));
        if tap <= 2 * radius {
            let at = weights + u64::from((axis * (2 * radius + 1) + tap) * NUMBER);
            // SAFETY: a weight, and its place.
            unsafe { shared::store_u32(table + entry * NUMBER, global::load_u32(at)) };
        }
        entry += threads;
    }
}

/// The weights of the centre and its six neighbours in registers, those further out in shared memory.
struct Weights {
    table: u32,
    centre: f32,
    z: (f32, f32),
    y: (f32, f32),
    x: (f32, f32),
}

impl Weights {
    #[inline(always)]
    fn load(table: u32) -> Self {
        let pair = |axis| (weight(table, axis, -1), weight(table, axis, 1));
        Self {
            table,
            centre: weight(table, 0, 0) + weight(table, 1, 0) + weight(table, 2, 0),
            z: pair(0),
            y: pair(1),
            x: pair(2),
        }
    }
}

/// The weight of the number `distance` from the centre.
#[inline(always)]
fn weight(table: u32, axis: u32, distance: i32) -> f32 {
    let entry = axis * TAPS + (MOST_RADIUS as i32 + distance) as u32;
    // SAFETY: a weight that `fill_table` wrote: distances are at most the radius.
    f32::from_bits(unsafe { shared::load_u32(table + entry * NUMBER) })
}

/// Computes one plane of a tile. The next stage holds the plane `radius` below it, and so on.
#[inline(always)]
pub fn plane(job: &Job, tile: &Tile, z: u32, ring: Reader, table: u32) {
    if !job.is_aligned {
        rows::<f32, true>(job, tile, z, ring, table);
    } else if job.radius == 1 {
        rows::<Four, false>(job, tile, z, ring, table);
    } else {
        rows::<Four, true>(job, tile, z, ring, table);
    }
}

/// Whether the number at this coordinate of an axis keeps its value: it is too near to the field's face.
#[inline(always)]
fn is_kept(job: &Job, place: u32, extent: u32) -> bool {
    !job.periodic && (place < job.radius || place + job.radius >= extent)
}

/// The rows of this warp, a pack per lane at a time; FAR if the radius may be more than 1.
#[inline(always)]
fn rows<P: Pack, const FAR: bool>(job: &Job, tile: &Tile, z: u32, ring: Reader, table: u32) {
    let weights = Weights::load(table);
    let keeps_plane = job.steps == 0 || is_kept(job, z, job.nz);
    let mut y = tile.y.begin + warp::index() - 1;
    while y < tile.y.end {
        let row = Row { job, tile, z, y, ring };
        let keeps_row = keeps_plane || is_kept(job, y, job.ny);
        let mut x = tile.x.begin + warp::lane() * P::COUNT;
        while x < tile.x.end {
            let mut result: P = row.load(0, 0, x);
            if !keeps_row {
                result = row.star::<P, FAR>(&weights, result, x);
            }
            // SAFETY: numbers of a row of the field, aligned as `is_aligned` says.
            unsafe { result.store(tile.to + job.offset(z, y, x)) };
            x += warp::LANES * P::COUNT;
        }
        y += COMPUTE_WARPS;
    }
}

/// A row of a plane in the ring, with its neighbours.
struct Row<'a> {
    job: &'a Job,
    tile: &'a Tile,
    z: u32,
    y: u32,
    ring: Reader,
}

impl Row<'_> {
    /// Address in shared memory of column `x` in the row `dz` planes and `dy` rows away.
    #[inline(always)]
    fn address<P: Pack>(&self, dz: i32, dy: i32, x: u32) -> u32 {
        let job = self.job;
        let stage = self.ring.stage((job.radius as i32 + dz) as u32);
        let row = (self.y - self.tile.y.begin + job.radius).wrapping_add(dy as u32);
        let first = job.first_column(self.tile);
        let skew = if P::COUNT > 1 {
            first * NUMBER % 16
        } else {
            // Rows start anywhere in 16 bytes, each elsewhere.
            let z = job.wrapped(
                (self.z + job.radius).wrapping_add(dz as u32),
                job.nz,
                self.z.wrapping_add(dz as u32),
            );
            let y = job.wrapped(
                (self.y + job.radius).wrapping_add(dy as u32),
                job.ny,
                self.y.wrapping_add(dy as u32),
            );
            (self.tile.from + job.offset(z, y, first)) as u32 % 16
        };
        (stage + row * job.pitch() + skew).wrapping_add(x.wrapping_sub(first).wrapping_mul(NUMBER))
    }

    /// The numbers from column `x` on, in the row `dz` planes and `dy` rows away.
    #[inline(always)]
    fn load<P: Pack>(&self, dz: i32, dy: i32, x: u32) -> P {
        // SAFETY: numbers of planes that have landed.
        unsafe { P::load_shared(self.address::<P>(dz, dy, x)) }
    }

    /// The stencil at a pack of numbers, of which those too near to the field's face are kept.
    #[inline(always)]
    fn star<P: Pack, const FAR: bool>(&self, weights: &Weights, centre: P, x: u32) -> P {
        let sum = centre.zip(centre, |_, value, _| weights.centre * value);
        let sum = self.plus_axis::<P, FAR>(sum, weights, 0, weights.z, |by| self.load(by, 0, x));
        let sum = self.plus_axis::<P, FAR>(sum, weights, 1, weights.y, |by| self.load(0, by, x));
        let sum = if P::COUNT == 1 {
            let beside = |by: i32| self.beside(x.wrapping_add(by as u32));
            self.plus_axis::<P, FAR>(sum, weights, 2, weights.x, beside)
        } else {
            self.plus_line::<P, FAR>(sum, weights, centre, x)
        };
        centre.zip(sum, |number, value, sum| {
            if is_kept(self.job, x + number, self.job.nx) {
                value
            } else {
                sum
            }
        })
    }

    /// Adds the neighbours on an axis: `near` are the weights next to the centre, `along` gives the numbers at a distance.
    #[inline(always)]
    fn plus_axis<P: Pack, const FAR: bool>(
        &self,
        sum: P,
        weights: &Weights,
        axis: u32,
        near: (f32, f32),
        along: impl Fn(i32) -> P,
    ) -> P {
        let mut sum = sum.plus(near.0, along(-1)).plus(near.1, along(1));
        let mut distance = 2;
        while FAR && distance <= self.job.radius as i32 {
            sum = sum.plus(weight(weights.table, axis, -distance), along(-distance));
            sum = sum.plus(weight(weights.table, axis, distance), along(distance));
            distance += 1;
        }
        sum
    }

    /// Adds the neighbours along x, which are in this pack and those beside it.
    #[inline(always)]
    fn plus_line<P: Pack, const FAR: bool>(&self, sum: P, weights: &Weights, centre: P, x: u32) -> P {
        let (left, right) = (self.beside(x.wrapping_sub(P::COUNT)), self.beside(x + P::COUNT));
        let at = |by: i32| P::shifted(left, centre, right, by);
        let mut sum = sum.plus(weights.x.0, at(-1)).plus(weights.x.1, at(1));
        let pair = |sum: P, distance: i32| {
            let sum = sum.plus(weight(weights.table, 2, -distance), at(-distance));
            sum.plus(weight(weights.table, 2, distance), at(distance))
        };
        if FAR && self.job.radius >= 2 {
            sum = pair(sum, 2);
        }
        if FAR && self.job.radius >= 3 {
            sum = pair(sum, 3);
        }
        if FAR && self.job.radius >= 4 {
            sum = pair(sum, 4);
        }
        sum
    }

    /// The numbers of this row from a column on that may lie outside the field; the other end's where it is periodic.
    #[inline(always)]
    fn beside<P: Pack>(&self, x: u32) -> P {
        let job = self.job;
        if x < job.nx {
            return self.load(0, 0, x);
        }
        if !job.periodic {
            return P::ZERO;
        }
        // Left of the field `x` has wrapped around zero.
        let x = if x > u32::MAX / 2 {
            x.wrapping_add(job.nx)
        } else {
            x - job.nx
        };
        // SAFETY: numbers of the field that the step reads; packs of four lie in it whole.
        unsafe { P::load_written(self.tile.from + job.offset(self.z, self.y, x)) }
    }
}
