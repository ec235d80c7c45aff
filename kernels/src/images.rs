//! What the kernels on images share: three numbers per channel.

use warpbridge_runtime::global;

/// Red, green, blue.
pub const CHANNELS: u32 = 3;

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
}
