//! Where thread blocks meet that share out rows: a counter of those that have come, and what each piece of each row was found to hold.
//!
//! A note is one word of 64 bits that is seen whole or not at all, and never zero: whoever reads it needs no count beside
//! it, and whoever writes it no fence. Notes are brought together in the order of their numbers by everybody who wants to know, so that
//! all thread blocks, and all launches, come to the same bits.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::{global, warp};

/// Set in every note: what it holds is never less than zero.
const IS_THERE: u64 = 1 << 63;

/// The notes that a lane reads at a time.
pub const AT_ONCE: u32 = 4;

/// An array of 64-bit words, zeros at first: the counter, and the notes behind it.
#[derive(Clone, Copy)]
pub struct Desk(pub u64);

impl Desk {
    /// How many have come before. One thread of each block calls it.
    #[inline(always)]
    pub fn take_number(self) -> u32 {
        // SAFETY: the counter.
        unsafe { global::fetch_add_u32(self.0, 1) }
    }

    /// Notes what a piece was found to hold. One thread calls it.
    #[inline(always)]
    pub fn note(self, piece: u64, found: (f32, f32)) {
        // SAFETY: the piece's note.
        unsafe { global::store_whole_u64(self.address(piece), word_of(found)) };
    }

    /// The same, unless somebody has. One thread calls it.
    #[inline(always)]
    pub fn note_first(self, piece: u64, found: (f32, f32)) {
        // SAFETY: the piece's note.
        unsafe { global::store_first_u64(self.address(piece), word_of(found)) };
    }

    /// Whether a piece has been looked at. The warp calls it together.
    #[inline(always)]
    pub fn is_noted(self, piece: u64) -> bool {
        // SAFETY: the piece's note.
        warp::all(unsafe { global::load_whole_u64(self.address(piece)) } & IS_THERE != 0)
    }

    /// The same notes as they are now.
    #[inline(always)]
    pub fn read(self, first: u64, left: u32) -> Four {
        Four::read(self.address(first), left)
    }

    /// Waits for the notes of the next pieces, `left` of them if they are less than four per lane; not for ever: gives what is there
    /// after `patience` polls in vain.
    #[inline(always)]
    pub fn notes(self, piece: u64, left: u32, patience: u32) -> Notes {
        Notes {
            address: self.address(piece),
            left,
            patience,
        }
    }

    #[inline(always)]
    fn address(self, piece: u64) -> u64 {
        self.0 + 8 + piece * 8
    }
}

/// See [`Desk::notes`].
pub struct Notes {
    address: u64,
    left: u32,
    patience: u32,
}

/// A lane's notes, of the pieces whose numbers are its own, 32 more, and so on.
#[derive(Clone, Copy)]
pub struct Four([u64; AT_ONCE as usize]);

impl Future for Notes {
    type Output = Four;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Four> {
        let four = Four::read(self.address, self.left);
        if four.are_complete() || self.patience == 0 {
            return Poll::Ready(four);
        }
        self.patience -= 1;
        Poll::Pending
    }
}

#[inline(always)]
fn word_of((agreed, sum): (f32, f32)) -> u64 {
    u64::from(sum.to_bits()) << 32 | u64::from(agreed.to_bits()) | IS_THERE
}

impl Four {
    /// Lanes beyond the last note read that one again: no branch, so that the lanes stay together.
    #[inline(always)]
    fn read(address: u64, left: u32) -> Self {
        let load = |number: u32| {
            let note = (number * warp::LANES + warp::lane()).min(left - 1);
            // SAFETY: one of the notes that there are.
            unsafe { global::load_whole_u64(address + u64::from(note * 8)) }
        };
        Self([load(0), load(1), load(2), load(3)])
    }

    /// Whether all of the warp's are there. The warp calls it together.
    #[inline(always)]
    pub fn are_complete(self) -> bool {
        let [a, b, c, d] = self.0;
        warp::all(a & b & c & d & IS_THERE != 0)
    }

    /// Numbers of this lane's notes, and those of their parts, where the first of all is `first`.
    #[inline(always)]
    pub fn numbers(first: u32) -> impl Iterator<Item = (u32, u32)> {
        (0..AT_ONCE).map(move |number| (number, first + number * warp::LANES + warp::lane()))
    }

    /// What note number 0 to 3 of this lane says: what was agreed on, and the sum.
    #[inline(always)]
    pub fn get(self, number: u32) -> (f32, f32) {
        let [a, b, c, d] = self.0;
        let word = match number {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        (
            f32::from_bits(word as u32),
            f32::from_bits(((word & !IS_THERE) >> 32) as u32),
        )
    }
}
