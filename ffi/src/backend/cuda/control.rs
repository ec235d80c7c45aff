//! The launches that are in flight, and the control blocks and events that they use.
//!
//! [`Flights`] is bookkeeping only: it lends out slots (a control block and an event), remembers who uses them, and takes
//! them back once the launch is done, also when its ticket was dropped long before. It makes no driver call, so it is tested
//! without one; memory and events are made in `state.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::sys::Event;
use crate::backend::control_block::ControlBlock;

/// What one tracked launch needs from the device; reused, never freed.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Counts the slots of a device.
    pub(super) number: usize,
    pub(super) block: &'static ControlBlock,
    /// The block's device address.
    pub(super) address: u64,
    /// Address of another one in the device's memory, of which `block` is the mirror.
    pub(super) on_device: u64,
    /// What that one is before each launch.
    pub(super) fresh: &'static ControlBlock,
    /// Written by the stream behind the launch, where it can: seen sooner than the event, and without asking the driver.
    pub(super) flag: &'static Flag,
    /// The flag's device address.
    pub(super) flag_address: u64,
    /// Recorded behind the launch.
    pub(super) event: Event,
}

/// What the stream writes to a [`Flag`].
pub(super) const ENDED: u32 = 1;

/// A word in mapped memory, alone in its cache line.
#[repr(C, align(64))]
#[derive(Default)]
pub(super) struct Flag(AtomicU32);

impl Flag {
    /// Before the launch.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether the launch has ended, and well: behind a fault nothing is written.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) == ENDED
    }
}

struct Flight<L> {
    /// Counts the launches.
    serial: u64,
    launch: L,
}

/// Slots and their users. `L` is what must live as long as the launch runs.
pub(super) struct Flights<L> {
    free: Vec<Slot>,
    /// By the slot's number: who uses it.
    flying: Vec<Option<Flight<L>>>,
    /// Launches that nobody waits for any more, oldest first.
    orphans: VecDeque<(Slot, u64)>,
    next_serial: u64,
}

impl<L> Default for Flights<L> {
    fn default() -> Self {
        Self {
            free: Vec::new(),
            flying: Vec::new(),
            orphans: VecDeque::new(),
            next_serial: 0,
        }
    }
}

impl<L> Flights<L> {
    pub(super) fn take(&mut self) -> Option<Slot> {
        self.free.pop()
    }

    /// The same, if there are no orphans to be looked after first.
    pub(super) fn take_at_once(&mut self) -> Option<Slot> {
        if self.orphans.is_empty() {
            self.take()
        } else {
            None
        }
    }

    /// A new slot, which is told its number.
    pub(super) fn add(&mut self, make: impl FnOnce(usize) -> Slot) {
        self.free.push(make(self.flying.len()));
        self.flying.push(None);
    }

    /// A slot whose launch failed to start.
    pub(super) fn give(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The launch was queued; returns its serial number.
    pub(super) fn depart(&mut self, slot: &Slot, launch: L) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.flying[slot.number] = Some(Flight { serial, launch });
        serial
    }

    /// The launch was seen to be done: its slot is free again. What lived with it comes back, to be dropped outside of any
    /// lock: it may be the last user of a module.
    pub(super) fn land(&mut self, slot: &Slot, serial: u64) -> Option<L> {
        let flight = self.flying[slot.number].take_if(|flight| flight.serial == serial)?;
        self.free.push(*slot);
        Some(flight.launch)
    }

    /// The ticket was dropped while the launch runs: keep everything until [`Flights::reap`] finds it done.
    pub(super) fn orphan(&mut self, slot: &Slot, serial: u64) {
        if self.flies(slot, serial) {
            self.orphans.push_back((*slot, serial));
        }
    }

    fn flies(&self, slot: &Slot, serial: u64) -> bool {
        self.flying[slot.number]
            .as_ref()
            .is_some_and(|flight| flight.serial == serial)
    }

    /// Lands those of the `limit` oldest orphans whose launch is done.
    pub(super) fn reap(&mut self, limit: usize, mut is_done: impl FnMut(Event) -> bool) -> Vec<L> {
        let mut landed = Vec::new();
        for _ in 0..limit.min(self.orphans.len()) {
            let Some((slot, serial)) = self.orphans.pop_front() else {
                break;
            };
            if !self.flies(&slot, serial) || is_done(slot.event) {
                landed.extend(self.land(&slot, serial));
            } else {
                self.orphans.push_back((slot, serial));
            }
        }
        landed
    }

    /// Everything in flight with its serial number, oldest first.
    pub(super) fn launches(&self) -> Vec<(u64, &L)> {
        let flying = self.flying.iter().flatten();
        let mut found: Vec<_> = flying.map(|flight| (flight.serial, &flight.launch)).collect();
        found.sort_unstable_by_key(|(serial, _)| *serial);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: usize, event: usize) -> Slot {
        Slot {
            number,
            block: Box::leak(Box::default()),
            address: 0,
            on_device: 0,
            fresh: Box::leak(Box::default()),
            flag: Box::leak(Box::default()),
            flag_address: 0,
            event: Event(event),
        }
    }

    #[test]
    fn test_slot_is_reused_once_its_launch_has_landed() {
        let mut flights = Flights::default();
        flights.add(|number| slot(number, 10));
        let taken = flights.take().expect("one slot was given");
        assert!(flights.take().is_none());
        let serial = flights.depart(&taken, "scale");
        assert!(flights.take().is_none());
        flights.land(&taken, serial);
        assert_eq!(flights.take().map(|s| s.event), Some(Event(10)));
        flights.land(&taken, serial);
        assert!(
            flights.take().is_none(),
            "a second landing must not free the slot twice"
        );
    }

    #[test]
    fn test_orphan_keeps_its_slot_and_launch_until_it_is_done() {
        let mut flights = Flights::default();
        let kept = std::sync::Arc::new(());
        let [first, second] = [1, 2].map(|event| {
            flights.add(|number| slot(number, event));
            flights.take().expect("one slot was added")
        });
        let orphan = flights.depart(&first, kept.clone());
        let other = flights.depart(&second, kept.clone());
        flights.orphan(&first, orphan);
        flights.add(|number| slot(number, 3));
        assert!(flights.take_at_once().is_none(), "the orphan comes first");
        assert_eq!(flights.take().map(|s| s.event), Some(Event(3)));
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
        assert!(matches!(flights.launches()[..], [(serial, _)] if serial == other));
    }
}
