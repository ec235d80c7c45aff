//! The control block of a tracked launch: 64 bytes, docs/control-block.md has its layout.
//!
//! Its address is null for stream-ordered launches; every method then does nothing. What the kernel reads lies in the
//! device's memory on a GPU: host memory answers one read per microsecond, and all warps of all blocks look at the cancel
//! word. What the kernel says goes to the block's mirror in host memory, and who says it is settled in the device's: a
//! plain store crosses the bus without waiting, an atomic does not.

use core::arch::asm;

use crate::{block, warp};

const CANCEL: u64 = 0;
const STATUS: u64 = 4;
const PROGRESS: u64 = 8;
const TOTAL: u64 = 12;
const FAULT_CODE: u64 = 16;
const FAULT_DETAIL: u64 = 24;
const MIRROR: u64 = 40;

const RUNNING: u32 = 0;
const STOPPED: u32 = 1;
const FAULT: u32 = 2;

/// Address of the control block, or null.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Control(u64);

impl Control {
    /// Whether the launch has no control block.
    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The cancel word as it is now; 0 without a control block.
    #[inline(always)]
    pub fn cancel_word(self) -> u32 {
        if self.0 == 0 { 0 } else { load(self.0 + CANCEL) }
    }

    /// Whether the host asks this warp to stop; all lanes get the same answer.
    #[inline(always)]
    pub fn is_cancelled(self) -> bool {
        self.0 != 0 && warp::any(self.cancel_word() != 0)
    }

    /// The cancel and the status word as they are now: one read, which is under way until [`Look::stops`] asks for the answer.
    #[inline(always)]
    pub fn look(self) -> Look {
        if self.0 == 0 { Look::NOTHING } else { load_pair(self.0) }
    }

    /// Says how far the launch is: `done` of `total` tiles. One thread calls it, of a block that was chosen for it.
    #[inline(always)]
    pub fn set_share(self, done: u32, total: u32) {
        if self.0 != 0 {
            let words = self.words();
            store(words + TOTAL, total);
            store(words + PROGRESS, done);
        }
    }

    /// Says that the kernel left early because it was asked to.
    #[inline(always)]
    pub fn mark_stopped(self) {
        if self.0 != 0 && warp::lane() == 0 && self.claim_status(STOPPED) {
            let words = self.words();
            if words != self.0 {
                store(words + STATUS, STOPPED);
            }
        }
    }

    /// Where block 0 says how far it is; looked up once, because the look-up waits for memory.
    #[inline(always)]
    pub fn report(self) -> Report {
        if self.0 != 0 && block::index() == 0 {
            Report(self.words())
        } else {
            Report(0)
        }
    }

    /// See [`Report::begin`].
    #[inline(always)]
    pub fn begin(self, tiles: u32) {
        self.report().begin(tiles);
    }

    /// See [`Report::set_progress`], which costs less where it is called often.
    #[inline(always)]
    pub fn set_progress(self, tiles: u32) {
        self.report().set_progress(tiles);
    }

    /// Reports a fault, unless one was reported before. One lane calls it.
    #[inline(always)]
    pub fn fault(self, code: u32, detail: [i64; 2]) {
        if self.0 != 0 && self.claim_status(FAULT) {
            let words = self.words();
            store(words + FAULT_CODE, code);
            store_i64(words + FAULT_DETAIL, detail[0]);
            store_i64(words + FAULT_DETAIL + 8, detail[1]);
            store(words + STATUS, FAULT);
        }
    }

    /// Address of the words that the host reads: the mirror, or the block itself where there is none.
    #[inline(always)]
    fn words(self) -> u64 {
        let mirror = load_u64(self.0 + MIRROR);
        if mirror == 0 { self.0 } else { mirror }
    }

    /// From running to `status`; false when another status was there first.
    #[inline(always)]
    fn claim_status(self, status: u32) -> bool {
        let before: u32;
        // SAFETY: as in `load`; atomic among the kernel's threads, which is all that "the first one wins" needs.
        unsafe {
            asm!("atom.global.cas.b32 {}, [{}], {}, {};", out(reg32) before, in(reg64) self.0 + STATUS, in(reg32) RUNNING,
                 in(reg32) status, options(nostack));
        }
        before == RUNNING
    }
}

/// What one thread found in the control block, for all of its block: see [`Control::look`].
#[derive(Clone, Copy)]
pub struct Look {
    cancel: u32,
    status: u32,
}

impl Look {
    /// What threads have that did not look.
    pub const NOTHING: Self = Self { cancel: 0, status: 0 };

    /// Whether the host asks to stop.
    #[inline(always)]
    pub fn stops(self) -> bool {
        self.cancel != 0
    }

    /// Says that the kernel left early, unless somebody has said so: of thousands of blocks that leave at once, few write.
    #[inline(always)]
    pub fn mark_stopped(self, control: Control) {
        if self.cancel != 0 && self.status == RUNNING {
            control.mark_stopped();
        }
    }
}

/// Where block 0's progress goes, or null.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Report(u64);

impl Report {
    /// Nowhere.
    pub const NONE: Self = Self(0);

    /// Says how many tiles block 0 will do. Every block calls it with its own number, before roles part.
    #[inline(always)]
    pub fn begin(self, tiles: u32) {
        if self.0 != 0 && block::thread() == 0 {
            store(self.0 + TOTAL, tiles);
        }
    }

    /// As [`Report::begin`], where one lane of a role calls it.
    #[inline(always)]
    pub fn begin_role(self, tiles: u32) {
        if self.0 != 0 && warp::lane() == 0 {
            store(self.0 + TOTAL, tiles);
        }
    }

    /// Says how many tiles block 0 has done. One lane of each block calls it, once per tile: a plain store, no atomic.
    #[inline(always)]
    pub fn set_progress(self, tiles: u32) {
        if self.0 != 0 {
            store(self.0 + PROGRESS, tiles);
        }
    }
}

#[inline(always)]
fn load(address: u64) -> u32 {
    let value: u32;
    // SAFETY: the host keeps the block alive during the launch; volatile, because the host writes it meanwhile.
    unsafe { asm!("ld.volatile.global.b32 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
    value
}

/// The first two words of the block at `address`.
#[inline(always)]
fn load_pair(address: u64) -> Look {
    let (cancel, status): (u32, u32);
    // SAFETY: as in `load`; the block is 64-byte aligned.
    unsafe {
        asm!("ld.volatile.global.v2.b32 {{{}, {}}}, [{}];", out(reg32) cancel, out(reg32) status, in(reg64) address,
             options(nostack));
    }
    Look { cancel, status }
}

#[inline(always)]
fn load_u64(address: u64) -> u64 {
    let value: u64;
    // SAFETY: the host keeps the block alive during the launch.
    unsafe { asm!("ld.global.b64 {}, [{}];", out(reg64) value, in(reg64) address, options(nostack)) };
    value
}

#[inline(always)]
fn store(address: u64, value: u32) {
    // SAFETY: as in `load`.
    unsafe { asm!("st.volatile.global.b32 [{}], {};", in(reg64) address, in(reg32) value, options(nostack)) };
}

#[inline(always)]
fn store_i64(address: u64, value: i64) {
    // SAFETY: as in `load`.
    unsafe { asm!("st.volatile.global.b64 [{}], {};", in(reg64) address, in(reg64) value, options(nostack)) };
}
