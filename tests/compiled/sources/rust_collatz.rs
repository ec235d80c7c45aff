// Steps of the Collatz sequence per number, and of Euclid's algorithm per pair: loops whose length differs per lane.
// Exercises: divergence with early exits, 64-bit integer arithmetic, remainder, leading and trailing zero counts,
// match lowered to branches, checked arithmetic.

#![no_std]
#![feature(abi_ptx, stdarch_nvptx)]

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _thread_idx_x, trap};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe { trap() }
}

fn thread_index() -> usize {
    unsafe { (_block_idx_x() * _block_dim_x() + _thread_idx_x()) as usize }
}

fn collatz_steps(mut n: u64) -> Option<u32> {
    let mut steps = 0;
    while n != 1 {
        n = if n % 2 == 0 { n / 2 } else { n.checked_mul(3)?.checked_add(1)? };
        steps += 1;
    }
    Some(steps)
}

/// # Safety
/// `numbers` (each at least 1) and `steps` point to `n` elements.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn collatz(numbers: *const u64, steps: *mut u32, n: u32) {
    let i = thread_index();
    if i < n as usize {
        unsafe { *steps.add(i) = collatz_steps(*numbers.add(i)).unwrap_or(u32::MAX) };
    }
}

/// Operation codes of `interpret`, one byte each.
const PUSH: u8 = 0;
const ADD: u8 = 1;
const MUL: u8 = 2;
const GCD: u8 = 3;
const ROTATE: u8 = 4;
const COUNT: u8 = 5;

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A small stack machine; every lane runs its own program over its own stack in local memory.
///
/// # Safety
/// `programs` points to `n` programs of `length` bytes, `results` to `n` words.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn interpret(programs: *const u8, results: *mut u32, length: u32, n: u32) {
    let i = thread_index();
    if i >= n as usize {
        return;
    }
    let program = unsafe { core::slice::from_raw_parts(programs.add(i * length as usize), length as usize) };
    let mut stack = [1u32; 16];
    let mut depth = 1;
    for (at, &byte) in program.iter().enumerate() {
        let top = stack[depth % 16];
        let under = stack[(depth + 15) % 16];
        let value = match byte % 8 {
            PUSH => {
                depth += 1;
                u32::from(byte) + at as u32
            }
            ADD => top.wrapping_add(under),
            MUL => top.wrapping_mul(under | 1),
            GCD => gcd(top, under),
            ROTATE => top.rotate_left(under),
            COUNT => (top.leading_zeros() << 8) + top.trailing_zeros(),
            6 => (i64::from(top as i32) * i64::from(under as i32) >> 16) as u32,
            _ => {
                depth += 3;
                top.swap_bytes() ^ under.reverse_bits()
            }
        };
        stack[depth % 16] = value;
    }
    unsafe { *results.add(i) = stack.iter().fold(0, |sum, word| sum ^ word) };
}
