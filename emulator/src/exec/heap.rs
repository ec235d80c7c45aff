//! The heap of device-side `malloc` and `free`: one block of the size that CUDA gives by default, registered as global
//! memory for the time of the launch; what is not freed then is gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::block::Block;

/// As CUDA's `cudaLimitMallocHeapSize` unless changed.
const BYTES: u64 = 8 << 20;
/// Alignment of what `malloc` returns.
const ALIGN: u64 = 16;

#[derive(Debug)]
struct Pieces {
    /// By offset, their bytes; neighbours are joined.
    free: BTreeMap<u64, u64>,
    taken: BTreeMap<u64, u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Heap {
    block: Block,
    pieces: Mutex<Pieces>,
}

impl Heap {
    pub(crate) fn new() -> Self {
        Self {
            block: Block::new(BYTES as usize),
            pieces: Mutex::new(Pieces {
                free: BTreeMap::from([(0, BYTES)]),
                taken: BTreeMap::new(),
            }),
        }
    }

    /// Start and end address.
    pub(crate) fn range(&self) -> (u64, u64) {
        let start = self.block.start() as u64;
        (start, start + BYTES)
    }

    /// The address of new memory; 0 when there is no room, or nothing is asked for.
    pub(crate) fn take(&self, bytes: u64) -> u64 {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wanted) = bytes.checked_next_multiple_of(ALIGN).filter(|wanted| *wanted > 0) else {
            return 0;
        };
        let fits = pieces.free.iter().find(|(_, size)| **size >= wanted);
        let Some((offset, size)) = fits.map(|(offset, size)| (*offset, *size)) else {
            return 0;
        };
        pieces.free.remove(&offset);
        if size > wanted {
            pieces.free.insert(offset + wanted, size - wanted);
        }
        pieces.taken.insert(offset, wanted);
        self.block.start() as u64 + offset
    }

    /// Gives memory back; false if `address` is none that `take` gave.
    pub(crate) fn give(&self, address: u64) -> bool {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offset = address.wrapping_sub(self.block.start() as u64);
        let Some(mut size) = pieces.taken.remove(&offset) else {
            return false;
        };
        if let Some(next) = pieces.free.remove(&(offset + size)) {
            size += next;
        }
        let before = pieces.free.range(..offset).next_back().map(|(at, bytes)| (*at, *bytes));
        if let Some((at, bytes)) = before.filter(|(at, bytes)| at + bytes == offset) {
            (offset, size) = (at, size + bytes);
        }
        pieces.free.insert(offset, size);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_neighbours_are_joined_and_a_full_heap_gives_nothing() {
        let heap = Heap::new();
        let third = BYTES / 4;
        let all = [heap.take(third), heap.take(third), heap.take(2 * third)];
        assert_eq!(all.map(|a| a - all[0]), [0, third, 2 * third]);
        assert_eq!((heap.take(1), heap.take(0), heap.take(u64::MAX)), (0, 0, 0));
        assert!(heap.give(all[0]) && heap.give(all[2]) && heap.give(all[1]));
        assert!(!heap.give(all[1]), "freed twice");
        assert_eq!(heap.take(BYTES), all[0]);
    }
}
