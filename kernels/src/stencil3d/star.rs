//! The arithmetic: one plane of a tile, a warp per row, four neighbouring numbers per lane (one where rows are not aligned).
//!
//! The order is part of the result: the centre first, then z, y, x, on each from the nearest neighbours outwards, the
//! lower one before the upper, each added by a fused multiply-add.

use warpbridge_runtime::{block, global, shared, warp};

use super::job::{Job, Tile, pitch};
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

/// The radius is known at run time only.
const ANY: u32 = 0;

/// The weights on both sides of the centre on one axis, the lower one first, from the nearest outwards; 0 beyond the radius.
type Sides = ((f32, f32), (f32, f32), (f32, f32), (f32, f32));

/// All weights in registers; with a radius of [`ANY`], those of the centre and its six neighbours, the others stay in shared memory.
struct Weights {
    table: u32,
    centre: f32,
    z: Sides,
    y: Sides,
    x: Sides,
}

impl Weights {
    #[inline(always)]
    fn load<const R: u32>(table: u32) -> Self {
        let pair = |axis: u32, distance: i32| {
            if distance <= (R as i32).max(1) {
                (weight(table, axis, -distance), weight(table, axis, distance))
            } else {
                (0.0, 0.0)
            }
        };
        let sides = |axis: u32| (pair(axis, 1), pair(axis, 2), pair(axis, 3), pair(axis, 4));
        Self {
            table,
            centre: weight(table, 0, 0) + weight(table, 1, 0) + weight(table, 2, 0),
            z: sides(0),
            y: sides(1),
            x: sides(2),
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
        return rows::<f32, ANY>(job, tile, z, ring, table);
    }
    match job.radius {
        1 => rows::<Four, 1>(job, tile, z, ring, table),
        2 => rows::<Four, 2>(job, tile, z, ring, table),
        3 => rows::<Four, 3>(job, tile, z, ring, table),
        _ => rows::<Four, 4>(job, tile, z, ring, table),
    }
}

/// Whether the number at this coordinate of an axis keeps its value: it is too near to the field's face.
#[inline(always)]
fn is_kept(job: &Job, place: u32, extent: u32) -> bool {
    !job.periodic && (place < job.radius || place + job.radius >= extent)
}

/// The rows of this warp, a pack per lane at a time.
#[inline(always)]
fn rows<P: Pack, const R: u32>(job: &Job, tile: &Tile, z: u32, ring: Reader, table: u32) {
    let weights = Weights::load::<R>(table);
    let keeps_plane = job.steps == 0 || is_kept(job, z, job.nz);
    let mut y = tile.y.begin + warp::index() - 1;
    while y < tile.y.end {
        let row = Row::<R> { job, tile, z, y, ring };
        let keeps_row = keeps_plane || is_kept(job, y, job.ny);
        let mut x = tile.x.begin + warp::lane() * P::COUNT;
        while x < tile.x.end {
            let mut result: P = row.load(0, 0, x);
            if !keeps_row {
                result = row.star::<P>(&weights, result, x);
            }
            // SAFETY: numbers of a row of the field, aligned as `is_aligned` says.
            unsafe { result.store(tile.to + job.offset(z, y, x)) };
            x += warp::LANES * P::COUNT;
        }
        y += COMPUTE_WARPS;
    }
}

/// A row of a plane in the ring, with its neighbours. `R` is the radius, where it is not [`ANY`]: places are then known when this is compiled.
struct Row<'a, const R: u32> {
    job: &'a Job,
    tile: &'a Tile,
    z: u32,
    y: u32,
    ring: Reader,
}

impl<const R: u32> Row<'_, R> {
    #[inline(always)]
    fn radius(&self) -> u32 {
        if R == ANY { self.job.radius } else { R }
    }

    /// Address in shared memory of column `x` in the row `dz` planes and `dy` rows away.
    #[inline(always)]
    fn address<P: Pack>(&self, dz: i32, dy: i32, x: u32) -> u32 {
        let job = self.job;
        let stage = self.ring.stage((self.radius() as i32 + dz) as u32);
        let row = (self.y - self.tile.y.begin + self.radius()).wrapping_add(dy as u32);
        let first = self.tile.x.begin.saturating_sub(self.radius());
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
        (stage + row * pitch(self.radius()) + skew).wrapping_add(x.wrapping_sub(first).wrapping_mul(NUMBER))
    }

    /// The numbers from column `x` on, in the row `dz` planes and `dy` rows away.
    #[inline(always)]
    fn load<P: Pack>(&self, dz: i32, dy: i32, x: u32) -> P {
        // SAFETY: numbers of planes that have landed.
        unsafe { P::load_shared(self.address::<P>(dz, dy, x)) }
    }

    /// The stencil at a pack of numbers, of which those too near to the field's face are kept.
    #[inline(always)]
    fn star<P: Pack>(&self, weights: &Weights, centre: P, x: u32) -> P {
        let sum = centre.zip(centre, |_, value, _| weights.centre * value);
        let sum = self.plus_axis(sum, weights, 0, weights.z, |by| self.load(by, 0, x));
        let sum = self.plus_axis(sum, weights, 1, weights.y, |by| self.load(0, by, x));
        let sum = if P::COUNT == 1 {
            let beside = |by: i32| self.beside(x.wrapping_add(by as u32));
            self.plus_axis(sum, weights, 2, weights.x, beside)
        } else {
            let (left, right) = (self.beside(x.wrapping_sub(P::COUNT)), self.beside(x + P::COUNT));
            self.plus_axis(sum, weights, 2, weights.x, |by| P::shifted(left, centre, right, by))
        };
        centre.zip(sum, |number, value, sum| {
            if is_kept(self.job, x + number, self.job.nx) {
                value
            } else {
                sum
            }
        })
    }

    /// Adds the neighbours on an axis: `along` gives the numbers at a distance.
    #[inline(always)]
    fn plus_axis<P: Pack>(&self, sum: P, weights: &Weights, axis: u32, sides: Sides, along: impl Fn(i32) -> P) -> P {
        let pair = |sum: P, (lower, upper): (f32, f32), by: i32| sum.plus(lower, along(-by)).plus(upper, along(by));
        let mut sum = pair(sum, sides.0, 1);
        if R >= 2 {
            sum = pair(sum, sides.1, 2);
        }
        if R >= 3 {
            sum = pair(sum, sides.2, 3);
        }
        if R >= 4 {
            sum = pair(sum, sides.3, 4);
        }
        let mut distance = 2;
        while R == ANY && distance <= self.job.radius as i32 {
            let far = |by: i32| weight(weights.table, axis, by);
            sum = pair(sum, (far(-distance), far(distance)), distance);
            distance += 1;
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
