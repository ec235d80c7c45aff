//! What thread blocks tell each other: a counter of pieces taken, and per tile how many warps have done how many steps.
//!
//! All of it is in one array of words, which the launch begins with zeros. A warp's stores come before its sign
//! (`finish` releases them, at the scope of the GPU); who has seen the signs that it waits for reads what they stand for
//! (`Ready` acquires). Bulk copies read by another proxy, hence the fences of that proxy on both sides.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use warpbridge_runtime::global;

use super::job::{Job, Span, Tile, divide};
use super::{COMPUTE_WARPS, warp};

const SIGNS: u32 = 4; // words before the first tile's sign

/// Address of the words.
#[derive(Clone, Copy)]
pub struct Work(u64);

/// A piece that was asked for; the answer is on its way.
pub struct Taken(u32);

impl Taken {
    /// The piece's number, which lane 0 has, in all lanes.
    #[inline(always)]
    pub fn number(self) -> u32 {
        let join = |value: u32, distance: u32| value | warp::swap_f32(f32::from_bits(value), distance).to_bits();
        join(join(join(join(join(self.0, 16), 8), 4), 2), 1)
    }
}

impl Work {
    /// The words at this address.
    #[inline(always)]
    pub fn at(address: u64) -> Self {
        Self(address)
    }

    /// Takes the next piece. A warp does its pieces in the order in which it took them.
    #[inline(always)]
    pub fn take(self) -> Taken {
        let mut number = 0;
        if warp::lane() == 0 {
            // SAFETY: the first word; the atomic is all that thread blocks need to agree on who does what.
            number = unsafe { global::fetch_add_u32(self.0, 1) };
        }
        Taken(number)
    }

    /// Waits until every tile around this one, and this one itself, has done the step before; for nothing if `at_once`.
    #[inline(always)]
    pub fn ready(self, job: &Job, tile: &Tile, at_once: bool) -> Ready {
        let neighbour = neighbour(job, tile).filter(|_| tile.step > 0 && !at_once);
        // Lanes with nothing to wait for read the counter, and are content: no lane parts from the others.
        Ready {
            word: neighbour.map_or(self.0, |number| self.sign(number)),
            wanted: if neighbour.is_some() {
                tile.step * COMPUTE_WARPS
            } else {
                0
            },
        }
    }

    /// Says that this warp has done its part of a tile's step. The warp calls it together.
    #[inline(always)]
    pub fn finish(self, tile: u32) {
        fence_proxy();
        warp::sync();
        if warp::lane() == 0 {
            // SAFETY: the tile's word.
            unsafe { global::add_release_u32(self.sign(tile), 1) };
        }
    }

    #[inline(always)]
    fn sign(self, tile: u32) -> u64 {
        self.0 + u64::from(SIGNS + tile) * 4
    }
}

/// Which tile this lane watches: the first 27 lanes those around the tile, and the tile itself. Those across an edge or a
/// corner hold nothing that the star reads, but their numbers come along in the copies.
#[inline(always)]
fn neighbour(job: &Job, tile: &Tile) -> Option<u32> {
    let beside = |number: u32, count: u32, way: u32| {
        // With the count added nothing is negative, and the remainder is the place in a periodic field.
        let moved = number + count + way - 1;
        (
            divide(moved, count).1,
            job.periodic || (moved >= count && moved < 2 * count),
        )
    };
    let lane = warp::lane();
    let (z, is_z) = beside(tile.z.number, job.tiles_z, lane / 9);
    let (y, is_y) = beside(tile.y.number, job.tiles_y, lane / 3 % 3);
    let (x, is_x) = beside(tile.x.number, job.tiles_x, lane % 3);
    let is_there = lane < 27 && is_z && is_y && is_x;
    is_there.then_some((z * job.tiles_y + y) * job.tiles_x + x)
}

/// See [`Work::ready`].
pub struct Ready {
    /// Address of what this lane watches.
    word: u64,
    wanted: u32,
}

impl Future for Ready {
    type Output = ();

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // SAFETY: one of the words.
        if warp::all(unsafe { global::load_acquire_u32(self.word) } >= self.wanted) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// After [`Ready`], before copies: what one lane has acquired holds for all, and for the proxy that copies.
#[inline(always)]
pub fn acquire_for_copies() {
    warp::sync();
    fence_proxy();
}

/// Orders accesses to global memory of this thread and of its bulk copies. Nothing on sm_80, which has none.
#[inline(always)]
fn fence_proxy() {
    #[cfg(engine = "bulk")]
    // SAFETY: orders memory, touches none.
    unsafe {
        core::arch::asm!("fence.proxy.async.global;", options(nostack))
    };
}

/// Part of an axis that a tile has, by the tile's number on that axis: nearly the same for all, in whole units.
///
/// So no tile is shorter than the largest radius, unless it is the only one, and one tile further is far enough to wait for.
#[inline(always)]
pub fn span(number: u32, count: u32, extent: u32, unit: u32) -> Span {
    let (each, more) = divide(extent.div_ceil(unit), count);
    let begin = |number: u32| ((number * each + number.min(more)) * unit).min(extent);
    Span {
        number,
        begin: begin(number),
        end: begin(number + 1),
    }
}
