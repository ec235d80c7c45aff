//! What the kernels on images share: three numbers per channel, and the fault of a zero that is divided by.

use warpbridge_runtime::{Control, global, warp};

/// Red, green, blue.
pub const CHANNELS: u32 = 3;

const STD_ZERO: u32 = 2; // fault code

/// Three numbers per channel: at an address, or (where that is null) as given.
#[derive(Clone, Copy)]
pub struct Triple(pub u64, pub f32, pub f32, pub f32);

impl Triple {
    /// The number of a channel.
    #[inline(always)]
    pub fn get(self, channel: u32) -> f32 {
        if self.0 != 0 {
            // SAFETY: one of the array's three numbers.
            return f32::from_bits(unsafe { global::load_u32(self.0 + u64::from(channel) * 4) });
        }
        match channel {
            0 => self.1,
            1 => self.2,
            _ => self.3,
        }
    }
    /// Reports the channel whose number is zero, where these are divided by. One warp of a block calls it together.
    #[inline(always)]
    pub fn check_divisor(self, control: Control) {
        let channel = warp::lane();
        if channel < CHANNELS && self.get(channel) == 0.0 {
            control.fault(STD_ZERO, [i64::from(channel), 0]);
        }
    }
}
