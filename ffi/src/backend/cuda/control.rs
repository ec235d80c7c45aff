//! The control block as the host sees it (docs/control-block.md), and the launches that are in flight.
//!
//! [`Flights`] is bookkeeping only: it lends out slots (a control block and an event), remembers who uses them, and takes
//! them back once the launch is done, also when its ticket was dropped long before. It makes no driver call, so it is tested
//! without one; memory and events are made in `state.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use super::sys::Event;

/// 64 bytes shared with a running kernel. Atomics, because the device changes them behind the compiler's back.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct ControlBlock {
    cancel: AtomicU32,
    status: AtomicU32,
    progress: AtomicU32,
    total: AtomicU32,
    fault_code: AtomicU32,
    reserved: AtomicU32,
    fault_detail: [AtomicI64; 2],
    rest: [AtomicU32; 6],
}

/// What a kernel left in its control block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Finished,
    Stopped,
    Fault { code: u32, detail: [i64; 2] },
}

impl ControlBlock {
    /// Before the launch that uses it.
    pub(super) fn clear(&self) {
        for word in [
            &self.cancel,
            &self.status,
            &self.progress,
            &self.total,
            &self.fault_code,
            &self.reserved,
        ] {
            word.store(0, Ordering::Relaxed);
        }
        self.fault_detail
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
        self.rest.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    pub(super) fn request_stop(&self) {
        self.cancel.store(1, Ordering::Release);
    }

    /// Share done in [0, 1]; 0 where the kernel reports none.
    pub(super) fn progress(&self) -> f64 {
        let (done, total) = (
            self.progress.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        if total == 0 {
            return 0.0;
        }
        (f64::from(done) / f64::from(total)).min(1.0)
    }

    /// Only after the launch has ended.
    pub(super) fn left(&self) -> Left {
        match self.status.load(Ordering::Acquire) {
            0 => Left::Finished,
            1 => Left::Stopped,
            _ => Left::Fault {
                code: self.fault_code.load(Ordering::Relaxed),
                detail: [0, 1].map(|i| self.fault_detail[i].load(Ordering::Relaxed)),
            },
        }
    }
}

/// What one tracked launch needs from the device; reused, never freed.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) block: &'static ControlBlock,
    /// The block's device address.
    pub(super) address: u64,
    /// Recorded behind the launch.
    pub(super) event: Event,
}

struct Flight<L> {
    slot: Slot,
    launch: L,
}

/// Slots and their users. `L` is what must live as long as the launch runs.
pub(super) struct Flights<L> {
    free: Vec<Slot>,
    /// By serial number, so in launch order.
    flying: BTreeMap<u64, Flight<L>>,
    /// Serial numbers of launches that nobody waits for any more, oldest first.
    orphans: VecDeque<u64>,
    next_serial: u64,
}

impl<L> Default for Flights<L> {
    fn default() -> Self {
        Self {
            free: Vec::new(),
            flying: BTreeMap::new(),
            orphans: VecDeque::new(),
            next_serial: 0,
        }
    }
}

impl<L> Flights<L> {
    pub(super) fn take(&mut self) -> Option<Slot> {
        self.free.pop()
    }

    /// A new slot, or one whose launch failed to start.
    pub(super) fn give(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The launch was queued; returns its serial number.
    pub(super) fn depart(&mut self, slot: Slot, launch: L) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.flying.insert(serial, Flight { slot, launch });
        serial
    }

    /// The launch was seen to be done: its slot is free again.
    pub(super) fn land(&mut self, serial: u64) {
        if let Some(flight) = self.flying.remove(&serial) {
            self.free.push(flight.slot);
        }
    }

    /// The ticket was dropped while the launch runs: keep everything until [`Flights::reap`] finds it done.
    pub(super) fn orphan(&mut self, serial: u64) {
        if self.flying.contains_key(&serial) {
            self.orphans.push_back(serial);
        }
    }

