//! Brings x to shared memory: all compute warps together, each thread four eights of a column at a time, which it has asked for before
//! any weights or a column ahead. An eight goes to its place in the order of the tensor cores. Four of a thread have the same place
//! in units a fixed distance apart, so that addresses are additions; and a unit's sum, where zeros are taken off by it, is a
//! product on the tensor cores and two exchanges: few instructions, as all else waits for them.

use warpbridge_runtime::{block, global, shared, warp};

use super::COMPUTE_WARPS;
use super::multiplier::Multiplier;
use super::vector::{EIGHT_BYTES, STEP_BYTES, SUMS_BYTES, Vector, number_of};
use super::weights::Weights;

/// The compute warps' threads, the first of the block.
const THREADS: u32 = COMPUTE_WARPS * warp::LANES;
/// Eights that a thread reads at once, as far apart as there are threads.
const CHUNK: u32 = 4;
type Chunk = [[u32; 4]; CHUNK as usize];

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
    chunks: [Chunk; 2],
}

impl Bring {
    /// Nothing.
    #[inline(always)]
    pub fn none(x: Vector) -> Self {
        Self {
            x,
            item: 0,
            number: 0,
            chunks: [[[0; 4]; CHUNK as usize]; 2],
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
        let chunks = [bring.read(START), bring.read(bring.behind::<W>(START))];
        Self { chunks, ..bring }
    }

    /// Writes x to its place, with zeros behind it that make whole units, and the units' sums times less `zero`. The compute warps
    /// call it together.
    #[inline(always)]
    pub fn finish<W: Weights, T: Multiplier>(self, zero: u32) {
        let less_zero = W::offsets::<T>(zero)[0];
        let [mut even, mut odd] = self.chunks;
        let mut here = START;
        let mut ahead = self.behind::<W>(self.behind::<W>(here));
        while here.column < self.x.batch {
            let mut go_on = |chunk: &mut Chunk| {
                let now = *chunk;
                *chunk = self.read(ahead);
                ahead = self.behind::<W>(ahead);
                if here.column < self.x.batch {
                    self.write::<W, T>(here, now, less_zero);
                }
                here = self.behind::<W>(here);
            };
            go_on(&mut even);
            go_on(&mut odd);
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

    /// Writes eights to their places, and the units' sums. The warp calls it together.
    #[inline(always)]
    fn write<W: Weights, T: Multiplier>(&self, spot: Spot, chunk: Chunk, less_zero: u32) {
        let item = self.item + spot.first;
        let (unit, eight, lane) = (item / 4 / W::EIGHTS, item / 4 % W::EIGHTS, item % 4);
        let column = spot.column;
        let at = self.x.column_at::<W>(unit, column) + eight * STEP_BYTES + lane * EIGHT_BYTES;
        let sums = chunk.map(|numbers| sum_of_unit::<W, T>(numbers, less_zero));
        // Four lanes of a unit have one word each of what is written of its sums: of the pair of columns, twice. A last column
        // without a neighbour is both.
        let word = item % (4 * W::EIGHTS);
        let is_last = column % 2 == 0 && column + 1 == self.x.batch;
        let notes = !T::SUBTRACTS && word < 4 && (is_last || word % 2 == column % 2);
        let sums_at = self.x.sums_at::<W>(unit, column / 2) + word * 4;
        let sums_step = THREADS / 4 / W::EIGHTS * SUMS_BYTES;
        let write = |turn: u32| {
            if item + turn * THREADS >= self.x.items::<W>() {
                return;
            }
            let place = at + turn * THREADS * EIGHT_BYTES;
            // SAFETY: a part of the place.
            unsafe { shared::store_v4(place, W::arrange(chunk[turn as usize])) };
            if notes {
                // SAFETY: a part of the place of the sums.
                unsafe { shared::store_u32(sums_at + turn * sums_step, sums[turn as usize].to_bits()) };
            }
        };
        write(0);
        write(1);
        write(2);
        write(3);
    }
}

/// The sum of the unit of which this lane has eight numbers, times less the zero; nothing where none are needed.
#[inline(always)]
fn sum_of_unit<W: Weights, T: Multiplier>(numbers: [u32; 4], less_zero: u32) -> f32 {
    if T::SUBTRACTS {
        return 0.0;
    }
    // Two rows of the tile are this lane's and its three neighbours'.
    let [low, _, high, _] = T::multiply_add([0.0; 4], numbers, [less_zero; 2]);
    let mut sum = low + high;
    sum += warp::swap_f32(sum, 4);
    if W::EIGHTS == 4 {
        sum += warp::swap_f32(sum, 8);
    }
    sum
}

const _: () = assert!(THREADS % (4 * 4) == 0 && CHUNK == 4);
