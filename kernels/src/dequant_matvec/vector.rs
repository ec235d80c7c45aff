//! x: up to eight vectors, as the lanes of a warp take it. In shared memory if it fits, arranged so that a lane reads the eight
//! numbers of a step at once; otherwise each step reads global memory, by way of the L1.

use warpbridge_runtime::tile::Share;
use warpbridge_runtime::{divide, global, shared, warp};

use super::weights::Weights;
use super::{STEP, UNIT};

/// Bytes of x that shared memory has room for beside the ring; the manifest's launch says the same.
#[cfg(engine = "bulk")]
const ROOM: u32 = 139_264;
#[cfg(engine = "cp_async")]
const ROOM: u32 = 30_720;
const NUMBER_BYTES: u32 = 2;
const STEP_BYTES: u32 = STEP * NUMBER_BYTES;

/// Where x is.
#[derive(Clone, Copy)]
pub struct Vector {
    x: u64,
    place: u32,
    /// How many vectors.
    pub batch: u32,
    steps: u32,
    /// Whether it is brought to shared memory.
    pub is_resident: bool,
}

impl Vector {
    /// `batch` vectors of `steps` steps at `x`, to be brought to `place`.
    #[inline(always)]
    pub fn new(x: u64, place: u32, batch: u32, steps: u32) -> Self {
        let bytes = u64::from(steps.next_multiple_of(UNIT)) * u64::from(batch) * u64::from(STEP_BYTES);
        Self {
            x,
            place,
            batch,
            steps,
            is_resident: bytes <= u64::from(ROOM),
        }
    }

    /// Writes x to its place, with zeros behind it that make whole units. The compute warps call it together.
    #[inline(always)]
    pub fn bring<W: Weights>(&self, share: Share) {
        let quarters = self.steps.next_multiple_of(UNIT) * self.batch * 4;
        let mut quarter = share.thread;
        while quarter < quarters {
            let (step, column) = divide(quarter / 4, self.batch);
            let numbers = W::arrange(self.load(column, step, quarter % 4));
            // SAFETY: a part of the place.
            unsafe { shared::store_v4(self.place + quarter * 16, numbers) };
            quarter += share.threads;
        }
    }

    /// This lane's eight numbers at a step: of the vector that is its column in the tile, or of the last one where there is none,
    /// whose results are not stored.
    #[inline(always)]
    pub fn numbers<W: Weights>(&self, step: u32) -> [u32; 4] {
        let (column, quarter) = ((warp::lane() / 4).min(self.batch - 1), warp::lane() % 4);
        if self.is_resident {
            let at = self.place + (step * self.batch + column) * STEP_BYTES + quarter * 16;
            // SAFETY: written by `bring`, before the warps met.
            unsafe { shared::load_v4(at) }
        } else {
            W::arrange(self.load(column, step, quarter))
        }
    }

    /// Eight numbers as they are in memory; zeros behind the end.
    #[inline(always)]
    fn load(&self, column: u32, step: u32, quarter: u32) -> [u32; 4] {
        if step >= self.steps {
            return [0; 4];
        }
        let at = u64::from(column) * u64::from(self.steps) + u64::from(step);
        // SAFETY: a part of x, whose address is a multiple of 16.
        unsafe { global::load_v4(self.x + at * u64::from(STEP_BYTES) + u64::from(quarter * 16)) }
    }
}
