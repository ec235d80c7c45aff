//! The range of a field, found by all thread blocks together: what each thread has seen, the words in shared memory where a
//! block's warps bring it together, and those in global memory where the blocks do. All begin as zeros. One thread of a block goes to
//! global memory: atomics on the same words follow one another there, some 2 ns each (H200).
//!
//! What is ordered how: a warp's two numbers are relaxed atomics, its arrival is released behind them; the last warp to arrive acquires, and
//! does the same for the block, with its count of tiles. Counts are only ever added by atomics, so whoever acquires the full one
//! has synchronised with everybody who added to it (PTX ISA, memory consistency model: observation order goes through a sequence
//! of atomics), and its reads of the two numbers come behind all of theirs.

use core::arch::asm;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use warpbridge_runtime::mbarrier::Barrier;
use warpbridge_runtime::{global, shared, warp};

use super::numbers::{Number, Seen};

/// Address of four words of 8 bytes: runs taken, tiles seen, the largest key of a number, and of a number's complement.
#[derive(Clone, Copy)]
pub struct Work(pub u64);

/// Address in shared memory of six words of 8 bytes: warps that have arrived, the block's two keys, a barrier, and the field's two
/// keys. These have places of their own: that the block's are done with is known by way of global memory only.
#[derive(Clone, Copy)]
pub struct Corner(pub u32);

impl Corner {
    /// Bytes that it takes up.
    pub const BYTES: u32 = 48;

    /// Zeros, and the barrier. One thread calls it, then [`warpbridge_runtime::Ring::init`] publishes the barrier.
    #[inline(always)]
    pub fn init(self) {
        for word in 0..6 {
            // SAFETY: the words, which nobody uses yet.
            unsafe { shared::store_u32(self.0 + 4 * word, 0) };
        }
        self.known().init(warp::LANES);
    }

    /// Complete once the field's keys are here. One warp of a block asks global memory for the others too: with every warp of
    /// the grid asking, those who bring something in would have to queue up behind them.
    #[inline(always)]
    pub fn known(self) -> Barrier {
        Barrier(self.0 + 24)
    }

    /// Tells the block's warps the field's keys, after [`Work::complete`]. One warp calls it together.
    #[inline(always)]
    pub fn tell(self, work: Work) {
        let (most, least) = (load_acquire(work.0 + 16), load_acquire(work.0 + 24));
        if warp::lane() == 0 {
            // SAFETY: the field's two keys, which nobody reads before the arrival.
            unsafe { store_shared(self.0 + 32, most) };
            // SAFETY: as above.
            unsafe { store_shared(self.0 + 40, least) };
        }
        self.known().arrive();
    }

    /// Smallest and largest number of the field, once they are known; zeros where there is none.
    #[inline(always)]
    pub fn range(self) -> (f64, f64) {
        // SAFETY: the two keys.
        let (most, least) = unsafe { (load_shared(self.0 + 32), load_shared(self.0 + 40)) };
        if most == 0 {
            (0.0, 0.0)
        } else {
            (number(!least), number(most))
        }
    }

    /// Adds a warp's keys; gives those of the block to the last of `warps`. One lane of each calls it.
    #[inline(always)]
    fn add(self, most: u64, least: u64, warps: u32) -> Option<(u64, u64)> {
        let arrived: u32;
        // SAFETY: the words, which all warps reach by atomics alone until the last has arrived.
        unsafe {
            asm!("red.relaxed.cta.shared.max.u64 [{0}+8], {2};", "red.relaxed.cta.shared.max.u64 [{0}+16], {3};",
                 "atom.acq_rel.cta.shared.add.u32 {1}, [{0}], 1;", in(reg32) self.0, out(reg32) arrived, in(reg64) most,
                 in(reg64) least, options(nostack));
        }
        if arrived + 1 < warps {
            return None;
        }
        // SAFETY: the last has arrived.
        Some(unsafe { (load_shared(self.0 + 8), load_shared(self.0 + 16)) })
    }
}

/// A run that was asked for; the answer is on its way.
pub struct Taken(u32);

