//! Brings x to shared memory: all compute warps together, each thread four eights of a column at a time, which it has asked for before
//! any weights or a column ahead. An eight goes to its place in the order of the tensor cores. Four of a thread have the same place
//! in units a fixed distance apart, so that addresses are additions. When all stands, the warps sum up units, each its share, on the
//! tensor cores, which add all columns at once. Few instructions, as all else waits for them.

use warpbridge_runtime::{block, global, shared, warp};

use super::COMPUTE_WARPS;
use super::multiplier::Multiplier;
use super::vector::{EIGHT_BYTES, STEP_BYTES, Vector, number_of};
use super::weights::Weights;

/// The compute warps' threads, the first of the block.
const THREADS: u32 = COMPUTE_WARPS * warp::LANES;
/// Eights that a thread reads at once, as far apart as there are threads.
const CHUNK: u32 = 4;
type Chunk = [[u32; 4]; CHUNK as usize];
/// Units that a warp sums up at once.
const SUMMED: u32 = 4;

/// Where all threads are in x: a column, and the first eight there of a chunk.
#[derive(Clone, Copy)]
struct Spot {
    column: u32,
    first: u32,
}

const START: Spot = Spot { column: 0, first: 0 };

/// A thread's part, and its eights that are under way, in two chunks.
#[derive(Clone, Copy)]
pub struct Bring {
    x: Vector,
    /// Number of its first eight, in the order of the places, and in memory.
    item: u32,
    number: u32,
    chunks: [Chunk; 4],
}

impl Bring {
    /// Nothing.
    #[inline(always)]
    pub fn none(x: Vector) -> Self {
        Self {
            x,
            item: 0,
            number: 0,
            chunks: [[[0; 4]; CHUNK as usize]; 4],
        }
    }

    /// Reads this thread's first eights. Before any weights are asked for: behind those of all thread blocks, they would come late.
    #[inline(always)]
    pub fn start<W: Weights>(x: Vector, is_near: bool) -> Self {
        let item = block::thread();
        let bring = Self {
            item,
            number: number_of::<W>(item, is_near),
            ..Self::none(x)
        };
        let second = bring.behind::<W>(START);
        let third = bring.behind::<W>(second);
        let chunks = [START, second, third, bring.behind::<W>(third)].map(|spot| bring.read(spot));
        Self { chunks, ..bring }
    }

    /// Writes x to its place, with zeros behind it that make whole units. The compute warps call it together.
    #[inline(always)]
    pub fn finish<W: Weights>(self) {
        let [mut a, mut b, mut c, mut d] = self.chunks;
        let mut here = START;
        let two = |spot: Spot| self.behind::<W>(self.behind::<W>(spot));
        let mut ahead = two(two(here));
        while here.column < self.x.batch {
            let mut go_on = |chunk: &mut Chunk| {
                let now = *chunk;
                *chunk = self.read(ahead);
                ahead = self.behind::<W>(ahead);
                if here.column < self.x.batch {
                    self.write::<W>(here, now);
                }
                here = self.behind::<W>(here);
            };
            go_on(&mut a);
            go_on(&mut b);
            go_on(&mut c);
            go_on(&mut d);
        }
    }

    /// The spot behind `spot`.
    #[inline(always)]
    fn behind<W: Weights>(&self, spot: Spot) -> Spot {
        let first = spot.first + CHUNK * THREADS;
        if first < self.x.items::<W>() {
            Spot { first, ..spot }
        } else {
            Spot {
                column: spot.column + 1,
                first: 0,
            }
        }
    }

    /// This thread's eights at a spot; zeros for those that there are not.
    #[inline(always)]
    fn read(&self, spot: Spot) -> Chunk {
        let number = self.number + spot.first;
        let at = self.x.address(spot.column, number);
        let read = |turn: u32| {
            if spot.column >= self.x.batch || number + turn * THREADS >= self.x.eights {
                return [0; 4];
            }
            // SAFETY: an eight of x, whose address is a multiple of 16.
            unsafe { global::load_v4(at + u64::from(turn * THREADS * EIGHT_BYTES)) }
        };
        [read(0), read(1), read(2), read(3)]
    }

    /// Writes eights to their places.
    #[inline(always)]
    fn write<W: Weights>(&self, spot: Spot, chunk: Chunk) {
        let item = self.item + spot.first;
        let (unit, eight, lane) = (item / 4 / W::EIGHTS, item / 4 % W::EIGHTS, item % 4);
        let at = self.x.column_at::<W>(unit, spot.column) + eight * STEP_BYTES + lane * EIGHT_BYTES;
        let write = |turn: u32| {
            if item + turn * THREADS >= self.x.items::<W>() {
                return;
            }
            let place = at + turn * THREADS * EIGHT_BYTES;
            // SAFETY: a part of the place.
            unsafe { shared::store_v4(place, W::arrange(chunk[turn as usize])) };
        };
        write(0);
        write(1);
        write(2);
        write(3);
    }
}

/// Writes the sums of units times `less`, two numbers of type `T`: each compute warp those of every eighth unit, when all of x stands.
#[inline(always)]
pub fn sum_up<W: Weights, T: Multiplier>(x: &Vector, less: u32) {
    let mut unit = warp::index();
    while unit < x.units {
        let at = |turn: u32| (unit + turn * COMPUTE_WARPS).min(x.units - 1);
        let sum = |turn: u32| sums_of_unit::<W, T>(x.at::<W>(x.cursor::<W>(at(turn))), less);
        let sums = [sum(0), sum(1), sum(2), sum(3)];
        for turn in 0..SUMMED {
            let is_there = unit + turn * COMPUTE_WARPS < x.units;
            if is_there && warp::lane() < x.pairs() {
                let to = x.sums_at::<W>(unit + turn * COMPUTE_WARPS, warp::lane());
                // SAFETY: a part of the place of the sums.
                unsafe { shared::store_v4(to, sums[turn as usize].map(f32::to_bits)) };
            }
        }
        unit += SUMMED * COMPUTE_WARPS;
    }
}

/// The sums of a unit's columns times `less`: of this lane's two, twice.
#[inline(always)]
fn sums_of_unit<W: Weights, T: Multiplier>(eights: [[u32; 4]; 4], less: u32) -> [f32; 4] {
    let add = |(low, high): ([f32; 4], [f32; 4]), [a, b, c, d]: [u32; 4]| {
        (
            T::multiply_add(low, [less; 4], [a, b]),
            T::multiply_add(high, [less; 4], [c, d]),
        )
    };
    let mut sums = add(add(([0.0; 4], [0.0; 4]), eights[0]), eights[1]);
    if W::EIGHTS == 4 {
        sums = add(add(sums, eights[2]), eights[3]);
    }
    let (low, high) = sums;
    [low[0] + high[0], low[1] + high[1], low[2] + high[2], low[3] + high[3]]
}

const _: () = assert!(THREADS % (4 * 4) == 0 && CHUNK == 4 && SUMMED == 4);