    /// Lands those of the `limit` oldest orphans whose launch is done.
    pub(super) fn reap(&mut self, limit: usize, mut is_done: impl FnMut(Event) -> bool) {
        for _ in 0..limit.min(self.orphans.len()) {
            let Some(serial) = self.orphans.pop_front() else { return };
            let flight = self.flying.get(&serial);
            if flight.is_none_or(|flight| is_done(flight.slot.event)) {
                self.land(serial);
            } else {
                self.orphans.push_back(serial);
            }
        }
    }

    /// Everything in flight, oldest first.
    pub(super) fn launches(&self) -> impl Iterator<Item = (u64, &L)> {
        self.flying.iter().map(|(serial, flight)| (*serial, &flight.launch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    fn slot(event: usize) -> Slot {
        Slot {
            block: Box::leak(Box::default()),
            address: 0,
            event: Event(event),
        }
    }

    #[test]
    fn test_control_block_has_the_documented_layout() {
        assert_eq!(size_of::<ControlBlock>(), 64);
        let offsets = [
            offset_of!(ControlBlock, cancel),
            offset_of!(ControlBlock, status),
            offset_of!(ControlBlock, progress),
            offset_of!(ControlBlock, total),
            offset_of!(ControlBlock, fault_code),
            offset_of!(ControlBlock, fault_detail),
            offset_of!(ControlBlock, rest),
        ];
        assert_eq!(offsets, [0, 4, 8, 12, 16, 24, 40]);
    }

    #[test]
    fn test_progress_is_a_share_and_zero_when_the_kernel_reports_none() {
        let block = ControlBlock::default();
        assert_eq!(block.progress(), 0.0);
        block.total.store(8, Ordering::Relaxed);
        block.progress.store(2, Ordering::Relaxed);
        assert_eq!(block.progress(), 0.25);
        block.progress.store(9, Ordering::Relaxed);
        assert_eq!(block.progress(), 1.0);
    }

    #[test]
    fn test_left_reads_the_status_word() {
        let block = ControlBlock::default();
        assert_eq!(block.left(), Left::Finished);
        block.status.store(1, Ordering::Relaxed);
        assert_eq!(block.left(), Left::Stopped);
        block.status.store(2, Ordering::Relaxed);
        block.fault_code.store(7, Ordering::Relaxed);
        block.fault_detail[0].store(-3, Ordering::Relaxed);
        block.fault_detail[1].store(i64::MAX, Ordering::Relaxed);
        let detail = [-3, i64::MAX];
        assert_eq!(block.left(), Left::Fault { code: 7, detail });
        block.request_stop();
        block.clear();
        assert_eq!(block.left(), Left::Finished);
        assert_eq!(block.cancel.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn test_slot_is_reused_once_its_launch_has_landed() {
        let mut flights = Flights::default();
        flights.give(slot(10));
        let taken = flights.take().expect("one slot was given");
        assert!(flights.take().is_none());
        let serial = flights.depart(taken, "scale");
        assert!(flights.take().is_none());
        flights.land(serial);
        assert_eq!(flights.take().map(|s| s.event), Some(Event(10)));
        flights.land(serial);
        assert!(
            flights.take().is_none(),
            "a second landing must not free the slot twice"
        );
    }

    #[test]
    fn test_orphan_keeps_its_slot_and_launch_until_it_is_done() {
        let mut flights = Flights::default();
        let kept = std::sync::Arc::new(());
        let orphan = flights.depart(slot(1), kept.clone());
        let other = flights.depart(slot(2), kept.clone());
        flights.orphan(orphan);
        flights.reap(8, |_| false);
        assert!(flights.take().is_none());
        assert_eq!(std::sync::Arc::strong_count(&kept), 3);
        flights.reap(0, |_| true);
        assert!(flights.take().is_none(), "no more are looked at than asked for");
        flights.reap(8, |event| event == Event(1));
        assert_eq!(std::sync::Arc::strong_count(&kept), 2);
        assert_eq!(flights.take().map(|s| s.event), Some(Event(1)));
        flights.reap(8, |_| true);
        assert!(flights.take().is_none(), "a launch with a ticket is not reaped");
        assert_eq!(
            flights.launches().map(|(serial, _)| serial).collect::<Vec<_>>(),
            [other]
        );
    }
}
