//! Functions that PTX expects from the driver: `vprintf`, `malloc`, `free` and `__assertfail`.

use std::io::Write;

use super::ctx::Ctx;
use super::inst::Flow;
use super::memory::{host, space};
use super::printf::{self, Arguments};
use super::program::{Call, End};

/// A parameter's value, for one lane of the running frame.
fn argument(x: &Ctx<'_>, call: &Call, number: usize, lane: u32) -> u64 {
    let Some(step) = call.arguments.get(number) else {
        return 0;
    };
    let mut bytes = [0u8; 8];
    let size = step.bytes.min(8) as usize;
    match step.from {
        End::Register(slot, 8) => return x.lanes::<u64>(slot)[lane as usize],
        End::Register(slot, 4) => return u64::from(x.lanes::<u32>(slot)[lane as usize]),
        End::Register(slot, _) => return u64::from(x.lanes::<u16>(slot)[lane as usize]),
        End::Local(offset) => {
            let frame = u64::from(x.warp().splits[x.split].local) + u64::from(offset);
            for (k, byte) in bytes.iter_mut().enumerate().take(size) {
                *byte = byte_at(x, space::LOCAL, frame + k as u64, lane).unwrap_or(0);
            }
        }
    }
    u64::from_le_bytes(bytes)
}

fn byte_at(x: &Ctx<'_>, code: u32, address: u64, lane: u32) -> Option<u8> {
    let place = host(x, code, address, 1, false, lane).ok()?;
    // SAFETY: `host` found this byte in a registered range or a block of ours.
    Some(unsafe { (place as *const u8).read() })
}

fn number_at(x: &Ctx<'_>, address: u64, bytes: u64, lane: u32) -> u64 {
    (0..bytes).rev().fold(0, |value, k| {
        value << 8 | u64::from(byte_at(x, space::GENERIC, address.wrapping_add(k), lane).unwrap_or(0))
    })
}

fn text_at(x: &Ctx<'_>, address: u64, lane: u32) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < 4096 {
        match byte_at(x, space::GENERIC, address.wrapping_add(bytes.len() as u64), lane) {
            Some(byte) if byte != 0 => bytes.push(byte),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The buffer that a `vprintf` was given, read by one lane.
struct Buffer<'x, 'a> {
    x: &'x Ctx<'a>,
    at: u64,
    lane: u32,
}

impl Arguments for Buffer<'_, '_> {
    fn number(&mut self, bytes: u64) -> u64 {
        // Each is aligned to its size, as the CUDA ABI packs them.
        let at = self.at.next_multiple_of(bytes);
        self.at = at + bytes;
        number_at(self.x, at, bytes, self.lane)
    }

    fn text(&mut self, address: u64) -> String {
        text_at(self.x, address, self.lane)
    }
}

/// `vprintf(format, arguments)`: lane by lane to the standard output; answers the number of arguments.
pub(super) fn print(x: &mut Ctx<'_>, call: &Call) -> Flow {
    let (mut all, mut counts) = (String::new(), [0u64; 32]);
    for lane in (0..32u32).filter(|l| x.active >> l & 1 != 0) {
        let pattern = text_at(x, argument(x, call, 0, lane), lane);
        let at = argument(x, call, 1, lane);
        let (text, count) = printf::format(&pattern, &mut Buffer { x, at, lane });
        all.push_str(&text);
        counts[lane as usize] = u64::from(count);
    }
    // A process that runs a library of Rust does not flush Rust's buffer at its end.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(all.as_bytes()).and_then(|()| out.flush());
    answer(x, call, &counts);
    Flow::Next
}

/// `malloc(bytes)`.
pub(super) fn allocate(x: &mut Ctx<'_>, call: &Call) -> Flow {
    let mut addresses = [0u64; 32];
    for lane in (0..32u32).filter(|l| x.active >> l & 1 != 0) {
        let bytes = argument(x, call, 0, lane);
        addresses[lane as usize] = x.env.heap.as_ref().map_or(0, |heap| heap.take(bytes));
    }
    answer(x, call, &addresses);
    Flow::Next
}

/// `free(address)`.
pub(super) fn release(x: &mut Ctx<'_>, call: &Call) -> Flow {
    for lane in (0..32u32).filter(|l| x.active >> l & 1 != 0) {
        let address = argument(x, call, 0, lane);
        if address != 0 && !x.env.heap.as_ref().is_some_and(|heap| heap.give(address)) {
            let text = format!("frees 0x{address:x}, expected an address that malloc gave and that is not free yet");
            return x.trap(Some(lane), text);
        }
    }
    Flow::Next
}

/// Writes the result of a call for the running lanes.
fn answer(x: &mut Ctx<'_>, call: &Call, values: &[u64; 32]) {
    let mask = x.active;
    let Some(step) = call.results.first() else {
        return;
    };
    match step.to {
        End::Register(slot, 8) => x.put(slot, values, mask),
        End::Register(slot, _) => x.put(slot, &values.map(|v| v as u32), mask),
        End::Local(offset) => {
            let at = u64::from(x.warp().splits[x.split].local) + u64::from(offset);
            for lane in (0..32u32).filter(|l| mask >> l & 1 != 0) {
                let Ok(place) = host(x, space::LOCAL, at, step.bytes.min(8), true, lane) else {
                    return;
                };
                let bytes = values[lane as usize].to_le_bytes();
                // SAFETY: `host` found these bytes in the frame's local memory; at most eight are copied.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place as *mut u8, step.bytes.min(8) as usize) };
            }
        }
    }
}

/// `__assertfail(message, file, line, function, size)`.
pub(super) fn assert_fail(x: &mut Ctx<'_>, call: &Call) -> Flow {
    let lane = x.active.trailing_zeros();
    let [message, file, line, function] = [0, 1, 2, 3].map(|n| argument(x, call, n, lane));
    let (message, file, function) = (
        text_at(x, message, lane),
        text_at(x, file, lane),
        text_at(x, function, lane),
    );
    x.trap(
        Some(lane),
        format!("assertion failed: {message} ({file}:{line}, in {function})"),
    )
}
