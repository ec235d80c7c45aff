//! Dynamic shared memory: one symbol, carved up by offsets (Rust has no `__shared__`). Addresses are 32 bit.
//! [`kernel_crate`](crate::kernel_crate) declares the symbol in the kernel's own crate.

use core::arch::asm;

/// Address of the first byte; a multiple of 128.
#[inline(always)]
pub fn base() -> u32 {
    let address: u32;
    // SAFETY: takes the address of a symbol.
    unsafe { asm!("mov.u32 {}, warpbridge_shared;", out(reg32) address, options(pure, nomem, nostack)) };
    address
}

/// How many bytes the launch gave each block.
#[inline(always)]
pub fn bytes() -> u32 {
    let bytes: u32;
    // SAFETY: reads a special register.
    unsafe { asm!("mov.u32 {}, %dynamic_smem_size;", out(reg32) bytes, options(pure, nomem, nostack)) };
    bytes
}

/// Reads 16 bytes.
///
/// # Safety
/// `address` is a multiple of 16 inside this block's shared memory, and no copy into it is in flight.
#[inline(always)]
pub unsafe fn load_v4(address: u32) -> [u32; 4] {
    let (a, b, c, d): (u32, u32, u32, u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ld.shared.v4.b32 {{{}, {}, {}, {}}}, [{}];", out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d,
             in(reg32) address, options(nostack));
    }
    [a, b, c, d]
}

/// Reads 8 bytes.
///
/// # Safety
/// As [`load_v4`], with a multiple of 8.
#[inline(always)]
pub unsafe fn load_v2(address: u32) -> [u32; 2] {
    let (a, b): (u32, u32);
    // SAFETY: the caller's promise.
    unsafe {
        asm!("ld.shared.v2.b32 {{{}, {}}}, [{}];", out(reg32) a, out(reg32) b, in(reg32) address, options(nostack))
    };
    [a, b]
}

/// Reads 4 bytes.
///
/// # Safety
/// As [`load_v4`], with a multiple of 4.
#[inline(always)]
pub unsafe fn load_u32(address: u32) -> u32 {
    let value: u32;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.shared.b32 {}, [{}];", out(reg32) value, in(reg32) address, options(nostack)) };
    value
}

/// Reads 2 bytes.
///
/// # Safety
/// As [`load_v4`], with a multiple of 2.
#[inline(always)]
pub unsafe fn load_u16(address: u32) -> u16 {
    let value: u16;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.shared.b16 {}, [{}];", out(reg16) value, in(reg32) address, options(nostack)) };
    value
}

/// Reads one byte.
///
/// # Safety
/// As [`load_v4`], at any address.
#[inline(always)]
pub unsafe fn load_u8(address: u32) -> u8 {
    let value: u16;
    // SAFETY: the caller's promise.
    unsafe { asm!("ld.shared.u8 {}, [{}];", out(reg16) value, in(reg32) address, options(nostack)) };
    value as u8
}

/// Writes 16 bytes.
///
/// # Safety
/// As [`store_u8`], for an address that is a multiple of 16.
#[inline(always)]
pub unsafe fn store_v4(address: u32, value: [u32; 4]) {
    let [a, b, c, d] = value;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("st.shared.v4.b32 [{}], {{{}, {}, {}, {}}};", in(reg32) address, in(reg32) a, in(reg32) b, in(reg32) c,
             in(reg32) d, options(nostack));
    }
}

/// Writes 8 bytes.
///
/// # Safety
/// As [`store_u8`], for an address that is a multiple of 8.
#[inline(always)]
pub unsafe fn store_v2(address: u32, value: [u32; 2]) {
    let [a, b] = value;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("st.shared.v2.b32 [{}], {{{}, {}}};", in(reg32) address, in(reg32) a, in(reg32) b, options(nostack));
    }
}

/// Writes one byte.
///
/// # Safety
/// `address` lies in this block's shared memory, and nobody else uses the byte.
#[inline(always)]
pub unsafe fn store_u8(address: u32, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.shared.b8 [{}], {};", in(reg32) address, in(reg16) u16::from(value), options(nostack)) };
}

/// Writes 4 bytes.
///
/// # Safety
/// As [`store_u8`], for an address that is a multiple of 4.
#[inline(always)]
pub unsafe fn store_u32(address: u32, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("st.shared.b32 [{}], {};", in(reg32) address, in(reg32) value, options(nostack)) };
}

/// Adds to 4 bytes, which other threads of the block may be adding to.
///
/// # Safety
/// `address` is a multiple of 4 in this block's shared memory, and meanwhile nobody reads or writes the number otherwise.
#[inline(always)]
pub unsafe fn add_u32(address: u32, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("red.relaxed.cta.shared.add.u32 [{}], {};", in(reg32) address, in(reg32) value, options(nostack)) };
}
