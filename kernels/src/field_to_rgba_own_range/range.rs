//! The range of a field, found by all thread blocks together: what each thread has seen, and the words in global memory where
//! that comes together. A launch begins with zeros in them.
//!
//! What is ordered how: a warp's two numbers are relaxed atomics, its count of tiles is released behind them. Counts are only
//! ever added by atomics, so whoever acquires the full count has synchronised with every warp that added to it (PTX ISA,
//! memory consistency model: observation order goes through a sequence of atomics), and its reads of the two numbers come behind all of theirs.

use core::arch::asm;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use warpbridge_runtime::warp;

use super::numbers::{Number, Seen};

/// Address of four words of 8 bytes: runs taken, tiles seen, the largest key of a number, and of a number's complement.
#[derive(Clone, Copy)]
pub struct Work(pub u64);

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
            unsafe {
                asm!("atom.relaxed.gpu.global.add.u32 {}, [{}], 1;", out(reg32) number, in(reg64) self.0,
                     options(nostack));
            }
        }
        Taken(number)
    }

    /// Brings in what the lanes have seen in this warp's part of `tiles` tiles. The warp calls it together, once.
    #[inline(always)]
    pub fn bring<N: Number>(self, seen: Seen<N>, tiles: u32) {
        let (least, most) = seen.ends();
        // Where nothing was seen, the smallest number is infinite: a key like any other, but one that must not count.
        let is_empty = most == f64::NEG_INFINITY;
        let pick = |key: u64| if is_empty { 0 } else { key };
        let most = largest(pick(key(most)));
        let least = largest(pick(!key(least)));
        if warp::lane() == 0 {
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

    /// Waits until all warps have brought in `tiles` tiles together.
    #[inline(always)]
    pub fn complete(self, tiles: u64) -> Complete {
        Complete { work: self, tiles }
    }

    /// Smallest and largest number, after `complete`; zeros where there is none.
    #[inline(always)]
    pub fn range(self) -> (f64, f64) {
        let (most, least) = (load_acquire(self.0 + 16), load_acquire(self.0 + 24));
        if most == 0 {
            (0.0, 0.0)
        } else {
            (number(!least), number(most))
        }
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