impl Taken {
    /// The run's number, which lane 0 has, in all lanes.
    #[inline(always)]
    pub fn number(self) -> u32 {
        let join = |value: u32, distance: u32| value | warp::swap_f32(f32::from_bits(value), distance).to_bits();
        join(join(join(join(join(self.0, 16), 8), 4), 2), 1)
    }
}

impl Work {
    /// Takes the next run of tiles. A warp works on its runs in the order in which it took them.
    #[inline(always)]
    pub fn take(self) -> Taken {
        let mut number = 0;
        if warp::lane() == 0 {
            // SAFETY: the first word; the atomic is all that thread blocks need to agree on who does what.
            number = unsafe { global::fetch_add_u32(self.0, 1) };
        }
        Taken(number)
    }

    /// Brings in what the lanes have seen in this warp's part of the `tiles` tiles that the block's `warps` share. Each of them calls
    /// it together, once.
    #[inline(always)]
    pub fn bring<N: Number>(self, seen: Seen<N>, tiles: u32, corner: Corner, warps: u32) {
        let (least, most) = seen.ends();
        // Where nothing was seen, the smallest number is infinite: a key like any other, but one that must not count.
        let is_empty = most == f64::NEG_INFINITY;
        let pick = |key: u64| if is_empty { 0 } else { key };
        let most = largest(pick(key(most)));
        let least = largest(pick(!key(least)));
        if warp::lane() != 0 {
            return;
        }
        if let Some((most, least)) = corner.add(most, least, warps) {
            // SAFETY: the third word.
            unsafe {
                asm!("red.relaxed.gpu.global.max.u64 [{}], {};", in(reg64) self.0 + 16, in(reg64) most, options(nostack))
            };
            // SAFETY: the fourth word.
            unsafe {
                asm!("red.relaxed.gpu.global.max.u64 [{}], {};", in(reg64) self.0 + 24, in(reg64) least, options(nostack))
            };
            // SAFETY: the second word; released behind the other two.
            unsafe {
                asm!("red.release.gpu.global.add.u64 [{}], {};", in(reg64) self.0 + 8, in(reg64) u64::from(tiles),
                     options(nostack));
            }
        }
    }

    /// Waits until all thread blocks have brought in `tiles` tiles together.
    #[inline(always)]
    pub fn complete(self, tiles: u64) -> Complete {
        Complete { work: self, tiles }
    }
}

/// See [`Work::complete`].
pub struct Complete {
    work: Work,
    tiles: u64,
}

impl Future for Complete {
    type Output = ();

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if warp::all(load_acquire(self.work.0 + 8) >= self.tiles) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[inline(always)]
fn load_acquire(address: u64) -> u64 {
    let value: u64;
    // SAFETY: one of the words.
    unsafe { asm!("ld.acquire.gpu.global.b64 {}, [{}];", out(reg64) value, in(reg64) address, options(nostack)) };
    value
}

/// # Safety
/// `address` is a multiple of 8 in this block's shared memory, where nobody writes meanwhile.
#[inline(always)]
unsafe fn load_shared(address: u32) -> u64 {
    let value: u64;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.shared.b64 {}, [{}];", out(reg64) value, in(reg32) address, options(nostack)) };
    value
}

/// # Safety
/// As [`load_shared`], and nobody reads meanwhile.
#[inline(always)]
unsafe fn store_shared(address: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.shared.b64 [{}], {};", in(reg32) address, in(reg64) value, options(nostack)) };
}

const SIGN: u64 = 1 << 63;

/// An integer that is larger for a larger number; 0 for none.
#[inline(always)]
fn key(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The number that has this key.
#[inline(always)]
fn number(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

/// The largest of the lanes' values.
#[inline(always)]
fn largest(value: u64) -> u64 {
    let step = |value: u64, distance: u32| {
        let swap = |half: u64| u64::from(warp::swap_f32(f32::from_bits(half as u32), distance).to_bits());
        value.max(swap(value) | swap(value >> 32) << 32)
    };
    step(step(step(step(step(value, 16), 8), 4), 2), 1)
}
