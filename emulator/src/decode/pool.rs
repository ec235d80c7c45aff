//! Constants: each once, broadcast to 32 lanes, so that an operand is always a slot.

use std::collections::HashMap;

use crate::exec::block::Block;
use crate::exec::inst::IN_POOL;
use crate::module::LoadError;
use crate::ptx::tree::Pos;

/// See the module.
#[derive(Default)]
pub(crate) struct Pool {
    slots: HashMap<(u128, u32), u32>,
    bytes: u32,
}

impl Pool {
    /// The operand for a value of 2, 4, 8 or 16 bytes per lane.
    pub(crate) fn slot(&mut self, bits: u128, lane_bytes: u32) -> Result<u32, LoadError> {
        let bits = if lane_bytes < 16 {
            bits & ((1u128 << (lane_bytes * 8)) - 1)
        } else {
            bits
        };
        if let Some(slot) = self.slots.get(&(bits, lane_bytes)) {
            return Ok(*slot);
        }
        let slot = self.bytes;
        if slot > 1 << 29 {
            return Err(LoadError::at(
                Pos::default(),
                "found more than 512 MiB of constants".into(),
            ));
        }
        self.bytes += (lane_bytes * 32).next_multiple_of(64);
        self.slots.insert((bits, lane_bytes), slot | IN_POOL);
        Ok(slot | IN_POOL)
    }

    /// The pool's memory.
    pub(crate) fn block(&self) -> Block {
        let block = Block::new(self.bytes as usize);
        for ((bits, lane_bytes), slot) in &self.slots {
            let size = *lane_bytes as usize;
            let bytes = bits.to_le_bytes();
            let start = block.start().wrapping_add((slot & !IN_POOL) as usize);
            for lane in 0..32 {
                // SAFETY: the slot has room for 32 lanes of `size` bytes inside the block.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.wrapping_add(lane * size), size) };
            }
        }
        block
    }
}
