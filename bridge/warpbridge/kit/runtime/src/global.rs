//! Global memory by address: loads and stores of stated width. Plain `asm!`, so that the PTX says `.global` and the width
//! that the source says.

use core::arch::asm;

/// Reads one byte that nobody writes during the launch.
///
/// # Safety
/// `address` lies in an array argument.
#[inline(always)]
pub unsafe fn load_u8(address: u64) -> u8 {
    let value: u16;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.u8 {}, [{}];", out(reg16) value, in(reg64) address, options(nostack)) };
    value as u8
}

/// Reads 4 bytes that nobody writes during the launch.
///
/// # Safety
/// As [`load_u8`], for an address that is a multiple of 4.
#[inline(always)]
pub unsafe fn load_u32(address: u64) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.b32 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
    value
}

/// Reads 2 bytes that nobody writes during the launch.
///
/// # Safety
/// As [`load_u8`], for an address that is a multiple of 2.
#[inline(always)]
pub unsafe fn load_u16(address: u64) -> u16 {
    let value: u16;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.b16 {}, [{}];", out(reg16) value, in(reg64) address, options(nostack)) };
    value
}

/// As [`load_u8`], into a word: nothing that comes behind has to widen it, and so to wait for it.
///
/// # Safety
/// As [`load_u8`].
#[inline(always)]
pub unsafe fn load_u8_wide(address: u64) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.u8 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
    value
}

/// As [`load_u16`], into a word: nothing that comes behind has to widen it, and so to wait for it.
///
/// # Safety
/// As [`load_u16`].
#[inline(always)]
pub unsafe fn load_u16_wide(address: u64) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.u16 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
    value
}

/// Reads 8 bytes that nobody writes during the launch.
///
/// # Safety
/// As [`load_u8`], for an address that is a multiple of 8.
#[inline(always)]
pub unsafe fn load_u64(address: u64) -> u64 {
    let value: u64;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.global.nc.b64 {}, [{}];", out(reg64) value, in(reg64) address, options(nostack)) };
    value
}

/// Reads 16 bytes that nobody writes during the launch.
///
/// # Safety
/// As [`load_u8`], for an address that is a multiple of 16.
#[inline(always)]
pub unsafe fn load_v4(address: u64) -> [u32; 4] {
    let (a, b, c, d): (u32, u32, u32, u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ld.global.nc.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d,
             in(reg64) address, options(nostack));
    }
    [a, b, c, d]
}

/// Writes 16 bytes.
///
/// # Safety
/// `address` is a multiple of 16 in an output argument.
#[inline(always)]
pub unsafe fn store_v4(address: u64, value: [u32; 4]) {
    let [a, b, c, d] = value;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("st.global.v4.b32 [{}], {{{}, {}, {}, {}}};", in(reg64) address, in(reg32) a, in(reg32) b, in(reg32) c,
             in(reg32) d, options(nostack));
    }
}

/// Writes 8 bytes.
///
/// # Safety
/// As [`store_v4`], with a multiple of 8.
#[inline(always)]
pub unsafe fn store_v2(address: u64, value: [u32; 2]) {
    let [a, b] = value;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("st.global.v2.b32 [{}], {{{}, {}}};", in(reg64) address, in(reg32) a, in(reg32) b, options(nostack))
    };
}

/// Writes 4 bytes.
///
/// # Safety
/// As [`store_v4`], with a multiple of 4.
#[inline(always)]
pub unsafe fn store_u32(address: u64, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.global.b32 [{}], {};", in(reg64) address, in(reg32) value, options(nostack)) };
}

/// Writes 2 bytes.
///
/// # Safety
/// As [`store_v4`], with a multiple of 2.
#[inline(always)]
pub unsafe fn store_u16(address: u64, value: u16) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.global.b16 [{}], {};", in(reg64) address, in(reg16) value, options(nostack)) };
}

/// Writes one byte.
///
/// # Safety
/// As [`store_v4`], at any address.
#[inline(always)]
pub unsafe fn store_u8(address: u64, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.global.b8 [{}], {};", in(reg64) address, in(reg16) u16::from(value), options(nostack)) };
}

/// Adds to 4 bytes, which threads of any block may be adding to.
///
/// # Safety
/// `address` is a multiple of 4 in an output argument, and nobody reads or writes the number otherwise during the launch.
#[inline(always)]
pub unsafe fn add_u32(address: u64, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("red.relaxed.gpu.global.add.u32 [{}], {};", in(reg64) address, in(reg32) value, options(nostack)) };
}

/// As [`add_u32`], and returns what was there before: each caller gets numbers of its own.
///
/// # Safety
/// As [`add_u32`].
#[inline(always)]
#[must_use]
pub unsafe fn fetch_add_u32(address: u64, value: u32) -> u32 {
    let before: u32;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("atom.relaxed.gpu.global.add.u32 {}, [{}], {};", out(reg32) before, in(reg64) address, in(reg32) value, options(nostack));
    }
    before
}

/// As [`add_u32`], and releases what this thread has written before to those who acquire the sum.
///
/// # Safety
/// As [`add_u32`], but that others may read the number by [`load_acquire_u32`].
#[inline(always)]
pub unsafe fn add_release_u32(address: u64, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("red.release.gpu.global.add.u32 [{}], {};", in(reg64) address, in(reg32) value, options(nostack)) };
}

/// Reads 4 bytes that others may be adding to, and acquires what they have released.
///
/// # Safety
/// `address` is a multiple of 4 in an array argument.
#[inline(always)]
#[must_use]
pub unsafe fn load_acquire_u32(address: u64) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.acquire.gpu.global.b32 {}, [{}];", out(reg32) value, in(reg64) address, options(nostack)) };
    value
}

/// Reads 8 bytes that others may be writing: what one of them has written as a whole, or what was there.
///
/// # Safety
/// `address` is a multiple of 8 in an array argument.
#[inline(always)]
#[must_use]
pub unsafe fn load_whole_u64(address: u64) -> u64 {
    let value: u64;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.relaxed.gpu.global.b64 {}, [{}];", out(reg64) value, in(reg64) address, options(nostack)) };
    value
}

/// Writes 8 bytes, which others see as a whole: see [`load_whole_u64`].
///
/// # Safety
/// `address` is a multiple of 8 in an output argument.
#[inline(always)]
pub unsafe fn store_whole_u64(address: u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.relaxed.gpu.global.b64 [{}], {};", in(reg64) address, in(reg64) value, options(nostack)) };
}

/// Writes 8 bytes as [`store_whole_u64`], if they are zero so far.
///
/// # Safety
/// As [`store_whole_u64`].
#[inline(always)]
pub unsafe fn store_first_u64(address: u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("{{ .reg .b64 before; atom.relaxed.gpu.global.cas.b64 before, [{}], 0, {}; }}", in(reg64) address,
             in(reg64) value, options(nostack));
    }
}
